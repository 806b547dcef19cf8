import type { Cores } from "./cores.ts";

/** Settings of a run. */
export interface Rig {
  readonly cores: Cores;
  /** Laps of each contestant that count. */
  readonly rounds: number;
  /** Length of a lap, in milliseconds. */
  readonly lapMs: number;
  /** Warm-up before the first lap, in milliseconds, in which the JIT compilers finish. */
  readonly warmupMs: number;
  /** Number of calls between two measurements of the memory. */
  readonly calls: number;
  /** Members of a room. */
  readonly members: number;
  /** Whether gateways of other projects may be built and measured. */
  readonly peers: boolean;
  /** Folder for CPU profiles of the contestants; undefined for none. */
  readonly profiles: string | undefined;
}

/** The result of one row. */
export interface Measured {
  /** Typical figures of both sides, as text. */
  readonly subject: string;
  readonly reference: string;
  /** The ratio of every round. */
  readonly ratios: readonly number[];
  /** CPU time per call of every lap in microseconds, or another figure of every round, both sides. */
  readonly rounds: { readonly subject: readonly number[]; readonly reference: readonly number[] };
  /** Remarks that are needed to interpret the figures. */
  readonly remarks: readonly string[];
}

/** One line of the table. */
export interface Row {
  /** Number of the row, with a letter if it has parts. */
  readonly id: string;
  readonly work: string;
  readonly subject: string;
  readonly reference: string;
  /** Whether a large ratio is good (how many times as fast) or a small one (how many times as much). */
  readonly better: "higher" | "lower";
  readonly must: number;
  readonly aim?: number;
  /** Measures; rejects with `Missing` if a tool or an option is missing. */
  readonly measure: (rig: Rig) => Promise<Measured>;
}

/** The median of `values`. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}
