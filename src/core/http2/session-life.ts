import type { Socket } from "node:net";
import { http2Counts, type ConnectionEnd } from "./http2-counts.ts";
import type { SessionLifeOptions } from "./server-session-options.ts";

/** What the clock of a connection asks its session. */
export interface LivingSession {
  /** Whether streams are open. */
  readonly isBusy: boolean;
  /** Asks the client to go elsewhere; the connection closes with its last stream. */
  drain(cause: ConnectionEnd): void;
  /** Ends the connection at once. */
  cut(cause: ConnectionEnd): void;
  /** Pings the client. */
  probe(): void;
}

/** Node's longest timer, in milliseconds. */
const longest = 2 ** 31 - 1;

/**
 * The clock of one connection of a server: the time for its handshake, pings that find a client that is gone, and the
 * limits of silence, of idleness and of age. None of its timers is touched per stream.
 */
export class SessionLife {
  readonly #socket: Socket;
  readonly #session: LivingSession;
  readonly #options: SessionLifeOptions;
  #handshake: NodeJS.Timeout | undefined;
  #pulse: NodeJS.Timeout | undefined;
  #idle: NodeJS.Timeout | undefined;
  #age: NodeJS.Timeout | undefined;
  /** When the last stream was closed. */
  #idleSince = performance.now();
  readonly #watchesIdle: boolean;

  constructor(socket: Socket, options: SessionLifeOptions, session: LivingSession) {
    this.#socket = socket;
    this.#session = session;
    this.#options = options;
    const { handshakeTimeoutMs, keepAliveTimeoutMs, maxConnectionIdleMs = Infinity } = options;
    this.#handshake = setTimeout(() => session.cut("timeout"), handshakeTimeoutMs);
    if (keepAliveTimeoutMs < Infinity) socket.setTimeout(keepAliveTimeoutMs, this.#onSilence);
    this.#watchesIdle = maxConnectionIdleMs < Infinity;
    if (this.#watchesIdle) this.#lookIdle(maxConnectionIdleMs, maxConnectionIdleMs);
    this.#watchAge(options);
    this.#watchPulse(options);
  }

  /** The client's preface and SETTINGS have come. */
  greeted(): void {
    clearTimeout(this.#handshake);
    this.#handshake = undefined;
  }

  /** The last stream was closed. */
  idle(): void {
    if (this.#watchesIdle) this.#idleSince = performance.now();
  }

  /** The connection is gone. */
  end(): void {
    for (const timer of [this.#handshake, this.#pulse, this.#idle, this.#age]) clearTimeout(timer);
  }

  readonly #onSilence = (): void => {
    if (!this.#session.isBusy) this.#session.drain("idle");
  };

  #lookIdle(afterMs: number, limitMs: number): void {
    this.#idle = setTimeout(
      () => {
        const left = this.#idleSince + limitMs - performance.now();
        if (this.#session.isBusy) this.#lookIdle(limitMs, limitMs);
        else if (left > 0) this.#lookIdle(left, limitMs);
        else this.#session.drain("idle");
      },
      Math.min(afterMs, longest),
    ).unref();
  }

  #watchAge({ maxConnectionAgeMs: mean = Infinity, maxConnectionAgeGraceMs = Infinity }: SessionLifeOptions) {
    if (mean === Infinity) return;
    // Connections that were made together do not all end together.
    const ageMs = mean * (0.9 + Math.random() / 5);
    this.#age = setTimeout(
      () => {
        this.#session.drain("age");
        if (maxConnectionAgeGraceMs === Infinity) return;
        this.#age = setTimeout(() => this.#session.cut("age"), maxConnectionAgeGraceMs).unref();
      },
      Math.min(ageMs, longest),
    ).unref();
  }

  #watchPulse({ heartbeatMs, keepaliveTimeMs, keepaliveTimeoutMs = heartbeatMs }: SessionLifeOptions): void {
    const silenceMs = keepaliveTimeMs ?? heartbeatMs / 2;
    if (silenceMs > 0 && silenceMs < Infinity) this.#listen(silenceMs, keepaliveTimeoutMs);
  }

  /** Any byte is a sign of life. */
  #listen(silenceMs: number, answerMs: number): void {
    const before = this.#socket.bytesRead;
    this.#pulse = setTimeout(
      () => {
        const isDue = this.#options.keepaliveTimeMs !== undefined || this.#session.isBusy;
        if (!isDue || this.#socket.bytesRead !== before) {
          this.#listen(silenceMs, answerMs);
          return;
        }
        this.#session.probe();
        this.#pulse = setTimeout(() => {
          if (this.#socket.bytesRead !== before) {
            this.#listen(silenceMs, answerMs);
            return;
          }
          http2Counts.server.pings.unanswered++;
          this.#session.cut("timeout");
        }, answerMs).unref();
      },
      Math.min(silenceMs, longest),
    ).unref();
  }
}
