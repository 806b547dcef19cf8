/** How endpoints that are new get their share of the calls. */
export interface SlowStartOptions {
  /** Time until a new endpoint has its whole weight, in milliseconds; 0 for at once. Default: 0. */
  readonly windowMs: number;
  /** The exponent of the way there is 1 ÷ so much: 1 is a straight line, more begins faster. Default: 1. */
  readonly aggression: number;
  /** The least share of its weight, 0 to 1. Default: 0.1. */
  readonly minWeight: number;
}

/** The defaults of `SlowStartOptions`. */
export const slowStartDefaults: SlowStartOptions = Object.freeze({
  windowMs: 0,
  aggression: 1,
  minWeight: 0.1,
});

/** An endpoint on its way to its whole weight. */
export class Ramp {
  readonly #beganMs: number;
  readonly #options: SlowStartOptions;

  constructor(options: SlowStartOptions, nowMs: number) {
    this.#options = options;
    this.#beganMs = nowMs;
  }

  /** In which steps weights change, in milliseconds. */
  get stepMs(): number {
    return Math.max(this.#options.windowMs / 50, 10);
  }

  /** The share of its weight that the endpoint has, 0 to 1. */
  factor(nowMs: number): number {
    const { windowMs, aggression, minWeight } = this.#options;
    const age = (nowMs - this.#beganMs) / windowMs;
    return age >= 1 ? 1 : Math.max(minWeight, Math.max(age, 0) ** (1 / aggression));
  }
}
