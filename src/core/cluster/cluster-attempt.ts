import { Code, type ConnectError } from "../errors/errors.ts";
import type { CallHead, Progress } from "../http2/stream-source.ts";
import type { Permit } from "../resilience/breaker.ts";
import { settlePermit } from "./attempt-permit.ts";
import { verdictOf } from "./attempt-verdict.ts";
import type { CalledRpc } from "./called-rpc.ts";
import type { AttemptKind } from "./client-books.ts";
import { CallRecord } from "./client-observer.ts";
import type { PooledConnection } from "./connection-pool.ts";
import type { ClusterEndpoint } from "./endpoint.ts";
import type { LoadedAttempt } from "./endpoint-load.ts";

/** A cluster as attempts see it. */
export interface AttemptHost {
  nowMs(): number;
  /** An attempt has begun. */
  began(kind: AttemptKind): void;
  /** An attempt has ended. */
  ended(): void;
}

/**
 * The attempt of a call that is under way: its endpoint and connection, the permits of breakers, its time limit, and what
 * endpoint, breaker and observers are told of its end. It is the base of its call and not an object of its own, since
 * most calls have one attempt; the call decides when an attempt begins, and what follows its end.
 */
export abstract class ClusterAttempt<Host extends AttemptHost> implements LoadedAttempt {
  readonly rpc: CalledRpc;
  /** When the call began. */
  startedMs: number | undefined;
  beganMs = 0;
  older: LoadedAttempt | undefined;
  newer: LoadedAttempt | undefined;
  protected readonly host: Host;
  protected readonly head: CallHead;
  /** Where the attempt is; undefined without one. */
  protected endpoint: ClusterEndpoint | undefined;
  protected kind: AttemptKind = "first";
  /** Cancels the time limit of an attempt, or the pause before it. */
  protected cancelTimer: (() => void) | undefined;
  /** For observers; undefined without them. */
  protected readonly record: CallRecord | undefined;
  #pooled: PooledConnection | undefined;
  #permit: Permit | undefined;
  /** Whether the attempt is a stream whose headers have come. */
  #isAnswered = false;

  /** @param record of the call; undefined for a new one */
  constructor(host: Host, rpc: CalledRpc, head: CallHead, record: CallRecord | undefined) {
    this.host = host;
    this.rpc = rpc;
    this.head = head;
    if (rpc.share.observers.length > 0) this.record = record ?? new CallRecord();
  }

  get unary(): boolean {
    return this.rpc.isUnary;
  }

  /** Asks the breaker of target or rpc. @throws ConnectError UNAVAILABLE if it refuses the attempt */
  protected acquire(): void {
    this.#permit = this.rpc.limits.breaker?.acquire();
  }

  /** Asks the breaker of the endpoint. @throws ConnectError UNAVAILABLE if it refuses the attempt */
  protected acquireOf(endpoint: ClusterEndpoint): void {
    const { endpointBreakers } = this.rpc.limits;
    if (endpointBreakers !== undefined) this.#permit = endpointBreakers.acquire(endpoint);
  }

  /** The attempt begins on an endpoint. */
  protected occupy(endpoint: ClusterEndpoint, pooled: PooledConnection, nowMs: number): void {
    this.endpoint = endpoint;
    this.#pooled = pooled;
    this.#isAnswered = false;
    pooled.busy++;
    endpoint.load.begin(this, nowMs);
    this.host.began(this.kind);
    this.rpc.books.attempt(this.kind);
    if (this.record !== undefined) this.record.firstMs ??= nowMs;
  }

  /** The headers of a stream have come: its time limit was for them. */
  protected headersCame(nowMs: number): void {
    this.#isAnswered = true;
    this.stopTimer();
    this.endpoint?.load.answered(this, nowMs);
  }

  /**
   * The attempt has ended, if there is one.
   *
   * @param byOwnTimeout whether the policy's own time limit has ended it
   * @param hasReply whether the server has ended it, with a status in trailers
   */
  protected leave(
    error: ConnectError | undefined,
    progress: Progress,
    byOwnTimeout: boolean,
    nowMs: number,
    hasReply = false,
  ): void {
    this.stopTimer();
    this.settle(error, progress, byOwnTimeout);
    const endpoint = this.endpoint;
    const pooled = this.#pooled;
    if (endpoint === undefined || pooled === undefined) return;
    const durationMs = nowMs - this.beganMs;
    const hadMs = error === undefined ? durationMs : Math.min(durationMs, this.#allowedMs);
    this.endpoint = this.#pooled = undefined;
    pooled.busy--;
    pooled.usedMs = nowMs;
    const code = error?.code ?? 0;
    this.record?.attempts.push({ endpoint: endpoint.known.address, kind: this.kind, code, durationMs });
    const verdict = verdictOf(error, progress, hadMs, byOwnTimeout, this.#isAnswered);
    const isLost = code === Code.Unavailable && !hasReply;
    endpoint.end(this, verdict, error === undefined, isLost, nowMs);
    this.host.ended();
  }

  /** Gives back the permit of a breaker. */
  protected settle(error: ConnectError | undefined, progress: Progress, byOwnTimeout: boolean): void {
    const permit = this.#permit;
    if (permit === undefined) return;
    this.#permit = undefined;
    settlePermit(permit, error, progress, byOwnTimeout, this.#allowedMs);
  }

  protected stopTimer(): void {
    if (this.cancelTimer === undefined) return;
    this.cancelTimer();
    this.cancelTimer = undefined;
  }

  /**
   * The time that the caller's deadline left for the attempt, or for the call while it waits for an endpoint. What it took
   * is more where this process stood still.
   */
  get #allowedMs(): number {
    const sinceMs = this.endpoint === undefined ? (this.startedMs ?? 0) : this.beganMs;
    return (this.head.deadline ?? Infinity) - sinceMs;
  }
}
