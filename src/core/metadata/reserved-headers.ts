/**
 * Names that a protocol owns and that applications can neither set nor pass on.
 *
 * Hop-by-hop fields (RFC 9110 7.6.1, RFC 9113 8.2.2), what describes the body of one message, and the address of the
 * request. Prefixes are in `isReservedHeader`.
 */
const reserved: ReadonlySet<string> = new Set([
  "accept-encoding",
  "connection",
  "expect",
  "host",
  "http2-settings",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** What a reply may say of a file that it holds: gRPC gives these names no meaning. */
const ofFiles: ReadonlySet<string> = new Set(["content-disposition", "content-range"]);

/**
 * Whether `name`, in lower case, belongs to a protocol: pseudo headers, hop-by-hop fields, `grpc-*`, `content-*`
 * but for `content-disposition` and `content-range`, `te`, `host` and the like.
 *
 * Such names never become metadata, and metadata of such a name never becomes a header or trailer on the wire, so
 * that nobody changes a status, a deadline or the framing of a message by setting metadata.
 */
export function isReservedHeader(name: string): boolean {
  const first = name.charCodeAt(0);
  if (first === 0x3a) return true; // ":"
  if (first === 0x67 && name.startsWith("grpc-")) return true;
  if (first === 0x63 && name.startsWith("content-")) return !ofFiles.has(name);
  return reserved.has(name);
}

/** Takes the reserved names out of `headers` and returns it. */
export function dropReserved(headers: Headers): Headers {
  for (const name of [...headers.keys()]) if (isReservedHeader(name)) headers.delete(name);
  return headers;
}
