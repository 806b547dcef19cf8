/** What is slow, in milliseconds, how often it may be so, and in which time, in milliseconds. */
const slowMs = 5;
const mostSlow = 10;
const windowMs = 60_000;

/** Finds conditions that take too long: more than 5 ms, ten times within a minute. */
export class SlowConditions {
  readonly #slowAt: number[] = [];

  /** A condition was computed. @returns whether it is too slow */
  took(ms: number, nowMs: number): boolean {
    if (ms <= slowMs) return false;
    this.#slowAt.push(nowMs);
    while ((this.#slowAt[0] ?? nowMs) < nowMs - windowMs) this.#slowAt.shift();
    return this.#slowAt.length >= mostSlow;
  }
}
