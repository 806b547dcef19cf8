/** Header by which a proxy tells who its client is, by the client's certificate. */
export const clientCertHeader = "x-forwarded-client-cert";

/** Names by which a proxy tells services who the caller is. */
const names: ReadonlySet<string> = new Set([
  clientCertHeader,
  "x-client-cert",
  "x-remote-user",
  "x-user",
  "x-user-id",
]);

/** Whether `name`, in lower case, tells who a caller is: never to be believed from the caller itself. */
export function isIdentityHeader(name: string): boolean {
  return name.charCodeAt(0) === 0x78 && (names.has(name) || name.startsWith("x-auth-")); // "x"
}
