// What several views have in common: picking an id, and telling what an answer came from.

import { get } from "./api.js";
import { hashOf } from "./address.js";
import { announce, el, freshId, shortPosition } from "./dom.js";
import { clearFaults, field, showFault, textInput } from "./fields.js";
import { fill } from "./states.js";

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
    if (input.value !== "") {
      onPick(input.value);
      return;
    }
    showFault(node.querySelector(".field"), "Expected an id.");
    input.focus();
  } } },
    field(label, input, { hint, told }), el("button", { class: "main" }, "Show"), chips, list);
  async function offer() {
    try {
      const ids = examples((await get("v1/model")).data);
      list.replaceChildren(...ids.map((id) => el("option", { value: id })));
      chips.replaceChildren(...ids.slice(0, 6).map((id) => el("a", { class: "chip", href: hashOf(view, id) }, id)));
    } catch {
      // The view says what is wrong; without examples an id can be typed.
    }
  }
  return {
    node,
    show: (id) => {
      input.value = id;
      clearFaults(node);
      if (!chips.childNodes.length) offer();
    },
  };
}

/** Return a button that lengthens a list: `next` adds to `list()` and returns how many. */
export function moreButton(next, list) {
  const trouble = el("div");
  const button = el("button", { type: "button", on: { click: async () => {
    const at = list().children.length;
    button.disabled = true;
    const fine = await fill(trouble, async () => { announce(`${await next()} more videos`); return []; }, { rows: 0 });
    button.disabled = false;
    if (fine) list().children[at]?.querySelector("a").focus();
  } } }, "More");
  return { button, node: el("div", { class: "further" }, trouble, button) };
}
