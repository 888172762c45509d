// What stands where an answer will be: waiting, nothing, or what went wrong. Knows no resource.

import { Problem } from "./api.js";
import { announce, el } from "./dom.js";
import { clearFaults, showFaults } from "./fields.js";
import { askForKey } from "./key.js";

/** Show that an answer is awaited; rows keep the height that answers will have. */
export function waiting(place, rows = 6) {
  place.setAttribute("aria-busy", "true");
  const bones = Array.from({ length: rows }, () => el("div", { class: "bone" }));
  place.replaceChildren(el("div", { class: "bones", "aria-hidden": "true" }, bones));
}

/** Say that there is nothing, and what could be done. */
export function nothing(title, ...more) {
  return el("div", { class: "nothing" }, el("h2", {}, title), ...more);
}

/** Return what tells of a problem; `again` asks once more. */
function trouble(problem, texts, again) {
  const key = problem.status === 401 || problem.status === 403;
  return el("div", { class: "trouble", role: "alert" },
    el("h2", {}, problem.status ? `${problem.title} (${problem.status})` : problem.title),
    texts.map((text) => el("p", {}, text)),
    el("div", { class: "buttons" },
      again ? el("button", { type: "button", on: { click: again } }, "Try again") : null,
      key ? el("button", { type: "button", on: { click: () => askForKey(problem.detail) } }, "Enter an API key") : null));
}

/**
 * Run `work` and show in `place` what it returns, or what went wrong; faults go to the fields of
 * `form`. What was aborted shows nothing: another question has the place by then.
 */
export async function fill(place, work, { form = null, again = null, rows = 6 } = {}) {
  if (rows) waiting(place, rows);
  if (form) clearFaults(form);
  try {
    const children = await work();
    place.replaceChildren(...[children].flat().filter((child) => child !== null));
  } catch (problem) {
    if (problem.name === "AbortError") return false;
    if (!(problem instanceof Problem)) throw problem;
    const homeless = form === null ? [problem.detail] : showFaults(form, problem);
    const shown = homeless.length ? trouble(problem, homeless, again) : null;
    place.replaceChildren(...(shown ? [shown] : []));
    if (!shown) announce(`${problem.title}: see the marked fields`);
    if (problem.status === 401) askForKey(problem.detail);
    return false;
  } finally {
    place.removeAttribute("aria-busy");
  }
  return true;
}
