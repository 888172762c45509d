// Fields of forms, with a label, a hint, and the fault that an answer found in them.

import { el, freshId } from "./dom.js";

/**
 * Return a labelled `input`. `told` are the places of the API that it fills, such as `query.k`:
 * what the service says of them is shown here.
 */
export function field(label, input, { hint = "", told = [], wide = false } = {}) {
  const id = freshId("field");
  input.id = id;
  const fault = el("p", { class: "fault", id: `${id}-fault`, hidden: true });
  const help = hint ? el("p", { class: "hint", id: `${id}-hint` }, hint) : null;
  if (help) input.setAttribute("aria-describedby", help.id);
  return el("div", { class: wide ? "field wide" : "field", "data-told": told.join(" ") },
    el("label", { for: id }, label), input, help, fault);
}

/** Show a fault at a field, or none. */
export function showFault(node, text) {
  const input = node.querySelector("input, select, textarea");
  const fault = node.querySelector(".fault");
  const help = node.querySelector(".hint");
  fault.textContent = text;
  fault.hidden = text === "";
  const described = [help?.id, text ? fault.id : null].filter(Boolean).join(" ");
  if (described) input.setAttribute("aria-describedby", described);
  else input.removeAttribute("aria-describedby");
  if (text) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
}

/** Take all faults away. */
export function clearFaults(form) {
  for (const node of form.querySelectorAll(".field")) showFault(node, "");
}

/** Show what a problem says at the fields it names, and return what belongs to no field. */
export function showFaults(form, problem) {
  const homeless = [];
  let first = null;
  for (const error of problem.errors) {
    const home = [...form.querySelectorAll(".field")].find((node) =>
      node.dataset.told.split(" ").some((told) =>
        told !== "" && (error.field === told || error.field.startsWith(`${told}.`))));
    const got = error.got === undefined ? "" : `, got ${error.got}`;
    if (home === undefined) {
      homeless.push(`${error.field}: ${error.expected}${got}`);
    } else {
      showFault(home, `${error.expected}${got}`);
      first ??= home;
    }
  }
  if (first) {
    first.closest("details")?.setAttribute("open", "");
    first.querySelector("input, select, textarea").focus();
  }
  return problem.errors.length ? homeless : [problem.detail];
}

export const textInput = (attributes = {}) =>
  el("input", { type: "text", autocomplete: "off", autocapitalize: "off", spellcheck: "false", ...attributes });

/** Return a select; `options` are pairs of value and text. */
export function choice(options, chosen) {
  return el("select", {},
    options.map(([value, text]) => el("option", { value, selected: value === chosen }, text)));
}

/** Return a slider from 0 to 1 that shows its value. */
export function slider(label, { hint, told, step = 0.05 }) {
  const input = el("input", { type: "range", min: 0, max: 1, step, value: 0 });
  const output = el("output", {}, "off");
  const node = field(label, input, { hint, told });
  output.htmlFor = input.id;
  node.querySelector("label").append(" ", output);
  const tell = () => { output.textContent = Number(input.value) ? Number(input.value).toFixed(2) : "off"; };
  input.addEventListener("input", tell);
  return { node, input, tell };
}
