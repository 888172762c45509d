// The bundle that is served: how good it was offline, how old it is, and what came since.

import { get } from "./api.js";
import { age, el, measured, moment, whole } from "./dom.js";
import { servedFrom } from "./page.js";
import { fill, nothing } from "./states.js";

const GROUPS = { overall: "All videos", warm: "Trained videos", cold: "Arrivals" };

/** Return the view: `{ node, open({ signal }) }`. */
export function modelView() {
  const body = el("div", { class: "model" });
  const node = el("div", { class: "view" }, el("h1", { tabindex: -1 }, "Model"), body);
  return {
    node,
    open({ signal }) {
      const show = () => fill(body, async () => {
        const answer = await get("v1/model", { signal });
        servedFrom(answer);
        return page(answer.data);
      }, { again: show, rows: 6 });
      show();
    },
  };
}

function page(model) {
  return [
    el("section", { class: "tiles", "aria-label": "Now" },
      tile(age(model.created_at).replace(" ago", ""), "age of the bundle", moment(model.created_at)),
      tile(whole(model.videos), "videos live", `${whole(model.trained_videos)} in the bundle`),
      tile(whole(model.arrivals), "arrivals since", "fused by the bundle's network"),
      tile(whole(model.users), "users trained", "others are folded in")),
    el("section", {}, el("h2", {}, "How good it was offline"), metrics(model.metrics)),
    el("section", {}, el("h2", {}, "What it is"), facts([
      ["Bundle", el("code", {}, model.bundle_id)],
      ["Position", el("code", {}, model.position || "start of the log")],
      ["Data set", model.dataset],
      ["Trained", moment(model.created_at)],
      ["Vector", `${model.vector_dim} numbers`],
      ["Features", Object.entries(model.modalities).map(([name, width]) => `${whole(width)} ${name}`).join(", ")],
      ["Index", `${model.index.kind}, recall@20 ${model.index.recall_at_20.toFixed(3)}`],
    ])),
    el("section", {}, el("h2", {}, "Events that could not be applied"), quarantine(model)),
  ];
}

const tile = (value, label, more) => el("div", { class: "tile" }, el("b", {}, value), el("span", {}, label), el("small", {}, more));

function facts(rows) {
  return el("dl", { class: "facts" }, rows.filter(([, value]) => value).map(([name, value]) =>
    el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

/** Return a table of groups by metrics; a bar is a share of 1. */
function metrics(told) {
  const groups = Object.keys(GROUPS).filter((name) => told[name] && typeof told[name] === "object");
  if (!groups.length) return nothing("Not measured", el("p", {}, "The manifest of this bundle has no metrics."));
  const names = [...new Set(groups.flatMap((group) => Object.keys(told[group])))].filter((name) => name !== "users");
  const alone = Object.entries(told).filter(([, value]) => typeof value === "number");
  return [
    el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Offline metrics" }, el("table", {},
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Metric"), groups.map((group) =>
        el("th", { scope: "col" }, GROUPS[group], users(told[group].users))))),
      el("tbody", {}, names.map((name) => el("tr", {}, el("th", { scope: "row" }, name),
        groups.map((group) => el("td", {}, figure(told[group][name])))))))),
    ...(alone.length ? [facts(alone.map(([name, value]) => [name, value.toFixed(4)]))] : []),
  ];
}

const users = (count) => (count === undefined ? null : el("small", {}, ` ${whole(count)} users`));

function figure(value) {
  if (!Number.isFinite(value)) return "–";
  return [el("span", { class: "figure" }, value.toFixed(4)), measured(el("span", { class: "track" }, el("i")), value)];
}

function quarantine(model) {
  if (!model.quarantined) return el("p", { class: "quiet" }, "None.");
  return [
    el("p", {}, `${whole(model.quarantined)} in all; the last of them:`),
    el("ul", { class: "faults" }, model.quarantine.map((one) => el("li", {}, el("code", {}, one.position), " ", one.fault))),
  ];
}
