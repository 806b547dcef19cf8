/** Whether a host is a loopback address or the name of one. @param host a name, or an address; IPv6 also in brackets */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host === "[::1]" || /^127(?:\.\d+){3}$/.test(host);
}
