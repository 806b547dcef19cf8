import {
  constants,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Duplex } from "node:stream";
import { identityOf, type PeerIdentity } from "../metadata/peer-identity.ts";
import { StreamTurns } from "./stream-turns.ts";

/** Limits of one HTTP/2 connection. */
export interface SessionLimitOptions {
  /** Time for the client's connection preface and SETTINGS, in milliseconds. */
  readonly handshakeTimeoutMs: number;
  /** Shortest time between two pings of a client while the server sends nothing, in milliseconds. */
  readonly minPingIntervalMs: number;
  /** Memory that the connection may hold, in bytes, before Node refuses its streams. */
  readonly maxSessionMemoryBytes: number;
  /** Streams that are served at a time; further ones wait. */
  readonly maxConcurrentStreams: number;
}

/** Serves streams of HTTP/2 connections that somebody else has accepted. */
export interface StreamServer {
  /** @param session what watches over the stream's connection */
  acceptStream(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    flags: number,
    rawHeaders: string[],
    session: SessionLimits,
  ): void;
}

/** Pings that come too early before the connection is closed, as in all gRPC servers. */
const maxPingStrikes = 2;

const pingFrameBytes = 17;

/**
 * Watches over one HTTP/2 connection: closes it when the client does not begin to speak HTTP/2 in time, or pings
 * too often (GOAWAY ENHANCE_YOUR_CALM, "too_many_pings"; gRFC A8); lets the client go elsewhere (GOAWAY NO_ERROR) when
 * Node would soon refuse its streams without a reason.
 */
export class SessionLimits {
  /** Who the client is; undefined for nobody who is known. */
  readonly peer: PeerIdentity | undefined;
  /** Which of its streams are served now. */
  readonly turns: StreamTurns;
  readonly #session: ServerHttp2Session;
  readonly #connection: Duplex | undefined;
  readonly #minPingIntervalMs: number;
  readonly #maxLostBytes: number;
  #lostBytes = 0;
  #lastPing = -Infinity;
  #strikes = 0;
  /** Bytes that the connection had sent when `#pings` was 0. */
  #sentBytes = 0;
  /** Pings since then, each of which is answered by one frame. */
  #pings = 0;

  /** @param connection what the session runs on, for `cut` */
  constructor(session: ServerHttp2Session, limits: SessionLimitOptions, connection?: Duplex) {
    this.peer = identityOf(connection ?? session.socket);
    this.turns = new StreamTurns(limits.maxConcurrentStreams);
    this.#session = session;
    this.#connection = connection;
    this.#minPingIntervalMs = limits.minPingIntervalMs;
    this.#maxLostBytes = limits.maxSessionMemoryBytes / 2;
    const timer = setTimeout(() => session.destroy(), limits.handshakeTimeoutMs);
    const done = (): void => clearTimeout(timer);
    session.once("remoteSettings", done);
    session.once("close", done);
    session.on("ping", this.#onPing);
  }

  /** The server sends something: pings so far are forgiven. */
  active(): void {
    this.#strikes = 0;
    this.#lastPing = -Infinity;
  }

  /**
   * A stream has closed. What it had still to send, `bytes` at most, stays in Node's count of the connection's memory
   * for ever when it was reset; so the connection is not used for new streams before that refuses them.
   */
  closed(stream: ServerHttp2Stream, bytes: number): void {
    if ((stream.rstCode ?? 0) === constants.NGHTTP2_NO_ERROR || stream.writableFinished) return;
    this.#lostBytes += bytes;
    if (this.#lostBytes > this.#maxLostBytes && !this.#session.closed) this.#session.close();
  }

  /** Cuts the connection, even if the session waits for its client to hang up. */
  cut(): void {
    this.#session.destroy();
    this.#connection?.destroy();
  }

  /**
   * Whether anything but answers to pings was sent since the last ping: clients measure the connection with pings while
   * a large message comes.
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
    const early = now - this.#lastPing < this.#minPingIntervalMs;
    this.#lastPing = now;
    if (!early || ++this.#strikes <= maxPingStrikes || this.#session.destroyed) return;
    this.#session.off("ping", this.#onPing);
    this.#session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM, undefined, Buffer.from("too_many_pings"));
    setImmediate(() => this.#session.destroy());
  };
}
