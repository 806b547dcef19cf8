import { promisify } from "node:util";
import { constants, createDeflate, createInflate, deflate as deflateBytes, inflate } from "node:zlib";
import { type Coding, upTo } from "./coding.ts";

const compress = promisify(deflateBytes);
const decompress = promisify(inflate);
/** Zlib's own default. */
const options = { level: 6 };

/** The deflate coding, which is the zlib format (RFC 1950). */
export const deflate: Coding = Object.freeze<Coding>({
  name: "deflate",
  compress: (bytes) => compress(bytes, options),
  decompress: (bytes, maxBytes) => upTo(maxBytes, (limit) => decompress(bytes, limit)),
  compressor: () => createDeflate(options),
  flushKind: constants.Z_SYNC_FLUSH,
  decompressor: () => createInflate(),
});
