import type { ClientTls } from "../net/client-tls.ts";
import type { ClientKeepalive } from "./http2-session.ts";

/**
 * Pauses between attempts to connect: each longer than the last by 1.6, give or take a fifth. A call that is made in
 * one, or `ready()` that waits, ends it 500 ms after the last attempt failed, or at once if that is longer ago; so the
 * long ones are for times without callers.
 */
export interface ConnectBackoff {
  /** The first pause, in milliseconds. */
  readonly initialMs: number;
  /** The longest pause, in milliseconds. */
  readonly maxMs: number;
}

/** Options of a connection over the network. */
export interface ConnectionOptions {
  /** TLS: true for Node's own authorities, or certificates and names. Default: false, plain text. */
  readonly tls: boolean | ClientTls;
  /** The `:authority` of the calls. Default: host and port of the target. */
  readonly authority: string | undefined;
  /** What stands before our own name in `user-agent`. Default: nothing. */
  readonly userAgent: string | undefined;
  /**
   * Largest reply message, after decompression, in bytes; larger ones are RESOURCE_EXHAUSTED to a client of `dial`, and
   * INTERNAL (500) to those of a gateway, whose callers cannot help it. Default: 4 MiB.
   */
  readonly maxMessageBytes: number;
  /** Pings. Default: every 30,000 ms, answered within 10,000 ms. */
  readonly keepalive: ClientKeepalive;
  /** Compression of request messages. Default: none. */
  readonly compression: "none" | "gzip";
  /** How long an attempt to connect may take, TLS and the first frame of the server included, in ms. Default: 20,000. */
  readonly connectTimeoutMs: number;
  /** Pauses after attempts that failed. Default: from 200 ms to 5,000 ms. */
  readonly backoff: ConnectBackoff;
}

/** The defaults of `ConnectionOptions`. */
export const connectionDefaults: ConnectionOptions = Object.freeze({
  tls: false,
  authority: undefined,
  userAgent: undefined,
  maxMessageBytes: 4 * 1024 * 1024,
  keepalive: Object.freeze({ timeMs: 30_000, timeoutMs: 10_000 }),
  compression: "none",
  connectTimeoutMs: 20_000,
  backoff: Object.freeze({ initialMs: 200, maxMs: 5_000 }),
});
