/** The head of a call that came over a connection. */
export interface CallArrival {
  /** HTTP method, target and headers; names in lower case. Several fields of one name are joined by `, `. */
  readonly head: {
    readonly method: string;
    readonly url: string;
    readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
    /** `1.1`, `2.0`; undefined where the protocol of the call says it. */
    readonly httpVersion?: string;
  };
  /** Whether the connection is by TLS. */
  readonly isSecure: boolean;
  /** Whether it came from a trusted proxy or peer. */
  readonly isTrusted: boolean;
  /** Address of the client: behind trusted proxies what they say, else that of the connection. */
  readonly client: string;
}
