/** What of HTTP/3 is counted in this process, for metrics. */
export interface Http3Counts {
  /** Whether a server of this process has ever served HTTP/3. */
  used: boolean;
  /** Open connections. */
  open: number;
  /** Requests in early data that were refused, over HTTP/3 or by a proxy's word. */
  earlyRefused: number;
}

/** HTTP/3 of this process. */
export const http3Counts: Http3Counts = { used: false, open: 0, earlyRefused: 0 };
