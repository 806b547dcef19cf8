import { isIdentityHeader } from "../../core/metadata/identity-headers.ts";
import { isReservedHeader } from "../../core/metadata/reserved-headers.ts";

/**
 * Whether a request header may never become metadata, whatever clients send and options allow: names of protocols,
 * connections and identities. `name` is in lower case.
 */
export function isUnforwardable(name: string): boolean {
  return isReservedHeader(name) || describesBody(name) || isIdentityHeader(name) || ordersFault(name);
}

/** Whether a name asks a proxy for a fault. Only those whom a traffic rule allows to may, and of the gateway alone. */
function ordersFault(name: string): boolean {
  return name.charCodeAt(2) === 0x65 && name.startsWith("x-envoy-fault-"); // "e"
}

/** Whether a name describes the body of one message; services can set such names only for replies that are files. */
function describesBody(name: string): boolean {
  return name.startsWith("content-");
}

/** Names that the gateway itself reads from a reply's metadata or writes for every reply. */
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

/** Whether a name is forbidden in HTTP trailers (RFC 9110 section 6.5.1). `name` is in lower case. */
export function isForbiddenTrailer(name: string): boolean {
  return forbiddenTrailers.has(name);
}
