import type { Clock } from "../../core/time/clock.ts";
import type { Entry } from "../connections/entry.ts";
import type { EventHeaders } from "./header-filter.ts";
import type { Offered } from "./publication.ts";

/** The header of a message that its clients confirm: its value is what they send back. */
export const confirmHeader = "ts-ms-confirm";

/** A call that is given messages, as confirmations see it. */
export interface ConfirmingCall {
  readonly entry: Entry;
}

/** How many connections have confirmed a message, of those that it was sent to. */
export interface Confirmed {
  readonly confirmed: number;
  /** Those that have not confirmed in time, have ended before, or cannot confirm at all. */
  readonly unconfirmed: number;
}

/** What has become of a message on several nodes. */
export function addConfirmed(all: readonly Confirmed[]): Confirmed {
  const sum = (of: keyof Confirmed): number => all.reduce((total, one) => total + one[of], 0);
  return { confirmed: sum("confirmed"), unconfirmed: sum("unconfirmed") };
}

/** With what confirmations are waited for. */
export interface ConfirmationsInit {
  /** Id of this node. */
  readonly node: string;
  readonly clock: Clock;
  /** A message of a topic is waited for no longer. */
  readonly counted: (topic: string, outcome: Confirmed) => void;
}

/** The messages of this node that are to be confirmed, and wait for that. */
export class Confirmations {
  readonly #init: ConfirmationsInit;
  readonly #open = new Map<string, Confirmation>();
  #lastNumber = 0;

  constructor(init: ConfirmationsInit) {
    this.#init = init;
  }

  /** How many messages wait. */
  get size(): number {
    return this.#open.size;
  }

  /** A message is about to be sent. @param timeoutMs how long it is waited for, in milliseconds */
  open(topic: string, timeoutMs: number): Confirmation {
    return this.#begin(`${this.#init.node}.${++this.#lastNumber}`, topic, timeoutMs, true);
  }

  /**
   * As `open`, for a message of another node, which may ask until its time is over what has become of it.
   *
   * @param token as its header says
   */
  openAs(token: string, topic: string, timeoutMs: number): Confirmation {
    return this.#begin(token, topic, timeoutMs, false);
  }

  #begin(token: string, topic: string, timeoutMs: number, isOwn: boolean): Confirmation {
    const { clock, counted } = this.#init;
    let cancel = (): void => {};
    const forget = (): void => {
      cancel();
      this.#open.delete(token);
    };
    const confirmation = new Confirmation(token, (outcome) => {
      if (outcome !== undefined) counted(topic, outcome);
      if (isOwn) forget();
    });
    const late = (): void => {
      forget();
      confirmation.end();
    };
    cancel = clock.after(timeoutMs, late, false);
    this.#open.set(token, confirmation);
    return confirmation;
  }

  /** That of a publication; undefined for one that is not to be confirmed. */
  of({ headers }: { readonly headers: EventHeaders }): Confirmation | undefined {
    if (this.#open.size === 0) return undefined;
    const token = headers[confirmHeader];
    return token === undefined ? undefined : this.#open.get(token);
  }

  /** That of a token; undefined where its time is over. */
  find(token: string): Confirmation | undefined {
    return this.#open.get(token);
  }

  /** A client has handled a message. One whose time is over changes nothing. */
  confirmed(entry: Entry, token: string): void {
    this.#open.get(token)?.confirmedBy(entry);
  }

  /** A call reads no more. */
  left(call: ConfirmingCall): void {
    for (const confirmation of this.#open.values()) confirmation.left(call);
  }
}

/** Who was sent a message, and has confirmed it. */
export class Confirmation {
  readonly token: string;
  readonly #ended: (outcome: Confirmed | undefined) => void;
  readonly #outcome = Promise.withResolvers<Confirmed>();
  /** Connections that it was sent to. */
  readonly #sentTo = new Set<Entry>();
  readonly #confirmed = new Set<Entry>();
  /** Calls that can still confirm. */
  readonly #waiting = new Set<ConfirmingCall>();
  #isSent = false;
  #isOver = false;

  /** @param ended called once, when it is waited for no more; with undefined where it is of no interest */
  constructor(token: string, ended: (outcome: Confirmed | undefined) => void) {
    this.token = token;
    this.#ended = ended;
  }

  /** Resolves when all have confirmed that can, or its time is over. */
  get outcome(): Promise<Confirmed> {
    return this.#outcome.promise;
  }

  /** The message was offered to a call. */
  offered(call: ConfirmingCall, result: Offered): void {
    if (result !== "sent" && result !== "lagging") return;
    this.#sentTo.add(call.entry);
    if (call.entry.confirms) this.#waiting.add(call);
  }

  /** It was offered to all. */
  sent(): void {
    this.#isSent = true;
    this.#look();
  }

  confirmedBy(entry: Entry): void {
    if (this.#isOver || !this.#sentTo.has(entry)) return;
    this.#confirmed.add(entry);
    for (const call of this.#waiting) if (call.entry === entry) this.#waiting.delete(call);
    this.#look();
  }

  left(call: ConfirmingCall): void {
    if (this.#waiting.delete(call)) this.#look();
  }

  /** Its time is over. Idempotent. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#waiting.clear();
    const confirmed = this.#confirmed.size;
    const outcome = { confirmed, unconfirmed: this.#sentTo.size - confirmed };
    this.#ended(outcome);
    this.#outcome.resolve(outcome);
  }

  /** The message was not sent. */
  cancel(): void {
    this.#isOver = true;
    this.#ended(undefined);
  }

  #look(): void {
    if (this.#isSent && this.#waiting.size === 0) this.end();
  }
}
