// The options of lists as fields, read from the address and written into it. Names are the API's.

import { el } from "./dom.js";
import { choice, field, slider, textInput } from "./fields.js";

const TAGS = ["tags_any", "tags_all", "tags_none"];

const listed = (text) => text.split(",").map((one) => one.trim()).filter(Boolean);

/** Return fields that hold one parameter each: `{ nodes, read(query), write(query) }`. */
function single(name, input, node, { absent = "", tell = () => {} } = {}) {
  return {
    nodes: [node],
    read: (query) => { input.value = query.get(name) ?? absent; tell(); },
    write: (query) => { if (input.value !== "" && input.value !== absent) query.set(name, input.value); },
  };
}

function length(hint) {
  const input = el("input", { type: "number", min: 1, max: 500, step: 1, inputmode: "numeric" });
  return single("k", input, field("Length", input, { hint, told: ["query.k"] }), { absent: "20" });
}

function tags() {
  const input = textInput({ placeholder: "cats, dogs" });
  const mode = choice([["tags_any", "any of these"], ["tags_all", "all of these"], ["tags_none", "none of these"]], "tags_any");
  return {
    nodes: [
      field("Tags", input, { told: TAGS.map((name) => `query.${name}`) }),
      field("Videos with", mode),
    ],
    read: (query) => {
      mode.value = TAGS.find((name) => query.has(name)) ?? "tags_any";
      input.value = query.getAll(mode.value).join(", ");
    },
    write: (query) => { for (const tag of listed(input.value)) query.append(mode.value, tag); },
  };
}

function text(name, label) {
  const input = textInput();
  return single(name, input, field(label, input, { told: [`query.${name}`] }));
}

function share(name, label, hint) {
  const { node, input, tell } = slider(label, { hint, told: [`query.${name}`] });
  return single(name, input, node, { absent: "0", tell });
}

function explore() {
  const input = el("input", { type: "number", min: 0, max: 1, step: 0.05, inputmode: "decimal", placeholder: "as the service does" });
  const hint = "Share of places for videos that have just arrived, from 0 to 1.";
  return single("explore", input, field("Explore", input, { hint, told: ["query.explore"] }));
}

export const filters = () => [length(), tags(), text("uploader", "Uploader"), text("language", "Language")];

export const ranking = () => [
  share("diversity", "Diversity", "More unlike each other, a little less fitting."),
  explore(),
];

/** Return a field for one of several values; the first is the one left out of the address. */
export function oneOf(name, label, options) {
  const input = choice(options, options[0][0]);
  return single(name, input, field(label, input, { told: [`query.${name}`] }), { absent: options[0][0] });
}

/** Return a form of `parts`, and how to read an address into it and write one from it. */
export function optionsForm(parts, { onSubmit, summary = "Options" }) {
  let own = null;
  const submit = () => {
    const query = new URLSearchParams();
    for (const part of parts) part.write(query);
    // Enter in a field that was changed says so twice.
    if (query.toString() === own) return;
    own = query.toString();
    onSubmit(query);
  };
  const read = (query) => {
    // An address that this form has just written is not read back: somebody may be typing on.
    if (query.toString() !== own) parts.forEach((part) => part.read(query));
    own = null;
  };
  const form = el("form", { class: "options", novalidate: true, on: {
    submit: (event) => { event.preventDefault(); submit(); },
    change: submit,
  } },
    el("details", { open: matchMedia("(min-width: 60rem)").matches },
      el("summary", {}, summary),
      el("div", { class: "fields" }, parts.flatMap((part) => part.nodes)),
      el("div", { class: "buttons" },
        el("button", {}, "Apply"),
        el("button", { type: "button", class: "quiet", on: { click: () => onSubmit(new URLSearchParams()) } }, "Reset"))));
  return { form, read };
}

/** Return the query of an address as the API wants it: lists stay lists. */
export function asked(query) {
  return Object.fromEntries([...new Set(query.keys())].map((name) => [name, query.getAll(name)]));
}
