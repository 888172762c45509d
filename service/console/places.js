// A list of recommended videos: rank, title, source, score, shares. Knows how places look and move.

import { describe } from "./api.js";
import { hashOf } from "./address.js";
import { calm, el, measured, percent, scored } from "./dom.js";

export const MODALITIES = ["visual", "acoustic", "textual"];

const COUNTED = new Set(["trending", "popular"]);

const SOURCES = {
  personal: "fits the user's trained vector, moved by what they met since",
  fold_in: "fits what the user met since the bundle",
  similar: "near the video's vector",
  trending: "met by most users of late",
  popular: "met by most users",
  fresh: "has just arrived",
};

/** Return the title of a video as a link; until it is known its id stands there. */
export function videoLink(videoId, { onKnown = () => {} } = {}) {
  const link = el("a", { href: hashOf("videos", videoId), class: "title" }, videoId);
  link.load = async () => {
    const known = await describe(videoId);
    if (known === null) return;
    if (known.metadata.title) link.textContent = known.metadata.title;
    onKnown(known.metadata);
  };
  return link;
}

// Titles are asked for when their row comes into sight: a list may have 500 rows.
const sight = new IntersectionObserver((entries) => {
  for (const entry of entries.filter((one) => one.isIntersecting)) {
    sight.unobserve(entry.target);
    for (const link of entry.target.querySelectorAll("a.title")) link.load?.();
  }
}, { rootMargin: "200px" });

export const whenSeen = (row) => sight.observe(row);

/** Return one line of what is known of a video. */
export function facts(videoId, metadata) {
  return [
    el("code", {}, videoId),
    metadata.uploader ? ` · ${metadata.uploader}` : null,
    (metadata.tags ?? []).map((tag) => el("span", { class: "tag" }, tag)),
  ];
}

/** Return the shares of the modalities as one bar; what takes from the score is hollow. */
export function shareBar(shares) {
  const present = MODALITIES.filter((name) => shares[name]);
  if (!present.length) return el("span", { class: "shares none" }, "content not known");
  const told = present.map((name) => `${name} ${percent(shares[name])}`).join(", ");
  return el("span", { class: "shares", role: "img", "aria-label": `Shares of the content: ${told}`, title: told },
    present.map((name) => measured(
      el("i", { class: shares[name] < 0 ? `${name} against` : name }), Math.abs(shares[name]))));
}

export function legend() {
  return el("p", { class: "legend" }, "What the content adds to a score: ",
    MODALITIES.map((name) => el("span", {}, el("i", { class: name }), name)),
    el("span", {}, el("i", { class: "hollow" }), "takes away"));
}

/** Return how far the bar of a score reaches: a cosine is a share of 1, a count one of the largest. */
function shareOf({ score, source }, places) {
  if (!COUNTED.has(source) && !Number.isInteger(score)) return score;
  return score / (Math.max(...places.filter((one) => one.source === source).map((one) => one.score)) || 1);
}

function row(place, { rank, share, action }) {
  const under = el("span", { class: "under" }, el("code", {}, place.video_id));
  const link = videoLink(place.video_id, {
    onKnown: (metadata) => under.replaceChildren(...facts(place.video_id, metadata).flat().filter(Boolean)),
  });
  const node = el("li", { class: place.explanation ? "place explained" : "place" },
    el("span", { class: "rank" }, String(rank)),
    el("span", { class: "what" }, link, under),
    el("span", { class: `source ${place.source}`, title: SOURCES[place.source] ?? "" }, place.source.replace("_", "-")),
    el("span", { class: "score" },
      el("b", {}, scored(place.score)),
      measured(el("span", { class: "track" }, el("i")), share)),
    place.explanation ? why(place.explanation) : null,
    el("span", { class: "move" }),
    action ? action(place, link) : null);
  node.place = place;
  whenSeen(node);
  return node;
}

function why({ shares, nearest }) {
  const near = nearest === null
    ? el("span", { class: "near" }, "near nothing watched")
    : el("span", { class: "near", title: `cosine ${scored(nearest.similarity)}` }, "near ", videoLink(nearest.video_id));
  return el("span", { class: "why" }, shareBar(shares), near);
}

/**
 * Return a list that can be given other places, or more: `{ node, set(places), add(places) }`.
 *
 * `set` returns how many places are new and how many moved; rows that move are seen to move.
 */
export function placeList({ action = null, label }) {
  const node = el("ol", { class: "places", "aria-label": label });
  const made = (places, first) => places.map((place, at) => {
    const one = row(place, { rank: first + at, share: shareOf(place, places), action });
    one.rank = first + at;
    return one;
  });
  const set = (places) => {
    const before = new Map([...node.children].map((old) =>
      [old.place.video_id, [old.getBoundingClientRect().top, old.rank]]));
    const rows = made(places, 1);
    node.replaceChildren(...rows);
    return before.size ? move(rows, before) : { added: 0, moved: 0 };
  };
  return { node, set, add: (places) => node.append(...made(places, node.children.length + 1)) };
}

function move(fresh, before) {
  let added = 0;
  let moved = 0;
  for (const one of fresh) {
    const [top, rank] = before.get(one.place.video_id) ?? [null, null];
    const mark = one.querySelector(".move");
    if (rank === null) {
      added += 1;
      mark.textContent = "new";
      mark.classList.add("new");
    } else if (rank !== one.rank) {
      moved += 1;
      mark.textContent = rank > one.rank ? `▲ ${rank - one.rank}` : `▼ ${one.rank - rank}`;
      mark.setAttribute("aria-label", rank > one.rank ? `up ${rank - one.rank}` : `down ${one.rank - rank}`);
      mark.setAttribute("role", "img");
    }
    if (calm()) continue;
    const way = top === null
      ? [{ opacity: 0 }, { opacity: 1 }]
      : [{ transform: `translateY(${top - one.getBoundingClientRect().top}px)` }, { transform: "none" }];
    one.animate(way, { duration: 320, easing: "cubic-bezier(.2,.7,.2,1)" });
  }
  return { added, moved };
}
