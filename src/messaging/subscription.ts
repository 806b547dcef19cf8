import type { ConnectError } from "../core/errors/errors.ts";
import type { StopReport } from "../core/lifecycle/lifecycle.ts";
import type { BreakerState } from "../core/resilience/breaker.ts";
import type { Clock } from "../core/time/clock.ts";
import { Batches } from "./batch.ts";
import type { BrokerSubscription, Delivery } from "./broker.ts";
import { ConsumeBreaker } from "./consume-breaker.ts";
import { type Consumed, consumedOf } from "./consumed.ts";
import type { ConsumedRpc } from "./contract.ts";
import { Lanes, type Then } from "./lanes.ts";
import { type Disposition, MessageRuns } from "./message-runs.ts";
import type { MessageServerOptions } from "./message-server-options.ts";
import { Moves } from "./moves.ts";
import { RunRecords } from "./run-records.ts";
import { SettleLedger } from "./settle-ledger.ts";
import { type ReleasedFor, SubscriptionCounts } from "./subscription-counts.ts";
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
}

/** Messages that are run together; one, but for batches. */
interface Work {
  readonly messages: Consumed[];
  /** Whether they are run one by one, after a run of all of them has failed. */
  isSplit: boolean;
}

/** Why nothing is run, or fetched. */
export type PauseReason = "user" | "breaker" | "buffer" | "inbox" | "moves";

/** How often deliveries are looked for that wait too long, as a part of that time. */
const sweeps = 20;
/** How long messages wait after a fault of ours, in milliseconds. */
const faultPauseMs = 1_000;

/** The messages of one topic that one group gets: deliveries go into lanes, runs take them from there. */
export class Subscription {
  readonly plan: SubscriptionPlan;
  readonly counts = new SubscriptionCounts();
  readonly moves: Moves;
  readonly #options: MessageServerOptions;
  readonly #clock: Clock;
  readonly #log: SubscriptionLog;
  readonly #ledger: SettleLedger<Consumed>;
  readonly #lanes: Lanes<Work>;
  readonly #runs: MessageRuns;
  readonly #breaker: ConsumeBreaker | undefined;
  readonly #batches = new Map<ConsumedRpc, Batches<Consumed>>();
  readonly #stopping = new AbortController();
  /** Deliveries that are not settled. */
  readonly #open = new Set<Consumed>();
  readonly #watched = new WeakSet<AbortSignal>();
  #source: BrokerSubscription | undefined;
  #isPaused = false;
  #isFetching = true;
  #inboxAway = false;
  #unsweep: (() => void) | undefined;
  /** Called when no run is under way any more. */
  #idle: (() => void) | undefined;
  #stopped: Promise<StopReport> | undefined;

