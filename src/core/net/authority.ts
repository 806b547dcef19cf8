import { isIPv6 } from "node:net";

/** A name or an IPv4 address, or anything in brackets; then a port, which may be empty (RFC 3986 section 3.2). */
const shape = /^(?:\[([^\]]*)\]|(?:[\w\-.~!$&'()*+,;=]|%[0-9a-f]{2})+)(?::(\d{0,5}))?$/i;

/** An address of a future IP version, in brackets (`IPvFuture`). */
const future = /^v[0-9a-f]+\.[\w\-.~!$&'()*+,;=:]+$/i;

/**
 * Whether `text` is a valid `Host` or `:authority` of a request: a host with an optional port and without user
 * information.
 */
export function isAuthority(text: string): boolean {
  const match = shape.exec(text);
  if (match === null || Number(match[2] ?? 0) > 65_535) return false;
  const address = match[1];
  // Node accepts a zone as a part of the address, but a zone is valid on its own host only.
  return address === undefined || (isIPv6(address) && !address.includes("%")) || future.test(address);
}
