import type { StopReport } from "../core/lifecycle/lifecycle.ts";
import type { BreakerState } from "../core/resilience/breaker.ts";
import type { Clock } from "../core/time/clock.ts";
import type { BrokerSubscription } from "./broker.ts";
import { CancelledCalls } from "./cancelled-calls.ts";
import { ConsumeBreaker } from "./consume-breaker.ts";
import { MessageFlow } from "./message-flow.ts";
import { MessageRuns } from "./message-runs.ts";
import type { MessageServerOptions } from "./message-server-options.ts";
import { Moves } from "./moves.ts";
import { RunRecords } from "./run-records.ts";
import { SubscriptionCounts } from "./subscription-counts.ts";
import type { SubscriptionLog } from "./subscription-log.ts";
import type { SubscriptionPlan } from "./subscription-plan.ts";
import { stopRuns } from "./subscription-stop.ts";

/** What a subscription is made of. */
export interface SubscriptionParts {
  readonly plan: SubscriptionPlan;
  readonly options: MessageServerOptions;
  readonly clock: Clock;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  readonly random: () => number;
  readonly log: SubscriptionLog;
  /** One of the same topic and group that this one follows: its figures, pauses and skips go on. */
  readonly before?: Subscription | undefined;
}

/** Why nothing is run, or fetched. */
export type PauseReason = "user" | "breaker" | "buffer" | "inbox" | "moves";

/** How often deliveries are looked for that wait too long, as a part of that time. */
const sweeps = 20;

/** The messages of one topic that one group gets: deliveries go into lanes, runs take them from there. */
export class Subscription {
  readonly plan: SubscriptionPlan;
  readonly counts: SubscriptionCounts;
  readonly moves: Moves;
  readonly #options: MessageServerOptions;
  readonly #clock: Clock;
  readonly #flow: MessageFlow;
  readonly #breaker: ConsumeBreaker | undefined;
  readonly #cancelled: CancelledCalls;
  readonly #stopping = new AbortController();
  readonly #cutting = new AbortController();
  /** Messages that are settled without a run when they come. */
  readonly #skips: Set<string>;
  #source: BrokerSubscription | undefined;
  #isPaused: boolean;
  #isFetching = true;
  #inboxAway = false;
  #unsweep: (() => void) | undefined;
  #unlisten: (() => void) | undefined;
  #stopped: Promise<StopReport> | undefined;

  constructor({ plan, options, clock, wallMs, random, log, before }: SubscriptionParts) {
    const { broker, breaker, concurrency, maxBufferedBytes, deadLetters, inbox, inboxPrecheck, crashLimit } =
      options;
    this.plan = plan;
    this.#options = options;
    this.#clock = clock;
    this.counts = before?.counts ?? new SubscriptionCounts();
    this.#skips = before === undefined ? new Set() : before.#skips;
    this.#isPaused = before !== undefined && before.#isPaused;
    this.moves = new Moves({
      broker,
      clock,
      random,
      failing: (message, error) => log.moveFails(message, error),
    });
    this.#breaker =
      breaker === false ? undefined : new ConsumeBreaker(breaker, { clock, random }, () => this.#flow.wake());
    const records = new RunRecords({
      inbox,
      precheck: inboxPrecheck,
      group: plan.ownGroup,
      crashLimit,
      countsDeliveries: broker.capabilities.deliveryCount,
      reachable: (isReachable) => (this.#inboxAway = !isReachable),
    });
    const runs = new MessageRuns({
      plan,
      counts: this.counts,
      moves: this.moves,
      breaker: this.#breaker,
      records,
      wallMs,
      stopping: this.#stopping.signal,
      deadLetters,
      buried: (message, reason, why) => log.buried(message, reason, why),
      isCancelled: (message) => this.#cancelled.has(message),
      lost: (message, reason, why) => log.lost(message, reason, why),
      unanswered: (message, reason) => log.unanswered(message, reason),
    });
    this.#flow = new MessageFlow({
      plan,
      clock,
      counts: this.counts,
      runs,
      log,
      concurrency,
      maxBufferedBytes,
      mayRun: () => !this.#isPaused && (this.#breaker?.admits ?? true),
      isSkipped: ({ partition, offset }) => this.#skips.delete(placeOf(partition, offset)),
      changed: () => this.#fetch(),
    });
    this.#cancelled = new CancelledCalls(this.#flow.open, wallMs);
  }

