import type { Cores } from "./cores.ts";

/** How a run measures. */
export interface Rig {
  readonly cores: Cores;
  /** Laps of each contestant that count. */
  readonly rounds: number;
  /** Length of a lap, in milliseconds. */
  readonly lapMs: number;
  /** Work before the first lap, in milliseconds, for compilers to finish theirs. */
  readonly warmupMs: number;
  /** Calls between two looks at the memory. */
  readonly calls: number;
  /** Whether gateways of other projects may be built and measured. */
  readonly peers: boolean;
  /** Folder for CPU profiles of the contestants; undefined for none. */
  readonly profiles: string | undefined;
}

/** What one row was found to be. */
export interface Measured {
  /** Typical figures of both sides, for people. */
  readonly subject: string;
  readonly reference: string;
  /** The ratio of every round. */
  readonly ratios: readonly number[];
  /** CPU time per call of every lap in microseconds, or another figure of every round, both sides. */
  readonly rounds: { readonly subject: readonly number[]; readonly reference: readonly number[] };
  /** What a reader has to know to judge the figures. */
  readonly remarks: readonly string[];
}

/** One line of the table. */
export interface Row {
  /** Number of the work, with a letter where it has parts. */
  readonly id: string;
  readonly work: string;
  readonly subject: string;
  readonly reference: string;
  /** Whether a large ratio is good (how many times as fast) or a small one (how many times as much). */
  readonly better: "higher" | "lower";
  readonly must: number;
  readonly aim?: number;
  /** Measures; rejects with `Missing` where the machine or the command line lacks something. */
  readonly measure: (rig: Rig) => Promise<Measured>;
}

/** The middle of `values`. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}
