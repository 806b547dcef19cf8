import type { FastifyReply, FastifyRequest } from "fastify";
import type { RequestHead } from "../exchange.ts";
import type { Coding } from "../../../core/wire/codings/coding.ts";
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
    const compressed = await coding.compress(Buffer.from(payload));
    reply.removeHeader("content-length");
    void reply.header("content-encoding", coding.name);
    return compressed;
  }

  /** The coding of a streamed response; undefined for none. */
  codingFor({ headers }: Pick<RequestHead, "headers">): Coding | undefined {
    return negotiateCoding(single(headers["accept-encoding"]));
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
