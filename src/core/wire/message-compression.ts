import { promisify } from "node:util";
import { gunzip, gzip, inflate, type InputType, type ZlibOptions } from "node:zlib";
import { Code, ConnectError } from "../errors/errors.ts";
import { tooLarge } from "./message-reader.ts";

/** Encodings of replies that are understood, as `grpc-accept-encoding` says it. */
export const acceptedEncodings = "identity,gzip,deflate";

type Inflate = (bytes: InputType, options: ZlibOptions) => Promise<Buffer>;

const inflates: ReadonlyMap<string, Inflate> = new Map([
  ["gzip", promisify<InputType, ZlibOptions, Buffer>(gunzip)],
  ["deflate", promisify<InputType, ZlibOptions, Buffer>(inflate)],
]);

/** A request message, compressed with gzip. */
export const compress: (bytes: Uint8Array) => Promise<Buffer> = promisify<InputType, Buffer>(gzip);

/**
 * A message of a reply whose `grpc-encoding` is `encoding`, inflated up to the limit and no further.
 *
 * @throws ConnectError INTERNAL for bytes or encodings that cannot be read, and beyond the limit.
 */
export async function decompress(
  bytes: Uint8Array,
  encoding: string | undefined,
  maxMessageBytes: number,
): Promise<Buffer> {
  const read = inflates.get(encoding ?? "");
  if (read === undefined) {
    throw new ConnectError(
      "a message of the reply is compressed in a way that it does not say or nobody knows",
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
