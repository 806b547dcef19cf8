import type { Clock } from "../../core/time/clock.ts";
import { MemoryDeadLetters } from "./memory-dead-letters.ts";
import { MemoryQueue, type QueuedMessage } from "./memory-queue.ts";
import type { MemorySpace, Size } from "./memory-space.ts";

/** What all groups of a broker share. */
export interface GroupParts {
  readonly clock: Clock;
  readonly space: MemorySpace;
  readonly limit: Size;
  /** Whether publishers wait until their messages are settled. */
  readonly followsMessages: boolean;
  /** Hands messages to readers, in a turn of the event loop of its own. */
  readonly pumpLater: (queue: MemoryQueue) => void;
}

/** A message and the copies that retries make of it. */
interface Followed {
  alive: number;
  /** Called when all are settled. */
  whenSettled: (() => void) | undefined;
}

/** What one group has of a topic: its queue, its retry queues and its dead letters. */
export class MemoryGroup {
  readonly topic: string;
  readonly name: string;
  readonly queue: MemoryQueue;
  readonly dead: MemoryDeadLetters;
  readonly #parts: GroupParts;
  readonly #followed = new Map<string, Followed>();
  #unsettled = 0;

  constructor(topic: string, name: string, isOrdered: boolean, parts: GroupParts) {
    this.topic = topic;
    this.name = name;
    this.#parts = parts;
    this.queue = new MemoryQueue(parts.clock, isOrdered);
    this.dead = new MemoryDeadLetters(parts.limit);
  }

  /** How many messages it has that are not settled, dead letters apart. */
  get unsettled(): number {
    return this.#unsettled;
  }

  /** Adds a message, after a time in milliseconds. */
  add(item: QueuedMessage, delayMs = 0): void {
    this.#unsettled++;
    this.#parts.space.take(item.bytes);
    if (this.#parts.followsMessages) this.#follow(item.identity).alive++;
    this.giveBack(item, delayMs);
  }

  /** Calls `listener` when the message, and every copy that a retry makes of it, is settled. */
  onceSettled(identity: string, listener: () => void): void {
    const followed = this.#follow(identity);
    const { whenSettled } = followed;
    followed.whenSettled =
      whenSettled === undefined
        ? listener
        : () => {
            whenSettled();
            listener();
          };
  }

  /** Puts a message at its place in the queue. */
  giveBack(item: QueuedMessage, delayMs = 0): void {
    if (delayMs > 0) {
      this.queue.addLater(item, delayMs, () => this.wake());
      return;
    }
    this.queue.add(item);
    this.wake();
  }

  /** A message is done with. */
  settle({ identity, bytes }: QueuedMessage): void {
    this.#unsettled--;
    this.#parts.space.free(bytes);
    if (!this.#parts.followsMessages) return;
    const followed = this.#followed.get(identity);
    if (followed === undefined || --followed.alive > 0) return;
    this.#followed.delete(identity);
    const { whenSettled } = followed;
    followed.whenSettled = undefined; // Tables that the map has outgrown hold what was in them.
    whenSettled?.();
  }

  /** Messages are handed over as soon as may be. */
  wake(): void {
    this.#parts.pumpLater(this.queue);
  }

  #follow(identity: string): Followed {
    let followed = this.#followed.get(identity);
    if (followed === undefined)
      this.#followed.set(identity, (followed = { alive: 0, whenSettled: undefined }));
    return followed;
  }
}
