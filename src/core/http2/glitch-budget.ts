/** How many glitches a peer may make. */
export interface GlitchLimit {
  /** At once. */
  readonly burst: number;
  /** In the long run, each second. */
  readonly perSecond: number;
}

/**
 * Counts what is allowed but without a use: a peer that makes very many such frames makes work and nothing else.
 */
export class GlitchBudget {
  readonly #limit: GlitchLimit;
  readonly #now: () => number;
  #left: number;
  /** When `#left` was last filled up, in milliseconds. */
  #filled: number;

  /** @param now Reads a clock that never goes back, in milliseconds. */
  constructor(limit: GlitchLimit, now: () => number) {
    this.#limit = limit;
    this.#now = now;
    this.#left = limit.burst;
    this.#filled = now();
  }

  /** Pays for a glitch. @returns false if the budget is used up */
  spend(): boolean {
    if (this.#left < 1) this.#fill();
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }

  /** Useful work gives back. */
  earn(glitches: number): void {
    this.#left = Math.min(this.#left + glitches, this.#limit.burst);
  }

  /** Adds what the time since the last time is worth. */
  #fill(): void {
    const now = this.#now();
    const { burst, perSecond } = this.#limit;
    this.#left = Math.min(this.#left + ((now - this.#filled) / 1000) * perSecond, burst);
    this.#filled = now;
  }
}
