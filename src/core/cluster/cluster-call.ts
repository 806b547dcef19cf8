import { Code, ConnectError } from "../errors/errors.ts";
import { markSpent } from "../errors/spent-retries.ts";
import type { ReplyFields } from "../http2/reply-status.ts";
import type {
  AttemptedCall,
  AttemptTerms,
  CallHead,
  KeptRequests,
  Progress,
  StreamSource,
} from "../http2/stream-source.ts";
import { pushbackHeader } from "../metadata/retry-headers.ts";
import { pushbackOfReply, type Pushback } from "../resilience/pushback.ts";
import type { Retries } from "../resilience/retry.ts";
import type { HedgeBooks } from "../resilience/hedge.ts";
import { CallEntry } from "./call-entry.ts";
import { reportCall } from "./call-report.ts";
import type { PickRequest } from "./candidates.ts";
import type { HedgeGroup, HedgedAttempt } from "./hedge-group.ts";
import { hedgeGroup } from "./hedged-call.ts";
import type { CalledRpc } from "./called-rpc.ts";
import type { CallRecord } from "./client-observer.ts";
import { ClusterAttempt, type AttemptHost } from "./cluster-attempt.ts";
import type { PooledConnection } from "./connection-pool.ts";
import type { ClusterEndpoint } from "./endpoint.ts";

/** A cluster as its calls see it. */
export interface ClusterHost extends AttemptHost {
  /** Begins an attempt of the call on some endpoint, now or later, or refuses it. */
  place(call: ClusterCall): void;
  /** Whether the call may go to an endpoint that it has not tried. */
  hasUntried(request: PickRequest): boolean;
  /** The call does not wait any more. */
  forget(call: ClusterCall): void;
}

/** An attempt among several of one call. */
interface HedgePlace {
  readonly group: HedgeGroup;
  /** Attempts before it. */
  readonly previous: number;
  readonly startedMs: number | undefined;
  readonly hasOwnDeadline: boolean;
  readonly record: CallRecord | undefined;
}

/** How an attempt has failed. */
interface Failure {
  readonly error: ConnectError;
  readonly progress: Progress;
  /** What the server says about a retry. Default: nothing. */
  readonly pushback?: Pushback;
  /** Whether the policy's own limit of an attempt has ended it. Default: false. */
  readonly timedOut?: boolean;
}

/**
 * One call of a cluster: its attempts, one after the other. Outermost first: the timeout, a place among the calls under
 * way, retries, the breaker, an endpoint. In the order of its steps: `begin`, `#enter` (`CallEntry`), `#attempt`, which asks
 * the breaker, `start` on an endpoint, `answered`; then `ended`, `#expire` or `abandoned`, which tell endpoint and breaker by
 * `leave` (`ClusterAttempt`); `#repeats` decides on a further attempt, and `#finish` is the last (`reportCall`). Attempts
 * side by side are `ClusterCall`s of one `HedgeGroup`.
 */
export class ClusterCall extends ClusterAttempt<ClusterHost> implements StreamSource, HedgedAttempt {
  /** Endpoints of attempts before, which further ones avoid. */
  tried: ClusterEndpoint[] | undefined;
  /** Hash of what the call belongs to; undefined for nothing. */
  key: number | undefined;
  /** Reads that; undefined for clusters that do not choose by it. */
  keyOf: ((call: AttemptedCall) => number | undefined) | undefined;
  /** Whether the policy's timeout is the deadline. */
  readonly #hasOwnDeadline: boolean;
  #call: AttemptedCall | undefined;
  #isOver = false;
  /** Undefined before the first failure. */
  #retries: Retries | undefined;
  /** Undefined where nothing stands before the first attempt. */
  #entry: CallEntry | undefined;
  /** The attempts that run side by side, of which this is one; undefined without hedging. */
  #group: HedgeGroup | undefined;
  readonly #previous: number;

  /** @param hedge what it is one of several attempts of; undefined for the first */
  constructor(host: ClusterHost, rpc: CalledRpc, head: CallHead, hedge?: HedgePlace) {
    super(host, rpc, head, hedge?.record);
    this.#previous = hedge?.previous ?? 0;
    this.#hasOwnDeadline =
      hedge?.hasOwnDeadline ?? (rpc.timeoutMs !== undefined && limits(head, rpc.timeoutMs));
    if (hedge === undefined) return;
    this.#group = hedge.group;
    this.tried = hedge.group.tried;
    this.kind = "hedge";
    this.startedMs = hedge.startedMs;
  }

