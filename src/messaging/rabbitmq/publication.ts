import { Code, ConnectError } from "../../core/errors/errors.ts";
import type { OutgoingMessage, Published } from "../broker.ts";
import { noQueue, sentText } from "../publish-outcome.ts";
import { queueName } from "../queue-names.ts";
import type { WaitEnd, WaitListener } from "../wait.ts";
import type { AmqpMessage } from "./amqp-message.ts";
import { codeOf } from "./publish-errors.ts";

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

/** What outcomes of a message say. */
export function sourceOf({ to, event }: OutgoingMessage): MessageSource & { readonly target: string } {
  const target = to.kind === "queue" ? queueName(to.topic, to.group, to.queue) : to.topic;
  return { id: event?.id ?? "", topic: to.topic, target };
}

/** One message on its way, until its outcome is known. */
export class Publication {
  readonly message: AmqpMessage;
  readonly source: MessageSource;
  /** Where it goes, as a key: an exchange, or a queue behind a colon. */
  readonly place: string;
  /** Whether RabbitMQ has returned it: no queue takes it. */
  isReturned = false;
  /** How often it has been sent. */
  sent = 0;
  readonly #batch: PublicationBatch;
  readonly #at: number;
  #isOver = false;

  /** @param at its place in the batch */
  constructor(message: AmqpMessage, source: MessageSource, batch: PublicationBatch, at: number) {
    this.message = message;
    this.source = source;
    const { exchange, routingKey } = message;
    if (source.target === undefined) this.place = ":";
    else this.place = exchange === "" ? `:${routingKey}` : exchange;
    this.#batch = batch;
    this.#at = at;
  }

  /** Whether its outcome is known. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** RabbitMQ has it, or has returned it. */
  confirm(): void {
    const { id, topic, target } = this.source;
    this.end(this.isReturned ? noQueue(target ?? topic) : { id, topic, confirmed: true });
  }

  /** It is waited for no more. @param why what has kept it */
  abandon(why: string, code: Code = Code.Unavailable): void {
    const what = sentText(this.sent > 0, this.source.id);
    this.end(new ConnectError(`${what}: ${why}`, code));
  }

  end(outcome: Outcome): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#batch.settled(this, this.#at, outcome);
  }
}

/** What a batch asks its producer. */
export interface BatchOwner {
  /** The outcome of one of its messages is known. */
  ended(publication: Publication): void;
  /** What keeps messages from being sent or confirmed. */
  hindrance(): string;
}

/** The messages of one call. It hears when the wait of the call is over. */
export class PublicationBatch implements WaitListener {
  readonly publications: Publication[] = [];
  readonly #outcomes: Outcome[] = [];
  readonly #owner: BatchOwner;
  readonly #end: WaitEnd;
  readonly #resolve: (outcomes: readonly Outcome[]) => void;
  #left = 0;

  constructor(owner: BatchOwner, end: WaitEnd, resolve: (outcomes: readonly Outcome[]) => void) {
    this.#owner = owner;
    this.#end = end;
    this.#resolve = resolve;
  }

  add(message: AmqpMessage, source: MessageSource): void {
    this.publications.push(new Publication(message, source, this, this.#left++));
  }

  /** Begins to hear of the end. @returns whether that is not there already: then all have their outcome */
  begin(): boolean {
    if (this.#end.aborted) this.handleEvent();
    else this.#end.addEventListener("abort", this);
    return !this.#end.aborted;
  }

  settled(publication: Publication, at: number, outcome: Outcome): void {
    this.#owner.ended(publication);
    this.#outcomes[at] = outcome;
    if (--this.#left > 0) return;
    this.#end.removeEventListener("abort", this);
    this.#resolve(this.#outcomes);
  }

  /** The wait is over. */
  handleEvent(): void {
    const why = this.#owner.hindrance();
    for (const publication of this.publications) publication.abandon(why, codeOf(this.#end));
  }
}
