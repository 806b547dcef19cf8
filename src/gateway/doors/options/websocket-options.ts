/** Options of WebSockets. */
export interface WebSocketOptions {
  /** Whether rpcs can be called over WebSocket; otherwise `Upgrade` is ignored. Default: true. */
  readonly webSockets: boolean;
  /**
   * Origins, besides the server's own, whose pages may open WebSockets, such as `https://app.example.com`; `null` for
   * pages without an origin, `*` for any. Pages of all others get 403. Programs that send no `Origin` are always
   * accepted. Default: none.
   */
  readonly allowedOrigins: readonly string[];
  /** Path of the endpoint where one socket carries many calls; undefined for none. Default: `/ws`. */
  readonly multiplexPath: string | undefined;
  /** The most calls in flight on such a socket: RESOURCE_EXHAUSTED beyond. Default: 100. */
  readonly maxSocketCalls: number;
  /** The largest message that a client may send, in bytes: close code 1009 beyond. Default: 1 MiB. */
  readonly maxSocketMessageBytes: number;
  /** The most fragments of a message: close code 1008 beyond. Default: 1,024. */
  readonly maxSocketFragments: number;
  /**
   * The most bytes of status and pause frames that may wait for a slow client, besides the replies of its calls: close
   * code 1013 beyond. Default: 1 MiB.
   */
  readonly maxSocketUnsentBytes: number;
  /**
   * How long a client may read nothing while messages wait for it, in milliseconds: close code 1013 beyond. Default:
   * 60,000.
   */
  readonly socketWriteIdleMs: number;
  /**
   * Interval of pings, in milliseconds; 0 for none. Default: 30,000.
   */
  readonly socketHeartbeatMs: number;
  /**
   * The connection of a client that is silent for so long is closed as dead, in milliseconds, looked at with each ping.
   * Default: two intervals of pings.
   */
  readonly socketPongWaitMs: number | undefined;
  /**
   * Whether messages are compressed (permessage-deflate): some 115 KiB more memory for each socket that has been used.
   * Default: false.
   */
  readonly socketCompression: boolean;
}

/** The defaults of `WebSocketOptions`. */
export const webSocketDefaults: WebSocketOptions = Object.freeze({
  webSockets: true,
  allowedOrigins: [],
  multiplexPath: "/ws",
  maxSocketCalls: 100,
  maxSocketMessageBytes: 1024 * 1024,
  maxSocketFragments: 1024,
  maxSocketUnsentBytes: 1024 * 1024,
  socketWriteIdleMs: 60_000,
  socketHeartbeatMs: 30_000,
  socketPongWaitMs: undefined,
  socketCompression: false,
});
