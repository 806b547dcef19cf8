import type { IncomingHttpHeaders } from "node:http2";
import { promisify } from "node:util";
import { gzip } from "node:zlib";

const compress = promisify(gzip);
const prefixBytes = 5;

/** Whether a client accepts gzip, by the `grpc-accept-encoding` of its request. */
export function acceptsGzip(headers: IncomingHttpHeaders): boolean {
  const accepted = headers["grpc-accept-encoding"];
  return typeof accepted === "string" && accepted.split(",").some((one) => one.trim() === "gzip");
}

/**
 * A message in gzip, or the message itself where gzip is not smaller.
 *
 * grpc-js writes every prefix as that of an uncompressed message, then calls `message.copy()`; the `copy` of the result
 * sets the flag in that prefix.
 */
export async function toGzip(message: Buffer): Promise<Buffer> {
  const zipped = await compress(message);
  if (zipped.byteLength >= message.byteLength) return message;
  const bytes = zipped.subarray();
  return Object.assign(zipped, {
    copy(target: Uint8Array, start: number): number {
      target[start - prefixBytes] = 1;
      return bytes.copy(target, start);
    },
  });
}
