import { LiveSet } from "../../core/call/live-set.ts";
import { Code, ConnectError } from "../../core/errors/errors.ts";
import type { BrokerSubscription, Delivery, IncomingMessage, SubscriptionSpec } from "../broker.ts";
import type { MemoryGroup } from "./memory-group.ts";
import type { QueuedMessage, QueueReader } from "./memory-queue.ts";

/** One reader of a group. */
export class MemorySubscription implements BrokerSubscription, QueueReader {
  readonly group: MemoryGroup;
  readonly #spec: SubscriptionSpec;
  readonly #receive: (delivery: Delivery) => void;
  readonly #ended: () => void;
  readonly #unsettled = new LiveSet<QueuedMessage>();
  readonly #lost = new AbortController();
  #isPaused = false;
  #stopping: Promise<void> | undefined;
  /** Called when nothing is unsettled any more. */
  #idle: (() => void) | undefined;

  /** @param ended is called when it has ended */
  constructor(
    group: MemoryGroup,
    spec: SubscriptionSpec,
    receive: (delivery: Delivery) => void,
    ended: () => void,
  ) {
    this.group = group;
    this.#spec = spec;
    this.#receive = receive;
    this.#ended = ended;
    group.queue.join(this);
    group.wake();
  }

  get connected(): boolean {
    return !this.#lost.signal.aborted;
  }

  get wants(): boolean {
    if (this.#isPaused || this.#stopping !== undefined || !this.connected) return false;
    return this.#unsettled.size < this.#spec.prefetch;
  }

  /** How many of its deliveries are not settled. */
  get unsettled(): number {
    return this.#unsettled.size;
  }

  take(item: QueuedMessage): void {
    this.#unsettled.add(item);
    item.deliveries++;
    this.#receive(new MemoryDelivery(this, item, this.#lost.signal));
  }

  /** A delivery is settled. */
  settle(item: QueuedMessage): void {
    if (this.#lost.signal.aborted) return;
    this.#unsettled.delete(item);
    this.group.settle(item);
    this.#done();
  }

  /** A delivery is given back. */
  release(item: QueuedMessage, delayMs: number | undefined): void {
    if (this.#lost.signal.aborted) return;
    this.#unsettled.delete(item);
    this.group.giveBack(item, delayMs);
    this.#done();
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.group.wake();
  }

  stop(): Promise<void> {
    return (this.#stopping ??= this.#stop());
  }

  /** Loses what is not settled, which stays with the group. */
  lose(why: string): void {
    this.#lost.abort(new ConnectError(why, Code.Aborted));
    for (const item of this.#unsettled) this.#unsettled.delete(item);
    this.#idle?.();
    this.#leave();
  }

  async lag(): Promise<ReadonlyMap<number, number>> {
    return new Map([[-1, this.group.queue.length]]);
  }

  async #stop(): Promise<void> {
    if (this.#unsettled.size > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
    this.#leave();
  }

  #leave(): void {
    this.group.queue.leave(this);
    this.group.wake(); // The next reader of an ordered group begins.
    this.#ended();
  }

  #done(): void {
    if (this.#unsettled.size === 0) this.#idle?.();
    this.group.wake();
  }
}

class MemoryDelivery implements Delivery {
  readonly message: IncomingMessage;
  readonly from: Delivery["from"];
  readonly partition = undefined;
  readonly offset = undefined;
  readonly deliveries: number;
  readonly lost: AbortSignal;
  readonly reply?: NonNullable<Delivery["reply"]>;
  readonly #subscription: MemorySubscription;
  readonly #item: QueuedMessage;
  /** The item may be another delivery's by then. */
  #isDone = false;

  constructor(subscription: MemorySubscription, item: QueuedMessage, lost: AbortSignal) {
    const { message, from, answer, deliveries } = item;
    this.#subscription = subscription;
    this.#item = item;
    this.message = message;
    this.from = from;
    this.deliveries = deliveries;
    this.lost = lost;
    if (answer !== undefined) this.reply = async (reply) => answer(reply);
  }

  get redelivered(): boolean {
    return this.deliveries > 1;
  }

  settle(): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#subscription.settle(this.#item);
  }

  release(delayMs?: number): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#subscription.release(this.#item, delayMs);
  }
}
