import { Code, ConnectError } from "../../errors/errors.ts";
import { codings, codingsByName } from "../../wire/codings/codings.ts";
import { tooLarge } from "../../wire/message-reader.ts";

/** The coding of requests, if the options of the client enable compression. */
export const requestCoding = codings.gzip;

/** Codings of replies that are understood, the preferred first. */
const replyCodings = codingsByName([codings.gzip, codings.deflate]);

/** Encodings of replies that are understood, as a value of `grpc-accept-encoding`. */
export const acceptedEncodings: string = ["identity", ...replyCodings.keys()].join(",");

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
  const coding = replyCodings.get(encoding ?? "");
  if (coding === undefined) {
    throw new ConnectError(
      "a message of the reply is compressed, but its grpc-encoding is missing or unknown",
      Code.Internal,
    );
  }
  try {
    return await coding.decompress(bytes, maxMessageBytes);
  } catch (cause) {
    if (cause instanceof RangeError) throw tooLarge(maxMessageBytes);
    const text = "a compressed message of the reply cannot be read";
    throw new ConnectError(text, Code.Internal, undefined, undefined, cause);
  }
}
