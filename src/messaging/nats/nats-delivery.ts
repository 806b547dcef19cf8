import type { NatsMessage } from "../../core/nats/nats-line.ts";
import type { Delivery, IncomingMessage } from "../broker.ts";
import { fromNats, replyForm, replyHeader } from "./nats-message.ts";

/** A reply, as `Delivery.reply` is given it. */
export type ReplyMessage = Parameters<NonNullable<Delivery["reply"]>>[0];

/** What the subject for the acknowledgement of a message says of it. */
export interface AckSubject {
  readonly subject: string;
  /** How often the message has been delivered, this time too. */
  readonly deliveries: number;
  /** Its number in the stream. */
  readonly offset: bigint;
  /** When it was stored, by the clock of the server, in milliseconds since 1970. */
  readonly storedMs: number;
}

/** Undefined for a message that is none of a stream, such as the end of a request. */
export function ackSubjectOf({ reply }: NatsMessage): AckSubject | undefined {
  if (reply === undefined || !reply.startsWith("$JS.ACK.")) return undefined;
  const parts = reply.split(".");
  // `$JS.ACK.STREAM.CONSUMER.DELIVERED.SEQ.…`; newer servers put a domain and an account before the stream.
  const at = parts.length >= 11 ? 6 : 4;
  const [deliveries = "1", offset = "0", , timeNs = "0"] = parts.slice(at);
  return {
    subject: reply,
    deliveries: Number(deliveries),
    offset: BigInt(offset),
    storedMs: Number(BigInt(timeNs) / 1_000_000n),
  };
}

/** What a delivery asks the one that reads its consumer. */
export interface DeliveryOwner {
  readonly origin: Delivery["from"];
  settle(delivery: NatsDelivery): void;
  release(delivery: NatsDelivery, delayMs: number): void;
  reply(message: ReplyMessage, to: string): Promise<void>;
}

/** One delivery of a message of a stream. */
export class NatsDelivery implements Delivery {
  readonly ack: AckSubject;
  readonly message: IncomingMessage;
  readonly from: Delivery["from"];
  readonly partition = undefined;
  readonly offset: bigint;
  readonly redelivered: boolean;
  readonly deliveries: number;
  readonly lost: AbortSignal;
  readonly reply?: NonNullable<Delivery["reply"]>;
  /** Its number among what is not settled. */
  number = 0;
  readonly #source: NatsMessage;
  readonly #owner: DeliveryOwner;
  #isDone = false;

  /** @param deliveries which one it is of this message */
  constructor(
    source: NatsMessage,
    ack: AckSubject,
    deliveries: number,
    lost: AbortSignal,
    owner: DeliveryOwner,
  ) {
    this.#source = source;
    this.#owner = owner;
    this.ack = ack;
    this.message = fromNats(source);
    this.from = owner.origin;
    this.offset = ack.offset;
    this.deliveries = deliveries;
    this.redelivered = deliveries > 1;
    this.lost = lost;
    const to = source.headers?.get(replyHeader) ?? "";
    if (replyForm.test(to)) this.reply = (message) => owner.reply(message, to);
  }

  /** The delivery of the same message behind this one. */
  next(): NatsDelivery {
    return new NatsDelivery(this.#source, this.ack, this.deliveries + 1, this.lost, this.#owner);
  }

  settle(): void {
    if (this.#isDone || this.lost.aborted) return;
    this.#isDone = true;
    this.#owner.settle(this);
  }

  release(delayMs = 0): void {
    if (this.#isDone || this.lost.aborted) return;
    this.#isDone = true;
    this.#owner.release(this, delayMs);
  }
}
