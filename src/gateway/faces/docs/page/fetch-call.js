/** Calls by fetch: REST and Connect, one request each. */
import { indented, memberTexts } from "./json-text.js";
import { getsMany } from "./model.js";
import { errorOutcome, headersIn, okOutcome, ownOutcome } from "./outcomes.js";

/** @import { CallEvents, CallInit, Header, RunningCall } from "./calls.js" */

/** Errors are read up to this size, in bytes. */
const mostErrorBytes = 1_048_576;

/**
 * @param {CallInit} init
 * @param {CallEvents} events
 * @returns {RunningCall}
 */
export function fetchCall(init, events) {
  const abort = new AbortController();
  run(init, events, abort.signal).catch((/** @type {unknown} */ reason) => {
    if (abort.signal.aborted) events.end(ownOutcome(1, "you have cancelled the call"));
    else
      events.end(
        ownOutcome(
          14,
          `the server has not answered: ${reason instanceof Error ? reason.message : "unknown"}`,
        ),
      );
  });
  return { cancel: () => abort.abort() };
}

/**
 * @param {CallInit} init
 * @param {CallEvents} events
 * @param {AbortSignal} signal
 */
async function run(init, events, signal) {
  const { url, verb, headers, body } = requestOf(init);
  const response = await fetch(url, {
    method: verb,
    headers,
    body: body ?? null,
    signal,
    cache: "no-store",
    credentials: "same-origin",
  });
  const all = [...response.headers];
  const prefix = "trailer-";
  const isConnect = init.via === "connect";
  /** @type {Header[]} */
  const trailers = isConnect
    ? all
        .filter(([name]) => name.startsWith(prefix))
        .map(([name, value]) => [name.slice(prefix.length), value])
    : [];
  events.head(
    `${response.status} ${response.statusText}`.trim(),
    isConnect ? all.filter(([name]) => !name.startsWith(prefix)) : all,
  );
  const type = response.headers.get("content-type") ?? "";
  if (response.ok && getsMany(init.rpc.kind) && response.body !== null) {
    if (isConnect && type.startsWith("application/connect")) return readEnvelopes(response.body, events);
    if (type.startsWith("text/event-stream")) return readEvents(response.body, events);
  }
  const blob = await response.blob();
  events.body(blob, type);
  if (response.ok || (response.status >= 300 && response.status < 400)) events.end(okOutcome(trailers));
  else events.end(errorOutcome(await blob.slice(0, mostErrorBytes).text(), response.status, trailers));
}

/**
 * The request of a call, as it is sent.
 *
 * @param {CallInit} init
 * @returns {{ url: string, verb: string, headers: Header[], body: string | Uint8Array<ArrayBuffer> | undefined }}
 */
export function requestOf({ rpc, via, root, rest, messages, headers: given, timeoutMs }) {
  /** @type {Header[]} */
  const headers = [...given];
  if (via === "rest" && rest !== undefined) {
    if (rest.body !== undefined) headers.push(["content-type", "application/json"]);
    if (getsMany(rpc.kind)) headers.push(["accept", "text/event-stream"]);
    if (timeoutMs !== undefined) headers.push(["grpc-timeout", `${timeoutMs}m`]);
    return { url: root + rest.path, verb: rest.verb, headers, body: rest.body };
  }
  const isStream = rpc.kind !== "unary";
  headers.push(
    ["connect-protocol-version", "1"],
    ["content-type", isStream ? "application/connect+json" : "application/json"],
  );
  if (timeoutMs !== undefined) headers.push(["connect-timeout-ms", `${timeoutMs}`]);
  const text = messages[0] ?? "{}";
  return { url: `${root}/${rpc.id}`, verb: "POST", headers, body: isStream ? enveloped(text) : text };
}

/**
 * A message of a stream of Connect: a byte of flags, four of its length, and the message.
 *
 * @param {string} text
 */
function enveloped(text) {
  const bytes = new TextEncoder().encode(text);
  const envelope = new Uint8Array(5 + bytes.length);
  new DataView(envelope.buffer).setUint32(1, bytes.length);
  envelope.set(bytes, 5);
  return envelope;
}

/**
 * @param {ReadableStream<Uint8Array>} body
 * @param {CallEvents} events
 */
async function readEvents(body, events) {
  let rest = "";
  const decoder = new TextDecoder();
  const reader = body.getReader();
  const rests = new Rests();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    if (rests.isDue()) await rests.take();
    rest += decoder.decode(value, { stream: true });
    let start = 0;
    for (let end = rest.indexOf("\n\n", start); end >= 0; end = rest.indexOf("\n\n", start)) {
      const { event, data } = eventOf(rest.slice(start, end));
      start = end + 2;
      if (event === "error") return events.end(errorOutcome(data, 0, []));
      if (event === "end") return events.end(okOutcome(headersIn(memberTexts(data)["trailers"])));
      if (data !== "") events.message(data);
      if (rests.isDue()) await rests.take();
    }
    rest = rest.slice(start);
  }
  events.end(ownOutcome(14, "the connection was closed before the end of the stream"));
}

/** @param {string} text lines of an event */
function eventOf(text) {
  let event = "message";
  let data = "";
  for (const line of text.split("\n")) {
    if (line.startsWith("data:")) data += (data === "" ? "" : "\n") + line.slice(line[5] === " " ? 6 : 5);
    else if (line.startsWith("event:")) event = line.slice(6).trim();
  }
  return { event, data };
}

/**
 * @param {ReadableStream<Uint8Array>} body
 * @param {CallEvents} events
 */
async function readEnvelopes(body, events) {
  let rest = new Uint8Array();
  const decoder = new TextDecoder();
  const reader = body.getReader();
  const rests = new Rests();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    if (rests.isDue()) await rests.take();
    const all = new Uint8Array(rest.length + value.length);
    all.set(rest);
    all.set(value, rest.length);
    rest = all;
    while (rest.length >= 5) {
      const end = 5 + new DataView(rest.buffer, rest.byteOffset).getUint32(1);
      if (rest.length < end) break;
      const text = decoder.decode(rest.subarray(5, end));
      const isEnd = ((rest[0] ?? 0) & 2) !== 0;
      rest = rest.subarray(end);
      if (!isEnd) {
        events.message(text);
        if (rests.isDue()) await rests.take();
        continue;
      }
      const { error, metadata } = memberTexts(text);
      const trailers = headersIn(metadata);
      return events.end(
        error === undefined ? okOutcome(trailers) : errorOutcome(indented(error), 0, trailers),
      );
    }
  }
  events.end(ownOutcome(14, "the connection was closed before the end of the stream"));
}

/** How long messages are read at a stretch, in milliseconds: a page that only reads answers no key. */
const longestMs = 30;

/** Lets the page do other work now and then. What has arrived already is read without a pause otherwise. */
class Rests {
  constructor() {
    this.since = performance.now();
    this.channel = new MessageChannel();
  }

  isDue() {
    return performance.now() - this.since >= longestMs;
  }

  async take() {
    // A timer would wait for a second where the page is hidden.
    await new Promise((resolve) => {
      this.channel.port1.onmessage = resolve;
      this.channel.port2.postMessage(undefined);
    });
    this.since = performance.now();
  }
}
