import { defaultFrameBytes, most31 } from "./frame.ts";
import type { GlitchLimit } from "./glitch-budget.ts";

/** What servers of our own engine let their HTTP/2 clients do. Connections of `node:http2` have limits of Node instead. */
export interface Http2Tuning {
  /**
   * Streams that a client may end, or make the server end, before their reply has ended: `burst` at once, `perSecond`
   * in the long run; with more, the connection is closed (ENHANCE_YOUR_CALM). Default: 1,000 and 33.
   */
  readonly maxResets: GlitchLimit;
  /**
   * Frames without a use (SETTINGS again and again, empty DATA, PING without calls, unknown frames), counted like
   * `maxResets`; each new stream gives four back. Default: 10,000 and 330.
   */
  readonly maxGlitches: GlitchLimit;
  /** What a client may send of one request before it is read, in bytes, from 65,535 to 16 MiB. Default: 256 KiB. */
  readonly streamWindowBytes: number;
  /** The largest frame that a client may send, in bytes, from 16,384 to 1 MiB. Default: 64 KiB. */
  readonly maxFrameBytes: number;
}

/** The defaults of `Http2Tuning`. */
export const http2TuningDefaults: Http2Tuning = Object.freeze({
  maxResets: Object.freeze({ burst: 1_000, perSecond: 33 }),
  maxGlitches: Object.freeze({ burst: 10_000, perSecond: 330 }),
  streamWindowBytes: 256 * 1024,
  maxFrameBytes: 64 * 1024,
});

const mebibyte = 1024 * 1024;

/**
 * Checks the options of `Http2Tuning`.
 *
 * @param owner Name of the class whose options they are.
 * @throws TypeError naming the one that is out of its range
 */
export function checkTuning(owner: string, options: Partial<Http2Tuning>): void {
  const { streamWindowBytes, maxFrameBytes, maxResets, maxGlitches } = { ...http2TuningDefaults, ...options };
  checkRange(owner, "streamWindowBytes", streamWindowBytes, 65_535, 16 * mebibyte);
  checkRange(owner, "maxFrameBytes", maxFrameBytes, defaultFrameBytes, mebibyte);
  for (const [name, { burst, perSecond }] of Object.entries({ maxResets, maxGlitches })) {
    checkRange(owner, `${name}.burst`, burst, 1, most31);
    checkRange(owner, `${name}.perSecond`, perSecond, 0, most31);
  }
}

function checkRange(owner: string, name: string, value: number, least: number, most: number): void {
  if (value >= least && value <= most) return;
  throw new TypeError(`${owner}: \`${name}\` must be from ${least} to ${most}, not ${value}`);
}

/** How long a connection lives, and how a client that is gone is found. */
export interface SessionLifeOptions {
  /** Time for the client's connection preface and SETTINGS, in milliseconds. */
  readonly handshakeTimeoutMs: number;
  /** How long a connection without streams may be silent, in milliseconds; Infinity for any time. */
  readonly keepAliveTimeoutMs: number;
  /** A client that has vanished during a request loses its connection within twice this time, in milliseconds. */
  readonly heartbeatMs: number;
  /**
   * Time of silence after which a client is pinged, with requests or without, in milliseconds; it has
   * `keepaliveTimeoutMs` to answer. Undefined: `heartbeatMs` counts, and only during requests.
   */
  readonly keepaliveTimeMs?: number;
  /** How long the answer to such a ping may take, in milliseconds. */
  readonly keepaliveTimeoutMs?: number;
  /** How long a connection may be without streams, whatever else its client sends, in milliseconds. Default: Infinity. */
  readonly maxConnectionIdleMs?: number;
  /** Age at which a connection is drained, in milliseconds, 10 % more or less. Default: Infinity. */
  readonly maxConnectionAgeMs?: number;
  /** Time for the streams of such a connection, in milliseconds. Default: Infinity. */
  readonly maxConnectionAgeGraceMs?: number;
}

/** Options of a `ServerSession`. */
export interface ServerSessionOptions extends SessionLifeOptions, Http2Tuning {
  /** Streams that are served at the same time; as many again wait for their turn, further ones are refused. */
  readonly maxConcurrentStreams: number;
  /** Unread requests, unsent replies and header tables of a connection, in bytes; with more, new streams are refused. */
  readonly maxSessionMemoryBytes: number;
  /** Shortest time between two pings of a client while the server sends nothing, in milliseconds. */
  readonly minPingIntervalMs: number;
  /** Whether a client without calls may send pings as often; else once in two hours. Default: true. */
  readonly pingsWithoutCalls?: boolean;
  /** How long a request that goes on after its reply is read, in milliseconds. */
  readonly lingerMs: number;
}
