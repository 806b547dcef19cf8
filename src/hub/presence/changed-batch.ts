import { setImmediate as nextTurn } from "node:timers/promises";
import type { Clock } from "../../core/time/clock.ts";
import type { Present } from "./present.ts";

/** How many users of a batch are looked at in one turn of the event loop: some milliseconds of work. */
const turnSize = 1_000;

/** What a batch needs. */
export interface ChangedBatchKit {
  readonly clock: Clock;
  /** How long users are gathered, in milliseconds. */
  readonly batchMs: number;
  /** Looks at a part of the batch. @param isLast whether the batch ends with it */
  readonly look: (changed: readonly Present[], isLast: boolean) => void;
}

/** Those users of a room that may differ from what watchers know: gathered for a while, then looked at in parts. */
export class ChangedBatch {
  readonly #kit: ChangedBatchKit;
  #changed: Present[] = [];
  #cancel: (() => void) | undefined;
  #isLooking = false;
  #isClosed = false;

  constructor(kit: ChangedBatchKit) {
    this.#kit = kit;
  }

  /** Whether nothing is gathered, or is looked at. */
  get isEmpty(): boolean {
    return this.#cancel === undefined && !this.#isLooking;
  }

  add(present: Present): void {
    if (present.isChanged) return; // Its part of the batch is still to come.
    present.isChanged = true;
    this.#changed.push(present);
    this.#wait();
  }

  /** Nothing is looked at any more. */
  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
  }

  #wait(): void {
    if (this.#isLooking || this.#changed.length === 0) return;
    this.#cancel ??= this.#kit.clock.after(this.#kit.batchMs, () => void this.#look(), false);
  }

  async #look(): Promise<void> {
    this.#cancel = undefined;
    const changed = this.#changed;
    this.#changed = [];
    this.#isLooking = true;
    for (let first = 0; this.#isLooking && !this.#isClosed; first += turnSize) {
      const next = first + turnSize;
      this.#isLooking = next < changed.length;
      this.#kit.look(changed.slice(first, next), !this.#isLooking);
      if (this.#isLooking) await nextTurn();
    }
    if (!this.#isClosed) this.#wait(); // For those that have changed meanwhile.
  }
}
