/** Limits of the HTTP/1 layer. */
export interface Http1Limits {
  /** The largest header block, in bytes: 431 beyond. Default: 16,384. */
  readonly maxHeaderBytes: number;
  /** The most header fields: 431 beyond. Default: 100. */
  readonly maxHeaderFields: number;
  /** The longest request target, in bytes: 414 beyond. Default: 8,192. */
  readonly maxUrlBytes: number;
  /** The largest body that a client may send after `Expect: 100-continue`, in bytes. Default: 4 MiB. */
  readonly maxBodyBytes: number;
  /** How long the client may take to send a header block, in milliseconds: 408 beyond. Default: 10,000. */
  readonly headersTimeoutMs: number;
  /** How often time limits of connections are checked, in milliseconds. Default: 1,000. */
  readonly connectionsCheckingIntervalMs: number;
  /**
   * How long an idle connection stays open, in milliseconds; longer than load balancers keep idle connections open.
   * Default: 72,000.
   */
  readonly keepAliveTimeoutMs: number;
  /** How long a client may continue to send a body that is not read, in milliseconds. Default: 2,000. */
  readonly lingerMs: number;
}

/** The defaults of `Http1Limits`. */
export const http1Defaults: Http1Limits = Object.freeze({
  maxHeaderBytes: 16_384,
  maxHeaderFields: 100,
  maxUrlBytes: 8192,
  maxBodyBytes: 4 * 1024 * 1024,
  headersTimeoutMs: 10_000,
  connectionsCheckingIntervalMs: 1000,
  keepAliveTimeoutMs: 72_000,
  lingerMs: 2000,
});

/** Options of `Http1Connections`. */
export interface Http1Options extends Http1Limits {
  /** How long a client may read nothing of a pending answer, in milliseconds. Default: 60,000. */
  readonly writeIdleMs: number;
  /**
   * TCP keepalive closes a dead client's connection within twice this time, in milliseconds, if no bytes are in flight.
   */
  readonly heartbeatMs: number;
  /** Accepted hosts of requests, with or without port; others get 421. Undefined for any. */
  readonly allowedHosts: readonly string[] | undefined;
  /** Whether upgrades to WebSocket are served; otherwise `Upgrade` is ignored. */
  readonly webSockets: boolean;
  /**
   * Whether requests of the usual form for unary rpcs and health bypass Node's HTTP parser and response. Clients see no
   * difference. Where the application, or a tracing library, observes requests on `http.fastify.server` or by Node's
   * diagnostics channels, no request does; the start line says why. Default: true.
   */
  readonly fastLane: boolean;
}
