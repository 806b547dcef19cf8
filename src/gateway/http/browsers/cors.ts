import type { RequestHead } from "../exchange.ts";
import type { ResponseHead } from "../response-head.ts";
import type { BrowserOptions } from "./browser-options.ts";
import { addVary } from "./vary.ts";
import { SetupError } from "../../../core/errors/setup-error.ts";

/** Response headers that every page may read (Fetch standard, "CORS-safelisted response-header name"). */
const readable = [
  "cache-control",
  "content-language",
  "content-length",
  "content-type",
  "expires",
  "last-modified",
  "pragma",
];

/** Response headers that pages can never read, or that are useless to them. */
const unreadable = [
  "connection",
  "date",
  "keep-alive",
  "set-cookie",
  "trailer",
  "transfer-encoding",
  "vary",
  "x-accel-buffering",
  "x-content-type-options",
];

const unlisted: ReadonlySet<string> = new Set([...readable, ...unreadable]);

/** Response headers of gRPC-Web and Connect that their clients in pages must be able to read. */
const always = [
  "grpc-status",
  "grpc-message",
  "grpc-status-details-bin",
  "grpc-encoding",
  "connect-content-encoding",
  "content-encoding",
];

const headerNames = /^[\w!#$%&'*+.^`|~-]+(?:[ \t]*,[ \t]*[\w!#$%&'*+.^`|~-]+)*$/;

/**
 * Cross-Origin Resource Sharing (Fetch standard): which pages of other origins may read responses. Responses to pages
 * of origins that are not listed get no `access-control-*` headers, so browsers block the page from reading them.
 */
export class Cors {
  readonly #origins: ReadonlySet<string>;
  readonly #any: boolean;
  readonly #credentials: boolean;
  readonly #maxAgeSeconds: string;

  /** @throws TypeError naming an entry that is no origin, or if credentials are combined with `*` or `null` */
  constructor(options: Pick<BrowserOptions, "corsOrigins" | "corsCredentials" | "corsMaxAgeMs">) {
    this.#origins = new Set(options.corsOrigins.map(checkOrigin));
    this.#any = this.#origins.has("*");
    this.#credentials = options.corsCredentials;
    this.#maxAgeSeconds = String(Math.floor(options.corsMaxAgeMs / 1000));
    const open = openOrigin(options.corsOrigins);
    if (this.#credentials && open !== undefined) {
      throw new SetupError(`corsOrigins: "${open}" with corsCredentials ${whyOriginsAreListed}`);
    }
  }

  /** Whether a request is a preflight, which calls no rpc. */
  isPreflight({ method, headers }: RequestHead): boolean {
    return (
      method === "OPTIONS" &&
      headers.origin !== undefined &&
      headers["access-control-request-method"] !== undefined
    );
  }

  /** Adds the CORS headers to a response. A response to a preflight must have the methods of the path in `Allow`. */
  complete(request: RequestHead, response: ResponseHead, status: number): void {
    const { origin } = request.headers;
    if (!this.#any) addVary(response, "Origin");
    if (origin === undefined || !(this.#any || this.#origins.has(origin))) return;
    response.setHeader("access-control-allow-origin", this.#any ? "*" : origin);
    if (this.#credentials) response.setHeader("access-control-allow-credentials", "true");
    if (this.isPreflight(request)) this.#allow(request, response, status);
    else response.setHeader("access-control-expose-headers", exposed(response));
  }

  #allow({ headers }: RequestHead, response: ResponseHead, status: number): void {
    addVary(response, "Access-Control-Request-Method", "Access-Control-Request-Headers");
    const allow = response.getHeader("allow");
    if (status !== 204 || allow === undefined) return;
    response.setHeader("access-control-allow-methods", String(allow));
    const asked = headers["access-control-request-headers"];
    // Allows every requested header: which ones are forwarded to a service is decided elsewhere.
    if (asked !== undefined && headerNames.test(asked))
      response.setHeader("access-control-allow-headers", asked);
    response.setHeader("access-control-max-age", this.#maxAgeSeconds);
  }
}

function exposed(response: ResponseHead): string {
  const names = response
    .getHeaderNames()
    .filter((name) => !unlisted.has(name) && !name.startsWith("access-control-"));
  return [...new Set([...always, ...names])].join(", ");
}

function checkOrigin(entry: string): string {
  const problem = whyNoCorsOrigin(entry);
  if (problem !== undefined) throw new SetupError(`corsOrigins: ${JSON.stringify(entry)} ${problem}`);
  return entry;
}

/** What is wrong with an entry of `corsOrigins`; undefined for a good one. */
export function whyNoCorsOrigin(entry: string): string | undefined {
  if (entry === "*" || entry === "null") return undefined;
  const url = URL.parse(entry);
  const isWeb = url?.protocol === "https:" || url?.protocol === "http:";
  return url !== null && isWeb && url.origin === entry
    ? undefined
    : 'is no origin, write it as "https://app.example.com"';
}

/** The first of the origins that any page can have, `*` or `null`; with credentials there must be none. */
export function openOrigin(origins: readonly string[]): string | undefined {
  return ["*", "null"].find((open) => origins.includes(open));
}

/** Why `openOrigin` must find none; follows the name of the option or flag in messages. */
export const whyOriginsAreListed = "would let every page act for the user; list the origins";
