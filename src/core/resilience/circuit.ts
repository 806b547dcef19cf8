import { SlidingCounts } from "../time/sliding-counts.ts";

/** When a circuit opens, for how long, and how it closes again. */
export interface CircuitRules {
  /** Share of failed, or of slow, calls of the window at which it opens: above 0, at most 1. */
  readonly failureRatio: number;
  /** Fewest calls of the window that decide. */
  readonly minCalls: number;
  /** Length of the window, in milliseconds. */
  readonly windowMs: number;
  /** How long it is open the first time, in milliseconds; twice as long after each failed run of probes. */
  readonly openForMs: number;
  /** The longest time that it is open, in milliseconds, before a jitter of 10 %. */
  readonly maxOpenForMs: number;
  /** How many calls are let through when that time is over; all of them must be good. */
  readonly probes: number;
  /** After this time, in milliseconds, a probe without an outcome has failed. */
  readonly probeTimeoutMs: number;
}

/** The state of a circuit. Times are in milliseconds of the clock that the circuit is used with. */
export type CircuitState =
  | { readonly kind: "closed" }
  /** Calls are refused. The first call after `untilMs` is a probe; `Infinity` after `hold()`. */
  | { readonly kind: "open"; readonly untilMs: number }
  /** As many calls as there are probes are under way or were good; all others are refused. */
  | { readonly kind: "half-open" };

/** What a call proves: the callee works, or does not; or nothing, as when the caller has cancelled. */
export type Outcome = "good" | "bad" | "slow" | "nothing";

type Phase =
  | { readonly kind: "closed" }
  | { readonly kind: "open"; readonly untilMs: number }
  | {
      readonly kind: "half-open";
      /** When each probe under way began. */
      readonly startsMs: number[];
      good: number;
    };

const calls = 0;
const failures = 1;
const slowCalls = 2;

/** How long a refused caller of a half-open circuit shall wait, in milliseconds. */
const halfOpenRetryMs = 1_000;

const closed: Phase = Object.freeze({ kind: "closed" });

/**
 * The states of a circuit breaker.
 *
 * ```
 *             failure ratio reached                 after the time
 *   closed ─────────────────────────▶ open ─────────────────────────▶ half-open
 *     ▲                                ▲    one probe failed,             │
 *     │                                └──  or did not end in time ───────┤
 *     └───────────────── all probes were good ────────────────────────────┘
 * ```
 *
 * It has no timers: what time alone changes is found when the circuit is asked.
 */
export class Circuit {
  readonly #rules: CircuitRules;
  readonly #random: () => number;
  readonly #changed: (state: CircuitState) => void;
  readonly #counts: SlidingCounts;
  #phase: Phase = closed;
  /** Rises with each change of state: calls that began before it do not count. */
  #epoch = 0;
  /** Runs of probes that failed since the circuit was closed. */
  #failedRuns = 0;

  /**
   * @param random returns numbers from 0 to 1
   * @param changed is called with each new state
   */
  constructor(rules: CircuitRules, random: () => number, changed: (state: CircuitState) => void) {
    this.#rules = rules;
    this.#random = random;
    this.#changed = changed;
    this.#counts = new SlidingCounts(rules.windowMs, 3);
  }

