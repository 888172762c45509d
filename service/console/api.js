// Asks the service. Knows HTTP, problem documents and the API key; nothing of pages.

const KEY = "reco-api-key";
// The names of lists, where ids of videos stand: one with such an id is asked for in another spelling.
const LISTS = new Set(["trending", "fresh"]);

/** What the service answered in place of what was asked for, or why it did not answer. */
export class Problem extends Error {
  constructor(status, { title, detail = "", errors = [] }) {
    super(detail || title);
    this.status = status;
    this.title = title;
    this.detail = detail;
    this.errors = errors ?? [];
  }
}

export const apiKey = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (key) => sessionStorage.setItem(KEY, key),
  forget: () => sessionStorage.removeItem(KEY),
};

/** Return an id as one segment of a path. */
export function segment(id) {
  if (id === "." || id === "..") {
    const detail = `a browser takes ${id} in an address for a step, so this id cannot be asked for`;
    throw new Problem(0, { title: "Unreachable id", detail });
  }
  const text = encodeURIComponent(id.toWellFormed());
  return LISTS.has(id) ? `%${id.charCodeAt(0).toString(16)}${text.slice(1)}` : text;
}

/** Return the path and query of a question; empty values are left out, lists are repeated. */
export function address(path, query = {}) {
  const pairs = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of [value].flat()) {
      if (one !== "" && one !== null && one !== undefined) pairs.append(name, one);
    }
  }
  return pairs.size ? `${path}?${pairs}` : path;
}

/**
 * Ask, and return `{ data, status, ms, degraded }`.
 *
 * Throws a Problem, or what `signal` was aborted with.
 */
export async function ask(method, path, { query, body, signal } = {}) {
  const headers = { accept: "application/json" };
  if (apiKey.get()) headers.authorization = `Bearer ${apiKey.get()}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  const begun = performance.now();
  let response;
  let text;
  try {
    response = await fetch(address(path, query), {
      method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store", credentials: "omit", redirect: "error", referrerPolicy: "no-referrer",
    });
    text = await response.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    const detail = "The service cannot be reached. Is it running?";
    throw new Problem(0, { title: "No answer", detail });
  }
  const ms = performance.now() - begun;
  const data = parsed(text);
  if (!response.ok || data === null) {
    throw new Problem(response.status, data ?? { title: `Answer ${response.status} is no JSON` });
  }
  return { data, status: response.status, ms, degraded: response.headers.get("x-degraded") ?? "" };
}

export const get = (path, options) => ask("GET", path, options);

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const described = new Map();

/** Return what is known of a video; asked once until `forgetVideo`. */
export function describe(videoId) {
  if (!described.has(videoId)) {
    const asked = Promise.resolve()
      .then(() => get(`v1/videos/${segment(videoId)}`))
      .then(({ data }) => data)
      .catch(() => { described.delete(videoId); return null; });
    described.set(videoId, asked);
  }
  return described.get(videoId);
}

export const forgetVideo = (videoId) => described.delete(videoId);
