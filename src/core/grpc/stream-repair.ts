import { subscribe } from "node:diagnostics_channel";
import { constants, type ClientHttp2Stream, type IncomingHttpHeaders } from "node:http2";
import type { StatusObject } from "@grpc/grpc-js";
import { Code } from "../errors.ts";
import { FrameWatch } from "./frame-watch.ts";

/**
 * What grpc-js and Node get wrong about the end of a call, put right on the stream of each call.
 *
 * - Node ends the request of a stream before it resets it, so that a cancelled upload looks complete to the peer. Here
 *   a stream that is closed with an error is reset and nothing else.
 * - grpc-js reports an error of the trailers at once and drops the messages that were not read by then, while it holds an OK
 *   back until everything is read. So an error is shown to it as OK, with the real status beside it, which
 *   `takeLateStatus` puts back. Replies that consist of trailers alone keep their status, so that they can be retried.
 * - A reply that breaks off inside a message is well for it if a good status follows. Here it is INTERNAL.
 * - It decodes `grpc-message` by `decodeURI`, which leaves `%2F` and the like. So the field is encoded again for that.
 * - It takes trailers of any size that Node lets pass. Those beyond `maxTrailersBytes` are RESOURCE_EXHAUSTED.
 *
 * Node's diagnostics channel is the public way to the stream; only streams of our own user agent are touched.
 */

/** Field that carries the status past grpc-js; applications never see `grpc-*` names. */
const lateStatus = "grpc-late-status";

/** Field that carries the number of the call, by which `takeLateStatus` knows what became of its messages. */
const callNumber = "grpc-call-number";

/** Numbers of calls whose reply broke off inside a message. */
const brokenOff = new Set<string>();

let calls = 0;

/** Largest trailers of a reply, counted as HTTP/2 counts header lists (RFC 9113 6.5.2). */
const maxTrailersBytes = 64 * 1024;

/** What tells our calls from those of other clients of the process. */
export const userAgent = "ts-ms";

/** What `http2.client.stream.created` publishes, as far as it is read here. */
interface StreamCreated {
  readonly stream: ClientHttp2Stream;
  readonly headers: IncomingHttpHeaders;
}

let watching = false;

/** Starts watching the streams of our channels; called by whoever makes one. */
export function watchStreams(): void {
  if (watching) return;
  watching = true;
  subscribe("http2.client.stream.created", (message) => {
    const { stream, headers } = message as StreamCreated; // As Node documents it.
    if (headers["user-agent"]?.startsWith(userAgent) !== true) return;
    resetOnly(stream);
    stream.prependListener("response", recodeMessage);
    stream.prependListener("trailers", repairTrailers);
    stream.once("response", ({ "grpc-encoding": encoding }) => watchFrames(stream, encoding));
  });
}

/** `status` as the peer sent it. */
export function takeLateStatus(status: StatusObject): StatusObject {
  const [number] = status.metadata.get(callNumber);
  if (typeof number === "string" && brokenOff.delete(number)) {
    const details = "the reply breaks off inside a message";
    return { code: Number(Code.Internal), details, metadata: status.metadata };
  }
  const [code] = status.metadata.get(lateStatus);
  if (typeof code !== "string") return status;
  return { code: Number(code), details: status.details, metadata: status.metadata };
}

/** Lets `close(code)` reset the stream without ending it first; it calls `end`, which is no use by then. */
function resetOnly(stream: ClientHttp2Stream): void {
  const close = stream.close.bind(stream);
  stream.close = (code, callback) => {
    if (code !== undefined && code !== constants.NGHTTP2_NO_ERROR) stream.end = () => stream;
    close(code, callback);
  };
}

/** Without asking for data: that is for grpc-js to do. */
function watchFrames(stream: ClientHttp2Stream, encoding: string | string[] | undefined): void {
  const frames = new FrameWatch(encoding !== undefined);
  const number = String(++calls);
  let hasTrailers = false;
  stream.prependListener("data", frames.see);
  stream.prependListener("trailers", (fields: IncomingHttpHeaders) => {
    hasTrailers = true;
    fields[callNumber] = number;
  });
  stream.prependListener("end", () => {
    if (hasTrailers && frames.partial) brokenOff.add(number);
  });
}

function repairTrailers(fields: IncomingHttpHeaders): void {
  if (listSize(fields) > maxTrailersBytes) {
    for (const name of Object.keys(fields)) delete fields[name];
    fields["grpc-status"] = String(Code.ResourceExhausted);
    fields["grpc-message"] = "the trailers of the reply are too large";
  }
  recodeMessage(fields);
  const status = fields["grpc-status"];
  if (typeof status !== "string" || status === "0") return;
  fields[lateStatus] = status;
  fields["grpc-status"] = "0";
}

function recodeMessage(fields: IncomingHttpHeaders): void {
  const text = fields["grpc-message"];
  if (typeof text !== "string" || !text.includes("%")) return;
  try {
    fields["grpc-message"] = encodeURI(decodeURIComponent(text));
  } catch {
    // No percent-encoding: it is shown as it came.
  }
}

function listSize(fields: IncomingHttpHeaders): number {
  let size = 0;
  for (const name of Object.keys(fields)) size += name.length + String(fields[name]).length + 32;
  return size;
}
