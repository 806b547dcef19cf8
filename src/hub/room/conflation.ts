import type { Clock } from "../../core/time/clock.ts";
import type { RoomEntry } from "./publication.ts";

/** What became of a publication of which only the last one of its key counts. */
export type Conflated = "passes" | "waits";

/**
 * Thins the publications of a room: of each key the first one passes at once, and of those that come within `everyMs`
 * behind it the last one, at the end of that time. Publications without a key pass. Where publications have positions they
 * keep their order: those behind one that waits wait with it.
 */
export class Conflation {
  readonly #everyMs: number;
  readonly #isOrdered: boolean;
  readonly #clock: Clock;
  readonly #pass: (entry: RoomEntry) => void;
  /** Keys of which one has passed within the time. */
  readonly #closed = new Set<string>();
  /** When they are open again, the first one first. */
  readonly #ends: { readonly key: string; readonly atMs: number }[] = [];
  /** By their keys, in the order in which they have come. */
  readonly #waiting = new Map<string | RoomEntry, RoomEntry>();
  #cancel: (() => void) | undefined;

  /**
   * @param isOrdered whether publications have positions
   * @param pass gives a publication that has waited to the members
   */
  constructor(everyMs: number, isOrdered: boolean, clock: Clock, pass: (entry: RoomEntry) => void) {
    this.#everyMs = everyMs;
    this.#isOrdered = isOrdered;
    this.#clock = clock;
    this.#pass = pass;
  }

  /** Decides on a publication that has come; one that waits takes the place of an earlier one of its key. */
  add(entry: RoomEntry): Conflated {
    const { key } = entry.publication;
    if (key !== undefined) this.#waiting.delete(key);
    if (this.#isFree(key) && (this.#waiting.size === 0 || !this.#isOrdered)) {
      this.#close(key);
      return "passes";
    }
    this.#waiting.set(key ?? entry, entry);
    if (this.#isOrdered) this.#releaseFirst(); // There may be one less in front of others.
    return "waits";
  }

  /** What waits is of no interest any more. */
  clear(): void {
    this.#waiting.clear();
  }

  /** The room is used no more. */
  close(): void {
    this.clear();
    this.#cancel?.();
  }

  #isFree(key: string | undefined): boolean {
    return key === undefined || !this.#closed.has(key);
  }

  #close(key: string | undefined): void {
    if (key === undefined) return;
    this.#closed.add(key);
    this.#ends.push({ key, atMs: this.#clock.nowMs() + this.#everyMs });
    this.#wait();
  }

  #wait(): void {
    const [first] = this.#ends;
    if (first === undefined || this.#cancel !== undefined) return;
    this.#cancel = this.#clock.after(first.atMs - this.#clock.nowMs(), () => {
      this.#cancel = undefined;
      const nowMs = this.#clock.nowMs();
      const free: string[] = [];
      for (let [end] = this.#ends; end !== undefined && end.atMs <= nowMs; [end] = this.#ends) {
        this.#ends.shift();
        this.#closed.delete(end.key);
        free.push(end.key);
      }
      if (this.#isOrdered) this.#releaseFirst();
      else for (const key of free) this.#release(key, this.#waiting.get(key));
      this.#wait();
    });
  }

  /** Those in front that wait for nothing any more pass. */
  #releaseFirst(): void {
    for (const [key, entry] of this.#waiting) {
      if (!this.#isFree(entry.publication.key)) return;
      this.#release(key, entry);
    }
  }

  #release(key: string | RoomEntry, entry: RoomEntry | undefined): void {
    if (entry === undefined) return;
    this.#waiting.delete(key);
    this.#close(entry.publication.key);
    this.#pass(entry);
  }
}
