import type { AmqpLine } from "./amqp-line.ts";
import { type ChannelSender, senderOn } from "./channel-sender.ts";
import { Numbered } from "./numbered.ts";
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
  readonly #sender: ChannelSender;
  readonly #unconfirmed = new Numbered<Publication>();
  #isFull = false;
  #reason: Error | undefined;

  constructor(line: AmqpLine, channel: ConfirmChannel, owner: ConfirmsOwner) {
    this.#channel = channel;
    this.#sender = senderOn(line, channel, () => {
      this.#isFull = false;
      owner.drained();
    });
    const confirmed = (one: Publication): void => owner.confirmed(one);
    const refused = (one: Publication): void => owner.refused(one);
    channel.on("ack", ({ deliveryTag, multiple }) => this.#settle(deliveryTag, multiple, confirmed));
    channel.on("nack", ({ deliveryTag, multiple }) => this.#settle(deliveryTag, multiple, refused));
    channel.on("return", (message) => this.#returned(message));
    channel.on("error", (reason) => (this.#reason = reason));
    channel.on("close", () => owner.closed(this.#unconfirmed.takeAll(), this.#reason));
  }

  /** Whether nothing more should be sent until `drained`. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** @throws Error for a message that AMQP has no form for, which is not sent then */
  send(publication: Publication): void {
    const goesOn = this.#sender.publish(publication.message);
    this.#unconfirmed.add(publication);
    publication.sent++;
    if (!goesOn) this.#isFull = true;
  }

  /** What is not confirmed, in the order in which it was sent; the outcome of some may be known. */
  get unconfirmed(): Iterable<Publication> {
    return this.#unconfirmed;
  }

  /** Closes the channel. */
  end(): void {
    this.#channel.close().catch(() => {}); // It is closed already.
  }

  #settle(number: number, isUpTo: boolean, settled: (publication: Publication) => void): void {
    const first = isUpTo ? (this.#unconfirmed.first ?? number) : number;
    for (let each = first; each <= number; each++) {
      const publication = this.#unconfirmed.take(each);
      if (publication !== undefined) settled(publication);
    }
  }

  /** RabbitMQ returns in the order of publishing, and before it confirms. */
  #returned({ fields, properties }: Message): void {
    for (const publication of this.#unconfirmed) {
      const { exchange, routingKey, options } = publication.message;
      if (!options.mandatory || publication.isReturned) continue;
      if (exchange !== fields.exchange || routingKey !== fields.routingKey) continue;
      if (options.messageId !== properties.messageId) continue;
      publication.isReturned = true;
      return;
    }
  }
}
