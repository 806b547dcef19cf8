import { promisify } from "node:util";
import { brotliCompress, brotliDecompress, constants, gunzip, gzip } from "node:zlib";
import type { Compression } from "@connectrpc/connect/protocol";
import { Code, ConnectError } from "../../../core/errors/errors.ts";

/** Replies below this size are not worth compressing, in bytes; that of Connect's own servers. */
export const compressMinBytes = 1024;

/** Best for compressing while somebody waits: brotli's own default takes a hundred times as long. */
const brotliOptions = { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } };

type Bytes = Buffer<ArrayBuffer>; // What zlib gives is never shared.

const toGzip = promisify(gzip);
const fromGzip = promisify(gunzip);
const toBrotli = promisify<Uint8Array, typeof brotliOptions, Bytes>(brotliCompress);
const fromBrotli = promisify<Uint8Array, { maxOutputLength: number }, Bytes>(brotliDecompress);

/** The compressions of messages, in the form of Connect's negotiation. */
export const messageCompressions: Compression[] = [
  {
    name: "gzip",
    compress: (bytes) => toGzip(bytes),
    decompress: (bytes, maxBytes) => bounded(fromGzip(bytes, { maxOutputLength: maxBytes }), maxBytes),
  },
  {
    name: "br",
    compress: (bytes) => toBrotli(bytes, brotliOptions),
    decompress: (bytes, maxBytes) => bounded(fromBrotli(bytes, { maxOutputLength: maxBytes }), maxBytes),
  },
];

/** Zlib stops by itself as soon as its output is larger than what it is allowed. */
async function bounded(work: Promise<Bytes>, maxBytes: number): Promise<Bytes> {
  try {
    return await work;
  } catch (cause) {
    if (cause instanceof RangeError) throw messageTooLarge(maxBytes);
    throw new ConnectError("the compressed message is broken", Code.InvalidArgument);
  }
}

/** The error of a request message that is larger than allowed. */
export function messageTooLarge(maxBytes: number): ConnectError {
  return new ConnectError(`the message is larger than ${maxBytes} bytes`, Code.ResourceExhausted);
}
