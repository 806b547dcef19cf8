import { Code, ConnectError } from "../../core/errors/errors.ts";
import type { OutgoingMessage, Published } from "../broker.ts";
import { sentText } from "../publish-outcome.ts";
import { queueName } from "../queue-names.ts";
import { codeOf } from "./kafka-errors.ts";
import type { RecordParts } from "./kafka-message.ts";

/** What has become of a message. */
export type Outcome = Published | ConnectError;

/** What is said of a message in its outcome. */
export interface MessageSource {
  /** `id` of the CloudEvent; empty without one. */
  readonly id: string;
  readonly topic: string;
  /** What takes it, for errors. */
  readonly target: string;
  /** Whether it is refused where its topic is missing. */
  readonly mandatory: boolean;
}

/** What outcomes of a message say. */
export function sourceOf({ to, event, mandatory }: OutgoingMessage): MessageSource {
  const target = to.kind === "queue" ? queueName(to.topic, to.group, to.queue) : to.topic;
  return { id: event?.id ?? "", topic: to.topic, target, mandatory };
}

/** One message on its way, until its outcome is known. */
export class Publication {
  readonly record: RecordParts;
  readonly source: MessageSource;
  /** Whether it has been sent: Kafka may have stored it. */
  isSent = false;
  readonly #batch: PublicationBatch;
  readonly #at: number;
  #isOver = false;

  /** @param at its place in the batch */
  constructor(record: RecordParts, source: MessageSource, batch: PublicationBatch, at: number) {
    this.record = record;
    this.source = source;
    this.#batch = batch;
    this.#at = at;
  }

  /** Whether its outcome is known. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Kafka has stored it. */
  confirm(partition: number, offset: bigint): void {
    if (this.#isOver) return;
    const { id, topic } = this.source;
    this.end({ id, topic, partition, offset, confirmed: true });
  }

  /** It is waited for no more. @param why what has kept it */
  abandon(why: string, code: Code = Code.Unavailable): void {
    if (!this.#isOver) this.end(new ConnectError(`${sentText(this.isSent, this.source.id)}: ${why}`, code));
  }

  end(outcome: Outcome): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#batch.settled(this.#at, outcome);
  }
}

/** What a batch asks its producer. */
export interface BatchOwner {
  /** The outcome of one of its messages is known. */
  ended(): void;
  /** What keeps messages from being sent or confirmed. */
  hindrance(): string;
}

/** The messages of one call. It hears when the call's signal fires. */
export class PublicationBatch implements EventListenerObject {
  readonly publications: Publication[] = [];
  readonly #outcomes: Outcome[] = [];
  readonly #owner: BatchOwner;
  readonly #signal: AbortSignal;
  readonly #resolve: (outcomes: readonly Outcome[]) => void;
  #left = 0;

  constructor(owner: BatchOwner, signal: AbortSignal, resolve: (outcomes: readonly Outcome[]) => void) {
    this.#owner = owner;
    this.#signal = signal;
    this.#resolve = resolve;
  }

  add(record: RecordParts, source: MessageSource): Publication {
    const publication = new Publication(record, source, this, this.#left++);
    this.publications.push(publication);
    return publication;
  }

  /** Begins to hear the signal. @returns whether it has not fired already: then all have their outcome */
  begin(): boolean {
    if (this.#signal.aborted) this.handleEvent();
    else this.#signal.addEventListener("abort", this);
    return !this.#signal.aborted;
  }

  settled(at: number, outcome: Outcome): void {
    this.#owner.ended();
    this.#outcomes[at] = outcome;
    if (--this.#left > 0) return;
    this.#signal.removeEventListener("abort", this);
    this.#resolve(this.#outcomes);
  }

  /** The signal has fired. */
  handleEvent(): void {
    const why = this.#owner.hindrance();
    for (const publication of this.publications) publication.abandon(why, codeOf(this.#signal));
  }
}
