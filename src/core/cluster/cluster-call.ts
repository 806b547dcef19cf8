import type { ConnectError } from "../errors/errors.ts";
import { Code } from "../errors/errors.ts";
import type { AttemptedCall, Progress, StreamSource } from "../http2/stream-source.ts";
import type { AttemptKind, RpcBooks } from "./client-books.ts";
import type { PooledConnection } from "./connection-pool.ts";
import type { ClusterEndpoint } from "./endpoint.ts";
import type { LoadedAttempt, Verdict } from "./endpoint-load.ts";

/** A cluster as its calls see it. */
export interface ClusterHost {
  nowMs(): number;
  /** Begins an attempt of the call on some endpoint, now or later, or refuses the call. */
  place(call: ClusterCall): void;
  /** The call does not wait any more. */
  forget(call: ClusterCall): void;
  /** An attempt has begun, or ended. */
  count(change: 1 | -1): void;
}

/** Codes that speak against the endpoint; deadlines do after a while. */
const failures: ReadonlySet<Code> = new Set([
  Code.Unavailable,
  Code.ResourceExhausted,
  Code.Internal,
  Code.Unknown,
  Code.DataLoss,
]);

/** A deadline that passes sooner says nothing about the endpoint, in milliseconds. */
const leastDeadlineMs = 1_000;

/** One call of a cluster: its attempts, one after the other. */
export class ClusterCall implements StreamSource, LoadedAttempt {
  readonly unary: boolean;
  /** When the call began. */
  startedMs: number | undefined;
  beganMs = 0;
  older: LoadedAttempt | undefined;
  newer: LoadedAttempt | undefined;
  /** Endpoints of attempts before, which further ones avoid. */
  tried: ClusterEndpoint[] | undefined;
  /** Hash of what the call belongs to; undefined for nothing. */
  key: number | undefined;
  /** Reads that; undefined for clusters that do not choose by it. */
  keyOf: ((call: AttemptedCall) => number | undefined) | undefined;
  readonly #host: ClusterHost;
  readonly #books: RpcBooks;
  #call: AttemptedCall | undefined;
  /** Where the attempt is; undefined without one. */
  #endpoint: ClusterEndpoint | undefined;
  #pooled: PooledConnection | undefined;
  #kind: AttemptKind = "first";
  /** Whether a server has refused the call unprocessed. */
  #refused = false;

  constructor(host: ClusterHost, books: RpcBooks, unary: boolean) {
    this.#host = host;
    this.#books = books;
    this.unary = unary;
  }

  begin(call: AttemptedCall): void {
    this.#call = call;
    this.key = this.keyOf?.(call);
    this.#host.place(this);
  }

  /** Begins an attempt. */
  start(endpoint: ClusterEndpoint, pooled: PooledConnection, nowMs: number): void {
    const call = this.#call;
    if (call === undefined) return; // Not so: only calls that have begun are placed.
    this.#endpoint = endpoint;
    this.#pooled = pooled;
    pooled.busy++;
    endpoint.load.begin(this, nowMs);
    this.#host.count(1);
    this.#books.attempt(this.#kind);
    pooled.connection.begin(call);
  }

  refuse(error: ConnectError): void {
    this.#call?.refuse(error);
  }

  answered(): void {
    if (!this.unary) this.#endpoint?.load.answered(this, this.#host.nowMs());
  }

  ended(call: AttemptedCall, error: ConnectError | undefined, progress: Progress): boolean {
    const nowMs = this.#host.nowMs();
    const endpoint = this.#endpoint;
    this.#end(verdictOf(error, progress, nowMs - this.beganMs), error === undefined, nowMs);
    if (endpoint === undefined || !call.repeatable || !this.#mayRepeat(progress)) {
      this.#books.finished(error?.code ?? 0, nowMs - (this.startedMs ?? nowMs));
      return false;
    }
    (this.tried ??= []).push(endpoint);
    this.#kind = "transparent";
    this.#host.place(this);
    return true;
  }

  abandoned(_call: AttemptedCall, reason: ConnectError): void {
    const nowMs = this.#host.nowMs();
    this.#host.forget(this);
    this.#end(verdictOf(reason, "maybe", nowMs - this.beganMs), false, nowMs);
    this.#books.finished(reason.code, nowMs - (this.startedMs ?? nowMs));
  }

  /** What was never sent is sent again until the deadline; what a server has refused, once. */
  #mayRepeat(progress: Progress): boolean {
    if (progress !== "unprocessed" || this.#refused) return progress === "unsent";
    this.#refused = true;
    return true;
  }

  #end(verdict: Verdict, ok: boolean, nowMs: number): void {
    const endpoint = this.#endpoint;
    const pooled = this.#pooled;
    if (endpoint === undefined || pooled === undefined) return;
    this.#endpoint = this.#pooled = undefined;
    pooled.busy--;
    pooled.usedMs = nowMs;
    endpoint.end(this, verdict, ok, nowMs);
    this.#host.count(-1);
  }
}

/** A caller that cancels says nothing about the endpoint, and what it has refused or ended unread is no outage. */
function verdictOf(error: ConnectError | undefined, progress: Progress, tookMs: number): Verdict {
  if (progress === "unsent") return "nothing";
  if (error === undefined) return "success";
  if (error.code === Code.Canceled) return "nothing";
  if (error.code === Code.DeadlineExceeded) return tookMs >= leastDeadlineMs ? "outage" : "nothing";
  if (error.code === Code.Unavailable && progress === "maybe") return "outage";
  return failures.has(error.code) ? "failure" : "success";
}
