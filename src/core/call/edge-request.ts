/** Header fields of a request; names in lower case. */
export type EdgeHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** The request of a client by which a call came in over HTTP, and where cookies for the client can be set. */
export interface EdgeRequest {
  readonly head: {
    readonly headers: EdgeHeaders;
    /** `1.1`, `2.0`; undefined where it is not known. */
    readonly httpVersion?: string;
    /** Counts the bytes of the answer; undefined where they are not counted. */
    readonly record?: { readonly bytesOut: number } | undefined;
  };
  /** Whether the client's connection is by TLS. */
  readonly isSecure: boolean;
  /** Values of `set-cookie` for the answer, beside those of the service; null where none can be set any more. */
  cookies: string[] | null | undefined;
}
