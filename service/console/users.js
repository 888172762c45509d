// A user and their recommendations; a click is recorded and the list moves.

import { ask, get, segment } from "./api.js";
import { go, hashOf } from "./address.js";
import { announce, el, shortPosition, took, whole } from "./dom.js";
import { choice, field } from "./fields.js";
import { asked, filters, optionsForm, ranking } from "./options.js";
import { legend, placeList } from "./places.js";
import { fill, nothing } from "./states.js";
import { moreButton, picker, servedFrom } from "./page.js";

const KINDS = ["like", "view", "share", "follow-through", "skip", "dislike"];
const PATH = (id) => `v1/users/${segment(id)}/recommendations`;

/** Return the view: `{ node, open({ id, query, signal }) }`. */
export function userView() {
  let now = { id: "", query: new URLSearchParams(), signal: null };
  const search = picker("User", {
    hint: "Any id; somebody unknown gets what is popular.",
    told: ["path.user_id"],
    onPick: (id) => go(hashOf("users", id, now.query)),
    examples: (model) => model.examples.users,
    view: "users",
  });
  const options = optionsForm([...filters(), ...ranking()], {
    onSubmit: (query) => go(hashOf("users", now.id, query)),
  });
  const kind = choice(KINDS.map((name) => [name, name]), "like");
  const known = el("section", { class: "stats", "aria-label": "What is known of the user" });
  const notice = el("p", { class: "notice", hidden: true });
  const results = el("section", { class: "results", "aria-label": "Recommendations" });
  const node = el("div", { class: "view" },
    el("h1", { tabindex: -1 }, "Users"),
    search.node,
    el("div", { class: "columns" }, options.form, el("div", {}, known, notice, results)));
  let list = null;
  let cursor = null;
  const further = moreButton(async () => {
    const { data } = await page({ cursor });
    list.add(data.recommendations);
    return data.recommendations.length;
  }, () => list.node);

  const record = (place, link) => el("button", {
    type: "button", class: "record", "aria-label": `Record ${kind.value} of ${place.video_id}`,
    on: { click: (event) => recorded(event.currentTarget, place, link) },
  }, kind.value);
  kind.addEventListener("change", () => {
    for (const button of results.querySelectorAll("button.record")) {
      button.textContent = kind.value;
      button.setAttribute("aria-label", `Record ${kind.value} of ${button.closest("li").place.video_id}`);
    }
  });

  async function recorded(button, place, link) {
    const { id, signal } = now;
    const at = [...list.node.children].indexOf(button.closest("li"));
    button.disabled = true;
    const body = { interactions: [{ user_id: id, video_id: place.video_id, kind: kind.value }] };
    const begun = performance.now();
    const written = el("div");
    const fine = await fill(written, async () => {
      const { data } = await ask("POST", "v1/interactions", { body, signal });
      const answer = await page({ min_position: data.position });
      const { added, moved } = list.set(answer.data.recommendations);
      return `Recorded ${kind.value} of ${link.textContent} at ${shortPosition(data.position)}. ` +
        `${added} new, ${moved} moved, ${took(performance.now() - begun)} in all.`;
    }, { rows: 0 });
    if (signal.aborted) return;
    notice.hidden = false;
    notice.replaceChildren(...written.childNodes);
    button.disabled = false;
    if (!fine) return;
    announce(notice.textContent);
    list.node.children[Math.min(at, list.node.children.length - 1)]?.querySelector("button")?.focus({ preventScroll: true });
    showKnown();
  }

  function showKnown() {
    const { id, signal } = now;
    return fill(known, async () => {
      const { data } = await get(`v1/users/${segment(id)}`, { signal });
      return [
        stat(data.known ? "known" : "unknown", "user"),
        stat(whole(data.trained_interactions), "interactions in training"),
        stat(whole(data.recorded_interactions), "recorded since"),
        stat(whole(data.seen), "videos seen"),
      ];
    }, { rows: 0 });
  }

  /** Ask for the list, with `more` than the options say. */
  async function page(more = {}) {
    const { id, query, signal } = now;
    const answer = await get(PATH(id), { query: { ...asked(query), explain: "true", paged: "true", ...more }, signal });
    servedFrom(answer);
    cursor = answer.data.next_cursor;
    further.button.hidden = cursor === null;
    return answer;
  }

  function showList() {
    const { id } = now;
    return fill(results, async () => {
      const answer = await page();
      const places = answer.data.recommendations;
      if (!places.length) {
        return nothing("No video fits", el("p", {}, "Nothing that is left matches these options, or all of it was seen."));
      }
      list = placeList({ action: record, label: `Recommendations for ${id}` });
      list.set(places);
      announce(`${places.length} videos for ${id}`);
      return [
        el("div", { class: "tools" },
          el("h2", {}, "For ", el("bdi", {}, id)),
          el("span", { class: "quiet" }, `${whole(places.length)} videos in ${took(answer.ms)}`),
          field("A click records", kind)),
        legend(),
        list.node,
        further.node,
      ];
    }, { form: node, again: showList, rows: 8 });
  }

  return {
    node,
    open(next) {
      now = next;
      search.show(next.id);
      options.read(next.query);
      notice.hidden = true;
      options.form.hidden = next.id === "";
      if (next.id === "") {
        known.replaceChildren();
        results.replaceChildren(nothing("Whose list?", el("p", {}, "Type an id above, or pick one.")));
        return;
      }
      showKnown();
      showList();
    },
  };
}

const stat = (value, label) => el("div", { class: "stat" }, el("b", {}, value), el("span", {}, label));
