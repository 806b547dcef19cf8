import { Code, ConnectError } from "../../core/errors/errors.ts";
import type { OutgoingMessage, Published } from "../broker.ts";
import { sentText } from "../publish-outcome.ts";
import type { Live } from "../../core/call/live-set.ts";
import { queueName } from "../queue-names.ts";
import type { WaitEnd, WaitListener } from "../wait.ts";
import { codeOf } from "./kafka-errors.ts";
import type { RecordParts } from "./kafka-message.ts";

/** What has become of a message. */
export type Outcome = Published | ConnectError;

/** One message on its way, until its outcome is known. */
export class Publication {
  readonly record: RecordParts;
  readonly message: OutgoingMessage;
  /** Whether it has been sent: Kafka may have stored it. */
  isSent = false;
  readonly #batch: PublicationBatch;
  readonly #at: number;
  #isOver = false;

  /** @param at its place in the batch */
  constructor(record: RecordParts, message: OutgoingMessage, batch: PublicationBatch, at: number) {
    this.record = record;
    this.message = message;
    this.#batch = batch;
    this.#at = at;
  }

  /** Whether its outcome is known. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** `id` of the CloudEvent; empty without one. */
  get id(): string {
    return this.message.event?.id ?? "";
  }

  get topic(): string {
    return this.message.to.topic;
  }

  /** What takes it, for errors. */
  get target(): string {
    const { to } = this.message;
    return to.kind === "queue" ? queueName(to.topic, to.group, to.queue) : to.topic;
  }

  /** Kafka has stored it. */
  confirm(partition: number, offset: bigint): void {
    if (this.#isOver) return;
    this.end({ id: this.id, topic: this.topic, partition, offset, confirmed: true });
  }

  /** It is waited for no more. @param why what has kept it */
  abandon(why: string, code: Code = Code.Unavailable): void {
    if (!this.#isOver) this.end(new ConnectError(`${sentText(this.isSent, this.id)}: ${why}`, code));
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
  ended(isConfirmed: boolean): void;
  /** What keeps messages from being sent or confirmed. */
  hindrance(): string;
  /** All its messages have their outcome. */
  finished(batch: PublicationBatch): void;
}

/** The messages of one call. It hears when the call's wait ends. */
export class PublicationBatch implements WaitListener, Live {
  livePlace = -1;
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

  add(record: RecordParts, message: OutgoingMessage): Publication {
    const publication = new Publication(record, message, this, this.#left++);
    this.publications.push(publication);
    return publication;
  }

  /** Begins to hear the end of the wait. @returns whether that has not come already: then all have their outcome */
  begin(): boolean {
    if (this.#end.aborted) this.handleEvent();
    else this.#end.addEventListener("abort", this);
    return !this.#end.aborted;
  }

  settled(at: number, outcome: Outcome): void {
    this.#owner.ended(!(outcome instanceof ConnectError));
    this.#outcomes[at] = outcome;
    if (--this.#left > 0) return;
    this.#end.removeEventListener("abort", this);
    this.#owner.finished(this);
    this.#resolve(this.#outcomes);
  }

  /** The wait is over. */
  handleEvent(): void {
    const why = this.#owner.hindrance();
    for (const publication of this.publications) publication.abandon(why, codeOf(this.#end));
  }
}
