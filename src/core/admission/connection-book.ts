import type { DescMethod, Registry } from "@bufbuild/protobuf";
import type { BookedConnection } from "../call/booked-connection.ts";
import type { ConnectError } from "../errors/errors.ts";
import type { Gate } from "./gate.ts";

/** A WebSocket that is about to be opened. */
export interface SocketOpening {
  /** Address of the client; empty where it has none. */
  readonly address: string;
  /** What the client calls itself; empty where it does not say. */
  readonly userAgent: string;
  /** The one rpc that the socket is for; undefined where it carries calls of several. */
  readonly method: DescMethod | undefined;
  /** How many bytes were sent to the client. */
  readonly sentBytes: () => number;
  /** How many bytes wait to be sent. */
  readonly waitingBytes: () => number;
  /** Ends the calls of the socket with an error, and closes it. */
  readonly close: (error: ConnectError) => void;
}

/** When clients of WebSockets for many calls are told something without being asked. */
export interface LiveTimes {
  /** The silence behind which they get a sign of life, in milliseconds. */
  readonly beatMs: number;
  /** How long before their identity ends they are told so, in milliseconds. */
  readonly expiryNoticeMs: number;
}

/** Those of servers without a hub. */
export const liveTimes: LiveTimes = Object.freeze({ beatMs: 25_000, expiryNoticeMs: 30_000 });

/** What servers tell a hub of live connections, and ask it. A `Hub` of `ts-ms/hub` is one. */
export interface ConnectionBook {
  /** A server begins to use the book. */
  attach(): ServerBook;
  /** Types that messages of any type may be of, at any time. */
  readonly types?: Registry;
}

/**
 * The connections of one server in the book of a hub.
 *
 * A streaming call becomes a connection where the gate admits it, and is none any more when its context ends. A
 * WebSocket is one connection from `openSocket` to `closed`; its calls have it as `CallContext.connection` before they
 * come to the gate.
 */
export interface ServerBook extends LiveTimes {
  /** Enters streaming calls, or refuses them. Servers ask it behind all other gates; unary rpcs do not concern it. */
  readonly gate: Gate;
  /** @throws ConnectError by which the handshake is refused */
  openSocket(opening: SocketOpening): BookedConnection;
  /** The server serves. */
  started(): void;
  /**
   * The server stops: no connections are taken any more, and those that read topics end one after the other.
   *
   * @param graceMs how long calls may continue, in milliseconds
   */
  drain(graceMs: number): void;
  /** The server has stopped: nothing of it is open any more. The hub stops behind the last server. */
  stopped(): void;
}
