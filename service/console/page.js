// What several views have in common: picking an id, and telling what an answer came from.

import { get } from "./api.js";
import { hashOf } from "./address.js";
import { el, freshId, shortPosition } from "./dom.js";
import { clearFaults, field, showFault, textInput } from "./fields.js";

/** Tell below the page which bundle and position an answer came from, and if it was degraded. */
export function servedFrom({ data, degraded }) {
  const place = document.getElementById("served");
  place.replaceChildren(
    "bundle ", el("a", { href: "#/model" }, data.bundle_id),
    ` at position ${shortPosition(data.position)}`,
    ...(degraded ? [" · ", el("strong", { class: "degraded" }, `degraded: ${degraded}`)] : []));
}

/** Return a search form for ids with examples to pick: `{ node, show(id) }`. */
export function picker(label, { hint, told, onPick, examples, view }) {
  const list = el("datalist", { id: freshId("ids") });
  const input = textInput({ list: list.id, "data-search": true, enterkeyhint: "search" });
  const chips = el("p", { class: "chips" });
  const node = el("form", { class: "picker", role: "search", novalidate: true, on: { submit: (event) => {
    event.preventDefault();
    clearFaults(node);
    if (input.value === "") showFault(node.querySelector(".field"), "Expected an id.");
    else onPick(input.value);
  } } },
    field(label, input, { hint, told }), el("button", { class: "main" }, "Show"), chips, list);
  get("v1/model").then(({ data }) => {
    const ids = examples(data);
    list.replaceChildren(...ids.map((id) => el("option", { value: id })));
    chips.replaceChildren(...ids.slice(0, 6).map((id) => el("a", { class: "chip", href: hashOf(view, id) }, id)));
  }, () => {});  // The view says what is wrong; without examples an id can be typed.
  return { node, show: (id) => { input.value = id; clearFaults(node); } };
}
