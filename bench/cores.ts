import { spawnSync } from "node:child_process";

/** The processor cores of the two sides of a comparison. */
export interface Cores {
  /** Prefix of a command that pins it to the core of the contestants; empty without pinning. */
  readonly pinned: readonly string[];
  /** A warning if processes are not pinned. */
  readonly warning: string | undefined;
}

/** Any core for each process. */
export const anyCores: Cores = Object.freeze({ pinned: [], warning: undefined });

const contestantCore = "0";
const loadCore = "1";

/** Pins this process, which generates the load, to one core; the result pins contestants to another one. */
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
