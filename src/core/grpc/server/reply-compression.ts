import type { IncomingHttpHeaders } from "node:http2";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { markCompressed } from "../../wire/message-prefix.ts";

const compress = promisify(gzip);

/** Whether a client can read gzip, by the `grpc-accept-encoding` of its request. */
export function acceptsGzip(headers: IncomingHttpHeaders): boolean {
  const accepted = headers["grpc-accept-encoding"];
  return typeof accepted === "string" && accepted.split(",").some((one) => one.trim() === "gzip");
}

/**
 * A message in gzip, or the message itself where that is not smaller.
 *
 * grpc-js frames every reply as uncompressed. It asks the message to copy itself behind the prefix of the frame, and
 * that is when this one sets the flag.
 */
export async function toGzip(message: Buffer): Promise<Buffer> {
  const zipped = await compress(message);
  if (zipped.byteLength >= message.byteLength) return message;
  const bytes = zipped.subarray();
  return Object.assign(zipped, {
    copy(target: Uint8Array, start: number): number {
      markCompressed(target, start);
      return bytes.copy(target, start);
    },
  });
}
