import type { ConfirmChannel, Message } from "./peer.ts";
import type { Publication } from "./publication.ts";

/** What a channel with confirms says of publications. */
export interface ConfirmsOwner {
  confirmed(publication: Publication): void;
  /** RabbitMQ has not stored it. */
  refused(publication: Publication): void;
  /** More can be sent. */
  drained(): void;
  /** It has closed. @param reason undefined where its connection has ended */
  closed(unconfirmed: readonly Publication[], reason: Error | undefined): void;
}

/** The publications of one channel, by the numbers that RabbitMQ confirms them by. */
export class Confirms {
  readonly #channel: ConfirmChannel;
  /** In the order of their numbers. */
  readonly #unconfirmed = new Map<number, Publication>();
  #lastNumber = 0;
  #isFull = false;
  #reason: Error | undefined;

  constructor(channel: ConfirmChannel, owner: ConfirmsOwner) {
    this.#channel = channel;
    channel.on("ack", ({ deliveryTag, multiple }) =>
      this.#settle(deliveryTag, multiple, (one) => owner.confirmed(one)),
    );
    channel.on("nack", ({ deliveryTag, multiple }) =>
      this.#settle(deliveryTag, multiple, (one) => owner.refused(one)),
    );
    channel.on("return", (message) => this.#returned(message));
    channel.on("drain", () => {
      this.#isFull = false;
      owner.drained();
    });
    channel.on("error", (reason) => (this.#reason = reason));
    channel.on("close", () => {
      const rest = [...this.#unconfirmed.values()];
      this.#unconfirmed.clear();
      owner.closed(rest, this.#reason);
    });
  }

  /** Whether nothing more should be sent until `drained`. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** @throws Error for a message that AMQP has no form for, which is not sent then */
  send(publication: Publication): void {
    const { exchange, routingKey, body, options } = publication.message;
    const goesOn = this.#channel.publish(exchange, routingKey, body, options);
    this.#unconfirmed.set(++this.#lastNumber, publication);
    publication.sent++;
    if (!goesOn) this.#isFull = true;
  }

  /** Closes the channel. */
  end(): void {
    this.#channel.close().catch(() => {}); // It is closed already.
  }

  #settle(number: number, isUpTo: boolean, settled: (publication: Publication) => void): void {
    if (!isUpTo) {
      this.#settleOne(number, settled);
      return;
    }
    for (const earlier of this.#unconfirmed.keys()) {
      if (earlier > number) return;
      this.#settleOne(earlier, settled);
    }
  }

  #settleOne(number: number, settled: (publication: Publication) => void): void {
    const publication = this.#unconfirmed.get(number);
    this.#unconfirmed.delete(number);
    if (publication !== undefined) settled(publication);
  }

  /** RabbitMQ returns in the order of publishing, and before it confirms. */
  #returned({ fields, properties }: Message): void {
    for (const publication of this.#unconfirmed.values()) {
      const { exchange, routingKey, options } = publication.message;
      if (options.mandatory !== true || publication.isReturned) continue;
      if (exchange !== fields.exchange || routingKey !== fields.routingKey) continue;
      if (options.messageId !== properties.messageId) continue;
      publication.isReturned = true;
      return;
    }
  }
}
