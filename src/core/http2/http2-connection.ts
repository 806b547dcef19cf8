import { Code, ConnectError } from "../errors/errors.ts";
import { clientTls, type TlsOptionsFor } from "../net/client-tls.ts";
import { ConnectPauses } from "./connect-pauses.ts";
import {
  closed,
  idle,
  steadyMs,
  type Connecting,
  type ConnectionOwner,
  type State,
  type TransientFailure,
} from "./connection-state.ts";
import { CallQueue, type Opener } from "./call-queue.ts";
import type { ClientKeepalive } from "./client-http2-options.ts";
import {
  mergeConnectionOptions,
  type ConnectionInit,
  type MergedConnectionOptions,
} from "./connection-options.ts";
import { connectToAny } from "./connect.ts";
import { countsOf, type UpstreamCounts } from "./http2-counts.ts";
import { errorCode, errorName } from "./http2-error.ts";
import type { Connected, Session, SessionListener, SessionStats } from "./session.ts";
import {
  noTerms,
  type AttemptedCall,
  type Progress,
  type StreamSource,
  type StreamSources,
} from "./stream-source.ts";
import { parseTarget } from "../net/target.ts";
import { systemClock, type Clock } from "../time/clock.ts";

/** The state of a connection: `transient-failure` waits before the next attempt, `closed` is final. */
export type ConnectionState = "idle" | "connecting" | "ready" | "transient-failure" | "closed";

/** Figures of a connection over HTTP/2; those of `SessionStats` are of the connection that is in use now. */
export interface Http2Stats extends SessionStats {
  /** Calls that wait for a stream. */
  readonly queued: number;
  /** GOAWAY frames that the server has sent, on all connections so far. */
  readonly goaways: number;
}

const noSession: SessionStats = Object.freeze({
  streams: 0,
  limit: 0,
  rttMs: undefined,
  sentBytes: 0,
  receivedBytes: 0,
});

/** The longest pause while calls are made, in milliseconds: a server that is reachable again gets traffic soon. */
const callerPauseMs = 500;

/** A connection that ends so long after its last call is made again at once, in milliseconds. */
const recentMs = 10_000;

/** Pause before another attempt to replace a connection that has few streams left, in milliseconds. */
const nextPauseMs = 1_000;

/**
 * A subchannel of gRPC: an HTTP/2 connection to one server, established at the first use and again when it is lost.
 *
 * Calls wait while it connects and while the server's limit of streams is reached. During the pause after a failed
 * attempt they fail at once and shorten the pause. A connection that the server retires (GOAWAY) carries its calls to
 * their end while the next one is in use, which is begun at once if there were calls in the last 10 s. One that runs out of streams is in use until the next one is ready.
 */
export class Connection implements SessionListener, StreamSources, StreamSource {
  readonly terms = noTerms;
  readonly previousAttempts = 0;
  readonly #target: () => string;
  readonly #options: MergedConnectionOptions;
  readonly #tls: TlsOptionsFor | undefined;
  readonly #pauses: ConnectPauses;
  readonly #clock: Clock;
  readonly #owner: ConnectionOwner | undefined;
  #state: State = idle;
  /** The session of the state `ready`: one field to read per call. */
  #session: Session | undefined;
  #authority = "";
  /** When it became ready, by its clock. */
  #readyAt = 0;
  #keepalive: ClientKeepalive;
  readonly #queue: CallQueue;
  #counts: UpstreamCounts | undefined;
  #goaways = 0;
  /** Whether the server has just said that a connection ends without a fault; its retirement follows at once. */
  #isLeaving = false;
  /** The attempt to replace a connection that is in use. */
  #next: Connecting | undefined;
  /** When the next such attempt may begin, by its clock. */
  #nextAfter = 0;
  /** Called at every change of the state. */
  readonly #watchers = new Set<() => void>();

