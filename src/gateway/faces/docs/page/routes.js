/** Routes of rpcs, as they are shown. */
import { h } from "./dom.js";

/** @import { Route, Rpc } from "./model.js" */

/**
 * The route that an rpc is called by first: that of its own rule; undefined for none.
 *
 * @param {Rpc} rpc
 * @returns {Route | undefined}
 */
export function mainRoute({ routes }) {
  return routes.find(({ implicit }) => implicit !== true) ?? routes[0];
}

/**
 * An HTTP method.
 *
 * @param {string} verb
 */
export function verbTag(verb) {
  const text = verb === "*" ? "ANY" : verb;
  return h("span", { class: `verb ${text.toLowerCase()}` }, text);
}

/**
 * The template of a route, with its variables marked.
 *
 * @param {string} path
 */
export function pathNodes(path) {
  return h(
    "code.path",
    null,
    path.split(/(\{[^}]*\})/).map((part) => (part.startsWith("{") ? h("span.variable", null, part) : part)),
  );
}
