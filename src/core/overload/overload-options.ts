import { checkOptions } from "../config/check-options.ts";
import { SetupError } from "../errors/setup-error.ts";

/** When a program refuses calls because there are too many. */
export interface OverloadOptions {
  /** Lag of the event loop above which calls are refused, in milliseconds. Default: 50. */
  readonly targetLagMs: number;
  /** Most unary calls in flight; `adaptive` finds it by their latency, between 10 and 1,000. Default: `adaptive`. */
  readonly maxConcurrent: number | "adaptive";
  /** Most calls that wait for a place; 0 refuses at once. Default: 100. */
  readonly queue: number;
  /** The longest time that a call waits for a place, in milliseconds. Default: 1,000. */
  readonly queueWaitMs: number;
  /**
   * Share of the heap, or of the memory of the container, above which new calls are refused; 5 % above it the oldest
   * streams end. From 0 to 1. Default: 0.9.
   */
  readonly maxMemory: number;
}

/** The defaults of `OverloadOptions`. */
export const overloadDefaults: OverloadOptions = Object.freeze({
  targetLagMs: 50,
  maxConcurrent: "adaptive",
  queue: 100,
  queueWaitMs: 1_000,
  maxMemory: 0.9,
});

/** The options with their defaults. @throws SetupError naming the one that cannot be used */
export function toOverloadOptions(given: Partial<OverloadOptions>): OverloadOptions {
  checkOptions("overload", given, overloadDefaults);
  const options = { ...overloadDefaults, ...given };
  const { targetLagMs, maxConcurrent, queue, queueWaitMs, maxMemory } = options;
  check(targetLagMs >= 1, "targetLagMs must be at least 1");
  const isCount = Number.isSafeInteger(maxConcurrent) && Number(maxConcurrent) >= 1;
  check(
    maxConcurrent === "adaptive" || isCount,
    "maxConcurrent must be `adaptive` or a whole number of at least 1",
  );
  check(Number.isSafeInteger(queue) && queue >= 0, "queue must be a whole number of at least 0");
  check(queueWaitMs >= 0, "queueWaitMs must be at least 0");
  check(maxMemory > 0 && maxMemory <= 1, "maxMemory must be above 0 and at most 1");
  return options;
}

function check(isGood: boolean, problem: string): void {
  if (!isGood) throw new SetupError(`overload: ${problem}`);
}
