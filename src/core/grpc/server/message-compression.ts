import type { IncomingHttpHeaders } from "node:http2";
import { codings, codingsByName } from "../../wire/codings/codings.ts";
import type { Coding } from "../../wire/codings/coding.ts";
import { compressedFlag } from "../../wire/message-prefix.ts";

const readCodings = codingsByName([codings.deflate, codings.gzip]);

/** Encodings of requests that are understood, by their names in `grpc-encoding`: those of grpc-js. */
export const requestEncodings: ReadonlySet<string> = new Set(["identity", ...readCodings.keys()]);

/** The same as a value of `grpc-accept-encoding`. */
export const acceptedEncodings: string = [...requestEncodings].join(",");

/** The coding of the messages of a request, by its `grpc-encoding`; undefined for none. */
export function requestCoding(headers: IncomingHttpHeaders): Coding | undefined {
  const name = headers["grpc-encoding"];
  return typeof name === "string" ? readCodings.get(name) : undefined;
}

/** The coding of replies to clients that accept it. */
export const replyCoding = codings.gzip;

/** Whether a client accepts `replyCoding`, by the `grpc-accept-encoding` of its request. */
export function acceptsReplyCoding(headers: IncomingHttpHeaders): boolean {
  const accepted = headers["grpc-accept-encoding"];
  return typeof accepted === "string" && accepted.split(",").some((one) => one.trim() === replyCoding.name);
}

/** A message as it is sent. */
export interface SentMessage {
  /** Of its prefix: whether `bytes` are compressed. */
  readonly flags: number;
  readonly bytes: Uint8Array;
}

/** A message in `replyCoding`, or the message itself if that is not larger. */
export async function compressReply(message: Uint8Array): Promise<SentMessage> {
  const zipped = await replyCoding.compress(message);
  if (zipped.byteLength >= message.byteLength) return { flags: 0, bytes: message };
  return { flags: compressedFlag, bytes: zipped };
}
