import type { DescMethod } from "@bufbuild/protobuf";
import type { AttemptTerms, KeptRequests } from "../http2/stream-source.ts";
import type { MethodPlan } from "../policy/plan.ts";
import type { Breaker } from "../resilience/breaker.ts";
import type { Concurrency } from "../resilience/concurrency.ts";
import { HedgeBooks } from "../resilience/hedge.ts";
import { ReplayBuffer, type ReplayMemory } from "../resilience/replay-buffer.ts";
import type { RetryAllowance } from "../resilience/retry-budget.ts";
import { Retries, type RetryRules } from "../resilience/retry.ts";
import type { Clock } from "../time/clock.ts";
import type { ClientObserver } from "./client-observer.ts";
import type { ClientBooks, RpcBooks } from "./client-books.ts";
import type { ClusterEndpoint } from "./endpoint.ts";
import type { EndpointBreakers } from "./endpoint-breakers.ts";

/** What the calls of all rpcs of one target have in common. */
export interface CallShare {
  /** First word of errors, and label of metrics. */
  readonly name: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly books: ClientBooks;
  readonly budget: RetryAllowance;
  readonly memory: ReplayMemory;
  readonly observers: readonly ClientObserver[];
}

/** What limits the calls of an rpc; all undefined without such policies. */
export interface Limits {
  /** For the target or the rpc. */
  readonly breaker: Breaker | undefined;
  readonly endpointBreakers: EndpointBreakers | undefined;
  readonly concurrency: Concurrency | undefined;
}

/** One rpc of one target: its plan in the form that calls use. */
export class CalledRpc implements AttemptTerms {
  readonly method: DescMethod;
  readonly isUnary: boolean;
  readonly share: CallShare;
  readonly books: RpcBooks;
  readonly limits: Limits;
  readonly timeoutMs: number | undefined;
  readonly attemptTimeoutMs: number | undefined;
  readonly maxRequestBytes: number | undefined;
  readonly maxResponseBytes: number | undefined;
  readonly waitForReady: boolean;
  /** Of rpcs with one request whose attempts run side by side; undefined for others. */
  readonly hedging: HedgeBooks | undefined;
  /** Whether calls may go to an endpoint; undefined for any. */
  readonly mayUse: ((endpoint: ClusterEndpoint) => boolean) | undefined;
  /** Whether anything is to be asked before an attempt begins. */
  readonly isGuarded: boolean;
  readonly #rules: RetryRules;
  readonly #bufferBytes: number;

  constructor(plan: MethodPlan, limits: Limits, share: CallShare, books: RpcBooks) {
    const { method, retry } = plan;
    this.method = method;
    this.isUnary = method.methodKind === "unary";
    this.share = share;
    this.books = books;
    this.limits = limits;
    this.timeoutMs = plan.timeoutMs;
    this.attemptTimeoutMs = retry.attemptTimeoutMs;
    this.maxRequestBytes = plan.maxRequestBytes;
    this.maxResponseBytes = plan.maxResponseBytes;
    this.waitForReady = plan.waitForReady;
    this.isGuarded =
      limits.breaker !== undefined || limits.concurrency !== undefined || plan.maxRequestBytes !== undefined;
    const { endpointBreakers } = limits;
    if (endpointBreakers !== undefined) this.mayUse = (endpoint) => endpointBreakers.admits(endpoint);
    this.#bufferBytes = retry.bufferBytes;
    const { hedge } = plan;
    if (hedge !== undefined && (this.isUnary || method.methodKind === "server_streaming")) {
      this.hedging = new HedgeBooks({ ...hedge, codes: new Set(hedge.codes) }, share.budget);
    }
    this.#rules = {
      maxAttempts: this.hedging === undefined ? retry.maxAttempts : 1,
      backoff: {
        initialMs: retry.initialBackoffMs,
        maxMs: retry.maxBackoffMs,
        multiplier: retry.backoffMultiplier,
        jitter: retry.jitter,
      },
      codes: new Set(retry.codes),
      maySendAgain: retry.maySendAgain,
    };
  }

  /** For a call whose first attempt has failed. */
  retries(): Retries {
    return new Retries(this.#rules, this.share.budget, this.share.random);
  }

  /** For the requests of a stream. */
  keptRequests(): KeptRequests {
    return new ReplayBuffer(this.#bufferBytes, this.share.memory);
  }
}
