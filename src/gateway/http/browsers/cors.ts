import type { RequestHead } from "../exchange.ts";
import type { ResponseHead } from "../response-head.ts";
import type { BrowserOptions } from "./browser-options.ts";
import { addVary } from "./vary.ts";
import { SetupError } from "../../../core/errors/setup-error.ts";

/** Headers of an answer that every page may read (Fetch standard, "CORS-safelisted response-header name"). */
const readable = [
  "cache-control",
  "content-language",
  "content-length",
  "content-type",
  "expires",
  "last-modified",
  "pragma",
];

/** Headers that pages cannot read whatever a server says, or that mean nothing to them. */
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

/** Names that answers of gRPC-Web and Connect may have, and that their clients in pages have to read. */
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
 * Which pages of other origins may read answers: Cross-Origin Resource Sharing as the Fetch standard has it. A page of
 * an origin that is not listed gets no header that would let it.
 */
export class Cors {
  readonly #origins: ReadonlySet<string>;
  readonly #any: boolean;
  readonly #credentials: boolean;
  readonly #maxAgeSeconds: string;

  /** @throws TypeError naming an entry that is no origin, or for credentials with `*` or `null` */
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

  /** Whether a request only asks what a page may do, so that no rpc is to be called. */
  isPreflight({ method, headers }: RequestHead): boolean {
    return (
      method === "OPTIONS" &&
      headers.origin !== undefined &&
      headers["access-control-request-method"] !== undefined
    );
  }

  /** Completes the head of an answer. One to a preflight says in `Allow` which methods there are. */
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
    // Which headers reach a service is decided elsewhere; the others are of no effect.
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

/** Why there must be none, behind what names option or flag. */
export const whyOriginsAreListed = "would let every page act for the user; list the origins";
