// The API key: asked for in a dialog, kept until the tab is closed. Knows nothing of views.

import { apiKey } from "./api.js";
import { el } from "./dom.js";
import { field, showFault } from "./fields.js";

const dialog = document.getElementById("key-dialog");
const button = document.getElementById("key-button");
const input = el("input", { type: "password", autocomplete: "off", spellcheck: "false" });
const keyField = field("API key", input, {
  hint: "Kept in this tab alone, and sent to this service alone.",
});

function tell() {
  button.textContent = apiKey.get() ? "API key ✓" : "API key";
}

/** Open the dialog; `fault` is why. */
export function askForKey(fault = "") {
  input.value = apiKey.get();
  showFault(keyField, fault);
  if (!dialog.open) dialog.showModal();
  input.focus();
}

/** Fill the dialog; `onChange` is called when another key is to be used. */
export function setUpKey({ onChange }) {
  const use = (event) => {
    event.preventDefault();
    const key = input.value.trim();
    // What is no header would fail in the browser, far from here.
    if (/[^\x21-\x7e]/.test(key)) {
      showFault(keyField, "Expected letters, digits and signs without spaces.");
      return;
    }
    if (key) apiKey.set(key);
    else apiKey.forget();
    dialog.close();
    tell();
    onChange();
  };
  const forget = () => {
    apiKey.forget();
    dialog.close();
    tell();
    onChange();
  };
  dialog.replaceChildren(
    el("form", { on: { submit: use } },
      el("h2", { id: "key-title" }, "API key"),
      keyField,
      el("div", { class: "buttons" },
        el("button", { class: "main" }, "Use"),
        el("button", { type: "button", on: { click: forget } }, "Forget"),
        el("button", { type: "button", class: "quiet", on: { click: () => dialog.close() } }, "Cancel"),
      ),
    ),
  );
  button.addEventListener("click", () => askForKey());
  dialog.addEventListener("close", () => button.focus());
  tell();
}
