import type { Channel, ConsumeMessage } from "./peer.ts";

/** So many places of deliveries that are gone are kept. */
const spare = 1_000;

/**
 * Acknowledgements of one channel. Those of one turn of the event loop are sent together: as one where no delivery
 * before them is open.
 */
export class Acks {
  readonly #channel: Channel;
  /** Deliveries by their tags, which count from that of the first one on; undefined for what is no longer open. */
  #open: (ConsumeMessage | "settled" | undefined)[] = [];
  #base = 0;
  /** Place of the first that is open. */
  #head = 0;
  /** What is settled, and not acknowledged yet. */
  #settled: ConsumeMessage[] = [];

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  /** A delivery has come; must be called for each of the channel, in their order. */
  came(message: ConsumeMessage): void {
    if (this.#open.length === 0) this.#base = message.fields.deliveryTag;
    this.#open.push(message);
  }

  /** A delivery is handled. It is acknowledged at the end of the turn, or by `flush`. */
  settle(message: ConsumeMessage): void {
    this.#open[message.fields.deliveryTag - this.#base] = "settled";
    if (this.#settled.push(message) === 1) process.nextTick(() => this.flush());
  }

  /** Gives a delivery back, at once. */
  release(message: ConsumeMessage): void {
    this.#answer(() => this.#channel.nack(message, false, true));
    this.#open[message.fields.deliveryTag - this.#base] = undefined;
    this.#forget();
  }

  /** Sends what waits. */
  flush(): void {
    if (this.#settled.length === 0) return;
    const settled = this.#settled;
    this.#settled = [];
    let count = 0;
    for (; this.#head < this.#open.length; this.#head++) {
      const state = this.#open[this.#head];
      if (state !== undefined && state !== "settled") break;
      if (state === "settled") count++;
    }
    let last: ConsumeMessage | undefined;
    for (const message of settled) {
      const { deliveryTag } = message.fields;
      const at = deliveryTag - this.#base;
      if (at >= this.#head) {
        this.#answer(() => this.#channel.ack(message));
        this.#open[at] = undefined;
      } else if (last === undefined || last.fields.deliveryTag < deliveryTag) last = message;
    }
    const newest = last;
    if (newest !== undefined) this.#answer(() => this.#channel.ack(newest, count > 1));
    this.#forget();
  }

  #forget(): void {
    const { length } = this.#open;
    while (this.#head < length && this.#open[this.#head] === undefined) this.#head++;
    if (this.#head < length && (this.#head < spare || this.#head * 2 < length)) return;
    this.#open = this.#open.slice(this.#head);
    this.#base += this.#head;
    this.#head = 0;
  }

  #answer(act: () => void): void {
    try {
      act();
    } catch {
      // The channel is closing: RabbitMQ delivers the message again.
    }
  }
}
