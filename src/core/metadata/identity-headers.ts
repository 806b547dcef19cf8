/** Header in which a proxy forwards the identity of its client, taken from the client's certificate. */
export const clientCertHeader = "x-forwarded-client-cert";

/** Names of headers in which proxies forward the identity of their client. */
const names: ReadonlySet<string> = new Set([
  clientCertHeader,
  "x-client-cert",
  "x-remote-user",
  "x-user",
  "x-user-id",
]);

/**
 * Whether a header, its name in lower case, carries a client's identity. It is only trusted when a trusted proxy has
 * set it.
 */
export function isIdentityHeader(name: string): boolean {
  return name.charCodeAt(0) === 0x78 && (names.has(name) || name.startsWith("x-auth-")); // "x"
}
