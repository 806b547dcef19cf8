import type { ConnectError } from "../../core/errors/errors.ts";
import { unavailableFor } from "../../core/errors/retry-info.ts";
import type { OutgoingMessage } from "../broker.ts";
import type { WaitEnd } from "../wait.ts";
import { type AmqpLine, replyCodeOf, textOf } from "./amqp-line.ts";
import { type AmqpMessage, toAmqp } from "./amqp-message.ts";
import { Confirms } from "./confirms.ts";
import { replyCodes } from "./declaring.ts";
import {
  type BatchOwner,
  type MessageSource,
  type Outcome,
  type Publication,
  PublicationBatch,
  sourceOf,
} from "./publication.ts";
import { formError, targetError } from "./publish-errors.ts";
import { type FullRabbitMqOptions, slotCount } from "./rabbitmq-options.ts";

/** When a message that a full queue has refused may be tried again, in milliseconds. */
const refusedForMs = 1_000;
/** So often a message is sent while the channel closes with it each time. */
const maxSends = 5;

/** What the producer asks its broker. */
export interface ProducerOwner {
  /** Makes the target of a publication, or looks for it. @throws Error as `declaring.ts` */
  declare(line: AmqpLine, publication: Publication): Promise<void>;
  /** Why there is no connection. */
  away(): string;
}

/**
 * Publishes in the order of the calls, over one channel. What is not confirmed when it closes is sent again over the
 * next one, in its order and before anything newer.
 *
 * ```
 *   publish ─▶ waiting ── sent ──▶ unconfirmed ── confirmed, refused ──▶ outcome
 *                 ▲                     │
 *                 └── channel closes ───┘
 * ```
 */
export class Producer implements BatchOwner {
  readonly #options: FullRabbitMqOptions;
  readonly #owner: ProducerOwner;
  /** Not sent yet, or to be sent again; in order. */
  #waiting = new Set<Publication>();
  /** Places that are there, as far as is known. */
  readonly #declared = new Set<string>();
  #declaring: string | undefined;
  #line: AmqpLine | undefined;
  #confirms: Confirms | undefined;
  /** How many messages have no outcome yet. */
  #pending = 0;
  #turn = 0;
  #idle: (() => void) | undefined;

  constructor(options: FullRabbitMqOptions, owner: ProducerOwner) {
    this.#options = options;
    this.#owner = owner;
  }

