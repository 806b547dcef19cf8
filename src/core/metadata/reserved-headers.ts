/**
 * Names that a protocol owns and that applications can neither set nor pass on.
 *
 * Hop-by-hop fields (RFC 9110 7.6.1, RFC 9113 8.2.2), fields that describe the body of one message, and the host of the
 * request. Reserved prefixes are in `isReservedHeader`.
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

/** Headers that describe a file in a reply: gRPC does not define these names, so a service may set them. */
const ofFiles: ReadonlySet<string> = new Set(["content-disposition", "content-range"]);

/**
 * Whether `name`, in lower case, belongs to a protocol: pseudo headers, hop-by-hop fields, `grpc-*`, `content-*`
 * but for `content-disposition` and `content-range`, `te`, `host` and the like.
 *
 * Such headers never become metadata, and metadata of such a name is never sent as a header or trailer, so that setting
 * metadata cannot change a status, a deadline or the framing of a message.
 */
export function isReservedHeader(name: string): boolean {
  const first = name.charCodeAt(0);
  if (first === 0x3a) return true; // ":"
  if (first === 0x67 && name.startsWith("grpc-")) return true;
  if (first === 0x63 && name.startsWith("content-")) return !ofFiles.has(name);
  return reserved.has(name);
}

/** Removes the reserved names from `headers` and returns it. */
export function dropReserved(headers: Headers): Headers {
  for (const name of [...headers.keys()]) if (isReservedHeader(name)) headers.delete(name);
  return headers;
}
