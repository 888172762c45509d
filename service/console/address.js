// The address of a view, after the #: a name, an id, and the options as the API names them.

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Return `{ view, id, query }` of a hash such as `#/users/42?k=10&tags_any=cats`. */
export function parseHash(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const [view, id = ""] = path.split("/").map(decoded);
  return { view, id, query: new URLSearchParams(query) };
}

/** Return the hash of a view. */
export function hashOf(view, id = "", query = new URLSearchParams()) {
  const path = id === "" ? `#/${view}` : `#/${view}/${encodeURIComponent(id.toWellFormed())}`;
  return query.size ? `${path}?${query}` : path;
}

/** Go there; an address that is the same already is asked again. */
export function go(hash) {
  if (location.hash === hash) dispatchEvent(new HashChangeEvent("hashchange"));
  else location.hash = hash;
}
