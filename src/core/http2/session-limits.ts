import {
  constants,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Duplex } from "node:stream";
import { identityOf, type PeerIdentity } from "../metadata/peer-identity.ts";
import type { IncomingRequest } from "./incoming-request.ts";
import type { ServerStream } from "./server-stream.ts";
import { idlePingIntervalMs } from "./ping-strikes.ts";
import { StreamTurns } from "./stream-turns.ts";

/** Limits of one HTTP/2 connection. */
export interface SessionLimitOptions {
  /** Time for the client's connection preface and SETTINGS, in milliseconds. */
  readonly handshakeTimeoutMs: number;
  /** Shortest time between two pings of a client while the server sends nothing, in milliseconds. */
  readonly minPingIntervalMs: number;
  /** Whether a client without calls may send pings as often; else once in two hours. Default: true. */
  readonly pingsWithoutCalls?: boolean;
  /** Memory that the connection may hold, in bytes, before Node refuses its streams. */
  readonly maxSessionMemoryBytes: number;
  /** Streams that are served at the same time; further ones wait. */
  readonly maxConcurrentStreams: number;
}

/** A connection of our own engine that another server has accepted. */
export interface GuestClient {
  /** The verified identity of the client; undefined for an anonymous one. */
  readonly peer: PeerIdentity | undefined;
  /** The connection, after the handshake of TLS if there was one. */
  readonly socket: Duplex;
  /** Resolves when the connection is gone. */
  readonly closed: Promise<void>;
  /** Closes the connection at once. */
  cut(): void;
}

/** Serves streams of HTTP/2 connections that another server has accepted. */
export interface StreamServer {
  /**
   * Serves a stream of our own engine; undefined where only those of `node:http2` can be served.
   *
   * @param client the same object for all streams of a connection
   */
  acceptOwnStream?(stream: ServerStream, request: IncomingRequest, client: GuestClient): void;
  /**
   * Serves a stream of `node:http2`.
   *
   * @param session limits and state of the stream's connection
   */
  acceptStream(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    flags: number,
    rawHeaders: string[],
    session: SessionLimits,
  ): void;
}

/** Early pings that are tolerated before the connection is closed, as in all gRPC servers. */
const maxPingStrikes = 2;

const pingFrameBytes = 17;

/**
 * Enforces the limits of one HTTP/2 connection. Closes it when the client sends no HTTP/2 preface in time or pings too
 * often (GOAWAY ENHANCE_YOUR_CALM, "too_many_pings"; gRFC A8). Asks the client to reconnect (GOAWAY NO_ERROR) before
 * Node's memory count makes Node refuse streams.
 */
export class SessionLimits {
  /** The identity of the client; undefined for an anonymous one. */
  readonly peer: PeerIdentity | undefined;
  /** Decides which streams are served and which wait. */
  readonly turns: StreamTurns;
  readonly #session: ServerHttp2Session;
  readonly #connection: Duplex | undefined;
  readonly #minPingIntervalMs: number;
  readonly #mayNotPingIdle: boolean;
  readonly #maxLostBytes: number;
  #lostBytes = 0;
  #lastPing = -Infinity;
  #strikes = 0;
  /** Bytes sent on the connection when `#pings` was last set to 0. */
  #sentBytes = 0;
  /** Pings received since then; each is answered by one frame. */
  #pings = 0;

  /** @param connection the connection below the session, for `cut` */
  constructor(session: ServerHttp2Session, limits: SessionLimitOptions, connection?: Duplex) {
    this.peer = identityOf(connection ?? session.socket);
    this.turns = new StreamTurns(limits.maxConcurrentStreams);
    this.#session = session;
    this.#connection = connection;
    this.#minPingIntervalMs = limits.minPingIntervalMs;
    this.#mayNotPingIdle = limits.pingsWithoutCalls === false;
    this.#maxLostBytes = limits.maxSessionMemoryBytes / 2;
    const timer = setTimeout(() => session.destroy(), limits.handshakeTimeoutMs);
    const done = (): void => clearTimeout(timer);
    session.once("remoteSettings", done);
    session.once("close", done);
    session.on("ping", this.#onPing);
  }

  /** The server sends data or headers: earlier pings no longer count as strikes. */
  active(): void {
    this.#strikes = 0;
    this.#lastPing = -Infinity;
  }

  /**
   * A stream has closed. Node never subtracts the unsent bytes of a reset stream, at most `bytes`, from its count of
   * the connection's memory; so the connection is closed for new streams before that count makes Node refuse them.
   */
  closed(stream: ServerHttp2Stream, bytes: number): void {
    if ((stream.rstCode ?? 0) === constants.NGHTTP2_NO_ERROR || stream.writableFinished) return;
    this.#lostBytes += bytes;
    if (this.#lostBytes > this.#maxLostBytes && !this.#session.closed) this.#session.close();
  }

  /** Destroys the connection, even if the session still waits for its client to disconnect. */
  cut(): void {
    this.#session.destroy();
    this.#connection?.destroy();
  }

  /**
   * Whether bytes other than ping acknowledgements were sent since the last ping: clients measure the bandwidth-delay
   * product with pings while they receive a large message.
   */
  #hasSent(): boolean {
    const { bytesWritten } = this.#session.socket;
    if (bytesWritten <= this.#sentBytes + this.#pings * pingFrameBytes) return false;
    this.#sentBytes = bytesWritten;
    this.#pings = 0;
    return true;
  }

  readonly #onPing = (): void => {
    if (this.#session.destroyed) return;
    if (this.#hasSent()) this.active();
    this.#pings++;
    const now = performance.now();
    const isIdle = this.#mayNotPingIdle && this.turns.isEmpty;
    const early = now - this.#lastPing < (isIdle ? idlePingIntervalMs : this.#minPingIntervalMs);
    this.#lastPing = now;
    if (!early || ++this.#strikes <= maxPingStrikes || this.#session.destroyed) return;
    this.#session.off("ping", this.#onPing);
    this.#session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM, undefined, Buffer.from("too_many_pings"));
    setImmediate(() => this.#session.destroy());
  };
}
