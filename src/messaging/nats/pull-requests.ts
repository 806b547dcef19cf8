import type { NatsLine, NatsMessage, NatsSubscription } from "../../core/nats/nats-line.ts";
import type { Clock } from "../../core/time/clock.ts";
import type { ConsumerPlan } from "../../core/nats/consumers.ts";

/** What requests for messages are made for. */
export interface PullRequestsOwner {
  readonly clock: Clock;
  /** A message has come. */
  heard(message: NatsMessage): void;
  /** How many messages may come. */
  room(): number;
  /** The consumer is there no more. */
  gone(): void;
  /** Whether this user may ask for messages has changed. @param why it may not; undefined: it may */
  refused(why: string | undefined): void;
}

/** How long a request lasts, in milliseconds: so long it takes at most until a consumer that has been deleted is looked for. */
const expiresMs = 4_000;
/** Behind how long more without an answer a request is lost, in milliseconds. */
const graceMs = 2_000;
/** Behind how long it is asked again after a refusal, in milliseconds. */
const againMs = 500;
const msInNs = 1_000_000;
const status = { heartbeat: 100, conflict: 409, noResponders: 503 };

let lastInbox = 0;

/** Asks a consumer for messages, one request at a time, over one connection. */
export class PullRequests {
  readonly #line: NatsLine;
  readonly #owner: PullRequestsOwner;
  readonly #subject: string;
  readonly #inbox: string;
  readonly #subscription: NatsSubscription;
  /** How many messages of the request of now have not come; 0 without one. */
  #left = 0;
  /** Counts requests. */
  #number = 0;
  #isAsking = false;
  #isOver = false;
  #isRefused = false;
  readonly #unhear: () => void;
  #cancelTimer: (() => void) | undefined;

  /** @throws NatsAway */
  constructor(line: NatsLine, { stream, name }: ConsumerPlan, owner: PullRequestsOwner) {
    this.#line = line;
    this.#owner = owner;
    this.#subject = `$JS.API.CONSUMER.MSG.NEXT.${stream}.${name}`;
    this.#inbox = `${line.inbox}.pull.${++lastInbox}`;
    this.#subscription = line.subscribe(`${this.#inbox}.*`, (message) => this.#heard(message));
    this.#unhear = line.onRefused(this.#subject, () => this.#refused());
  }

  /** Asks for as many messages as there is room for, behind what happens in this turn. */
  askSoon(): void {
    if (this.#isAsking || this.#left > 0 || this.#isOver) return;
    this.#isAsking = true;
    queueMicrotask(() => {
      this.#isAsking = false;
      this.#ask();
    });
  }

  /** Asks no more. Resolves when all messages have come that were on their way. */
  async end(): Promise<void> {
    this.#isOver = true;
    this.#cancelTimer?.();
    this.#unhear();
    try {
      await Promise.race([this.#subscription.drain(), this.#line.flush()]);
    } catch {
      // The connection has ended: nothing comes any more.
    }
  }

  #ask(): void {
    const batch = this.#owner.room();
    if (this.#isOver || this.#left > 0 || batch <= 0 || this.#line.isOver) return;
    this.#left = batch;
    const request = JSON.stringify({ batch, expires: expiresMs * msInNs });
    this.#line.publish(this.#subject, request, `${this.#inbox}.${++this.#number}`);
    this.#cancelTimer?.();
    this.#cancelTimer = this.#owner.clock.after(expiresMs + graceMs, () => this.#ended(), false);
  }

  #heard(message: NatsMessage): void {
    if (this.#isRefused) {
      this.#isRefused = false;
      this.#owner.refused(undefined);
    }
    // A message has its own subject, the end of a request that of the request.
    if (!message.subject.startsWith(this.#inbox)) {
      if (this.#left > 0) this.#left--;
      this.#owner.heard(message);
      if (this.#left === 0) this.askSoon();
      return;
    }
    const code = message.headers?.code ?? 0;
    if (code === status.heartbeat || this.#isOver) return;
    if (message.subject !== `${this.#inbox}.${this.#number}`) return; // Of a request before.
    const isDeleted = code === status.conflict && /deleted/i.test(message.headers?.description ?? "");
    if (code === status.noResponders || isDeleted) {
      this.#isOver = true;
      this.#cancelTimer?.();
      this.#unhear();
      this.#subscription.unsubscribe();
      this.#owner.gone();
    } else if (code === status.conflict) this.#askLater();
    else this.#ended();
  }

  /** There is no answer to what is refused. */
  #refused(): void {
    if (this.#isOver) return;
    this.#isRefused = true;
    this.#owner.refused(`no permission to publish to ${this.#subject}`);
    this.#askLater();
  }

  #ended(): void {
    this.#left = 0;
    this.askSoon();
  }

  #askLater(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = this.#owner.clock.after(againMs, () => this.#ended(), false);
  }
}
