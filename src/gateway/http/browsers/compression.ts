import { promisify } from "node:util";
import { brotliCompress, constants, gzip, zstdCompress } from "node:zlib";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { StreamCoding } from "../stream-compressor.ts";
import { isCompressible, negotiateCoding } from "./content-coding.ts";

/** Compresses responses that are sent in one piece. */
export class Compression {
  readonly #thresholdBytes: number;

  constructor(thresholdBytes: number) {
    this.#thresholdBytes = thresholdBytes;
  }

  /** Returns the compressed payload and sets the headers for it, or returns `payload` if it is not to be compressed. */
  async apply(
    request: FastifyRequest,
    reply: FastifyReply,
    payload: string | Buffer,
  ): Promise<string | Buffer> {
    if (Buffer.byteLength(payload) < this.#thresholdBytes || !mayCompress(reply)) return payload;
    const coding = negotiateCoding(single(request.raw.headers["accept-encoding"]));
    if (coding === undefined) return payload;
    const compressed = await compressors[coding](Buffer.from(payload));
    reply.removeHeader("content-length");
    void reply.header("content-encoding", coding);
    return compressed;
  }

  /** The coding of a streamed response; undefined for none. */
  codingFor({ raw }: FastifyRequest): StreamCoding | undefined {
    return negotiateCoding(single(raw.headers["accept-encoding"]));
  }
}

function mayCompress(reply: FastifyReply): boolean {
  const { statusCode } = reply;
  // The range of a partial response counts uncompressed bytes of the file.
  if (statusCode === 206 || statusCode === 204 || statusCode === 304) return false;
  if (reply.hasHeader("content-encoding") || reply.hasHeader("content-range")) return false;
  if (String(reply.getHeader("cache-control") ?? "").includes("no-transform")) return false;
  return isCompressible(String(reply.getHeader("content-type") ?? ""));
}

function single(value: string | string[] | undefined): string | undefined {
  return typeof value === "string" ? value : value?.join(", ");
}

const runGzip = promisify(gzip);
const runBrotli = promisify(brotliCompress);
const runZstd = promisify(zstdCompress);

/** Medium levels: the highest ones need a hundred times the time to save a tenth of the bytes. */
const compressors: Readonly<Record<StreamCoding, (bytes: Buffer) => Promise<Buffer>>> = {
  gzip: (bytes) => runGzip(bytes, { level: 6 }),
  br: (bytes) =>
    runBrotli(bytes, {
      params: { [constants.BROTLI_PARAM_QUALITY]: 4, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
    }),
  zstd: (bytes) => runZstd(bytes),
};
