import { promisify } from "node:util";
import { brotliCompress, constants, gzip, zstdCompress } from "node:zlib";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { RequestHead } from "../exchange.ts";
import type { StreamCoding } from "../stream-compressor.ts";
import { isCompressible, negotiateCoding } from "./content-coding.ts";

/** Compresses answers that are sent whole. */
export class Compression {
  readonly #thresholdBytes: number;

  constructor(thresholdBytes: number) {
    this.#thresholdBytes = thresholdBytes;
  }

  /** What is sent instead of `payload`, with the headers that say so. */
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

  /** How an answer in pieces is compressed. */
  codingFor({ headers }: Pick<RequestHead, "headers">): StreamCoding | undefined {
    return negotiateCoding(single(headers["accept-encoding"]));
  }
}

function mayCompress(reply: FastifyReply): boolean {
  const { statusCode } = reply;
  // The ranges of a part count bytes of the file as it is.
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

/** The highest levels cost a hundred times the time and save a tenth of the bytes. */
const compressors: Readonly<Record<StreamCoding, (bytes: Buffer) => Promise<Buffer>>> = {
  gzip: (bytes) => runGzip(bytes, { level: 6 }),
  br: (bytes) =>
    runBrotli(bytes, {
      params: { [constants.BROTLI_PARAM_QUALITY]: 4, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
    }),
  zstd: (bytes) => runZstd(bytes),
};
