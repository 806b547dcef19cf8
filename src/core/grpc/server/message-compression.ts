import type { IncomingHttpHeaders } from "node:http2";
import { codings } from "../../wire/codings/codings.ts";
import { markCompressed } from "../../wire/message-prefix.ts";

/** Encodings of requests that are understood, by what `grpc-encoding` calls them: those of grpc-js, which reads them. */
export const requestEncodings: ReadonlySet<string> = new Set([
  "identity",
  codings.deflate.name,
  codings.gzip.name,
]);

/** The same as `grpc-accept-encoding` says it. */
export const acceptedEncodings: string = [...requestEncodings].join(",");

/** The coding of replies, where the client reads it. */
export const replyCoding = codings.gzip;

/** Whether a client reads `replyCoding`, by the `grpc-accept-encoding` of its request. */
export function acceptsReplyCoding(headers: IncomingHttpHeaders): boolean {
  const accepted = headers["grpc-accept-encoding"];
  return typeof accepted === "string" && accepted.split(",").some((one) => one.trim() === replyCoding.name);
}

/**
 * A message in `replyCoding`, or the message itself where that is not smaller.
 *
 * grpc-js frames every reply as uncompressed. It asks the message to copy itself behind the prefix of the frame, and
 * that is when this one sets the flag.
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
