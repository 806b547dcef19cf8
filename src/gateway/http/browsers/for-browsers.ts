import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Exchange } from "../exchange.ts";
import type { Coding } from "../../../core/wire/codings/coding.ts";
import type { BrowserOptions } from "./browser-options.ts";
import { Compression } from "./compression.ts";
import { isCompressible } from "./content-coding.ts";
import { Cors } from "./cors.ts";
import { tagEntity } from "./entity-tag.ts";
import { FormCheck } from "./form-check.ts";
import { addVary } from "./vary.ts";

/** What a gateway does for browsers, wherever an answer passes: other origins, compression, tags of content. */
export class ForBrowsers {
  /** Which pages of other origins may read answers; undefined for none. */
  readonly cors: Cors | undefined;
  /** Which pages may send bodies that are no JSON. */
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

  /** Sees every exchange before its request is looked at; undefined where there is nothing to do. */
  get prepare(): ((exchange: Exchange) => void) | undefined {
    if (this.cors === undefined && this.#compression === undefined) return undefined;
    return (exchange) => {
      exchange.onHead = this.#completeHead;
    };
  }

  /** How an answer in pieces of JSON is compressed; undefined where none is. */
  get streamCoding(): ((request: FastifyRequest) => Coding | undefined) | undefined {
    const compression = this.#compression;
    return compression && ((request) => compression.codingFor(request));
  }

  /** How a file in pieces is compressed. */
  get fileCoding():
    | ((request: FastifyRequest, contentType: string, status: number) => Coding | undefined)
    | undefined {
    const compression = this.#compression;
    return (
      compression &&
      ((request, contentType, status) =>
        status === 200 && isCompressible(contentType) ? compression.codingFor(request) : undefined)
    );
  }

  /** Adds what answers that are sent whole need to the routes of `scope`. */
  addHooks(scope: FastifyInstance): void {
    if (!this.#etag && this.#compression === undefined) return;
    scope.addHook("onSend", async (request, reply, payload) => this.#finish(request, reply, payload));
  }

  async #finish(request: FastifyRequest, reply: FastifyReply, payload: unknown): Promise<unknown> {
    if (typeof payload !== "string" && !Buffer.isBuffer(payload)) return payload;
    const { route } = reply.raw as Exchange; // Every server here makes its responses of this class.
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

/** The same content in another coding has other bytes, which a strong tag would deny (RFC 9110, section 8.8.1). */
function weakenTag(exchange: Exchange): void {
  const tag = exchange.getHeader("etag");
  if (typeof tag === "string" && tag.startsWith('"')) exchange.setHeader("etag", `W/${tag}`);
}
