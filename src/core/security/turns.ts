import type { Clock } from "../time/clock.ts";

interface Waiting {
  start(): void;
}

/** Lets a few things happen at a time; the others wait in a row. */
export class Turns {
  readonly #max: number;
  readonly #clock: Clock;
  readonly #waiting = new Set<Waiting>();
  #busy = 0;

  constructor(max: number, clock: Clock) {
    this.#max = max;
    this.#clock = clock;
  }

  /**
   * Waits for a turn.
   *
   * @returns the function that ends the turn; undefined if there was none within `longestMs`
   */
  begin(longestMs: number): Promise<(() => void) | undefined> {
    if (this.#busy < this.#max) return Promise.resolve(this.#turn());
    return new Promise((resolve) => {
      const waiting: Waiting = {
        start: () => {
          cancel();
          resolve(this.#turn());
        },
      };
      const cancel = this.#clock.after(longestMs, () => {
        this.#waiting.delete(waiting);
        resolve(undefined);
      });
      this.#waiting.add(waiting);
    });
  }

  #turn(): () => void {
    this.#busy++;
    return () => {
      this.#busy--;
      const [next] = this.#waiting;
      if (next === undefined) return;
      this.#waiting.delete(next);
      next.start();
    };
  }
}
