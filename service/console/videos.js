// A video: what is known of it and what is like it. Without one, all there are, page by page.

import { get, segment } from "./api.js";
import { go, hashOf } from "./address.js";
import { announce, el, moment, took, whole } from "./dom.js";
import { asked, filters, optionsForm } from "./options.js";
import { moreButton, picker, servedFrom } from "./page.js";
import { facts, placeList } from "./places.js";
import { fill, nothing } from "./states.js";

const STATES = {
  live: "in lists",
  hidden: "kept out of every list",
  expired: "past its end: out of every list",
};

/** Return the view: `{ node, open({ id, query, signal }) }`. */
export function videoView() {
  let now = { id: "", query: new URLSearchParams(), signal: null };
  const search = picker("Video", {
    hint: "Any id; without one all videos are listed.",
    told: ["path.video_id"],
    onPick: (id) => go(hashOf("videos", id, now.query)),
    examples: (model) => model.examples.videos,
    view: "videos",
  });
  const options = optionsForm(filters(), { onSubmit: (query) => go(hashOf("videos", now.id, query)) });
  const card = el("section", { class: "card", "aria-label": "The video" });
  const results = el("section", { class: "results", "aria-label": "List of videos" });
  const node = el("div", { class: "view" },
    el("h1", { tabindex: -1 }, "Videos"),
    search.node,
    el("div", { class: "columns" }, options.form, el("div", {}, card, results)));

  function showVideo() {
    const { id, signal } = now;
    return fill(card, async () => {
      const { data } = await get(`v1/videos/${segment(id)}`, { signal });
      return about(data);
    }, { form: search.node, again: showVideo, rows: 2 });
  }

  function showSimilar() {
    const { id, query, signal } = now;
    return fill(results, async () => {
      const answer = await get(`v1/videos/${segment(id)}/similar`, { query: asked(query), signal });
      servedFrom(answer);
      const places = answer.data.recommendations;
      if (!places.length) return nothing("Nothing is like it", el("p", {}, "No other video matches these options."));
      const list = placeList({ label: `Videos like ${id}` });
      list.set(places);
      announce(`${places.length} videos like ${id}`);
      return [el("div", { class: "tools" },
        el("h2", {}, `${whole(places.length)} neighbours`), el("span", { class: "quiet" }, took(answer.ms))), list.node];
    }, { form: options.form, again: showSimilar, rows: 8 });
  }

  function showAll() {
    const { query, signal } = now;
    const list = el("ul", { class: "places", "aria-label": "All videos" });
    let cursor = null;
    async function next() {
      const answer = await get("v1/videos", { query: { ...asked(query), cursor }, signal });
      servedFrom(answer);
      cursor = answer.data.next_cursor;
      list.append(...answer.data.videos.map(listed));
      further.button.hidden = cursor === null;
      return answer.data.videos.length;
    }
    const further = moreButton(next, () => list);
    return fill(results, async () => {
      if (!await next()) return nothing("No video matches", el("p", {}, "Take an option away."));
      return [el("div", { class: "tools" }, el("h2", {}, "All videos, by id")), list, further.node];
    }, { form: options.form, again: showAll, rows: 8 });
  }

  return {
    node,
    open(next) {
      now = next;
      search.show(next.id);
      options.read(next.query);
      card.hidden = next.id === "";
      if (next.id === "") {
        showAll();
        return;
      }
      showVideo();
      showSimilar();
    },
  };
}

function listed(video) {
  const { title } = video.metadata;
  return el("li", { class: "place plain" },
    el("span", { class: "what" },
      el("a", { class: "title", href: hashOf("videos", video.video_id) }, title || video.video_id),
      el("span", { class: "under" }, ...facts(video.video_id, video.metadata).flat().filter(Boolean))),
    video.state === "live" ? null : el("span", { class: `state ${video.state}` }, video.state));
}

function about(video) {
  const { title, tags, uploader, language, published_at: published, expires_at: ends } = video.metadata;
  const rows = [
    ["Id", el("code", {}, video.video_id)],
    ["Tags", tags?.length ? el("span", {}, tags.map((tag) => el("span", { class: "tag" }, tag))) : null],
    ["Uploader", uploader],
    ["Language", language],
    ["Published", published ? moment(published) : null],
    ["Ends", ends ? moment(ends) : null],
  ];
  return [
    el("div", { class: "tools" },
      el("h2", {}, el("bdi", {}, title || video.video_id)),
      el("span", { class: `state ${video.state}`, title: STATES[video.state] }, video.state)),
    el("dl", { class: "facts" }, rows.filter(([, value]) => value).map(([name, value]) =>
      el("div", {}, el("dt", {}, name), el("dd", {}, value)))),
  ];
}
