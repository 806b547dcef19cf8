import { promisify } from "node:util";
import { gunzip, gzip, inflate, type InputType, type ZlibOptions } from "node:zlib";
import { Code, ConnectError } from "../errors/errors.ts";
import { tooLarge } from "./message-reader.ts";

/** The value of `grpc-accept-encoding`: encodings that we accept in replies. */
export const acceptedEncodings = "identity,gzip,deflate";

type Inflate = (bytes: InputType, options: ZlibOptions) => Promise<Buffer>;

const inflates: ReadonlyMap<string, Inflate> = new Map([
  ["gzip", promisify<InputType, ZlibOptions, Buffer>(gunzip)],
  ["deflate", promisify<InputType, ZlibOptions, Buffer>(inflate)],
]);

/** A request message, compressed with gzip. */
export const compress: (bytes: Uint8Array) => Promise<Buffer> = promisify<InputType, Buffer>(gzip);

/**
 * Decompresses a message of a reply whose `grpc-encoding` is `encoding`. Stops at the limit.
 *
 * @throws ConnectError INTERNAL for malformed bytes, for unknown encodings, and beyond the limit.
 */
export async function decompress(
  bytes: Uint8Array,
  encoding: string | undefined,
  maxMessageBytes: number,
): Promise<Buffer> {
  const read = inflates.get(encoding ?? "");
  if (read === undefined) {
    throw new ConnectError(
      "a message of the reply is compressed, but its grpc-encoding is missing or unknown",
      Code.Internal,
    );
  }
  try {
    return await read(bytes, { maxOutputLength: maxMessageBytes });
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ERR_BUFFER_TOO_LARGE") {
      throw tooLarge(maxMessageBytes);
    }
    const text = "a compressed message of the reply cannot be read";
    throw new ConnectError(text, Code.Internal, undefined, undefined, cause);
  }
}
