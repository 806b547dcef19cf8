import type { Clock } from "../core/time/clock.ts";

/** Records that are deleted at once. */
export const recordsAtOnce = 1_000;
/** How often it is looked for old records, at most, in milliseconds. */
const everyMs = 60_000;

/** Deletes old records now and then, while the store is in use: it needs no timer. */
export class Sweeper {
  readonly #clock: Clock;
  readonly #deleteSome: () => Promise<number>;
  #isBusy = false;
  #dueMs: number;

  /** @param deleteSome deletes `recordsAtOnce` old records at most, and gives how many it were */
  constructor(clock: Clock, deleteSome: () => Promise<number>) {
    this.#clock = clock;
    this.#deleteSome = deleteSome;
    this.#dueMs = clock.nowMs();
  }

  /** Called whenever a record was made. */
  used(): void {
    if (this.#isBusy || this.#clock.nowMs() < this.#dueMs) return;
    this.#isBusy = true;
    void this.#sweep();
  }

  async #sweep(): Promise<void> {
    try {
      while ((await this.#deleteSome()) >= recordsAtOnce);
    } catch {
      // They are deleted another time.
    }
    this.#isBusy = false;
    this.#dueMs = this.#clock.nowMs() + everyMs;
  }
}