  /** @throws SetupError if the broker has something of that name in another form */
  async start(): Promise<void> {
    const { broker } = this.#options;
    this.#source = await broker.subscribe(this.plan.spec, (delivery) => this.#flow.receive(delivery));
    if (this.#stopping.signal.aborted) {
      await this.#source.stop(); // The stop came before there was something to stop at the broker.
      return;
    }
    if ([...this.plan.rpcs.keys()].some(({ kind }) => kind === "command")) {
      this.#unlisten = broker.onCancelledCall?.(this.plan.topic, (call) => this.#cancelled.add(call));
    }
    if (this.#options.broker.capabilities.ackTimeout === true) this.#sweepLater();
    this.#fetch();
  }

  get isConnected(): boolean {
    return this.#source?.connected ?? false;
  }

  /** How many runs are under way. */
  get inFlight(): number {
    return this.#flow.running;
  }

  get buffered(): number {
    return this.#flow.ledger.buffered;
  }

  get bufferedBytes(): number {
    return this.#flow.ledger.bufferedBytes;
  }

  /** How many lanes wait for the next attempt of a message. */
  get lanesHeld(): number {
    return this.#flow.held;
  }

  /** Undefined without one. */
  get breaker(): BreakerState | undefined {
    return this.#breaker?.state;
  }

  /** Why nothing is run, or fetched, now. */
  get pauses(): ReadonlySet<PauseReason> {
    const reasons = new Set<PauseReason>();
    if (this.#isPaused) reasons.add("user");
    if (this.#breaker !== undefined && this.#breaker.state.kind !== "closed") reasons.add("breaker");
    if (this.#flow.ledger.isFull) reasons.add("buffer");
    if (this.#inboxAway) reasons.add("inbox");
    if (this.moves.failing > 0) reasons.add("moves");
    return reasons;
  }

  /** Runs and fetches nothing until `resume`. */
  pause(): void {
    this.#isPaused = true;
    this.#fetch();
  }

  resume(): void {
    this.#isPaused = false;
    this.#fetch();
    this.#flow.wake();
  }

  /** The message at this place is settled without a run when it is delivered next. */
  skip(partition: number | undefined, offset: bigint): void {
    this.#skips.add(placeOf(partition, offset));
  }

  /** How many messages wait at the broker, by partition. */
  async lag(): Promise<ReadonlyMap<number, number>> {
    return (await this.#source?.lag()) ?? new Map();
  }

  /**
   * Begins no more runs, and gives back what waits; runs may end within `graceMs`, then they are aborted. Of several calls
   * the one counts whose time is over first.
   */
  stop(graceMs: number): Promise<StopReport> {
    if (this.#stopped === undefined) return (this.#stopped = this.#stop(graceMs));
    const cancel = this.#clock.after(graceMs, () => this.#cutting.abort());
    return this.#stopped.finally(cancel);
  }

  #stop(graceMs: number): Promise<StopReport> {
    this.#stopping.abort();
    this.#flow.close();
    this.#breaker?.close();
    this.#unsweep?.();
    this.#unlisten?.();
    return stopRuns(graceMs, {
      clock: this.#clock,
      isOrdered: this.plan.ordering !== "none",
      cutting: this.#cutting.signal,
      open: this.#flow.open,
      idle: () => this.#flow.whenIdle(),
      releaseWaiting: () => this.#flow.releaseWaiting(),
      release: (message) => this.#flow.release(message, "drain"),
      ended: () => this.#source?.stop(),
    });
  }

  /** Lets the broker fetch, or not. */
  #fetch(): void {
    const isFetching = !this.#isPaused && !this.#flow.ledger.isFull;
    if (isFetching === this.#isFetching || this.#source === undefined) return;
    this.#isFetching = isFetching;
    if (isFetching) this.#source.resume();
    else this.#source.pause();
  }

  /** Gives back what has waited for so long that the broker would take it back. */
  #sweepLater(): void {
    const { ackTimeoutMs } = this.#options;
    this.#unsweep = this.#clock.after(
      ackTimeoutMs / sweeps,
      () => {
        this.#flow.releaseLate(this.#clock.nowMs() - ackTimeoutMs);
        this.#sweepLater();
      },
      false,
    );
  }
}

function placeOf(partition: number | undefined, offset: bigint | undefined): string {
  return `${partition} ${offset}`;
}
