/**
 * Places in the console: each view is a fragment, which shows the same anywhere.
 *
 * @typedef {object} Place
 * @property {"overview" | "rpc" | "call" | "type" | "live" | "history"} view
 * @property {string} name of the rpc or the type; empty for others
 * @property {URLSearchParams} query what else is shown: a request, a search
 */

const views = /** @type {const} */ (["overview", "rpc", "call", "type", "live", "history"]);

/**
 * Reads a fragment. What is no place is the overview.
 *
 * @param {string} hash as in `location.hash`
 * @returns {Place}
 */
export function placeOf(hash) {
  const text = hash.replace(/^#\/?/, "");
  const [path, query] = split(text, "?");
  const [first, rest] = split(path, "/");
  const view = views.find((one) => one === first) ?? "overview";
  return { view, name: decode(rest), query: new URLSearchParams(query) };
}

/**
 * The fragment of a place.
 *
 * @param {Place["view"]} view
 * @param {string} [name]
 * @param {Record<string, string> | URLSearchParams} [query]
 */
export function hashOf(view, name = "", query = {}) {
  const path = name === "" ? view : `${view}/${name.split("/").map(encodeURIComponent).join("/")}`;
  const text = new URLSearchParams(query).toString();
  return `#/${path}${text === "" ? "" : `?${text}`}`;
}

/**
 * @param {string} text
 * @param {string} at
 * @returns {[string, string]}
 */
function split(text, at) {
  const index = text.indexOf(at);
  return index < 0 ? [text, ""] : [text.slice(0, index), text.slice(index + 1)];
}

/** @param {string} text */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
