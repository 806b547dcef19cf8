import type { Clock } from "../../core/time/clock.ts";
import { NatsAway, type NatsLine, type NatsMessage } from "../../core/nats/nats-line.ts";
import { ackOf, findStream, isNoStream } from "../../core/nats/streams.ts";
import { noQueue } from "../publish-outcome.ts";
import { refusalOf, targetError, tooLarge } from "./nats-errors.ts";
import type { Publication } from "./publication.ts";
import { declareStream, type Place } from "./topology.ts";

/** Behind how long what has no answer is sent again, in milliseconds. */
const againMs = 1_000;

/** What an outlet asks its producer. */
export interface OutletOwner {
  readonly clock: Clock;
  /** Whether missing streams are made. */
  readonly declare: boolean;
  /** The connection that is used now. */
  line(): NatsLine | undefined;
}

/**
 * What is published to one subject, in the order of the calls. What has no answer when a connection ends is sent again
 * over the next one, by the same id, in its order and before anything newer.
 *
 * ```
 *   add ─▶ waiting ── the stream is there: sent ──▶ unconfirmed ── answer ──▶ outcome
 *             ▲                                          │
 *             └──── lost, or the stream is gone ─────────┘
 * ```
 */
export class Outlet {
  readonly #place: Place;
  readonly #owner: OutletOwner;
  #waiting: Publication[] = [];
  #unconfirmed = new Set<Publication>();
  /** The connection by which its stream was found. */
  #found: NatsLine | undefined;
  #isLooking = false;
  #cancelAgain: (() => void) | undefined;

  constructor(place: Place, owner: OutletOwner) {
    this.#place = place;
    this.#owner = owner;
  }

  /** Whether nothing is on its way. */
  get isIdle(): boolean {
    return this.#waiting.length === 0 && this.#unconfirmed.size === 0;
  }

  add(publication: Publication): void {
    this.#waiting.push(publication);
    this.send();
  }

  /** Sends what can be sent. */
  send(): void {
    const line = this.#owner.line();
    if (line === undefined || this.isIdle) return;
    if (this.#found !== line) {
      if (!this.#isLooking) void this.#look(line);
      return;
    }
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const publication of waiting) if (!publication.isOver) this.#sendOne(line, publication);
  }

  /** What was sent over a connection that has ended is sent again. */
  down(): void {
    this.#found = undefined;
    this.#waiting = [...this.#unconfirmed, ...this.#waiting].filter(({ isOver }) => !isOver);
    this.#unconfirmed = new Set();
  }

  /** Ends the wait for everything. @returns what was on its way */
  abandonAll(why: string): Publication[] {
    const all = [...this.#unconfirmed, ...this.#waiting].filter(({ isOver }) => !isOver);
    for (const publication of all) publication.abandon(why);
    this.down();
    this.#cancelAgain?.();
    return all;
  }

  async #look(line: NatsLine): Promise<void> {
    this.#isLooking = true;
    try {
      const { stream } = this.#place;
      const found = await findStream(line.manager, stream.name);
      const has = found?.config.subjects.includes(this.#place.subject) === true;
      if (!has) this.#refuseMandatory();
      if (!has && this.#waiting.some(({ isOver }) => !isOver)) {
        await declareStream(line, stream, this.#owner.declare);
      }
      if (has || this.#waiting.length > 0) this.#found = line;
    } catch (reason) {
      if (line.isOver) return;
      const error = targetError(reason);
      // What is not refused for good waits for its deadline.
      if (error.code === targetError(new Error("")).code) this.#sendLater();
      else for (const publication of this.#waiting.splice(0)) publication.end(error);
    } finally {
      this.#isLooking = false;
      if (this.#found === line || this.#owner.line() !== line) this.send();
    }
  }

  /** Nothing takes what must have a reader. */
  #refuseMandatory(): void {
    const waiting = this.#waiting;
    this.#waiting = waiting.filter(({ isMandatory }) => !isMandatory);
    for (const publication of waiting)
      if (publication.isMandatory) publication.end(noQueue(publication.target));
  }

  #sendOne(line: NatsLine, publication: Publication): void {
    const { body, headers, bytes } = publication.form;
    if (bytes > line.maxBytes) {
      publication.end(tooLarge(`the message has ${bytes} bytes, and the server takes ${line.maxBytes}`));
      return;
    }
    publication.isSent = true;
    this.#unconfirmed.add(publication);
    line.request(this.#place.subject, body, headers).then(
      (answer) => this.#answered(publication, answer),
      (reason: unknown) => this.#unanswered(line, publication, reason),
    );
  }

  #answered(publication: Publication, answer: NatsMessage): void {
    if (!this.#unconfirmed.delete(publication) || publication.isOver) return;
    if (isNoStream(answer)) {
      // The stream is gone, or has no leader now: it is looked for before anything newer is sent.
      publication.isSent = false;
      this.#found = undefined;
      this.#waiting = [...this.#waiting, publication].toSorted(byAge);
      this.#sendLater();
      return;
    }
    try {
      publication.confirm(ackOf(answer).seq);
    } catch (reason) {
      publication.end(refusalOf(reason, publication.target));
    }
  }

  #unanswered(line: NatsLine, publication: Publication, reason: unknown): void {
    if (!this.#unconfirmed.has(publication)) return; // It is sent again already.
    if (!(reason instanceof NatsAway)) {
      this.#unconfirmed.delete(publication);
      publication.end(refusalOf(reason, publication.target));
      return;
    }
    if (line.isOver) return; // `down` follows.
    this.down();
    this.#sendLater();
  }

  #sendLater(): void {
    this.#cancelAgain?.();
    this.#cancelAgain = this.#owner.clock.after(againMs, () => this.send(), false);
  }
}

function byAge(a: Publication, b: Publication): number {
  return a.number - b.number;
}