  /** Whether `admit` would let a call through. */
  admits(nowMs: number): boolean {
    if (this.#phase === closed) return true;
    this.#failOverdueProbe(nowMs);
    const phase = this.#phase;
    if (phase.kind === "open") return nowMs >= phase.untilMs;
    return phase.kind === "closed" || phase.startsMs.length + phase.good < this.#rules.probes;
  }

  /** Lets a call through or refuses it. @returns the epoch to give to `settle`, or undefined for a refused call */
  admit(nowMs: number): number | undefined {
    if (this.#phase === closed) return this.#epoch;
    this.#failOverdueProbe(nowMs);
    if (this.#phase.kind === "open" && nowMs >= this.#phase.untilMs) {
      this.#enter({ kind: "half-open", startsMs: [], good: 0 });
    }
    if (this.#phase.kind !== "half-open") return undefined;
    const { startsMs, good } = this.#phase;
    if (startsMs.length + good >= this.#rules.probes) return undefined;
    startsMs.push(nowMs);
    return this.#epoch;
  }

  /** How long a caller that is refused now shall wait, in milliseconds. */
  retryAfterMs(nowMs: number): number {
    const { kind } = this.#phase;
    if (kind === "half-open") return halfOpenRetryMs;
    if (kind === "closed") return 0;
    const leftMs = this.#phase.untilMs - nowMs;
    return leftMs === Number.POSITIVE_INFINITY ? this.#rules.maxOpenForMs : Math.max(0, leftMs);
  }

  /**
   * A call that was let through has ended.
   *
   * @param epoch what `admit` returned
   * @param startedMs when `admit` was called
   */
  settle(epoch: number, startedMs: number, outcome: Outcome, nowMs: number): void {
    if (this.#phase !== closed) this.#failOverdueProbe(nowMs);
    if (epoch !== this.#epoch) return;
    const phase = this.#phase;
    if (phase === closed) this.#count(outcome, nowMs);
    else if (phase.kind === "half-open") this.#probed(phase, startedMs, outcome, nowMs);
  }

  /** The state now. */
  state(nowMs: number): CircuitState {
    this.#failOverdueProbe(nowMs);
    const phase = this.#phase;
    return phase.kind === "half-open" ? { kind: "half-open" } : phase;
  }

  /** Calls, failures and slow calls of the window. */
  counts(nowMs: number): { readonly calls: number; readonly failures: number; readonly slow: number } {
    const counts = this.#counts;
    return {
      calls: counts.total(calls, nowMs),
      failures: counts.total(failures, nowMs),
      slow: counts.total(slowCalls, nowMs),
    };
  }

  /** Opens the circuit until `reset()`. */
  hold(): void {
    this.#enter({ kind: "open", untilMs: Number.POSITIVE_INFINITY });
  }

  /** Closes the circuit, with an empty window. */
  reset(): void {
    this.#failedRuns = 0;
    this.#counts.clear();
    if (this.#phase !== closed) this.#enter(closed);
    else this.#epoch++;
  }

  #count(outcome: Outcome, nowMs: number): void {
    if (outcome === "nothing") return;
    const counts = this.#counts;
    counts.add(calls, nowMs);
    if (outcome === "bad") counts.add(failures, nowMs);
    if (outcome === "slow") counts.add(slowCalls, nowMs);
    const failed = counts.total(failures, nowMs);
    const slow = counts.total(slowCalls, nowMs);
    if (failed === 0 && slow === 0) return;
    const all = counts.total(calls, nowMs);
    if (all >= this.#rules.minCalls && Math.max(failed, slow) >= this.#rules.failureRatio * all) {
      this.#open(nowMs);
    }
  }

  #probed(
    phase: Extract<Phase, { kind: "half-open" }>,
    startedMs: number,
    outcome: Outcome,
    nowMs: number,
  ): void {
    phase.startsMs.splice(phase.startsMs.indexOf(startedMs), 1);
    if (outcome === "nothing") return; // Its place is free for the next call.
    if (outcome !== "good") {
      this.#failedRuns++;
      this.#open(nowMs);
    } else if (++phase.good === this.#rules.probes) this.reset();
  }

  #failOverdueProbe(nowMs: number): void {
    const phase = this.#phase;
    if (phase.kind !== "half-open" || phase.startsMs.length === 0) return;
    const overdueMs = Math.min(...phase.startsMs) + this.#rules.probeTimeoutMs;
    if (nowMs < overdueMs) return;
    this.#failedRuns++;
    this.#open(overdueMs);
  }

  #open(atMs: number): void {
    const { openForMs, maxOpenForMs } = this.#rules;
    const longMs = Math.min(openForMs * 2 ** this.#failedRuns, maxOpenForMs);
    this.#counts.clear();
    this.#enter({ kind: "open", untilMs: atMs + longMs * (0.9 + 0.2 * this.#random()) });
  }

  #enter(phase: Phase): void {
    this.#phase = phase;
    this.#epoch++;
    this.#changed(phase.kind === "half-open" ? { kind: "half-open" } : phase);
  }
}
