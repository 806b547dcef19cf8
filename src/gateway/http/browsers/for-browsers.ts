import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Exchange } from "../exchange.ts";
import type { StreamCoding } from "../stream-compressor.ts";
import type { BrowserOptions } from "./browser-options.ts";
import { Compression } from "./compression.ts";
import { isCompressible } from "./content-coding.ts";
import { Cors } from "./cors.ts";
import { tagEntity } from "./entity-tag.ts";
import { FormCheck } from "./form-check.ts";
import { addVary } from "./vary.ts";

/** The features of a gateway for browsers, applied to all responses: CORS, compression, ETags, checks of forms. */
export class ForBrowsers {
  /** CORS headers; undefined if no other origin is allowed. */
  readonly cors: Cors | undefined;
  /** Checks which pages may send bodies that are no JSON. */
  readonly forms: FormCheck;
  readonly #compression: Compression | undefined;
  readonly #etag: boolean;

  /** @throws TypeError as `Cors` */
  constructor(options: BrowserOptions) {
    this.cors = options.corsOrigins.length === 0 ? undefined : new Cors(options);
    this.forms = new FormCheck(options.corsOrigins);
    this.#compression = options.compression ? new Compression(options.compressionThresholdBytes) : undefined;
    this.#etag = options.etag;
  }

  /** Called with every exchange before its request is handled; undefined if there is nothing to do. */
  get prepare(): ((exchange: Exchange) => void) | undefined {
    if (this.cors === undefined && this.#compression === undefined) return undefined;
    return (exchange) => {
      exchange.onHead = this.#completeHead;
    };
  }

  /** The coding of a streamed JSON response; undefined if compression is off. */
  get streamCoding(): ((request: FastifyRequest) => StreamCoding | undefined) | undefined {
    const compression = this.#compression;
    return compression && ((request) => compression.codingFor(request));
  }

  /** The coding of a streamed file; undefined if compression is off. */
  get fileCoding():
    | ((request: FastifyRequest, contentType: string, status: number) => StreamCoding | undefined)
    | undefined {
    const compression = this.#compression;
    return (
      compression &&
      ((request, contentType, status) =>
        status === 200 && isCompressible(contentType) ? compression.codingFor(request) : undefined)
    );
  }

  /** Adds the hooks for responses that are sent in one piece to the routes of `scope`. */
  addHooks(scope: FastifyInstance): void {
    if (!this.#etag && this.#compression === undefined) return;
    scope.addHook("onSend", async (request, reply, payload) => this.#finish(request, reply, payload));
  }

  async #finish(request: FastifyRequest, reply: FastifyReply, payload: unknown): Promise<unknown> {
    if (typeof payload !== "string" && !Buffer.isBuffer(payload)) return payload;
    const { route } = reply.raw as Exchange; // All our servers construct their responses with this class.
    if (this.#etag && route !== undefined && tagEntity(request, reply, payload)) return null;
    return this.#compression === undefined ? payload : this.#compression.apply(request, reply, payload);
  }

  readonly #completeHead = (exchange: Exchange, status: number): void => {
    if (this.#compression !== undefined) {
      const coding = exchange.getHeader("content-encoding");
      if (coding !== undefined || isCompressible(String(exchange.getHeader("content-type") ?? ""))) {
        addVary(exchange, "Accept-Encoding");
      }
      if (coding !== undefined) weakenTag(exchange);
    }
    this.cors?.complete(exchange.req, exchange, status);
  };
}

/**
 * Makes the ETag of a compressed response weak: a strong one would claim equal bytes, but another coding has other
 * bytes (RFC 9110, section 8.8.1).
 */
function weakenTag(exchange: Exchange): void {
  const tag = exchange.getHeader("etag");
  if (typeof tag === "string" && tag.startsWith('"')) exchange.setHeader("etag", `W/${tag}`);
}
