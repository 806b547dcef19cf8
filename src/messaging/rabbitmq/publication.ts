import { Code, ConnectError } from "../../core/errors/errors.ts";
import type { OutgoingMessage, Published } from "../broker.ts";
import type { AmqpMessage } from "./amqp-message.ts";

/** What has become of a message. */
export type Outcome = Published | ConnectError;

/** One message on its way, until its outcome is known. */
export class Publication {
  readonly message: AmqpMessage;
  /** `id` of the CloudEvent; empty without one. */
  readonly id: string;
  readonly topic: string;
  /** What takes it, for errors. */
  readonly target: string;
  /** Where it goes, as a key. */
  readonly place: string;
  /** Whether RabbitMQ has returned it: no queue takes it. */
  isReturned = false;
  /** How often it has been sent. */
  sent = 0;
  readonly #settled: (outcome: Outcome) => void;
  #isOver = false;

  constructor(source: OutgoingMessage, message: AmqpMessage, settled: (outcome: Outcome) => void) {
    this.message = message;
    this.id = source.event?.id ?? "";
    this.topic = source.to.topic;
    this.target = source.to.kind === "queue" ? message.routingKey : source.to.topic;
    this.place = message.exchange === "" ? `queue ${message.routingKey}` : `exchange ${message.exchange}`;
    this.#settled = settled;
  }

  /** Whether its outcome is known. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** RabbitMQ has it, or has returned it. */
  confirm(): void {
    this.end(
      this.isReturned
        ? new ConnectError(`no queue takes ${this.target}`, Code.Unavailable)
        : { id: this.id, topic: this.topic, confirmed: true },
    );
  }

  /** It is waited for no more. @param why what has kept it */
  abandon(why: string, code: Code = Code.Unavailable): void {
    const what =
      this.sent === 0
        ? "not sent"
        : `sent and not confirmed: it may be stored; publish again with id ${this.id}`;
    this.end(new ConnectError(`${what}: ${why}`, code));
  }

  end(outcome: Outcome): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#settled(outcome);
  }
}
