import { checkOptions, show } from "../config/check-options.ts";
import { Code } from "../errors/errors.ts";
import { SetupError } from "../errors/setup-error.ts";
import type { CircuitRules } from "./circuit.ts";

/** Options of a `Breaker`. */
export interface BreakerOptions extends CircuitRules {
  /** What stands behind it: the first words of its errors, and a label. Default: `breaker`. */
  readonly name: string;
  /**
   * `window` opens for some time when enough calls of a window have failed; `adaptive` refuses calls by chance, the
   * more of them fail the more often. Default: `window`.
   */
  readonly mode: "window" | "adaptive";
  /** Share of failed calls at which it opens, above 0 and at most 1. Default: 0.5. */
  readonly failureRatio: number;
  /** Fewest calls of the window that decide, a whole number. Default: 20. */
  readonly minCalls: number;
  /** Length of the window, in milliseconds. Default: 10,000. */
  readonly windowMs: number;
  /**
   * A good call that lasts longer than this, in milliseconds, is slow; with a share of `failureRatio` of slow calls the
   * breaker opens too. Default: none is slow.
   */
  readonly slowCallMs: number | undefined;
  /** How long it is open the first time, in milliseconds; twice as long after each failed probe. Default: 5,000. */
  readonly openForMs: number;
  /** The longest time that it is open, in milliseconds. Default: 60,000. */
  readonly maxOpenForMs: number;
  /** How many calls are let through when that time is over; all of them must be good. Default: 1. */
  readonly probes: number;
  /** After this time, in milliseconds, a probe that has not ended counts as failed. Default: 30,000. */
  readonly probeTimeoutMs: number;
  /**
   * The errors that count as failures. Default: UNAVAILABLE, DEADLINE_EXCEEDED, INTERNAL, UNKNOWN and DATA_LOSS;
   * exceptions that are no `ConnectError` are INTERNAL.
   */
  readonly codes: readonly Code[];
  /** Mode `adaptive`: how many calls are made for each that the callee accepts, at least 1. Default: 2. */
  readonly k: number;
}

/** The defaults of `BreakerOptions`. */
export const breakerDefaults: BreakerOptions = Object.freeze({
  name: "breaker",
  mode: "window",
  failureRatio: 0.5,
  minCalls: 20,
  windowMs: 10_000,
  slowCallMs: undefined,
  openForMs: 5_000,
  maxOpenForMs: 60_000,
  probes: 1,
  probeTimeoutMs: 30_000,
  codes: Object.freeze([Code.Unavailable, Code.DeadlineExceeded, Code.Internal, Code.Unknown, Code.DataLoss]),
  k: 2,
});

/** The options with their defaults. @throws SetupError naming the option that cannot be used */
export function mergeBreakerOptions(options: Partial<BreakerOptions>): BreakerOptions {
  checkOptions<BreakerOptions>("Breaker", options, breakerDefaults);
  const merged = { ...breakerDefaults, ...options };
  const isTime = (ms: number): boolean => ms > 0 && ms < Number.POSITIVE_INFINITY;
  const isCount = (count: number): boolean => Number.isInteger(count) && count >= 1;
  const time = "a number of milliseconds above 0";
  const count = "a whole number, at least 1";
  check(merged, "mode", merged.mode === "window" || merged.mode === "adaptive", '"window" or "adaptive"');
  check(merged, "failureRatio", merged.failureRatio > 0 && merged.failureRatio <= 1, "above 0 and at most 1");
  check(merged, "minCalls", isCount(merged.minCalls), count);
  check(merged, "windowMs", isTime(merged.windowMs), time);
  check(merged, "slowCallMs", merged.slowCallMs === undefined || isTime(merged.slowCallMs), time);
  check(merged, "openForMs", isTime(merged.openForMs), time);
  check(
    merged,
    "maxOpenForMs",
    isTime(merged.maxOpenForMs) && merged.maxOpenForMs >= merged.openForMs,
    "at least openForMs",
  );
  check(merged, "probes", isCount(merged.probes), count);
  check(merged, "probeTimeoutMs", isTime(merged.probeTimeoutMs), time);
  check(merged, "k", merged.k >= 1, "at least 1");
  return merged;
}

function check(options: BreakerOptions, name: keyof BreakerOptions, isGood: boolean, allowed: string): void {
  if (isGood) return;
  throw new SetupError(`Breaker: the option ${name} must be ${allowed}, not ${show(options[name])}`);
}
