import type { RestartPauses } from "./worker-options.ts";

/** A worker that has lived for so long, in milliseconds, was no part of a row of failures. */
const calmMs = 60_000;

/** The pauses before the workers of one place are replaced: each twice as long as the one before it. */
export class RestartBackoff {
  readonly #pauses: RestartPauses;
  #nextMs: number;

  constructor(pauses: RestartPauses) {
    this.#pauses = pauses;
    this.#nextMs = pauses.initialMs;
  }

  /**
   * A worker has died.
   *
   * @param livedMs how long it had served, in milliseconds; 0 for one that was never ready
   * @returns the pause before the next one is started, in milliseconds
   */
  died(livedMs: number): number {
    const { initialMs, maxMs } = this.#pauses;
    if (livedMs >= calmMs) this.#nextMs = initialMs;
    const pauseMs = Math.min(this.#nextMs, maxMs);
    this.#nextMs = Math.min(this.#nextMs * 2, maxMs);
    return pauseMs;
  }
}
