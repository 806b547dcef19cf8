import { promisify } from "node:util";
import { constants, createGunzip, createGzip, gunzip, gzip as gzipBytes } from "node:zlib";
import { type Coding, upTo } from "./coding.ts";

const compress = promisify(gzipBytes);
const decompress = promisify(gunzip);
/** Zlib's own default; the highest levels cost several times the time and save a hundredth of the bytes. */
const options = { level: 6 };

/** The gzip coding (RFC 1952). */
export const gzip: Coding = Object.freeze<Coding>({
  name: "gzip",
  compress: (bytes) => compress(bytes, options),
  decompress: (bytes, maxBytes) => upTo(maxBytes, (limit) => decompress(bytes, limit)),
  compressor: () => createGzip(options),
  flushKind: constants.Z_SYNC_FLUSH,
  decompressor: () => createGunzip(),
});
