import { setTimeout as pause } from "node:timers/promises";
import type { Contestant } from "./contestant.ts";

/** Memory of a contestant at a moment. */
export interface MemorySample {
  readonly ms: number;
  readonly rssBytes: number;
  readonly liveBytes: number;
}

/** Least growth that is a problem, in bytes: garbage and pools move as much. */
const leastGrowth = 16e6;
const leastSamples = 5;

/**
 * Samples memory after the warm-up, each time after a garbage collection: the cycles of garbage are longer than a short
 * run.
 *
 * @param seconds how long the soak takes
 * @param signal ends it
 */
export async function sampleMemory(
  contestant: Contestant,
  seconds: number,
  signal: AbortSignal,
): Promise<MemorySample[]> {
  // Compilers, pools and the windows of stalled readers fill meanwhile.
  const warmupMs = Math.min(60, Math.max(5, seconds * 0.4)) * 1000;
  const everyMs = Math.max(500, (seconds * 1000 - warmupMs) / 20);
  const all: MemorySample[] = [];
  await pause(warmupMs);
  while (!signal.aborted) {
    const liveBytes = await contestant.liveBytes();
    const { rssBytes } = await contestant.usage();
    all.push({ ms: performance.now(), rssBytes, liveBytes });
    await pause(everyMs);
  }
  return all;
}

/** Prints what memory did; returns what is wrong with it. */
export function judgeMemory(memory: readonly MemorySample[]): string[] {
  const problems: string[] = [];
  for (const [name, what] of [
    ["rssBytes", "resident memory"],
    ["liveBytes", "live objects"],
  ] as const) {
    const points = memory.map((one) => ({ ms: one.ms, bytes: one[name] }));
    const mean = average(points.map(({ bytes }) => bytes));
    const growth = slope(points) * ((points.at(-1)?.ms ?? 0) - (points[0]?.ms ?? 0));
    console.log(
      `${what} of the gateway: ${megabytes(mean)} on average, growth after the warm-up ${megabytes(growth)}`,
    );
    if (growth > Math.max(0.15 * mean, leastGrowth)) problems.push(`${what} of the gateway: more and more`);
  }
  console.log(`looked ${memory.length} times, after garbage collection`);
  if (memory.length < leastSamples) problems.push("memory was not looked at often enough to judge");
  return problems;
}

/** Bytes a millisecond, by least squares. */
function slope(points: readonly { ms: number; bytes: number }[]): number {
  const middle = average(points.map(({ ms }) => ms));
  const mean = average(points.map(({ bytes }) => bytes));
  const spread = points.reduce((sum, { ms }) => sum + (ms - middle) ** 2, 0);
  return points.reduce((sum, { ms, bytes }) => sum + (ms - middle) * (bytes - mean), 0) / spread;
}

function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
