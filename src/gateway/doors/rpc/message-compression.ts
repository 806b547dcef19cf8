import type { Compression } from "@connectrpc/connect/protocol";
import { Code, ConnectError } from "../../../core/errors/errors.ts";
import { codings } from "../../../core/wire/codings/codings.ts";

/** Smaller replies, in bytes, are not compressed; the default of Connect's own servers. */
export const compressMinBytes = 1024;

/** The compressions of messages, the preferred first, for Connect's negotiation. */
export const messageCompressions: Compression[] = [codings.gzip, codings.br].map((coding) => ({
  name: coding.name,
  compress: (bytes) => coding.compress(bytes),
  async decompress(bytes, maxBytes) {
    try {
      return await coding.decompress(bytes, maxBytes);
    } catch (cause) {
      if (cause instanceof RangeError) throw messageTooLarge(maxBytes);
      throw new ConnectError("the compressed message is broken", Code.InvalidArgument);
    }
  },
}));

/** The error of a request message that is larger than allowed. */
export function messageTooLarge(maxBytes: number): ConnectError {
  return new ConnectError(`the message is larger than ${maxBytes} bytes`, Code.ResourceExhausted);
}
