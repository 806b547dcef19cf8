import { Code, ConnectError } from "../../core/errors/errors.ts";
import type { OutgoingMessage, Published } from "../broker.ts";
import { queueName } from "../queue-names.ts";
import type { AmqpMessage } from "./amqp-message.ts";

/** What has become of a message. */
export type Outcome = Published | ConnectError;

/** What is said of a message in its outcome. */
export interface MessageSource {
  /** `id` of the CloudEvent; empty without one. */
  readonly id: string;
  readonly topic: string;
  /** What takes it, for errors; undefined where nothing is declared for it: a reply. */
  readonly target: string | undefined;
}

/** A message in the form of AMQP. */
export interface WrittenMessage {
  readonly source: MessageSource;
  readonly message: AmqpMessage;
}

/** What outcomes of a message say. */
export function sourceOf({ to, event }: OutgoingMessage): MessageSource {
  const target = to.kind === "queue" ? queueName(to.topic, to.group, to.queue) : to.topic;
  return { id: event?.id ?? "", topic: to.topic, target };
}

/** One message on its way, until its outcome is known. */
export class Publication {
  readonly message: AmqpMessage;
  readonly source: MessageSource;
  /** Where it goes, as a key. */
  readonly place: string;
  /** Whether RabbitMQ has returned it: no queue takes it. */
  isReturned = false;
  /** How often it has been sent. */
  sent = 0;
  readonly #settled: (outcome: Outcome) => void;
  #isOver = false;

  constructor({ source, message }: WrittenMessage, settled: (outcome: Outcome) => void) {
    this.source = source;
    this.message = message;
    const { exchange, routingKey } = message;
    if (source.target === undefined) this.place = "reply";
    else this.place = exchange === "" ? `queue ${routingKey}` : `exchange ${exchange}`;
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
        ? new ConnectError(`no queue takes ${this.source.target}`, Code.Unavailable)
        : { id: this.source.id, topic: this.source.topic, confirmed: true },
    );
  }

  /** It is waited for no more. @param why what has kept it */
  abandon(why: string, code: Code = Code.Unavailable): void {
    const what =
      this.sent === 0
        ? "not sent"
        : `sent and not confirmed: it may be stored; publish again with id ${this.source.id}`;
    this.end(new ConnectError(`${what}: ${why}`, code));
  }

  end(outcome: Outcome): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#settled(outcome);
  }
}
