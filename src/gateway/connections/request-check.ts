import type { IncomingMessage } from "node:http";
import type { IncomingHttpHeaders } from "node:http2";
import { isAuthority } from "../../core/net/authority.ts";
import { hasNulInPath } from "../../core/net/request-target.ts";
import type { RequestHead } from "../http/exchange.ts";
import { HttpError } from "../http/http-error.ts";
import type { Http1Options } from "./http1-limits.ts";

const absoluteTarget = /^https?:\/\/([^/?]+)(.*)$/is;

/** Checks requests beyond the parser's own checks (RFC 9112). */
export class RequestCheck {
  readonly #options: Http1Options;
  readonly #allowedHosts: ReadonlySet<string> | undefined;
  /** The last valid authority: nearly all requests have the same. */
  #knownAuthority = "";

  constructor(options: Http1Options) {
    this.#options = options;
    this.#allowedHosts =
      options.allowedHosts && new Set(options.allowedHosts.map((host) => host.toLowerCase()));
  }

  /**
   * The refusal of a request; undefined for a valid one. An absolute target is replaced by its path, so that later code
   * cannot use another authority than the checked one.
   */
  problem(request: IncomingMessage): HttpError | undefined {
    const { httpVersion, rawHeaders, url = "" } = request;
    const { maxUrlBytes, maxHeaderFields } = this.#options;
    if (httpVersion !== "1.1" && httpVersion !== "1.0") {
      return new HttpError(505, `HTTP/${httpVersion} is not spoken here`);
    }
    if (url.length > maxUrlBytes) {
      return new HttpError(414, `the request target is longer than ${maxUrlBytes} bytes`);
    }
    if (rawHeaders.length > maxHeaderFields * 2) {
      return new HttpError(431, `the request has more than ${maxHeaderFields} header fields`);
    }
    const hosts = countHosts(rawHeaders);
    if (hosts > 1) return new HttpError(400, "the request has more than one Host header");
    if (hosts === 0 && httpVersion === "1.1") return new HttpError(400, "the request has no Host header");
    return this.#targetProblem(request, url);
  }

  /** Whether nothing is wrong with a request of the fast lane: its target is a path, and it has one Host header. */
  admits({ url, headers: { host } }: RequestHead): boolean {
    return (
      this.#authorityProblem("Host", host) === undefined &&
      !hasNulInPath(url) &&
      this.#hostProblem(host) === undefined
    );
  }

  /**
   * The refusal of a request over HTTP/2; undefined for a valid one. Node has reset streams that are malformed by RFC
   * 9113 before.
   */
  http2Problem(headers: IncomingHttpHeaders, rawHeaders: readonly string[]): HttpError | undefined {
    const { ":path": path = "", ":method": method = "", ":authority": authority, host } = headers;
    const { maxUrlBytes, maxHeaderFields, maxHeaderBytes } = this.#options;
    if (path.length > maxUrlBytes) {
      return new HttpError(414, `the request target is longer than ${maxUrlBytes} bytes`);
    }
    if (rawHeaders.length > maxHeaderFields * 2) {
      return new HttpError(431, `the request has more than ${maxHeaderFields} header fields`);
    }
    let bytes = 0;
    for (const part of rawHeaders) bytes += part.length;
    if (bytes > maxHeaderBytes) return new HttpError(431, "the header list is too large");
    if (authority !== undefined && host !== undefined && authority.toLowerCase() !== host.toLowerCase()) {
      return new HttpError(400, "the :authority of the request is not its Host header");
    }
    if (authority === undefined && host === undefined) {
      return new HttpError(400, "the request has no :authority");
    }
    const problem = this.#authorityProblem(":authority", authority) ?? this.#authorityProblem("Host", host);
    if (problem !== undefined) return problem;
    if (method === "CONNECT") return tunnelRefused();
    if (path.includes("#")) return new HttpError(400, "the request target has a fragment (#)");
    if (path.charCodeAt(0) !== 0x2f && (path !== "*" || method !== "OPTIONS")) {
      return new HttpError(400, "the request target must be a path");
    }
    if (hasNulInPath(path)) return nulInPath();
    return this.#hostProblem(authority ?? host);
  }

  #targetProblem(request: IncomingMessage, url: string): HttpError | undefined {
    if (url.includes("#")) return new HttpError(400, "the request target has a fragment (#)");
    let authority = request.headers.host;
    const problem = this.#authorityProblem("Host", authority);
    if (problem !== undefined) return problem;
    if (url.charCodeAt(0) !== 0x2f) {
      if (request.method === "CONNECT") return tunnelRefused();
      const absolute = absoluteTarget.exec(url);
      if (absolute !== null) {
        const [, host, rest = ""] = absolute;
        const wrong = this.#authorityProblem("the request target", host);
        if (wrong !== undefined) return wrong;
        authority = host;
        request.url = rest.startsWith("/") ? rest : `/${rest}`;
      } else if (url !== "*" || request.method !== "OPTIONS") {
        return new HttpError(400, "the request target must be a path");
      }
    }
    if (hasNulInPath(url)) return nulInPath();
    return this.#hostProblem(authority);
  }

  /** @param place the name of the authority's place in the message */
  #authorityProblem(place: string, authority: string | undefined): HttpError | undefined {
    if (authority === undefined || (authority === this.#knownAuthority && authority !== "")) return undefined;
    if (!isAuthority(authority)) {
      return new HttpError(400, `the host in ${place} is malformed: it must be "host" or "host:port"`);
    }
    this.#knownAuthority = authority;
    return undefined;
  }

  #hostProblem(authority: string | undefined): HttpError | undefined {
    if (this.#allowedHosts === undefined || isAllowed(this.#allowedHosts, authority)) return undefined;
    return new HttpError(421, "this server does not answer for the host of the request");
  }
}

function nulInPath(): HttpError {
  return new HttpError(400, "the path of the request has the character U+0000 (%00)");
}

/**
 * The refusal of a request for a tunnel to another host. The request has no path, so that `Allow` lists the methods of
 * all paths.
 */
function tunnelRefused(): HttpError {
  const allow = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT";
  return new HttpError(405, "CONNECT is not served here", { headers: { allow } });
}

function isAllowed(allowed: ReadonlySet<string>, authority: string | undefined): boolean {
  if (authority === undefined) return false;
  const host = authority.toLowerCase();
  return allowed.has(host) || allowed.has(host.replace(/:\d*$/, ""));
}

function countHosts(rawHeaders: readonly string[]): number {
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i];
    if (name !== undefined && name.length === 4 && name.toLowerCase() === "host") count++;
  }
  return count;
}
