import { SetupError } from "../errors/setup-error.ts";
import { checkOptions, show, type EveryOption } from "../config/check-options.ts";

/** Pings that find a dead peer while a connection carries no other traffic. */
export interface ClientKeepalive {
  /**
   * A ping is sent when nothing has come for so long while a call waits for something that this side has sent, in
   * milliseconds; 0 for no pings. Default: 30,000.
   */
  readonly timeMs: number;
  /** How long anything at all may take to come after a ping, in milliseconds. Default: 10,000. */
  readonly timeoutMs: number;
  /**
   * Pause before a further ping while the server sends neither headers nor data, in milliseconds. Servers of Go, Java
   * and C++ end connections that ping more often than every 300,000. Default: 330,000.
   */
  readonly idleMs: number;
  /** Whether pings are sent every `idleMs` without calls too, which a server must allow. Default: false. */
  readonly withoutCalls: boolean;
  /**
   * Silence after which TCP probes the server, in milliseconds: 10 probes, one each second; 0 for none. It finds servers
   * that are gone while no call waits. Engine `own` alone. Default: 30,000.
   */
  readonly tcpMs: number;
}

/** The defaults of `ClientKeepalive`. */
export const keepaliveDefaults: ClientKeepalive = Object.freeze({
  timeMs: 30_000,
  timeoutMs: 10_000,
  idleMs: 330_000,
  withoutCalls: false,
  tcpMs: 30_000,
});

/**
 * HTTP/2 of a connection. The engine `node` has windows, frames and tables of its own: there `maxHeaderListBytes` and
 * `maxQueuedCalls` alone have an effect.
 */
export interface ClientHttp2Options {
  /** What a server may send of one reply before it is read, from 65,535 to 16 MiB, in bytes. Default: 256 KiB. */
  readonly streamWindowBytes: number;
  /** The largest frame that a server may send, from 16 KiB to 1 MiB, in bytes. Default: 64 KiB. */
  readonly maxFrameBytes: number;
  /** The table for header fields of replies, up to 64 KiB, in bytes; 0 for none. Default: 4,096. */
  readonly headerTableBytes: number;
  /**
   * The most metadata in headers of a reply, and in its trailers, from 1 KiB to 16 MiB, in bytes, with 32 for each
   * field; a call with more ends with RESOURCE_EXHAUSTED. Default: 64 KiB.
   */
  readonly maxHeaderListBytes: number;
  /** Calls that wait for a stream; further ones are UNAVAILABLE. Default: 10,000. */
  readonly maxQueuedCalls: number;
  /** How long a server may take to acknowledge SETTINGS, in milliseconds. Default: 10,000. */
  readonly settingsTimeoutMs: number;
  /** Calls after which a connection is replaced by another, which is ready before. Default: 2^30, all that there can be. */
  readonly maxConnectionStreams: number;
  /**
   * Names of headers that never enter a compression table, beside `authorization`, `cookie`, `set-cookie`,
   * `proxy-authorization` and `x-api-key`. Default: none.
   */
  readonly sensitiveHeaders: readonly string[];
}

/** The defaults of `ClientHttp2Options`. */
export const clientHttp2Defaults: ClientHttp2Options = Object.freeze({
  streamWindowBytes: 256 * 1024,
  maxFrameBytes: 64 * 1024,
  headerTableBytes: 4_096,
  maxHeaderListBytes: 64 * 1024,
  maxQueuedCalls: 10_000,
  settingsTimeoutMs: 10_000,
  maxConnectionStreams: 2 ** 30,
  sensitiveHeaders: Object.freeze([]),
});

/** The largest delay of a timer, in milliseconds. */
const mostMs = 2 ** 31 - 1;

/** The least and the most that an option may be. */
type Range = readonly [least: number, most: number];

const http2Ranges: Readonly<Record<Exclude<keyof ClientHttp2Options, "sensitiveHeaders">, Range>> = {
  streamWindowBytes: [65_535, 16 * 1024 * 1024],
  maxFrameBytes: [16_384, 1024 * 1024],
  headerTableBytes: [0, 64 * 1024],
  maxHeaderListBytes: [1024, 16 * 1024 * 1024],
  maxQueuedCalls: [0, mostMs],
  settingsTimeoutMs: [1, mostMs],
  maxConnectionStreams: [1, 2 ** 30],
};

/** Above the largest delay of a timer there are no pings, as with 0. */
const keepaliveRanges: Readonly<Record<Exclude<keyof ClientKeepalive, "withoutCalls">, Range>> = {
  timeMs: [0, Number.MAX_SAFE_INTEGER],
  timeoutMs: [1, mostMs],
  idleMs: [1, mostMs],
  tcpMs: [0, mostMs],
};

const legalName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/**
 * Checks the groups `keepalive` and `http2` of a connection's options.
 *
 * @param owner what the options are of, for errors
 * @throws SetupError naming the option and what it may be.
 */
export function checkHttp2Options(
  owner: string,
  keepalive: Partial<ClientKeepalive>,
  http2: Partial<ClientHttp2Options>,
): void {
  checkGroup(owner, "keepalive", keepalive, keepaliveDefaults, keepaliveRanges);
  checkGroup(owner, "http2", http2, clientHttp2Defaults, http2Ranges);
  const { withoutCalls } = keepalive;
  if (withoutCalls !== undefined && typeof withoutCalls !== "boolean") {
    throw wrong(owner, "keepalive.withoutCalls", "true or false", withoutCalls);
  }
  const names: unknown = http2.sensitiveHeaders; // Of callers without types.
  if (names === undefined) return;
  if (!Array.isArray(names)) throw wrong(owner, "http2.sensitiveHeaders", "an array of names", names);
  for (const name of names) {
    if (typeof name !== "string" || !legalName.test(name)) {
      throw wrong(owner, "http2.sensitiveHeaders", "an array of names of headers", name);
    }
  }
}

function checkGroup<O extends object>(
  owner: string,
  group: string,
  options: Partial<O>,
  defaults: EveryOption<O>,
  ranges: Readonly<Record<string, Range>>,
): void {
  checkOptions<O>(`${owner}: the option ${group}`, options, defaults);
  for (const [name, [least, most]] of Object.entries(ranges)) {
    const value: unknown = options[name as keyof O]; // The names are those of the group.
    if (value === undefined) continue;
    if (!Number.isInteger(value) || Number(value) < least || Number(value) > most) {
      throw wrong(owner, `${group}.${name}`, `a whole number from ${least} to ${most}`, value);
    }
  }
}

function wrong(owner: string, name: string, expected: string, value: unknown): SetupError {
  return new SetupError(`${owner}: the option ${name} must be ${expected}, not ${show(value)}`);
}
