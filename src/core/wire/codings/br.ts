import { promisify } from "node:util";
import {
  brotliCompress,
  brotliDecompress,
  type BrotliOptions,
  constants,
  createBrotliCompress,
  createBrotliDecompress,
} from "node:zlib";
import { type CodedBytes, type Coding, upTo } from "./coding.ts";

const compress = promisify<Uint8Array, BrotliOptions, CodedBytes>(brotliCompress);
const decompress = promisify<Uint8Array, BrotliOptions, CodedBytes>(brotliDecompress);
/** Brotli's own default, its highest, takes a hundred times the time and saves a tenth of the bytes. */
const quality = { [constants.BROTLI_PARAM_QUALITY]: 4 };

/** The brotli coding (RFC 7932). */
export const br: Coding = Object.freeze<Coding>({
  name: "br",
  compress: (bytes) =>
    compress(bytes, { params: { ...quality, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } }),
  decompress: (bytes, maxBytes) => upTo(maxBytes, (limit) => decompress(bytes, limit)),
  compressor: () => createBrotliCompress({ params: quality }),
  flushKind: constants.BROTLI_OPERATION_FLUSH,
  decompressor: () => createBrotliDecompress(),
});
