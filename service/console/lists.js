// Lists that are for everybody: what is trending, and what has just arrived.

import { get } from "./api.js";
import { go, hashOf } from "./address.js";
import { announce, el, took, whole } from "./dom.js";
import { asked, filters, oneOf, optionsForm } from "./options.js";
import { servedFrom } from "./page.js";
import { placeList } from "./places.js";
import { fill, nothing } from "./states.js";

const LISTS = {
  trending: ["Trending", "What found most users of late, the latest counting most; behind it what is popular."],
  fresh: ["Fresh", "What arrived since the bundle, the latest first. The score counts who met it and was not put off."],
};

/** Return the view: `{ node, open({ id, query, signal }) }`. */
export function listsView() {
  let now = { id: "trending", query: new URLSearchParams(), signal: null };
  const onSubmit = (query) => go(hashOf("lists", now.id, query));
  const windows = [["day", "a day"], ["hour", "an hour"], ["week", "a week"]];
  const forms = {
    trending: optionsForm([oneOf("window", "Within", windows), ...filters()], { onSubmit }),
    fresh: optionsForm(filters(), { onSubmit }),
  };
  const tabs = el("nav", { class: "tabs", "aria-label": "Lists" },
    Object.entries(LISTS).map(([id, [name]]) => el("a", { href: hashOf("lists", id), "data-list": id }, name)));
  const about = el("p", { class: "quiet" });
  const aside = el("div");
  const results = el("section", { class: "results", "aria-label": "List of videos" });
  const node = el("div", { class: "view" },
    el("h1", { tabindex: -1 }, "Lists"), tabs, about,
    el("div", { class: "columns" }, aside, results));

  function show() {
    const { id, query, signal } = now;
    return fill(results, async () => {
      const answer = await get(`v1/videos/${id}`, { query: asked(query), signal });
      servedFrom(answer);
      const places = answer.data.recommendations;
      if (!places.length) {
        return nothing(id === "fresh" ? "Nothing has arrived" : "Nothing to show",
          el("p", {}, id === "fresh" ? "No video came since the bundle, or none matches. " : "No video matches. ",
            id === "fresh" ? el("a", { href: "#/add" }, "Add one") : null));
      }
      const list = placeList({ label: LISTS[id][0] });
      list.set(places);
      announce(`${places.length} videos`);
      return [el("div", { class: "tools" },
        el("h2", {}, `${whole(places.length)} videos`), el("span", { class: "quiet" }, took(answer.ms))), list.node];
    }, { form: node, again: show, rows: 8 });
  }

  return {
    node,
    open(next) {
      now = { ...next, id: next.id in LISTS ? next.id : "trending" };
      about.textContent = LISTS[now.id][1];
      if (aside.firstChild !== forms[now.id].form) aside.replaceChildren(forms[now.id].form);
      forms[now.id].read(now.query);
      for (const tab of tabs.children) {
        if (tab.dataset.list === now.id) tab.setAttribute("aria-current", "page");
        else tab.removeAttribute("aria-current");
      }
      show();
    },
  };
}