  get terms(): AttemptTerms {
    return this.rpc;
  }

  get previousAttempts(): number {
    return this.#previous + (this.#retries === undefined ? 0 : this.#retries.attempts - 1);
  }

  /** Whether the call may go to an endpoint; undefined for any. */
  get mayUse(): ((endpoint: ClusterEndpoint) => boolean) | undefined {
    return this.rpc.mayUse;
  }

  keptRequests(): KeptRequests {
    return this.rpc.keptRequests();
  }

  begin(call: AttemptedCall): void {
    this.#call = call;
    this.key ??= this.keyOf?.(call);
    if (this.#group !== undefined) {
      this.#attempt();
      return;
    }
    const { hedging } = this.rpc;
    if (hedging !== undefined && this.head.isShadow !== true) this.#group = this.#toGroup(call, hedging);
    if (this.rpc.isGuarded) this.#enter(call);
    else this.host.place(this);
  }

  /** Begins an attempt. */
  start(endpoint: ClusterEndpoint, pooled: PooledConnection, nowMs: number): void {
    const call = this.#call;
    if (call === undefined) return;
    try {
      this.acquireOf(endpoint);
    } catch (error) {
      this.refuseOpen(error);
      return;
    }
    this.occupy(endpoint, pooled, nowMs);
    this.#group?.began(endpoint, nowMs);
    const { attemptTimeoutMs, share } = this.rpc;
    if (attemptTimeoutMs !== undefined) {
      this.cancelTimer = share.clock.after(attemptTimeoutMs, () => this.#expire(attemptTimeoutMs));
    }
    pooled.connection.begin(call);
  }

  /** Ends the call: it gets no attempt. */
  refuse(error: ConnectError): void {
    const group = this.#group;
    if (group?.failed(this, error, error.code, "never", this.host.nowMs()) === true) this.lose();
    else this.#call?.refuse(error);
  }

  lose(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.host.forget(this);
    this.leave(lost, "maybe", false, this.host.nowMs());
    this.#call?.drop();
  }

  /** There is no endpoint for the attempt. @param shared an error of several calls */
  unplaced(shared: ConnectError): void {
    const nowMs = this.host.nowMs();
    const error = new ConnectError(shared.rawMessage, shared.code, undefined, undefined, shared.cause);
    this.settle(error, "maybe", false);
    if (this.#call === undefined || this.#repeats(this.#call, { error, progress: "maybe" }, nowMs)) return;
    this.rpc.share.books.rejected(this.rpc.share.name, "no_endpoint");
    this.refuse(error);
  }

  /** The breakers of all endpoints refuse the attempt. */
  refuseOpen(error: unknown): void {
    this.rpc.share.books.rejected(this.rpc.share.name, "breaker");
    this.refuse(error as ConnectError); // A breaker throws nothing else.
  }

  answered(): void {
    if (this.unary) return;
    const nowMs = this.host.nowMs();
    this.headersCame(nowMs);
    if (this.#call?.committed === true) this.#group?.committed(this, nowMs);
  }

  ended(
    call: AttemptedCall,
    error: ConnectError | undefined,
    progress: Progress,
    trailers?: ReplyFields,
  ): boolean {
    const nowMs = this.host.nowMs();
    const endpoint = this.endpoint;
    this.leave(error, progress, false, nowMs, trailers !== undefined);
    if (error === undefined) this.rpc.share.budget.succeeded?.();
    if (error !== undefined && endpoint !== undefined) {
      const pushback = pushbackOfReply(trailers?.[pushbackHeader], error);
      if (this.#repeats(call, { error, progress, pushback }, nowMs, endpoint)) return true;
      if (this.#group?.failed(this, error, error.code, pushback, nowMs) === true) return true;
    } else this.#group?.succeeded(this, nowMs);
    this.#finish(error?.code ?? 0, nowMs);
    return false;
  }

  abandoned(_call: AttemptedCall, reason: ConnectError): void {
    if (this.#isOver) return;
    const nowMs = this.host.nowMs();
    this.host.forget(this);
    this.#entry?.giveUp(reason);
    this.leave(reason, "maybe", reason.code === Code.DeadlineExceeded && this.#hasOwnDeadline, nowMs);
    this.#finish(reason.code, nowMs);
  }

  #enter(call: AttemptedCall): void {
    const nowMs = (this.startedMs = this.host.nowMs());
    this.rpc.share.budget.began(nowMs);
    this.#entry = new CallEntry(this.rpc);
    this.#entry.enter(call, () => this.#attempt());
  }

  #attempt(): void {
    try {
      this.acquire();
    } catch (error) {
      this.refuseOpen(error);
      return;
    }
    this.host.place(this);
  }

  /** Makes a further attempt, at once or after a pause. @returns false if there is none */
  #repeats(call: AttemptedCall, failure: Failure, nowMs: number, endpoint?: ClusterEndpoint): boolean {
    const { error, progress, pushback, timedOut = false } = failure;
    const { share } = this.rpc;
    if (this.head.isShadow === true) return false;
    const decision = (this.#retries ??= this.rpc.retries()).next({
      code: error.code,
      progress,
      timedOut,
      pushback,
      handedOver: call.committed,
      isReplayable: call.repeatable,
      nowMs,
      deadlineMs: this.head.deadline ?? Infinity,
    });
    if (decision.kind === "final") {
      if (decision.denied !== undefined) share.books.denied(share.name, decision.denied);
      if (decision.isExhausted) markSpent(error);
      return false;
    }
    if (endpoint !== undefined && this.#group === undefined) (this.tried ??= []).push(endpoint);
    this.kind = decision.isTransparent ? "transparent" : "retry";
    if (decision.afterMs === 0) this.#attempt();
    else {
      this.cancelTimer = share.clock.after(decision.afterMs, () => {
        this.cancelTimer = undefined;
        this.#attempt();
      });
    }
    return true;
  }

  /** The policy's time of an attempt is over. */
  #expire(afterMs: number): void {
    const call = this.#call;
    const endpoint = this.endpoint;
    this.cancelTimer = undefined;
    if (call === undefined || endpoint === undefined) return;
    call.cut();
    const nowMs = this.host.nowMs();
    const error = new ConnectError(
      `${this.rpc.share.name}: no reply within ${afterMs} ms`,
      Code.DeadlineExceeded,
    );
    this.leave(error, "maybe", true, nowMs);
    if (this.#repeats(call, { error, progress: "maybe", timedOut: true }, nowMs, endpoint)) return;
    if (this.#group?.failed(this, error, Code.Unavailable, undefined, nowMs) !== true) call.refuse(error);
  }

  #finish(code: number, nowMs: number): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#group === undefined) this.#leaveBooks(code, nowMs);
    else this.#group.end(this, code, nowMs);
  }

  #leaveBooks(code: number, nowMs: number): void {
    this.#entry?.leave();
    reportCall(this.rpc, this.record, this.startedMs ?? nowMs, code, nowMs);
  }

  /** This is the first attempt of several. */
  #toGroup(call: AttemptedCall, books: HedgeBooks): HedgeGroup {
    const group = hedgeGroup(this, call, books, {
      clock: this.rpc.share.clock,
      hasUntried: (tried) => this.host.hasUntried({ tried, key: this.key, mayUse: this.mayUse }),
      another: (whole, previous) => {
        const { startedMs } = this;
        const hasOwnDeadline = this.#hasOwnDeadline;
        const place = { group: whole, previous, startedMs, hasOwnDeadline, record: this.record };
        const attempt = new ClusterCall(this.host, this.rpc, this.head, place);
        attempt.key = this.key;
        return attempt;
      },
      finished: (code, nowMs) => this.#leaveBooks(code, nowMs),
    });
    this.tried = group.tried;
    return group;
  }
}

/** An attempt that another one of the same call has made superfluous says nothing. */
const lost = new ConnectError("another attempt has decided", Code.Canceled);

/** Limits a call. @returns whether it has a new deadline */
function limits(head: CallHead, timeoutMs: number): boolean {
  const before = head.deadline;
  head.limit(timeoutMs);
  return head.deadline !== before;
}
