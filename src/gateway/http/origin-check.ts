import type { IncomingHttpHeaders } from "node:http";
import { SetupError } from "../../core/errors/setup-error.ts";
import { HttpError } from "./http-error.ts";

/**
 * Which pages may open WebSockets, or use an endpoint that reads no forms. Browsers let every page open one to every host
 * and send the user's credentials, and only `Origin` (RFC 6454) identifies the page.
 */
export class OriginCheck {
  readonly #allowed: ReadonlySet<string>;

  readonly #purpose: string;

  /**
   * @param purpose what other pages may not do, for the refusal
   * @throws SetupError naming an entry that is no origin
   */
  constructor(allowedOrigins: readonly string[], purpose = "open WebSockets here") {
    this.#allowed = new Set(allowedOrigins.map(normalize));
    this.#purpose = purpose;
  }

  /** The refusal of a request: 403 unless it comes from a page of this host, from a listed origin, or from no page. */
  problem(headers: IncomingHttpHeaders): HttpError | undefined {
    const { origin, host } = headers;
    if (origin === undefined || this.#allowed.has("*")) return undefined;
    const url = parseOrigin(origin);
    const name = url?.origin ?? origin;
    if (this.#allowed.has(name) || (url !== undefined && isHost(url, host))) return undefined;
    return new HttpError(403, `pages of this origin may not ${this.#purpose}`);
  }
}

/** Whether a page of this origin was served by `host`. The scheme is not compared: a proxy may have terminated TLS. */
function isHost(origin: URL, host: string | undefined): boolean {
  if (host === undefined) return false;
  const own = URL.parse(`${origin.protocol}//${host}`); // Drops the scheme's default port, as `origin.host` has.
  return own !== null && own.host === origin.host;
}

function normalize(entry: string): string {
  const problem = whyNoSocketOrigin(entry);
  if (problem !== undefined) throw new SetupError(`allowedOrigins: ${JSON.stringify(entry)} ${problem}`);
  return parseOrigin(entry)?.origin ?? entry;
}

/** What is wrong with an entry of `allowedOrigins`; undefined for a good one. */
export function whyNoSocketOrigin(entry: string): string | undefined {
  if (entry === "*" || entry === "null" || parseOrigin(entry) !== undefined) return undefined;
  return 'is no origin, write it as "https://app.example.com"';
}

function parseOrigin(text: string): URL | undefined {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) return undefined;
  return url.pathname === "/" &&
    url.search === "" &&
    url.hash === "" &&
    url.username === "" &&
    !text.endsWith("/")
    ? url
    : undefined;
}
