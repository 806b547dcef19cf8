import { promisify } from "node:util";
import { constants, createZstdCompress, createZstdDecompress, zstdCompress, zstdDecompress } from "node:zlib";
import { type Coding, upTo } from "./coding.ts";

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);
/** RFC 9659 bounds the window of the zstd coding to 8 MiB, so that a small body cannot ask for a large one. */
const window = { params: { [constants.ZSTD_d_windowLogMax]: 23 } };

/** The zstd coding (RFC 8878, RFC 9659). */
export const zstd: Coding = Object.freeze<Coding>({
  name: "zstd",
  compress: (bytes) => compress(bytes),
  decompress: (bytes, maxBytes) => upTo(maxBytes, (limit) => decompress(bytes, { ...window, ...limit })),
  compressor: () => createZstdCompress(),
  flushKind: constants.ZSTD_e_flush,
  decompressor: () => createZstdDecompress(window),
});
