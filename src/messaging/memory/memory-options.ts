import { checkOptions, show } from "../../core/config/check-options.ts";
import { SetupError } from "../../core/errors/setup-error.ts";

/** Options of `memoryBroker`. */
export interface MemoryBrokerOptions {
  /** Names the broker in logs, metrics and errors. Default: `memory`. */
  readonly name: string;
  /**
   * When a message is confirmed: `accepted` as soon as it is kept for every group, `handled` when every group that
   * there is has settled it, its retries included. Behind an outbox `handled` makes one process deliver at least once.
   * Default: `accepted`.
   */
  readonly confirm: "accepted" | "handled";
  /**
   * The most messages that wait or are being handled, counted once for each group; publishers wait beyond it. It is
   * also the most dead letters of a group. Default: 10,000.
   */
  readonly maxMessages: number;
  /** The same in bytes of bodies and headers. Default: 64 MiB. */
  readonly maxBytes: number;
}

/** The defaults of `MemoryBrokerOptions`. */
export const memoryBrokerDefaults: MemoryBrokerOptions = Object.freeze({
  name: "memory",
  confirm: "accepted",
  maxMessages: 10_000,
  maxBytes: 64 * 1024 * 1024,
});

/** The options with their defaults. @throws SetupError naming the option that cannot be used */
export function mergeMemoryOptions(options: Partial<MemoryBrokerOptions>): MemoryBrokerOptions {
  checkOptions<MemoryBrokerOptions>("memoryBroker", options, memoryBrokerDefaults);
  const merged = { ...memoryBrokerDefaults, ...options };
  const isCount = (count: number): boolean => Number.isInteger(count) && count >= 1;
  const check = (name: keyof MemoryBrokerOptions, isGood: boolean, allowed: string): void => {
    if (isGood) return;
    throw new SetupError(`memoryBroker: the option ${name} must be ${allowed}, not ${show(merged[name])}`);
  };
  check("confirm", ["accepted", "handled"].includes(merged.confirm), '"accepted" or "handled"');
  check("maxMessages", isCount(merged.maxMessages), "a whole number, at least 1");
  check("maxBytes", isCount(merged.maxBytes), "a whole number of bytes, at least 1");
  return merged;
}
