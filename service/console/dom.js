// Builds elements from plain values. Knows the document; whatever comes in as text stays text.

let serial = 0;

/** Return an element. `props` are attributes; `on` holds listeners; children are nodes or text. */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    } else if (name === "value") {
      node.value = value;
    } else {
      node.setAttribute(name, value === true ? "" : String(value));
    }
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/** Return an id that no other element has. */
export function freshId(stem) {
  serial += 1;
  return `${stem}-${serial}`;
}

/** Set a custom property that the style sheet makes a width of. */
export function measured(node, share) {
  node.style.setProperty("--share", String(Math.max(0, Math.min(1, share))));
  return node;
}

/** Tell those who do not see the page. */
export function announce(text) {
  const live = document.getElementById("live");
  live.textContent = "";
  // Another turn: the same sentence twice is told twice.
  requestAnimationFrame(() => { live.textContent = text; });
}

export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

export const whole = (value) => new Intl.NumberFormat("en").format(value);

export const percent = (share) => `${Math.round(share * 100)} %`.replace("-", "−");

/** Return a score: a cosine has three digits, a count of users has none. */
export function scored(score) {
  return Number.isInteger(score) ? whole(score) : score.toFixed(3).replace("-", "−");
}

export const took = (ms) => (ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`);

const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

/** Return how long ago a moment was, in its largest unit. */
export function age(moment, now = Date.now()) {
  const seconds = Math.max(0, (now - Date.parse(moment)) / 1000);
  const [unit, length] = UNITS.find(([, size]) => seconds >= size) ?? UNITS.at(-1);
  const count = Math.floor(seconds / length);
  return `${whole(count)} ${unit}${count === 1 ? "" : "s"} ago`;
}

/** Return a moment in the reader's time zone. */
export function moment(text) {
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) return text;
  return new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" }).format(date);
}

/** Return the end of a position: the whole of it is long and begins alike. */
export function shortPosition(position) {
  return position === "" ? "start" : `#${position.split("-").at(-1).replace(/^0+(?=.)/, "")}`;
}
