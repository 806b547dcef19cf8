import { Code, ConnectError } from "../../core/errors/errors.ts";
import type { BrokerSubscription, Delivery, SubscriptionSpec } from "../broker.ts";
import type { MemoryGroup } from "./memory-group.ts";
import type { QueuedMessage, QueueReader } from "./memory-queue.ts";

/** One reader of a group. */
export class MemorySubscription implements BrokerSubscription, QueueReader {
  readonly group: MemoryGroup;
  readonly #spec: SubscriptionSpec;
  readonly #receive: (delivery: Delivery) => void;
  readonly #ended: () => void;
  readonly #unsettled = new Set<QueuedMessage>();
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
    const { message, from, answer, deliveries } = item;
    this.#receive({
      message,
      from,
      partition: undefined,
      offset: undefined,
      redelivered: deliveries > 1,
      deliveries,
      lost: this.#lost.signal,
      settle: () => this.#end(item, () => this.group.settle(item)),
      release: (delayMs) => this.#end(item, () => this.group.giveBack(item, delayMs)),
      ...(answer && { reply: async (reply) => answer(reply) }),
    });
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
    this.#unsettled.clear();
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

  #end(item: QueuedMessage, what: () => void): void {
    if (!this.#unsettled.delete(item)) return;
    what();
    if (this.#unsettled.size === 0) this.#idle?.();
    this.group.wake();
  }
}
