import type { IncomingHttpHeaders } from "node:http2";
import { codings } from "../../wire/codings/codings.ts";
import { markCompressed } from "../../wire/message-prefix.ts";

/**
 * Encodings of requests that are understood, by their names in `grpc-encoding`: those of grpc-js, which decodes them.
 */
export const requestEncodings: ReadonlySet<string> = new Set([
  "identity",
  codings.deflate.name,
  codings.gzip.name,
]);

/** The same as a value of `grpc-accept-encoding`. */
export const acceptedEncodings: string = [...requestEncodings].join(",");

/** The coding of replies to clients that accept it. */
export const replyCoding = codings.gzip;

/** Whether a client accepts `replyCoding`, by the `grpc-accept-encoding` of its request. */
export function acceptsReplyCoding(headers: IncomingHttpHeaders): boolean {
  const accepted = headers["grpc-accept-encoding"];
  return typeof accepted === "string" && accepted.split(",").some((one) => one.trim() === replyCoding.name);
}

/**
 * A message in `replyCoding`, or the message itself if that is not larger.
 *
 * grpc-js frames every reply as uncompressed. It calls `copy` of the message to write it behind the prefix of the
 * frame; `copy` of this one sets the flag there.
 */
export async function compressReply(message: Buffer): Promise<Buffer> {
  const zipped = await replyCoding.compress(message);
  if (zipped.byteLength >= message.byteLength) return message;
  const bytes = zipped.subarray();
  return Object.assign(zipped, {
    copy(target: Uint8Array, start: number): number {
      markCompressed(target, start);
      return bytes.copy(target, start);
    },
  });
}
