import type { FlagValues, stopFlags, workerFlags } from "../../src/entries/flags.ts";
import type { WorkerOptions } from "../../src/entries/workers.ts";

/** The options of `inWorkers` that flags ask for. */
export function workersOf(
  flags: FlagValues<typeof workerFlags> & FlagValues<typeof stopFlags>,
): Partial<WorkerOptions> {
  const { workers: count, workerBalance: balance, drainDelay: drainDelayMs } = flags;
  return { count, balance, drainDelayMs };
}
