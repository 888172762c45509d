// The page: which view is shown for an address. Knows the views; nothing of what they ask.

import { announce } from "./dom.js";
import { parseHash } from "./address.js";
import { setUpKey } from "./key.js";
import { addView } from "./add.js";
import { listsView } from "./lists.js";
import { modelView } from "./model.js";
import { userView } from "./users.js";
import { videoView } from "./videos.js";

const VIEWS = { users: userView, videos: videoView, lists: listsView, add: addView, model: modelView };

const main = document.getElementById("main");
let shown = null;
let leaving = new AbortController();

/** Show what the address says: a view that is there already is told of the change. */
function show({ byReader }) {
  const { view, id, query } = parseHash(location.hash);
  const build = VIEWS[view] ?? VIEWS.users;
  leaving.abort();
  leaving = new AbortController();
  const changed = shown?.build !== build;
  if (changed) {
    shown = { build, ...build() };
    main.replaceChildren(shown.node);
    for (const link of document.querySelectorAll("nav a")) {
      const current = VIEWS[link.dataset.view] === build;
      if (current) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }
  const name = shown.node.querySelector("h1").textContent;
  document.title = `${id ? `${id} · ` : ""}${name} · Recommender`;
  if (changed && byReader) {
    scrollTo(0, 0);
    shown.node.querySelector("h1").focus({ preventScroll: true });
    announce(name);
  }
  shown.open({ id, query, signal: leaving.signal });
}

function focusSearch(event) {
  const typing = event.target.closest("input, textarea, select, dialog");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const search = main.querySelector("[data-search]");
  if (search === null) return;
  event.preventDefault();
  search.focus();
  search.select();
}

setUpKey({ onChange: () => show({ byReader: false }) });
addEventListener("hashchange", () => show({ byReader: true }));
addEventListener("keydown", focusSearch);
// The address of the skip link is no view.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
show({ byReader: false });
