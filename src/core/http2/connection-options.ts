import type { RequestSigner } from "../metadata/request-signer.ts";
import type { ClientTls } from "../net/client-tls.ts";
import type { ConnectTo } from "./connect-options.ts";
import {
  clientHttp2Defaults,
  keepaliveDefaults,
  type ClientHttp2Options,
  type ClientKeepalive,
} from "./client-http2-options.ts";

/**
 * Pauses between attempts to connect: each is 1.6 times as long as the one before, +/-20 %. A call or a `ready()`
 * during a pause shortens it to 500 ms after the failed attempt, so that only connections without calls wait longer.
 */
export interface ConnectBackoff {
  /** The first pause, in milliseconds. */
  readonly initialMs: number;
  /** The longest pause, in milliseconds. */
  readonly maxMs: number;
}

/** The implementations of HTTP/2 that a connection can use. */
export const connectionEngines = ["own", "node"] as const;

/** An implementation of HTTP/2. */
export type ConnectionEngine = (typeof connectionEngines)[number];

/** Options of a connection over the network. */
export interface ConnectionOptions {
  /** TLS: true for Node's own authorities, or certificates and names. Default: false, plain text. */
  readonly tls: boolean | ClientTls;
  /** The `:authority` of calls. Default: host and port of the target. */
  readonly authority: string | undefined;
  /** Put before the library's own name in `user-agent`. Default: nothing. */
  readonly userAgent: string | undefined;
  /**
   * Largest reply message, after decompression, in bytes; for a larger one a client of `dial` gets RESOURCE_EXHAUSTED,
   * a client of a gateway INTERNAL (500), since it cannot change the limit. Default: 4 MiB.
   */
  readonly maxMessageBytes: number;
  /** Keepalive pings. Default: see `ClientKeepalive`. */
  readonly keepalive: Partial<ClientKeepalive>;
  /** Windows, limits and tables of HTTP/2. Default: see `ClientHttp2Options`. */
  readonly http2: Partial<ClientHttp2Options>;
  /**
   * Signs the head of each attempt, with the digest of the body of unary calls: `requestSigner` of `ts-ms/signatures`.
   * Default: none.
   */
  readonly sign: RequestSigner | undefined;
  /** Compression of request messages. Default: none. */
  readonly compression: "none" | "gzip";
  /** Limit of one attempt to connect, with TLS and the server's SETTINGS, in milliseconds. Default: 20,000. */
  readonly connectTimeoutMs: number;
  /** Pauses after attempts that failed. Default: from 200 ms to 5,000 ms. */
  readonly backoff: ConnectBackoff;
  /**
   * What speaks HTTP/2: `own` is the library's own engine, `node` is `node:http2`, which needs far more processor time per
   * call and goes with the next minor version. Default: `own`.
   */
  readonly engine: ConnectionEngine;
}

/** The defaults of `ConnectionOptions`. */
export const connectionDefaults: ConnectionOptions = Object.freeze({
  tls: false,
  authority: undefined,
  userAgent: undefined,
  sign: undefined,
  maxMessageBytes: 4 * 1024 * 1024,
  keepalive: keepaliveDefaults,
  http2: clientHttp2Defaults,
  compression: "none",
  connectTimeoutMs: 20_000,
  backoff: Object.freeze({ initialMs: 200, maxMs: 5_000 }),
  engine: "own",
});

/** Options with all of their groups filled up. */
export interface MergedConnectionOptions extends ConnectionOptions {
  readonly keepalive: ClientKeepalive;
  readonly http2: ClientHttp2Options;
  /** Whether the process may end while calls are open, as for those of the library itself. Default: false. */
  readonly background?: boolean;
  /** Connects in place of the engine, where servers do not speak HTTP/2. Default: the engine does. */
  readonly connectBy?: ConnectTo;
}

/** What a connection is made with. */
export type ConnectionInit = Partial<ConnectionOptions> &
  Pick<MergedConnectionOptions, "background" | "connectBy">;

/** The options of a connection, with defaults for those that are missing. */
export function mergeConnectionOptions(options: ConnectionInit): MergedConnectionOptions {
  return {
    ...connectionDefaults,
    ...options,
    keepalive: { ...keepaliveDefaults, ...options.keepalive },
    http2: { ...clientHttp2Defaults, ...options.http2 },
  };
}
