/** Time constant of all means, in milliseconds: what happened so long ago counts 1/e. */
const meanOverMs = 5_000;

/** How many values the usual time between values is a mean of. */
const usualOver = 8;

/** A success or failure counts at least so much: an endpoint that fails 50 attempts is known for it. */
const leastOutcome = 1 / 50;

/** The mean begins with the median of so many durations: the first call on a connection may be slow. */
const firstLags = 9;

/** One attempt in flight, as the list of its endpoint's attempts links it. */
export interface LoadedAttempt {
  /** Whether its rpc is unary: the age of such attempts shows an endpoint that hangs. */
  readonly unary: boolean;
  /** When it began. */
  beganMs: number;
  older: LoadedAttempt | undefined;
  newer: LoadedAttempt | undefined;
}

/** What an attempt says about its endpoint. */
export type Verdict =
  | "success"
  /** An answer that counts as a failure: the endpoint is there, but gets fewer calls. */
  | "failure"
  /** It cannot serve: a failure for which it may be ejected, too. */
  | "outage"
  | "nothing";

/** Figures of an endpoint, as pickers and statistics read them. */
export class EndpointLoad {
  /** Attempts that have begun and not ended. */
  inFlight = 0;
  /** Attempts that have begun. */
  attempts = 0;
  /** Attempts that failed and speak against the endpoint. */
  failures = 0;
  /** When an attempt was sent to it last; at first when it became known. */
  pickedMs: number;
  readonly #lag = new DecayingMean(0, firstLags);
  readonly #success = new DecayingMean(leastOutcome, 1);
  #oldest: LoadedAttempt | undefined;
  #newest: LoadedAttempt | undefined;

  constructor(nowMs: number) {
    this.pickedMs = nowMs;
    this.#success.assume(1, nowMs);
  }

  /** Mean duration of successful attempts, in milliseconds; undefined before there are some. */
  get lagMs(): number | undefined {
    return this.#lag.value;
  }

  /** Share of attempts that did not fail, 0 to 1, the later ones with more weight; 1 before the first. */
  get success(): number {
    return this.#success.value ?? 1;
  }

  /** What the lag of an endpoint that has none is taken to be. */
  assumeLag(lagMs: number, nowMs: number): void {
    if (this.#lag.value === undefined) this.#lag.assume(lagMs, nowMs);
  }

  /** How long the oldest unary attempt in flight has lasted, in milliseconds; 0 without one. */
  oldestMs(nowMs: number): number {
    return this.#oldest === undefined ? 0 : nowMs - this.#oldest.beganMs;
  }

  begin(attempt: LoadedAttempt, nowMs: number): void {
    this.inFlight++;
    this.attempts++;
    this.pickedMs = nowMs;
    attempt.beganMs = nowMs;
    if (!attempt.unary) return;
    attempt.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = attempt;
    else this.#newest.newer = attempt;
    this.#newest = attempt;
  }

  /** The first headers of a stream have come. */
  answered({ beganMs }: LoadedAttempt, nowMs: number): void {
    this.#lag.add(nowMs - beganMs, nowMs, nowMs - beganMs);
  }

  /**
   * The attempt is over.
   *
   * @param ok whether it ended with status OK: only then its duration counts, so that failures never look fast
   */
  end(attempt: LoadedAttempt, verdict: Verdict, ok: boolean, nowMs: number): void {
    this.inFlight--;
    const tookMs = nowMs - attempt.beganMs;
    if (attempt.unary) {
      if (ok) this.#lag.add(tookMs, nowMs, tookMs);
      this.#unlink(attempt);
    }
    if (verdict === "nothing") return;
    if (verdict !== "success") this.failures++;
    this.#success.add(verdict === "success" ? 1 : 0, nowMs, tookMs);
  }

  #unlink(attempt: LoadedAttempt): void {
    const { older, newer } = attempt;
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    attempt.older = attempt.newer = undefined;
  }
}

/**
 * A mean over time: a value counts by the usual time between values, or by the time without any, if that was longer. The
 * time that the value itself took does not count, or long ones would weigh more.
 */
class DecayingMean {
  value: number | undefined;
  readonly #leastWeight: number;
  readonly #least: number;
  /** The values before there is a mean. */
  #first: number[] | undefined;
  #atMs = 0;
  /** The usual time between values. */
  #gapMs = 0;

  /**
   * @param leastWeight what a value counts at least, 0 to 1
   * @param least of how many values the median is the first mean
   */
  constructor(leastWeight: number, least: number) {
    this.#leastWeight = leastWeight;
    this.#least = least;
  }

  /** Begins with a mean. */
  assume(value: number, nowMs: number): void {
    this.value = value;
    this.#first = undefined;
    this.#atMs = nowMs;
  }

  /** @param tookMs how long it took to get the value */
  add(value: number, nowMs: number, tookMs: number): void {
    if (this.value === undefined) {
      const first = (this.#first ??= []);
      if (first.push(value) < this.#least) return;
      const sorted = first.toSorted((one, other) => one - other);
      this.assume(sorted[this.#least >> 1] ?? value, nowMs);
      return;
    }
    const gapMs = nowMs - this.#atMs;
    this.#atMs = nowMs;
    if (value === this.value) return; // As with most successes.
    const weight = -Math.expm1(-Math.max(gapMs - tookMs, this.#gapMs) / meanOverMs);
    this.value += (value - this.value) * Math.max(weight, this.#leastWeight);
    this.#gapMs += (gapMs - this.#gapMs) / usualOver;
  }
}
