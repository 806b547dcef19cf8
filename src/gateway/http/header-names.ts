import { isIdentityHeader } from "../../core/metadata/identity-headers.ts";
import { isReservedHeader } from "../../core/metadata/reserved-headers.ts";

/**
 * Whether a request header may never become metadata, whatever a client or an option says: names of protocols,
 * connections and identities. `name` is in lower case.
 */
export function isUnforwardable(name: string): boolean {
  return isReservedHeader(name) || describesBody(name) || isIdentityHeader(name);
}

/** Whether a name describes the body of one message; only replies that are files may have such names of a service's. */
function describesBody(name: string): boolean {
  return name.startsWith("content-");
}

/** What the gateway itself reads from a reply's metadata or writes for every reply. */
const ownNames: ReadonlySet<string> = new Set([
  "__proto__",
  "date",
  "x-http-content-length",
  "x-http-status",
]);

/** Whether metadata of a reply may never become a header or trailer of the HTTP reply. `name` is in lower case. */
export function isWithheld(name: string): boolean {
  return isReservedHeader(name) || describesBody(name) || ownNames.has(name);
}

const forbiddenTrailers: ReadonlySet<string> = new Set([
  "age",
  "authorization",
  "cache-control",
  "expires",
  "location",
  "max-forwards",
  "retry-after",
  "set-cookie",
  "vary",
  "www-authenticate",
]);

/** Whether a name must not stand in HTTP trailers (RFC 9110 section 6.5.1). `name` is in lower case. */
export function isForbiddenTrailer(name: string): boolean {
  return forbiddenTrailers.has(name);
}
