import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { exchangeOf, type RequestHead, type ResponseHeaders } from "../exchange.ts";
import type { CompleteHead, ResponseHead } from "../response-head.ts";
import type { Coding } from "../../../core/wire/codings/coding.ts";
import type { BrowserOptions } from "./browser-options.ts";
import { Compression } from "./compression.ts";
import { isCompressible } from "./content-coding.ts";
import { Cors } from "./cors.ts";
import { tagEntity } from "./entity-tag.ts";
import { FormCheck } from "./form-check.ts";
import { pagePolicy, type SecurityHeaders, securityHeaders } from "./security-headers.ts";
import { addVary } from "./vary.ts";

/** The features of a gateway for browsers, applied to all responses: CORS, compression, ETags, checks of forms. */
export class ForBrowsers {
  /** CORS headers; undefined if no other origin is allowed. */
  cors: Cors | undefined;
  /** Checks which pages may send bodies that are not JSON. */
  forms: FormCheck;
  readonly #compression: Compression | undefined;
  readonly #etag: boolean;
  #security: CompleteHead | undefined;
  #mode: SecurityHeaders;

  /** @throws TypeError as `Cors`, or SetupError as `securityHeaders` */
  constructor(options: BrowserOptions) {
    const { cors, forms } = originChecks(options);
    this.cors = cors;
    this.forms = forms;
    this.#compression = options.compression ? new Compression(options.compressionThresholdBytes) : undefined;
    this.#etag = options.etag;
    this.#security = securityHeaders(options.securityHeaders);
    this.#mode = options.securityHeaders;
  }

  /** Allows other origins, and adds other security headers, from now on. @throws as the constructor; nothing has changed then */
  use(options: BrowserOptions): void {
    const { cors, forms } = originChecks(options);
    const security = securityHeaders(options.securityHeaders);
    this.cors = cors;
    this.forms = forms;
    this.#security = security;
    this.#mode = options.securityHeaders;
  }

  /**
   * Adds the policy of a page to the headers of its answer where security headers are strict, unless they have one.
   *
   * @param nonce that of the page; undefined for none
   */
  protectPage(headers: ResponseHeaders, nonce: string | undefined): void {
    if (this.#mode === "strict") headers["content-security-policy"] ??= pagePolicy(nonce);
  }

  /** Completes the head of every answer; undefined if no option changes heads. */
  get completeHead(): CompleteHead | undefined {
    return this.cors === undefined && this.#compression === undefined ? this.#security : this.#completeHead;
  }

  /** The coding of a streamed JSON answer; undefined if compression is off. */
  get streamCoding(): ((request: RequestHead) => Coding | undefined) | undefined {
    const compression = this.#compression;
    return compression && ((request) => compression.codingFor(request));
  }

  /** The coding of a streamed file; undefined if compression is off. */
  get fileCoding():
    | ((request: RequestHead, contentType: string, status: number) => Coding | undefined)
    | undefined {
    const compression = this.#compression;
    return (
      compression &&
      ((request, contentType, status) =>
        status === 200 && isCompressible(contentType) ? compression.codingFor(request) : undefined)
    );
  }

  /** Adds the hooks for answers that are sent whole to a scope; undefined if no option needs them. */
  get hooks(): ((scope: FastifyInstance) => void) | undefined {
    if (!this.#etag && this.#compression === undefined) return undefined;
    return (scope) => {
      scope.addHook("onSend", async (request, reply, payload) => this.#finish(request, reply, payload));
    };
  }

  async #finish(request: FastifyRequest, reply: FastifyReply, payload: unknown): Promise<unknown> {
    if (typeof payload !== "string" && !Buffer.isBuffer(payload)) return payload;
    const { route, call } = exchangeOf(reply.raw) ?? {};
    // An encrypted answer is another one each time, and a tag must not say which contents are equal.
    const mayTag = this.#etag && route !== undefined && call?.envelope === undefined;
    if (mayTag && tagEntity(request, reply, payload)) return null;
    return this.#compression === undefined ? payload : this.#compression.apply(request, reply, payload);
  }

  readonly #completeHead: CompleteHead = (exchange, response, status) => {
    this.#security?.(exchange, response, status);
    if (this.#compression !== undefined) {
      const coding = response.getHeader("content-encoding");
      if (coding !== undefined || isCompressible(String(response.getHeader("content-type") ?? ""))) {
        addVary(response, "Accept-Encoding");
      }
      if (coding !== undefined) weakenTag(response);
    }
    this.cors?.complete(exchange.head, response, status);
  };
}

/** @throws TypeError as `Cors` */
function originChecks(options: BrowserOptions): Pick<ForBrowsers, "cors" | "forms"> {
  const cors = options.corsOrigins.length === 0 ? undefined : new Cors(options);
  return { cors, forms: new FormCheck(options.corsOrigins) };
}

/**
 * Makes the ETag of a compressed response weak: a strong one would claim equal bytes, but another coding has other
 * bytes (RFC 9110, section 8.8.1).
 */
function weakenTag(response: ResponseHead): void {
  const tag = response.getHeader("etag");
  if (typeof tag === "string" && tag.startsWith('"')) response.setHeader("etag", `W/${tag}`);
}
