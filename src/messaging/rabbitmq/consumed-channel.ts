import { setMaxListeners } from "node:events";
import { Code, ConnectError } from "../../core/errors/errors.ts";
import type { Delivery, IncomingMessage } from "../broker.ts";
import { Acks } from "./acks.ts";
import { textOf } from "./amqp-line.ts";
import { deliveriesOf, fromAmqp, originOf } from "./amqp-message.ts";
import type { Channel, ConsumeMessage } from "./peer.ts";
import type { ReadQueue } from "./topology.ts";

/** A reply, as `Delivery.reply` is given it. */
export type ReplyMessage = Parameters<NonNullable<Delivery["reply"]>>[0];

/** What a channel is read for. */
export interface ConsumedChannelOwner {
  receive(delivery: Delivery): void;
  /** Answers a message that says where replies go. @param correlationId what the reply must say */
  reply(message: ReplyMessage, to: string, correlationId: unknown): Promise<void>;
  /** A queue under its reader has been deleted, or the channel has closed. */
  ended(why: string): void;
  /** Whether its queues count deliveries. */
  readonly isCounting: boolean;
  /** Whether its messages have an order. */
  readonly isOrdered: boolean;
}

/**
 * One channel that reads queues, with the deliveries that have come by it.
 *
 * RabbitMQ puts what is released before what it delivers next, but behind what it has delivered already, for which each
 * acknowledgement makes room. So an ordered group's channel keeps what is released, and what comes meanwhile, until
 * everything that was handed over is settled or released, and closes then: RabbitMQ has all of it again, in its order.
 */
export class ConsumedChannel {
  readonly #channel: Channel;
  readonly #acks: Acks;
  readonly #owner: ConsumedChannelOwner;
  readonly #lost = new AbortController();
  /** By the names of the queues that are read now. */
  readonly #tags = new Map<string, string>();
  #held: AmqpDelivery[] = [];
  #isHeld = false;
  #handedOver = 0;
  #released = 0;
  #reason: Error | undefined;
  #idle: (() => void) | undefined;

  constructor(channel: Channel, owner: ConsumedChannelOwner) {
    this.#channel = channel;
    this.#acks = new Acks(channel);
    this.#owner = owner;
    setMaxListeners(0, this.#lost.signal); // All deliveries have the same.
    channel.on("error", (reason) => (this.#reason = reason));
    channel.on("close", () => this.#ended(textOf(this.#reason ?? "the connection has ended")));
  }

  /** Fires when its deliveries can be settled no more. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Whether it reads queues. */
  get isReading(): boolean {
    return this.#tags.size > 0;
  }

  /** Whether what comes stays here instead of being handed over. Handing over begins with what has stayed. */
  set isHeld(isHeld: boolean) {
    this.#isHeld = isHeld;
    this.#handOverHeld();
  }

  /** Begins to read queues. @throws Error if the channel has closed */
  async read(queues: readonly ReadQueue[]): Promise<void> {
    for (const queue of queues) {
      if (this.#tags.has(queue.name)) continue;
      await this.#channel.prefetch(queue.prefetch);
      const heard = (message: ConsumeMessage | null): void => this.#heard(queue, message);
      const { consumerTag } = await this.#channel.consume(queue.name, heard);
      this.#tags.set(queue.name, consumerTag);
    }
  }

  /** Reads no more; what has come stays to be settled. @throws Error if the channel has closed */
  async unread(): Promise<void> {
    for (const [name, tag] of this.#tags) {
      await this.#channel.cancel(tag);
      this.#tags.delete(name);
    }
    const held = this.#held;
    this.#held = [];
    for (const { source } of held) this.#acks.release(source);
  }

  /** Resolves when everything that was handed over is settled, released or lost. */
  async idle(): Promise<void> {
    if (this.#handedOver > 0 && !this.lost.aborted) {
      await new Promise<void>((resolve) => (this.#idle = resolve));
    }
  }

  /** Closes the channel: what is not settled is delivered again. */
  async close(): Promise<void> {
    this.#acks.flush();
    try {
      await this.#channel.close();
    } catch {
      // It is closed already.
    }
  }

  settle(delivery: AmqpDelivery): void {
    if (this.lost.aborted) return;
    this.#acks.settle(delivery.source);
    this.#done();
  }

  release(delivery: AmqpDelivery): void {
    if (this.lost.aborted) return;
    if (this.#owner.isOrdered) this.#released++;
    else this.#acks.release(delivery.source);
    this.#done();
  }

  #heard(queue: ReadQueue, message: ConsumeMessage | null): void {
    if (message === null) {
      void this.close();
      this.#ended(`the queue ${queue.name} has been deleted`);
      return;
    }
    this.#acks.came(message);
    const delivery = new AmqpDelivery(this, message, queue, this.#owner);
    if (this.#held.length > 0 || this.#isHeld || this.#released > 0) this.#held.push(delivery);
    else this.#handOver(delivery);
  }

  #handOverHeld(): void {
    while (!this.#isHeld && this.#released === 0) {
      const next = this.#held.shift();
      if (next === undefined) return;
      this.#handOver(next);
    }
  }

  #handOver(delivery: AmqpDelivery): void {
    this.#handedOver++;
    this.#owner.receive(delivery);
  }

  #done(): void {
    if (--this.#handedOver > 0) return;
    if (this.#released > 0) void this.close();
    this.#idle?.();
  }

  #ended(why: string): void {
    if (this.lost.aborted) return;
    this.#tags.clear();
    this.#held = [];
    this.#lost.abort(new ConnectError(`the channel of RabbitMQ has closed: ${why}`, Code.Aborted));
    this.#idle?.();
    this.#owner.ended(why);
  }
}

class AmqpDelivery implements Delivery {
  readonly source: ConsumeMessage;
  readonly message: IncomingMessage;
  readonly from: Delivery["from"];
  readonly partition: number | undefined;
  readonly offset = undefined;
  readonly redelivered: boolean;
  readonly deliveries: number | undefined;
  readonly reply?: NonNullable<Delivery["reply"]>;
  readonly #channel: ConsumedChannel;
  #isDone = false;

  constructor(
    channel: ConsumedChannel,
    source: ConsumeMessage,
    queue: ReadQueue,
    owner: ConsumedChannelOwner,
  ) {
    this.#channel = channel;
    this.source = source;
    this.message = fromAmqp(source);
    this.from = originOf(source, queue.from);
    this.partition = queue.partition;
    this.redelivered = source.fields.redelivered;
    this.deliveries = deliveriesOf(source, owner.isCounting);
    const { replyTo, correlationId } = source.properties as { replyTo?: unknown; correlationId?: unknown };
    if (typeof replyTo === "string" && replyTo !== "") {
      this.reply = (message) => owner.reply(message, replyTo, correlationId);
    }
  }

  get lost(): AbortSignal {
    return this.#channel.lost;
  }

  settle(): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#channel.settle(this);
  }

  release(): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#channel.release(this);
  }
}
