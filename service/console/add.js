// Adds a video and watches it appear: in what is fresh, beside its neighbours, in a user's list.

import { Problem, ask, forgetVideo, get, segment } from "./api.js";
import { hashOf } from "./address.js";
import { announce, el, shortPosition, took, whole } from "./dom.js";
import { drawn, near } from "./features.js";
import { choice, clearFaults, field, showFault, textInput } from "./fields.js";
import { fill } from "./states.js";

// What was added in this tab, by id: another one can be made like it.
const added = new Map();
const DEPTH = 500;

const listed = (text) => text.split(",").map((one) => one.trim()).filter(Boolean);
const randomId = () => `arrival-${crypto.getRandomValues(new Uint32Array(1))[0].toString(36)}`;

/** Return the view: `{ node, open({ signal }) }`. */
export function addView() {
  let signal = null;
  const id = textInput({ required: true, "data-search": true });
  const title = textInput();
  const tags = textInput({ placeholder: "cats, dogs" });
  const uploader = textInput();
  const language = textInput({ placeholder: "en" });
  const user = textInput();
  const way = choice([["drawn", "drawn at random"], ["json", "pasted as JSON"]], "drawn");
  const pasted = el("textarea", { rows: 8, spellcheck: "false", placeholder: '{"visual": [0.1, …], "acoustic": […]}' });
  const pastedField = field("Features as JSON", pasted, { told: ["body.features"], wide: true });
  const widths = el("p", { class: "hint" });
  const outcome = el("section", { class: "outcome", "aria-label": "What became of it" });
  const form = el("form", { class: "sheet", novalidate: true, on: { submit } },
    el("div", { class: "fields" },
      field("Id", id, { told: ["path.video_id"] }),
      field("Title", title, { told: ["body.metadata.title"] }),
      field("Tags", tags, { told: ["body.metadata.tags"] }),
      field("Uploader", uploader, { told: ["body.metadata.uploader"] }),
      field("Language", language, { told: ["body.metadata.language"] }),
      field("Look for it in the list of user", user, { told: ["path.user_id"], hint: "May be left empty." }),
      field("Features", way)),
    widths, pastedField,
    el("div", { class: "buttons" },
      el("button", { class: "main" }, "Add"),
      el("button", { type: "button", class: "quiet", on: { click: another } }, "Another id")));
  const node = el("div", { class: "view" },
    el("h1", { tabindex: -1 }, "Add a video"),
    el("p", { class: "quiet" }, "It is fused by the bundle's network and in lists before the answer is sent."),
    form, outcome);
  let modalities = null;

  const shown = () => { pastedField.hidden = way.value !== "json"; };
  way.addEventListener("change", shown);

  function another() {
    id.value = randomId();
    title.value = "";
    clearFaults(form);
    id.focus();
  }

  function features() {
    if (way.value === "drawn") {
      if (modalities === null) throw new Problem(0, { title: "Not ready", detail: "The widths of the features are not known yet." });
      return drawn(modalities, crypto.getRandomValues(new Uint32Array(1))[0]);
    }
    if (way.value !== "json") return near(added.get(way.value.slice(1)), Math.floor(performance.now()));
    try {
      return JSON.parse(pasted.value);
    } catch (error) {
      showFault(pastedField, `Expected JSON: ${error.message}`);
      pasted.focus();
      return null;
    }
  }

  async function submit(event) {
    event.preventDefault();
    clearFaults(form);
    if (id.value === "") {
      showFault(id.closest(".field"), "Expected an id.");
      id.focus();
      return;
    }
    const asked = signal;
    await fill(outcome, async () => {
      const sent = features();
      if (sent === null) return [];
      const shownSteps = await arrive(id.value, sent, metadata(), user.value, asked);
      if (typeof sent === "object" && way.value !== "json") remember(id.value, sent);
      return shownSteps;
    }, { form, rows: 4 });
  }

  function metadata() {
    const told = { tags: listed(tags.value) };
    if (title.value) told.title = title.value;
    if (uploader.value) told.uploader = uploader.value;
    if (language.value) told.language = language.value;
    return told;
  }

  function remember(videoId, sent) {
    added.set(videoId, sent);
    offer();
  }

  function offer() {
    const chosen = way.value;
    for (const old of way.querySelectorAll("[data-like]")) old.remove();
    // A mark before the id: one may be called json.
    for (const one of added.keys()) way.append(el("option", { value: `=${one}`, "data-like": true }, `like ${one}`));
    way.value = chosen;
  }

  return {
    node,
    open(next) {
      signal = next.signal;
      if (id.value === "") id.value = next.id || randomId();
      offer();
      shown();
      get("v1/model", { signal }).then(({ data }) => {
        modalities = data.modalities;
        widths.textContent = `This bundle takes ${Object.entries(modalities).map(([name, width]) => `${width} ${name}`).join(", ")} numbers; a modality may be missing, not all.`;
      }, (problem) => { widths.textContent = problem.message; });
    },
  };
}

/** Send the video and look for it; return what to show. */
async function arrive(id, features, metadata, user, signal) {
  const begun = performance.now();
  const since = () => took(performance.now() - begun);
  const path = `v1/videos/${segment(id)}`;
  const put = await ask("PUT", path, { body: { features, metadata }, signal });
  forgetVideo(id);
  const steps = [step(true, put.status === 201 ? "Recorded as new" : "Recorded in place of what was there",
    `position ${shortPosition(put.data.position)}, on disk and fused`, since())];
  const look = (where, query = {}) => get(where, { query: { ...query, k: DEPTH, min_position: put.data.position }, signal });
  const fresh = await look("v1/videos/fresh");
  steps.push(found("In what is fresh", fresh, id, since()));
  const similar = (await look(`${path}/similar`)).data.recommendations;
  if (similar.length) {
    const [first] = similar;
    steps.push(step(true, "Has neighbours", el("span", {}, "the nearest is ", el("a", { href: hashOf("videos", first.video_id) }, first.video_id), `, cosine ${first.score.toFixed(3)}`), since()));
    const back = await look(`v1/videos/${segment(first.video_id)}/similar`);
    steps.push(found(`Among the neighbours of ${first.video_id}`, back, id, since()));
  }
  if (user) {
    const list = await look(`v1/users/${segment(user)}/recommendations`);
    steps.push(found(`In the list of ${user}`, list, id, since()));
  }
  announce(`${id} was added`);
  return [
    el("h2", {}, el("bdi", {}, metadata.title || id), " is there"),
    el("ol", { class: "steps" }, steps),
    el("p", {}, el("a", { href: hashOf("videos", id) }, "Open the video"), " · ", el("a", { href: "#/lists/fresh" }, "See what is fresh")),
  ];
}

function found(what, { data }, id, time) {
  const at = data.recommendations.findIndex((place) => place.video_id === id);
  const told = at < 0 ? `not among the first ${whole(data.recommendations.length)}` : `place ${at + 1} of ${whole(data.recommendations.length)}`;
  return step(at >= 0, what, told, time);
}

function step(good, what, told, time) {
  return el("li", { class: good ? "good" : "not" },
    el("b", {}, what), el("span", {}, told), el("span", { class: "time" }, time));
}
