/** A request as it is written, and as the fragment of an address has it. */
import { parseTexts, writeJson } from "./json-text.js";
import { mainRoute } from "./routes.js";
import { isSecret } from "./secrets.js";

/** @import { Header } from "./calls.js" */
/** @import { Route, Rpc } from "./model.js" */

/**
 * @typedef {object} RequestState
 * @property {string} way `rest:` with the index of a route, `connect` or `socket`
 * @property {string} text JSON texts, one for all but streams of requests
 * @property {Header[]} headers
 * @property {string} timeout milliseconds; empty for none
 */

/** Longer requests are not in an address. */
const mostLength = 64 * 1024;

/**
 * The state that a fragment has; undefined where it has none.
 *
 * @param {Rpc} rpc
 * @param {URLSearchParams} query
 * @param {string} socket path of the socket; empty for none
 * @returns {RequestState | undefined}
 */
export function stateOf(rpc, query, socket) {
  const text = query.get("m");
  if (text === null) return undefined;
  return {
    way: knownWay(rpc, query.get("via") ?? "", socket),
    text,
    headers: query.getAll("h").map((line) => {
      const at = line.indexOf(":");
      return [line.slice(0, at), line.slice(at + 1).trim()];
    }),
    timeout: query.get("t") ?? "",
  };
}

/**
 * The fragment's query for a state, without secrets.
 *
 * @param {RequestState} state
 * @returns {URLSearchParams | undefined} undefined for a request that is too long
 */
export function queryOf({ way, text, headers, timeout }) {
  if (text.length > mostLength) return undefined;
  const query = new URLSearchParams({ via: way, m: inOneLine(text) });
  if (timeout !== "") query.set("t", timeout);
  for (const [name, value] of headers)
    if (name !== "" && !isSecret(name)) query.append("h", `${name}: ${value}`);
  return query;
}

/** @param {string} text JSON texts */
function inOneLine(text) {
  try {
    return parseTexts(text)
      .map((json) => writeJson(json))
      .join("\n");
  } catch {
    return text;
  }
}

/**
 * A way that the rpc has: that one, or the first.
 *
 * @param {Rpc} rpc
 * @param {string} way
 * @param {string} socket
 */
export function knownWay(rpc, way, socket) {
  const ways = waysOf(rpc, socket).map(({ id }) => id);
  return ways.includes(way) ? way : (ways[0] ?? "");
}

/**
 * The ways by which the page can call an rpc.
 *
 * @param {Rpc} rpc
 * @param {string} socket
 * @returns {{ id: string, text: string }[]}
 */
export function waysOf(rpc, socket) {
  const { routes, kind } = rpc;
  const sockets = socket === "" ? [] : [{ id: "socket", text: "WebSocket" }];
  if (kind === "client_streaming" || kind === "bidi_streaming") return sockets;
  const main = mainRoute(rpc);
  const own = routes.filter(({ implicit }) => implicit !== true).length;
  const rest = routes
    .map((route, at) => ({ id: `rest:${at}`, text: routeText(route, own), route }))
    .sort((one, other) => Number(other.route === main) - Number(one.route === main));
  return [...rest.map(({ id, text }) => ({ id, text })), { id: "connect", text: "Connect" }, ...sockets];
}

/**
 * @param {Route} route
 * @param {number} count how many routes the rpc has by rules
 */
function routeText({ verb, path, implicit }, count) {
  if (implicit === true) return count === 0 ? "REST" : "REST, by its name";
  return count === 1 ? "REST" : `REST, ${verb === "*" ? "POST" : verb} ${path}`;
}
