import type { ConnectError } from "../core/errors/errors.ts";
import type { Clock } from "../core/time/clock.ts";
import { Batches } from "./batch.ts";
import type { Delivery } from "./broker.ts";
import { type Consumed, consumedOf } from "./consumed.ts";
import type { ConsumedRpc } from "./contract.ts";
import { DeliveryEnds } from "./delivery-ends.ts";
import type { Disposition } from "./disposition.ts";
import { Lanes, type Then } from "./lanes.ts";
import type { MessageRuns } from "./message-runs.ts";
import type { ReleasedFor, SubscriptionCounts } from "./subscription-counts.ts";
import type { SubscriptionLog } from "./subscription-log.ts";
import type { SubscriptionPlan } from "./subscription-plan.ts";

/** What the flow of a subscription is made of. */
export interface FlowParts {
  readonly plan: SubscriptionPlan;
  readonly clock: Clock;
  readonly counts: SubscriptionCounts;
  readonly runs: MessageRuns;
  readonly log: SubscriptionLog;
  readonly concurrency: number;
  readonly maxBufferedBytes: number;
  /** Whether a run may begin now; where not, `wake` must be called as soon as one may. */
  readonly mayRun: () => boolean;
  /** Whether a delivery is to be settled without a run. */
  readonly isSkipped: (delivery: Delivery) => boolean;
  /** Called when there are more or fewer deliveries that wait. */
  readonly changed: () => void;
}

/** Messages that are run together; one, but for batches. */
interface Work {
  readonly messages: Consumed[];
  /** Whether they are run one by one, after a run of all of them has failed. */
  isSplit: boolean;
}

/** How long messages wait after a fault of ours, in milliseconds. */
const faultPauseMs = 1_000;

/** The way of deliveries into lanes, and to their runs; `DeliveryEnds` is the way back. */
export class MessageFlow {
  readonly #parts: FlowParts;
  readonly #ends: DeliveryEnds;
  readonly #lanes: Lanes<Work>;
  readonly #batches = new Map<ConsumedRpc, Batches<Consumed>>();
  readonly #watched = new WeakSet<AbortSignal>();
  #isClosed = false;
  /** Called when no run is under way any more. */
  #idle: (() => void) | undefined;

  constructor(parts: FlowParts) {
    const { plan, clock, concurrency, mayRun } = parts;
    this.#parts = parts;
    this.#ends = new DeliveryEnds({ ...parts, queue: (message) => this.#queue(message) });
    this.#lanes = new Lanes({
      clock,
      concurrency,
      mayRun,
      run: (work, ended) => void this.#run(work).then((then) => this.#ended(then, ended)),
      left: ({ messages }) => this.#ends.releaseAll(messages, "drain"),
    });
    for (const { rpc } of plan.rpcs.values()) {
      if (rpc.batch === undefined) continue;
      const full = (place: string, messages: Consumed[]): void => {
        const lane = rpc.ordering === "none" ? undefined : `batch ${rpc.name} ${place}`;
        this.#lanes.add(lane, { messages, isSplit: false });
      };
      this.#batches.set(rpc, new Batches(rpc.batch, clock, full));
    }
  }

  /** How many runs are under way. */
  get running(): number {
    return this.#lanes.running;
  }

  /** How many lanes wait for the next attempt of a message. */
  get held(): number {
    return this.#lanes.held;
  }

  /** Deliveries that are not settled. */
  get open(): Iterable<Consumed> {
    return this.#ends.open;
  }

  /** What waits, and what runs. */
  get ledger(): DeliveryEnds["ledger"] {
    return this.#ends.ledger;
  }

  /** Begins the runs that may begin. */
  wake(): void {
    this.#lanes.wake();
  }

  /** Begins no more runs; what comes is given back. */
  close(): void {
    this.#isClosed = true;
    this.#lanes.close();
  }

  /** Gives back what has waited since a time, with all behind it in its lane. */
  releaseLate(untilMs: number): void {
    const late = this.#lanes.take(({ messages }) => messages.some(({ receivedMs }) => receivedMs <= untilMs));
    for (const { messages } of late) this.#ends.releaseAll(messages, "timeout");
  }

  /** A delivery has come. */
  receive(delivery: Delivery): void {
    const { plan, clock, counts, changed, isSkipped } = this.#parts;
    const read = consumedOf(delivery, plan.rules, clock.nowMs());
    const message: Consumed = isSkipped(delivery) ? { ...read, fate: { kind: "skip" } } : read;
    counts.received++;
    this.#ends.begin(message);
    if (this.#isClosed) {
      this.#ends.release(message, "drain");
      return;
    }
    this.#queue(message);
    this.#watch(delivery.lost);
    changed();
  }

  #queue(message: Consumed): void {
    const { fate, key, delivery } = message;
    const ordering = fate.kind === "run" ? fate.rpc.ordering : this.#parts.plan.ordering;
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
    if (work.messages.some(({ isLost }) => isLost)) {
      for (const message of work.messages) if (message.isLost) this.#ends.gone(message, "lost");
      keep(work.messages, ({ isLost }) => !isLost);
    }
    if (work.messages.length > 1 && !work.isSplit) {
      const then = await this.#handle(work.messages, (all) => this.#parts.runs.together(all));
      if (then !== undefined) return then;
      work.isSplit = true;
    }
    const first = work.messages.length === 1 ? work.messages : work.messages.slice(0, 1);
    const then = await this.#handle(first, ([message]) => this.#parts.runs.one(message));
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
    decide: (begun: readonly [Consumed, ...Consumed[]]) => Disposition | Promise<Disposition>,
  ): Promise<Then | undefined> {
    keep(messages, (message) => this.ledger.begin(message, message.identity));
    if (!hasSome(messages)) return "done";
    let disposition: Disposition;
    try {
      disposition = await decide(messages);
    } catch (reason) {
      this.#parts.log.fault(reason);
      disposition = { kind: "hold", ms: faultPauseMs };
    }
    let then: Then | undefined = "done";
    for (const message of messages) then = this.#ends.conclude(message, disposition);
    return then;
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
    for (const message of this.open) {
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
      this.#ends.gone(message, "lost");
  }

  #ended(then: Then, ended: (then: Then) => void): void {
    ended(then);
    if (this.#lanes.running === 0) this.#idle?.();
  }

  /** Resolves when no run is under way. */
  whenIdle(): Promise<void> {
    if (this.#lanes.running === 0) return Promise.resolve();
    return new Promise((resolve) => (this.#idle = resolve));
  }

  /** Gives back what waits. */
  releaseWaiting(): void {
    for (const { messages } of this.#lanes.take(() => true)) this.#ends.releaseAll(messages, "drain");
    this.#ends.releaseAll(
      this.#takeOfBatches(() => true),
      "drain",
    );
  }

  #takeOfBatches(isTaken: (message: Consumed) => boolean): Consumed[] {
    return [...this.#batches.values()].flatMap((batches) => batches.take(isTaken));
  }

  /** Gives a message back, unless it is settled already. */
  release(message: Consumed, why: ReleasedFor): void {
    this.#ends.release(message, why);
  }
}

function keep<T>(items: T[], isKept: (item: T) => boolean): void {
  let kept = 0;
  for (const item of items) if (isKept(item)) items[kept++] = item;
  items.length = kept;
}

function hasSome<T>(items: T[]): items is [T, ...T[]] {
  return items.length > 0;
}