  /** As `Broker.publish`. */
  publish(messages: readonly OutgoingMessage[], end: WaitEnd): Promise<readonly Outcome[]> {
    if (messages.length === 0) return Promise.resolve([]);
    return new Promise((resolve) => {
      const batch = new PublicationBatch(this, end, resolve);
      for (const message of messages) {
        batch.add(toAmqp(message, this.#options, this.#nextTurn()), sourceOf(message));
      }
      this.#begin(batch);
    });
  }

  /** Publishes one message that has its form already. */
  send(message: AmqpMessage, source: MessageSource, end: WaitEnd): Promise<readonly Outcome[]> {
    return new Promise((resolve) => {
      const batch = new PublicationBatch(this, end, resolve);
      batch.add(message, source);
      this.#begin(batch);
    });
  }

  #begin(batch: PublicationBatch): void {
    this.#pending += batch.publications.length;
    if (!batch.begin()) return;
    let isWaiting = this.#waiting.size > 0;
    for (const publication of batch.publications) {
      // The usual way: nothing is waited for.
      isWaiting ||= !this.#sendNow(publication);
      if (isWaiting) this.#waiting.add(publication);
    }
    if (isWaiting) this.#send();
  }

  /** Sends a message before which none waits, if it can be sent. @returns whether it need not wait */
  #sendNow(publication: Publication): boolean {
    const confirms = this.#confirms;
    const line = this.#line;
    if (confirms === undefined || line === undefined || line.blockedBy !== undefined) return false;
    if (confirms.isFull || !this.#declared.has(publication.place)) return false;
    this.#sendBy(confirms, publication);
    return true;
  }

  #sendBy(confirms: Confirms, publication: Publication): void {
    try {
      confirms.send(publication);
    } catch (reason) {
      // Where the channel is closing it is sent over the next one.
      if (this.#confirms === confirms) publication.end(formError(reason));
      else if (!publication.isOver) this.#waiting.add(publication);
    }
  }

  /** There is a connection. */
  up(line: AmqpLine): void {
    this.#line = line;
    this.#declared.clear();
    this.#declaring = undefined;
    void this.#open(line);
  }

  /** What hinders publishing has changed. */
  changed(): void {
    this.#send();
  }

  /** Resolves when nothing is pending any more. */
  async idle(): Promise<void> {
    if (this.#pending > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
  }

  /** Ends the wait for everything that is pending. */
  abandonAll(why: string): string[] {
    const sent = [...(this.#confirms?.unconfirmed ?? [])].filter(({ isOver }) => !isOver);
    const all = [...sent, ...this.#waiting];
    for (const publication of all) publication.abandon(why);
    return all.map(({ source }) => `publish ${source.topic}`);
  }

  async #open(line: AmqpLine): Promise<void> {
    try {
      const channel = await line.openConfirmChannel();
      const confirms: Confirms = new Confirms(line, channel, {
        confirmed: (publication) => this.#confirmed(publication),
        refused: (publication) =>
          publication.end(
            unavailableFor(`RabbitMQ: a queue of ${publication.source.target} is full`, refusedForMs),
          ),
        drained: () => this.#send(),
        closed: (unconfirmed, reason) => this.#closed(line, confirms, unconfirmed, reason),
      });
      if (this.#line !== line) return confirms.end();
      this.#confirms = confirms;
      this.#send();
    } catch {
      // The connection has ended; another one follows.
    }
  }

  #send(): void {
    const confirms = this.#confirms;
    const line = this.#line;
    if (confirms === undefined || line === undefined || line.blockedBy !== undefined) return;
    for (const publication of this.#waiting) {
      if (this.#confirms !== confirms || confirms.isFull) return;
      if (!this.#isDeclared(line, publication)) return;
      this.#waiting.delete(publication);
      this.#sendBy(confirms, publication);
    }
  }

  /** Whether its target has been looked for; otherwise it is, and `#send` follows. */
  #isDeclared(line: AmqpLine, publication: Publication): boolean {
    const { place } = publication;
    if (this.#declared.has(place)) return true;
    if (this.#declaring !== undefined) return false;
    this.#declaring = place;
    this.#owner.declare(line, publication).then(
      () => this.#looked(line, place, undefined),
      (reason: unknown) => this.#looked(line, place, reason),
    );
    return false;
  }

  #looked(line: AmqpLine, place: string, reason: unknown): void {
    if (this.#line !== line) return;
    this.#declaring = undefined;
    if (line.isOver) return;
    if (reason === undefined) this.#declared.add(place);
    else this.#failPlace(place, targetError(reason));
    this.#send();
  }

  #confirmed(publication: Publication): void {
    // A queue that has been deleted is made again before the next message for it.
    if (publication.isReturned && publication.message.exchange === "") {
      this.#declared.delete(publication.place);
    }
    publication.confirm();
  }

  #closed(
    line: AmqpLine,
    confirms: Confirms,
    unconfirmed: readonly Publication[],
    reason: Error | undefined,
  ): void {
    if (this.#confirms === confirms) this.#confirms = undefined;
    const again = unconfirmed.filter(({ isOver }) => !isOver);
    this.#waiting = new Set([...again, ...this.#waiting]);
    for (const publication of again) publication.isReturned = false;
    if (reason === undefined || line.isOver || this.#line !== line) return;
    this.#refusedBy(reason, again);
    void this.#open(line);
  }

  /** RabbitMQ has closed the channel for something that was published. */
  #refusedBy(reason: Error, unconfirmed: readonly Publication[]): void {
    this.#declared.clear(); // An exchange may be gone: it is looked for again.
    const exchange = /exchange '([^']*)'/.exec(textOf(reason))?.[1];
    for (const publication of unconfirmed) {
      const isRefused = replyCodeOf(reason) === replyCodes.refused;
      if (isRefused && publication.message.exchange === exchange) publication.end(targetError(reason));
      else if (publication.sent >= maxSends) publication.abandon(textOf(reason));
    }
  }

  #failPlace(place: string, error: ConnectError): void {
    for (const publication of [...this.#waiting]) {
      if (publication.place === place) publication.end(error);
    }
  }

  /** As `BatchOwner`. */
  ended(publication: Publication): void {
    if (this.#waiting.size > 0) this.#waiting.delete(publication);
    if (--this.#pending === 0) this.#idle?.();
  }

  /** As `BatchOwner`. */
  hindrance(): string {
    const line = this.#line;
    if (line === undefined || line.isOver) return this.#owner.away();
    if (line.blockedBy !== undefined) return `RabbitMQ takes no messages: ${line.blockedBy}`;
    return "RabbitMQ has not answered in time";
  }

  /** Messages without a key take the slots by turns. */
  #nextTurn(): number {
    this.#turn = (this.#turn + 1) % slotCount;
    return this.#turn;
  }
}
