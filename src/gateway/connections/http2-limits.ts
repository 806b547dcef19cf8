import { http2TuningDefaults, type Http2Tuning } from "../../core/http2/server-session-options.ts";

/** Limits of the HTTP/2 layer. The limits of header lists and targets are those of HTTP/1. */
export interface Http2Limits extends Http2Tuning {
  /**
   * Most requests at the same time on one HTTP/2 connection: further ones wait in a queue. The connection announces
   * twice as many to its client; those beyond the announced number are refused. Default: 100.
   */
  readonly maxConcurrentStreams: number;
  /** Memory that one HTTP/2 connection may hold, in bytes; further streams are refused. Default: 10,000,000. */
  readonly maxSessionMemoryBytes: number;
  /** Time for the TLS handshake and the first bytes of a new connection, in milliseconds, each. Default: 10,000. */
  readonly handshakeTimeoutMs: number;
  /**
   * Shortest time between two pings of an HTTP/2 client while nothing is sent to it, in milliseconds; the third ping
   * that comes earlier closes the connection. Default: 5,000, as proxies ping more often than gRPC allows.
   */
  readonly minPingIntervalMs: number;
}

/** The defaults of `Http2Limits`. */
export const http2Defaults: Http2Limits = Object.freeze({
  ...http2TuningDefaults,
  maxConcurrentStreams: 100,
  maxSessionMemoryBytes: 10_000_000,
  handshakeTimeoutMs: 10_000,
  minPingIntervalMs: 5000,
});
