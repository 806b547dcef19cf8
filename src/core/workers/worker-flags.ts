import { choiceFlag, type Flag } from "../config/flag-kinds.ts";
import { readCount, workerBalances } from "./worker-options.ts";

/** Flags of programs that serve in several processes. */
export const workerFlags = {
  workers: countOfWorkers(),
  workerBalance: choiceFlag(
    workerBalances,
    "connections",
    "Who gives connections to workers: the primary, to the one with the fewest, or the kernel, by SO_REUSEPORT",
  ),
} as const;

function countOfWorkers(): Flag<number | "auto" | undefined> {
  return {
    help: "How many processes serve, with one port for all, instead of the environment variable TS_MS_WORKERS; auto is as many as there are cores",
    value: "NUMBER|auto",
    default: undefined,
    shownDefault: "1",
    repeatable: false,
    read: readCount,
  };
}
