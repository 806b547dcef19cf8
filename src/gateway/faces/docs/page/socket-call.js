/** Calls of all kinds on one socket, which is opened for the first of them. */
import { memberTexts } from "./json-text.js";
import { sendsMany } from "./model.js";
import { errorOutcome, headersIn, okOutcome, ownOutcome } from "./outcomes.js";

/** @import { CallEvents, CallInit, RunningCall } from "./calls.js" */

/**
 * @typedef {object} Line the socket with its calls
 * @property {WebSocket} socket
 * @property {Map<string, CallEvents>} calls
 */

/** @type {Line | undefined} */
let line;
let ids = 0;

/**
 * @param {CallInit} init
 * @param {CallEvents} events
 * @returns {RunningCall}
 */
export function socketCall({ rpc, root, socketPath, messages, headers, timeoutMs }, events) {
  const id = `c${++ids}`;
  const { socket, calls } = (line ??= openLine(root + socketPath));
  calls.set(id, events);
  const send = (/** @type {string} */ frame) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(frame);
    else if (socket.readyState === WebSocket.CONNECTING)
      socket.addEventListener("open", () => socket.send(frame), { once: true });
  };
  // The message stands in the frame as it was written, so that no number of it is rounded.
  const message = (/** @type {string} */ text, /** @type {string} */ more) =>
    send(`{"id":"${id}"${more},"message":${text}}`);
  const named =
    headers.length === 0
      ? ""
      : `,"headers":${JSON.stringify(Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value])))}`;
  const timed = timeoutMs === undefined ? "" : `,"timeoutMs":${timeoutMs}`;
  const begin = `,"method":"${rpc.id}"${named}${timed}`;
  const isStream = sendsMany(rpc.kind);
  const [first, ...more] = messages;
  if (first === undefined) send(`{"id":"${id}"${begin}}`);
  else message(first, isStream ? begin : `${begin},"end":true`);
  for (const text of more) message(text, "");
  return {
    cancel() {
      send(`{"id":"${id}","cancel":true}`);
      // The server answers unless the connection is lost.
      if (socket.readyState !== WebSocket.OPEN && calls.delete(id))
        events.end(ownOutcome(1, "you have cancelled the call"));
    },
    ...(isStream && {
      send: (/** @type {string} */ text) => message(text, ""),
      endRequests: () => send(`{"id":"${id}","end":true}`),
    }),
  };
}

/** @param {string} path */
function openLine(path) {
  const url = new URL(path, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  url.hash = "";
  /** @type {Line} */
  const opened = { socket: new WebSocket(url), calls: new Map() };
  const { socket, calls } = opened;
  socket.addEventListener("message", ({ data }) => {
    const frame = memberTexts(/** @type {string} */ (data));
    const id = /** @type {string} */ (JSON.parse(frame["id"] ?? '""'));
    const events = calls.get(id);
    if (events === undefined) return;
    if (frame["pause"] !== undefined) events.pause(frame["pause"] === "true");
    else if (frame["message"] !== undefined) events.message(frame["message"]);
    if (frame["status"] === undefined) return;
    calls.delete(id);
    events.head("WebSocket", headersIn(frame["headers"]));
    const trailers = headersIn(frame["trailers"]);
    const code = memberTexts(frame["status"])["code"];
    events.end(code === "0" ? okOutcome(trailers) : errorOutcome(frame["status"], 0, trailers));
    if (calls.size === 0) setTimeout(() => void (calls.size === 0 && socket.close(1000)), 10_000);
  });
  socket.addEventListener("close", ({ code, reason }) => {
    if (line === opened) line = undefined;
    for (const events of calls.values()) {
      events.end(ownOutcome(14, `the socket was closed: ${code}${reason === "" ? "" : ` ${reason}`}`));
    }
    calls.clear();
  });
  return opened;
}
