import { spawnSync } from "node:child_process";

/** Which processor cores the two sides of a comparison run on. */
export interface Cores {
  /** Words to put before a command so that it runs on the core of the contestants; empty without pinning. */
  readonly pinned: readonly string[];
  /** A sentence for people when processes are not pinned. */
  readonly warning: string | undefined;
}

const contestantCore = "0";
const loadCore = "1";

/** Moves this process, which makes the load, to one core, and tells how contestants get the other one to themselves. */
export function separateCores(): Cores {
  const own = spawnSync("taskset", ["-a", "-c", "-p", loadCore, String(process.pid)], { stdio: "ignore" });
  const other = spawnSync("taskset", ["-c", contestantCore, "true"], { stdio: "ignore" });
  if (own.status === 0 && other.status === 0) {
    return { pinned: ["taskset", "-c", contestantCore], warning: undefined };
  }
  const warning =
    "PROCESSES ARE NOT PINNED to cores (taskset from util-linux and two cores are needed): figures vary more";
  return { pinned: [], warning };
}