  constructor({ plan, options, clock, wallMs, random, log }: SubscriptionParts) {
    const { broker, breaker, concurrency, maxBufferedBytes, deadLetters, inbox, inboxPrecheck, crashLimit } =
      options;
    this.plan = plan;
    this.#options = options;
    this.#clock = clock;
    this.#log = log;
    this.#ledger = new SettleLedger({ maxBufferedBytes });
    this.moves = new Moves({
      broker,
      clock,
      random,
      failing: (message, error) => log.moveFails(message, error),
    });
    this.#breaker =
      breaker === false
        ? undefined
        : new ConsumeBreaker(breaker, { clock, random }, () => this.#lanes.wake());
    const records = new RunRecords({
      inbox,
      precheck: inboxPrecheck,
      group: plan.ownGroup,
      crashLimit,
      countsDeliveries: broker.capabilities.deliveryCount,
      reachable: (isReachable) => (this.#inboxAway = !isReachable),
    });
    this.#runs = new MessageRuns({
      plan,
      counts: this.counts,
      moves: this.moves,
      breaker: this.#breaker,
      records,
      wallMs,
      stopping: this.#stopping.signal,
      deadLetters,
      lost: (message, reason, why) => log.lost(message, reason, why),
    });
    this.#lanes = new Lanes({
      clock,
      concurrency,
      mayRun: () => !this.#isPaused && (this.#breaker?.admits ?? true),
      run: (work, ended) => void this.#run(work).then((then) => this.#ended(then, ended)),
      left: ({ messages }) => this.#releaseAll(messages, "drain"),
    });
    for (const { rpc } of plan.rpcs.values()) {
      if (rpc.batch === undefined) continue;
      const full = (place: string, messages: Consumed[]): void =>
        this.#lanes.add(rpc.ordering === "none" ? undefined : `batch ${rpc.name} ${place}`, {
          messages,
          isSplit: false,
        });
      this.#batches.set(rpc, new Batches(rpc.batch, clock, full));
    }
  }

  /** @throws SetupError if the broker has something of that name in another form */
  async start(): Promise<void> {
    this.#source = await this.#options.broker.subscribe(this.plan.spec, (delivery) =>
      this.#receive(delivery),
    );
    if (this.#options.broker.capabilities.ackTimeout === true) this.#sweepLater();
    this.#fetch();
  }

  get isConnected(): boolean {
    return this.#source?.connected ?? false;
  }

  /** How many runs are under way. */
  get inFlight(): number {
    return this.#lanes.running;
  }

  get buffered(): number {
    return this.#ledger.buffered;
  }

  get bufferedBytes(): number {
    return this.#ledger.bufferedBytes;
  }

  /** How many lanes wait for the next attempt of a message. */
  get lanesHeld(): number {
    return this.#lanes.held;
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
    if (this.#ledger.isFull) reasons.add("buffer");
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
    this.#lanes.wake();
  }

  /** How many messages wait at the broker, by partition. */
  async lag(): Promise<ReadonlyMap<number, number>> {
    return (await this.#source?.lag()) ?? new Map();
  }

  /** Begins no more runs, and gives back what waits; runs may end within `graceMs`, then they are aborted. Idempotent. */
  stop(graceMs: number): Promise<StopReport> {
    return (this.#stopped ??= this.#stop(graceMs));
  }

  #stop(graceMs: number): Promise<StopReport> {
    this.#stopping.abort();
    this.#lanes.close();
    this.#breaker?.close();
    this.#unsweep?.();
    return stopRuns(graceMs, {
      clock: this.#clock,
      isOrdered: this.plan.ordering !== "none",
      open: this.#open,
      idle: () => this.#whenIdle(),
      releaseWaiting: () => this.#releaseWaiting(),
      release: (message) => this.#release(message, "drain"),
      ended: () => this.#source?.stop(),
    });
  }

  #receive(delivery: Delivery): void {
    const message = consumedOf(delivery, this.plan.rules, this.#clock.nowMs());
    this.counts.received++;
    this.#open.add(message);
    this.#ledger.received(message, message.bytes);
    if (this.#stopping.signal.aborted) {
      this.#release(message, "drain");
      return;
    }
    this.#queue(message);
    this.#watch(delivery.lost);
    this.#fetch();
  }

  #queue(message: Consumed): void {
    const { fate, key, delivery } = message;
    const ordering = fate.kind === "run" ? fate.rpc.ordering : this.plan.ordering;
    const batches = fate.kind === "run" ? this.#batches.get(fate.rpc) : undefined;
    const partition = String(delivery.partition ?? "");
    if (batches !== undefined) {
      batches.add(ordering === "none" ? "" : partition, message);
      return;
    }
    const keyed = key === undefined ? undefined : `key ${partition} ${key}`;
    const lane = ordering === "none" ? undefined : ordering === "key" ? keyed : `partition ${partition}`;
    this.#lanes.add(lane, { messages: [message], isSplit: false });
  }

  /** Never rejects. */
  async #run(work: Work): Promise<Then> {
    for (const message of work.messages) if (message.isLost) this.#gone(message, "lost");
    keep(work.messages, ({ isLost }) => !isLost);
    if (work.messages.length > 1 && !work.isSplit) {
      const then = await this.#handle(work.messages, (all) => this.#runs.together(all));
      if (then !== undefined) return then;
      work.isSplit = true;
    }
    const first = work.messages.slice(0, 1);
    const then = await this.#handle(first, ([message]) => this.#runs.one(message));
    if (then !== "done") return then ?? "done";
    work.messages.shift();
    return work.messages.length === 0 ? "done" : { againAfterMs: 0 };
  }

  /**
   * Decides on messages, unless a run of one is under way.
   *
   * @returns undefined where they are to be run one by one
   */
  async #handle(
    messages: Consumed[],
    decide: (begun: readonly [Consumed, ...Consumed[]]) => Promise<Disposition>,
  ): Promise<Then | undefined> {
    keep(messages, (message) => this.#ledger.begin(message, message.identity));
    const [first, ...rest] = messages;
    if (first === undefined) return "done";
    let disposition: Disposition;
    try {
      disposition = await decide([first, ...rest]);
    } catch (reason) {
      this.#log.fault(reason);
      disposition = { kind: "hold", ms: faultPauseMs };
    }
    let then: Then | undefined = "done";
    for (const message of [...messages]) then = this.#conclude(message, disposition);
    return then;
  }

  #conclude(message: Consumed, disposition: Disposition): Then | undefined {
    const { work, isLost } = message;
    const then = this.#dispose(message, disposition);
    if (work === undefined || !isLost)
      this.#follow(message, disposition.kind === "settle" ? disposition : undefined);
    else {
      // The handler goes on: the message is not run again while it does.
      work.then(
        () => this.#follow(message, { kind: "settle", as: "ok" }),
        () => this.#follow(message, undefined),
      );
    }
    return then;
  }

  #dispose(message: Consumed, disposition: Disposition): Then | undefined {
    const { delivery, isLost, bytes } = message;
    if (isLost && disposition.kind !== "settle") {
      this.#gone(message, "lost");
      return "done";
    }
    switch (disposition.kind) {
      case "settle":
        delivery.settle();
        this.counts.settle(disposition.as);
        this.#gone(message);
        return "done";
      case "release":
        this.#release(message, disposition.why);
        return "done";
      case "hold":
        this.#ledger.waits(message, bytes);
        return { againAfterMs: disposition.ms };
      case "alone":
        this.#ledger.waits(message, bytes);
        return undefined;
    }
  }

  /** Deliveries that have waited for the run of the same message take its outcome, or are run now. */
  #follow({ identity }: Consumed, outcome: Disposition | undefined): void {
    for (const follower of this.#ledger.end(identity)) {
      if (outcome !== undefined || follower.isLost)
        this.#dispose(follower, outcome ?? { kind: "release", why: "lost" });
      else {
        this.#ledger.waits(follower, follower.bytes);
        this.#queue(follower);
      }
    }
  }

  /** Learns when deliveries are lost that share a signal. */
  #watch(signal: AbortSignal): void {
    if (this.#watched.has(signal)) return;
    this.#watched.add(signal);
    if (signal.aborted) this.#lose(signal);
    else signal.addEventListener("abort", () => this.#lose(signal), { once: true });
  }

  #lose(signal: AbortSignal): void {
    const reason = signal.reason as ConnectError; // As the seam says.
    for (const message of this.#open) {
      if (message.delivery.lost !== signal) continue;
      message.isLost = true;
      message.abortedBy = reason;
      message.call?.abort(reason);
    }
    const waiting = this.#lanes.takeOnly(({ messages }) => messages.every(({ isLost }) => isLost));
    for (const message of [
      ...waiting.flatMap(({ messages }) => messages),
      ...this.#takeOfBatches(({ isLost }) => isLost),
    ])
      this.#gone(message, "lost");
  }

  #ended(then: Then, ended: (then: Then) => void): void {
    ended(then);
    if (this.#lanes.running === 0) this.#idle?.();
  }

  #whenIdle(): Promise<void> {
    if (this.#lanes.running === 0) return Promise.resolve();
    return new Promise((resolve) => (this.#idle = resolve));
  }

  #releaseWaiting(): void {
    for (const { messages } of this.#lanes.take(() => true)) this.#releaseAll(messages, "drain");
    this.#releaseAll(
      this.#takeOfBatches(() => true),
      "drain",
    );
  }

  #takeOfBatches(isTaken: (message: Consumed) => boolean): Consumed[] {
    return [...this.#batches.values()].flatMap((batches) => batches.take(isTaken));
  }

  #releaseAll(messages: readonly Consumed[], why: ReleasedFor): void {
    for (const message of messages) this.#release(message, why);
  }

  #release(message: Consumed, why: ReleasedFor): void {
    if (!this.#open.has(message)) return;
    message.delivery.release();
    this.#gone(message, why);
  }

  /** @param why it was not settled; undefined where it was */
  #gone(message: Consumed, why?: ReleasedFor): void {
    if (!this.#open.delete(message)) return;
    if (why !== undefined) this.counts.release(why);
    this.#ledger.gone(message);
    this.#fetch();
  }

  /** Lets the broker fetch, or not. */
  #fetch(): void {
    const isFetching = !this.#isPaused && !this.#ledger.isFull;
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
        const untilMs = this.#clock.nowMs() - ackTimeoutMs;
        const late = this.#lanes.take(({ messages }) =>
          messages.some(({ receivedMs }) => receivedMs <= untilMs),
        );
        for (const { messages } of late) this.#releaseAll(messages, "timeout");
        this.#sweepLater();
      },
      false,
    );
  }
}

function keep<T>(items: T[], isKept: (item: T) => boolean): void {
  const kept = items.filter(isKept);
  if (kept.length < items.length) items.splice(0, items.length, ...kept);
}
