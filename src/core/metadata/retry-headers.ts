/** The headers of retries (gRFC A6): like all of `grpc-*` they are reserved, so that only this library sets them. */

/** Of a request: how many attempts of the call were made before. */
export const previousAttemptsHeader = "grpc-previous-rpc-attempts";

/** Of a reply, among its trailers: after how many milliseconds the call may be tried again; -1 for never. */
export const pushbackHeader = "grpc-retry-pushback-ms";