  /**
   * @param target Called before every attempt: `host:port`, `unix:/path` or another name of gRPC.
   * @param random Returns numbers from 0 to 1, for the pauses.
   * @param owner Makes the connection again when it is lost. Default: the next call does.
   * @param clock Times the pauses and the lives of connections; what the engine does on its socket has its own clock.
   * @throws TypeError if the certificates cannot be read or a key is missing.
   */
  constructor(
    target: () => string,
    options: ConnectionInit = {},
    random = Math.random,
    owner?: ConnectionOwner,
    clock: Clock = systemClock,
  ) {
    this.#target = target;
    this.#clock = clock;
    this.#owner = owner;
    this.#options = mergeConnectionOptions(options);
    this.#queue = new CallQueue(this.#options.http2.maxQueuedCalls);
    this.#keepalive = this.#options.keepalive;
    const { tls } = this.#options;
    this.#tls = tls === false ? undefined : clientTls(tls === true ? {} : tls);
    this.#pauses = new ConnectPauses(this.#options.backoff, random);
  }

  get options(): MergedConnectionOptions {
    return this.#options;
  }

  /** Figures of the connection. */
  get stats(): Http2Stats {
    const stats = this.#session?.stats ?? noSession;
    return { ...stats, queued: this.#queue.size, goaways: this.#goaways };
  }

  get secure(): boolean {
    return this.#tls !== undefined;
  }

  /** The state of the connection; reading it starts no attempt. */
  get state(): ConnectionState {
    return this.#state.kind;
  }

  /** Whether a call that begins now gets its stream at once. */
  get hasRoom(): boolean {
    return this.#session?.hasCapacity === true && this.#queue.size === 0;
  }

  /** Why the last attempt failed; undefined if it did not. */
  get failure(): ConnectError | undefined {
    return this.#state.kind === "transient-failure" ? this.#state.error : undefined;
  }

  /** Begins to connect, unless that has begun. A pause after a failed attempt becomes shorter, as by a call. */
  connect(): void {
    if (this.#state.kind === "transient-failure") this.#hasten(this.#state);
    else this.#reconnect();
  }

  /** Opens a stream for `call`, now or later, or refuses it. */
  begin(call: Opener): void {
    const session = this.#session;
    if (session !== undefined && session.hasCapacity && this.#queue.size === 0) {
      call.open(session, this.#authority);
      return;
    }
    if (this.#state.kind === "transient-failure") this.#hasten(this.#state);
    const state = this.#state;
    if (state.kind === "closed") {
      call.refuse(isClosed());
    } else if (state.kind === "transient-failure") {
      call.refuse(state.error);
    } else if (this.#queue.add(call)) {
      this.#reconnect();
    } else {
      const text = `${this.#target()}: ${this.#queue.size} calls wait for a stream`;
      call.refuse(new ConnectError(text, Code.Unavailable));
    }
  }

  /** All calls share the connection as their source. */
  sourceOf(): this {
    return this;
  }

  answered(): void {}

  /** A call that the server has not processed gets a second stream; there is no third. */
  ended(call: AttemptedCall, _error: ConnectError | undefined, progress: Progress): boolean {
    if (progress === "maybe" || call.attempts > 1 || !call.repeatable) return false;
    this.begin(call);
    return true;
  }

  /** Removes `call` from the queue. */
  abandoned(call: Opener): void {
    this.#queue.delete(call);
  }

  /**
   * Connects and resolves as soon as calls can be made.
   *
   * @throws ConnectError UNAVAILABLE if `signal` fires before, or the connection is closed.
   */
  ready(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        this.#watchers.delete(check);
        signal?.removeEventListener("abort", aborted);
      };
      const aborted = (): void => {
        settle();
        const text = "not connected in time";
        reject(new ConnectError(text, Code.Unavailable, undefined, undefined, signal?.reason));
      };
      const check = (): void => {
        const state = this.#state;
        const { kind } = state;
        if (kind === "ready") {
          settle();
          resolve();
        } else if (kind === "closed") {
          settle();
          reject(isClosed());
        } else if (kind === "idle") {
          try {
            this.#connect();
          } catch (error) {
            settle();
            reject(toUnavailable(error));
          }
        } else if (kind === "transient-failure") {
          this.#hasten(state);
          if (this.#state === state) this.#hold(state);
        }
      };
      if (signal?.aborted === true) {
        aborted();
        return;
      }
      signal?.addEventListener("abort", aborted, { once: true });
      this.#watchers.add(check);
      check();
    });
  }

  /** Calls `fn` at every change of the state. @returns a function that ends that */
  onChange(fn: () => void): () => void {
    this.#watchers.add(fn);
    return () => this.#watchers.delete(fn);
  }

  /** Closes the connection: calls in flight are completed, new ones are UNAVAILABLE. Idempotent. */
  close(): void {
    const state = this.#state;
    if (state.kind === "closed") return;
    this.#become(closed);
    this.#next?.controller.abort(isClosed());
    if (state.kind === "ready") state.session.close();
    else if (state.kind === "connecting") state.controller.abort(isClosed());
    else if (state.kind === "transient-failure") state.cancel();
    this.#queue.refuse(isClosed());
  }

  onCapacity(): void {
    this.#owner?.roomMade();
    for (let call = this.#queue.first; call !== undefined; call = this.#queue.first) {
      const session = this.#session;
      if (session === undefined || !session.hasCapacity) return;
      this.#queue.delete(call);
      call.open(session, this.#authority);
    }
  }

  onRetired(session: Session): void {
    const isLeaving = this.#isLeaving;
    this.#isLeaving = false;
    if (this.#session !== session) return;
    const next = this.#next;
    if (next !== undefined) {
      this.#next = undefined;
      this.#become(next); // It is on its way, and now calls wait for it.
      return;
    }
    if (this.#wasGood(session, isLeaving)) {
      this.#pauses.reset();
    } else if (this.#pauses.hasFailures) {
      const when = this.#owner === undefined ? "before it answers a call" : "after a short time";
      const text = `the server ends its connections ${when}`;
      this.#fail(new ConnectError(text, Code.Unavailable), false);
      return;
    } else if (this.#owner !== undefined || session.used || this.#queue.size > 0) {
      this.#pauses.countFailure(); // The next attempt is made at once; one more such end is a failed attempt.
    }
    this.#become(idle);
    if (this.#queue.size > 0 || (this.#owner === undefined && this.#isInUse(session))) this.#reconnect();
  }

  onGoaway(code: number): void {
    this.#goaways++;
    this.#isLeaving = code === errorCode.noError;
    const goaways = this.#counts?.goaways;
    const name = errorName(code);
    goaways?.set(name, (goaways.get(name) ?? 0) + 1);
  }

  onTooManyPings(): void {
    const { timeMs, idleMs } = this.#keepalive;
    this.#keepalive = { ...this.#keepalive, timeMs: timeMs * 2, idleMs: idleMs * 2 };
  }

  onAging(session: Session): void {
    if (this.#session !== session || this.#next !== undefined) return;
    if (this.#clock.nowMs() < this.#nextAfter) return;
    try {
      this.#next = this.#attempt();
    } catch {
      // The connection in use still has streams; one that has none left begins the usual attempts.
    }
  }

  /**
   * Whether a connection that has ended was of use, so that earlier failures are forgotten. Of an owner that is one of some
   * age: a server that says that it ends connections, as by their age, has to keep them for the first pause at least.
   */
  #wasGood(session: Session, isLeaving: boolean): boolean {
    if (this.#owner === undefined) return session.answered;
    const leastMs = isLeaving && session.answered ? this.#options.backoff.initialMs : steadyMs;
    return this.#clock.nowMs() - this.#readyAt >= leastMs;
  }

  /** Whether calls run on a connection, or ran a short time ago: the next ones shall find another one ready. */
  #isInUse({ stats, quietSince }: Session): boolean {
    return stats.streams > 0 || (quietSince > 0 && this.#clock.nowMs() - quietSince < recentMs);
  }

  /** Connects for calls that wait, or are expected. */
  #reconnect(): void {
    try {
      this.#connect();
    } catch (error) {
      this.#queue.refuse(toUnavailable(error));
    }
  }

  /** Begins an attempt to connect, unless one is in progress or a connection exists. */
  #connect(): void {
    if (this.#state.kind === "idle") this.#become(this.#attempt());
  }

  /** Begins an attempt to connect. @throws an error of the target's name */
  #attempt(): Connecting {
    const name = this.#target();
    const target = parseTarget(name);
    this.#counts = countsOf(this.#owner?.upstream ?? name);
    this.#queue.countIn(this.#counts);
    const { authority, background, connectBy, connectTimeoutMs: timeoutMs, engine, http2 } = this.#options;
    this.#authority = authority ?? target.authority;
    const controller = new AbortController();
    const attempt: Connecting = { kind: "connecting", controller };
    const { signal } = controller;
    const options = { tls: this.#tls, timeoutMs, signal, keepalive: this.#keepalive, http2, background };
    connectToAny(target, engine, options, connectBy).then(
      (connected) => this.#onConnected(attempt, connected),
      (error: unknown) => this.#onFailed(attempt, toUnavailable(error)),
    );
    return attempt;
  }

  #onConnected(attempt: Connecting, connected: Connected): void {
    const replaced = this.#next === attempt ? this.#session : undefined;
    if (replaced !== undefined) this.#next = undefined;
    else if (this.#state !== attempt) {
      connected.destroy();
      return;
    }
    this.#readyAt = this.#clock.nowMs();
    this.#become({ kind: "ready", session: connected.start(this) });
    if (replaced !== undefined) {
      replaced.close();
      this.#owner?.replaced();
    }
    if (this.#owner === undefined && this.#session?.answered === true) this.#pauses.reset();
    this.onCapacity();
  }

  #onFailed(attempt: Connecting, error: ConnectError): void {
    if (this.#next === attempt) {
      this.#next = undefined;
      this.#nextAfter = this.#clock.nowMs() + nextPauseMs;
    }
    if (this.#state === attempt) this.#fail(error, true);
  }

  /** @param hasty Whether calls shorten the pause. */
  #fail(error: ConnectError, hasty: boolean): void {
    const since = this.#clock.nowMs();
    const until = since + this.#pauses.afterFailureMs();
    const cancel = this.#retryAt(until, false);
    this.#become({ kind: "transient-failure", error, hasty, since, until, isHeld: false, cancel });
    this.#queue.refuse(error);
  }

  /** @param keepsProcess whether the process stays alive for it */
  #retryAt(until: number, keepsProcess: boolean): () => void {
    const delayMs = Math.max(0, until - this.#clock.nowMs());
    return this.#clock.after(delayMs, () => this.#retry(), keepsProcess);
  }

  /** The process stays alive until the end of the pause. */
  #hold(state: TransientFailure): void {
    if (state.isHeld) return;
    state.isHeld = true;
    state.cancel();
    state.cancel = this.#retryAt(state.until, true);
  }

  #retry(): void {
    this.#become(idle);
    if (this.#owner === undefined) this.#reconnect();
  }

  /** A call was made: the pause ends `callerPauseMs` after its begin, or at once if that is over. */
  #hasten(state: TransientFailure): void {
    if (!state.hasty) return;
    const until = state.since + callerPauseMs;
    if (until >= state.until) return;
    state.until = until;
    state.cancel();
    if (until <= this.#clock.nowMs()) this.#retry();
    else state.cancel = this.#retryAt(until, state.isHeld);
  }

  #become(state: State): void {
    this.#state = state;
    this.#session = state.kind === "ready" ? state.session : undefined;
    for (const check of [...this.#watchers]) check();
    this.#owner?.changed();
  }
}

function isClosed(): ConnectError {
  return new ConnectError("the connection is closed", Code.Unavailable);
}

function toUnavailable(error: unknown): ConnectError {
  if (error instanceof ConnectError) return error;
  return new ConnectError("no connection to the server", Code.Unavailable, undefined, undefined, error);
}
