import { SetupError } from "../../../core/errors/setup-error.ts";
import { principalKey } from "../../../core/security/principal.ts";
import type { AnsweredExchange, CompleteHead, ResponseHead } from "../response-head.ts";

/** Which security headers answers have: see the option `securityHeaders`. */
export type SecurityHeaders = "off" | "basic" | "strict";

/** The headers of `strict` beside those of `basic`, by which an answer is a document that can do nothing. */
const strictFields: readonly (readonly [name: string, value: string])[] = [
  ["content-security-policy", "default-src 'none'; frame-ancestors 'none'"],
  ["referrer-policy", "no-referrer"],
  ["x-frame-options", "DENY"],
  ["cross-origin-opener-policy", "same-origin"],
  ["cross-origin-embedder-policy", "require-corp"],
  ["cross-origin-resource-policy", "same-origin"],
];

/** The policy of `strict` for pages: what this host serves, and scripts and styles with the nonce of the page. */
export function pagePolicy(nonce: string | undefined): string {
  const own = nonce === undefined ? "'self'" : `'self' 'nonce-${nonce}'`;
  return `default-src ${own}; base-uri 'self'; form-action 'self'; frame-ancestors 'none'; object-src 'none'`;
}

/** A year: the time that preload lists of browsers ask for (RFC 6797, section 6.1.1). */
const transportSecurity = "max-age=31536000; includeSubDomains";

/**
 * Adds the security headers to the head of an answer; undefined for none. A field that is set already stays.
 *
 * @throws SetupError for another word
 */
export function securityHeaders(mode: SecurityHeaders): CompleteHead | undefined {
  switch (mode) {
    case "off":
      return undefined;
    case "basic":
      return addBasic;
    case "strict":
      return addStrict;
    default:
      throw new SetupError("HttpServer: the option securityHeaders must be off, basic or strict");
  }
}

function addBasic({ call }: AnsweredExchange, response: ResponseHead, status: number): void {
  add(response, "x-content-type-options", "nosniff");
  // No cache on the way may give the answer of one principal to another client.
  if (status >= 400 || call?.valuesIfAny?.get(principalKey) !== undefined) {
    add(response, "cache-control", "no-store");
  }
}

function addStrict(exchange: AnsweredExchange, response: ResponseHead, status: number): void {
  addBasic(exchange, response, status);
  for (const [name, value] of strictFields) add(response, name, value);
  // Browsers ignore it where the connection is not by TLS (RFC 6797, section 8.1).
  if (exchange.isSecure) add(response, "strict-transport-security", transportSecurity);
}

function add(response: ResponseHead, name: string, value: string): void {
  if (response.getHeader(name) === undefined) response.setHeader(name, value);
}
