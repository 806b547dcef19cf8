import type { Live } from "../../core/call/live-set.ts";
import type { Clock } from "../../core/time/clock.ts";
import type { IncomingMessage, OutgoingMessage } from "../broker.ts";

/** A message in the queue of one group. */
export interface QueuedMessage extends Live {
  /** Its place: messages are delivered from the smallest on. */
  readonly place: number;
  readonly message: IncomingMessage;
  readonly from: "topic" | "retry" | "again";
  readonly bytes: number;
  /** The same for a message and the copies that retries make of it. */
  readonly identity: string;
  /** How often it was delivered. */
  deliveries: number;
  /** Takes the answer of a call; undefined for other messages. */
  readonly answer: ((reply: Omit<OutgoingMessage, "to" | "mandatory" | "key">) => void) | undefined;
}

/** A subscription, as a queue sees it. */
export interface QueueReader {
  /** Whether it takes a message now. */
  readonly wants: boolean;
  take(item: QueuedMessage): void;
}

/**
 * The messages of one group that wait, in order, and the readers that share them: by turns, or where the messages have an
 * order, the first of them alone until it leaves.
 */
export class MemoryQueue {
  readonly #clock: Clock;
  readonly #isOrdered: boolean;
  readonly #readers: QueueReader[] = [];
  /** In the order of their places; those before `#head` are gone. */
  #waiting: QueuedMessage[] = [];
  /** Whether its messages are about to be handed over. Only its broker writes it. */
  isAwake = false;
  #head = 0;
  /** Messages that wait for their time, with what ends the wait. */
  readonly #delayed = new Map<QueuedMessage, () => void>();
  #turn = 0;

  constructor(clock: Clock, isOrdered: boolean) {
    this.#clock = clock;
    this.#isOrdered = isOrdered;
  }

  /** How many wait for a reader. */
  get length(): number {
    return this.#waiting.length - this.#head;
  }

  /** How many wait for their time. */
  get delayed(): number {
    return this.#delayed.size;
  }

  get hasReaders(): boolean {
    return this.#readers.length > 0;
  }

  join(reader: QueueReader): void {
    this.#readers.push(reader);
  }

  leave(reader: QueueReader): void {
    const at = this.#readers.indexOf(reader);
    if (at >= 0) this.#readers.splice(at, 1);
  }

  /** Adds a message at its place. */
  add(item: QueuedMessage): void {
    const waiting = this.#waiting;
    const last = waiting.at(-1);
    if (last === undefined || last.place < item.place || this.length === 0) {
      waiting.push(item);
      return;
    }
    let from = this.#head;
    let to = waiting.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if ((waiting[middle]?.place ?? 0) < item.place) from = middle + 1;
      else to = middle;
    }
    waiting.splice(from, 0, item);
  }

  /** As `add`, after a time. @param due is called then */
  addLater(item: QueuedMessage, delayMs: number, due: () => void): void {
    const cancel = this.#clock.after(delayMs, () => {
      this.#delayed.delete(item);
      this.add(item);
      due();
    });
    this.#delayed.set(item, cancel);
  }

  /** Takes a message out that waits. @returns whether it did */
  remove(item: QueuedMessage): boolean {
    const cancel = this.#delayed.get(item);
    if (cancel !== undefined) {
      cancel();
      return this.#delayed.delete(item);
    }
    const at = this.#waiting.indexOf(item, this.#head);
    if (at < 0) return false;
    this.#waiting.splice(at, 1);
    return true;
  }

  /** Hands messages to readers, as long as there is one that takes them. */
  pump(): void {
    while (this.length > 0) {
      const reader = this.#next();
      if (reader === undefined) return;
      const item = this.#waiting[this.#head++];
      if (this.length === 0 || (this.#head > 1_000 && this.#head * 2 > this.#waiting.length)) {
        this.#waiting = this.#waiting.slice(this.#head);
        this.#head = 0;
      }
      if (item !== undefined) reader.take(item);
    }
  }

  /** Takes everything out. @returns how many there were */
  clear(): number {
    const count = this.length + this.delayed;
    for (const cancel of this.#delayed.values()) cancel();
    this.#delayed.clear();
    this.#waiting = [];
    this.#head = 0;
    return count;
  }

  #next(): QueueReader | undefined {
    const readers = this.#readers;
    if (this.#isOrdered) return readers[0]?.wants === true ? readers[0] : undefined;
    for (let tried = 0; tried < readers.length; tried++) {
      this.#turn = (this.#turn + 1) % readers.length;
      const reader = readers[this.#turn];
      if (reader?.wants === true) return reader;
    }
    return undefined;
  }
}
