/** A request of HTTP as its signature covers it. */
export interface SignedRequest {
  readonly method: string;
  /** `https://example.com:8443/v1/shelves?x=1`. */
  readonly targetUri: string;
  /** Header fields, names in lower case, in their order. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** The body as it goes over the wire, without its transfer coding; undefined for a request without, and for streams. */
  readonly body?: Uint8Array | undefined;
}

/** Signs requests; gives the header fields to add. */
export interface RequestSigner {
  sign(request: SignedRequest): readonly (readonly [name: string, value: string])[];
}
