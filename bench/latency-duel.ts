import type { Contestant } from "./contestant.ts";
import { takeTurns, type Contest } from "./duel.ts";
import type { Latencies } from "./latencies.ts";
import { median, type Measured, type Rig } from "./rig.ts";

/** Two programs whose latency is compared. */
export type TimedDuel = Contest<Latencies>;

/** Latency compared: that of the usual call, and of the slowest of a hundred. */
export interface LatencyRatios {
  readonly p50: Measured;
  readonly p99: Measured;
}

/** Compares the latency of calls, lap by lap as `runDuel`. */
export async function runTimedDuel(duel: TimedDuel, rig: Rig): Promise<LatencyRatios> {
  const { subject, reference } = await takeTurns(duel, rig, (_contestant, drive) => drive.run(rig.lapMs));
  const compare = (name: keyof Latencies): Measured => {
    const [ours, theirs] = [subject.map((one) => one[name]), reference.map((one) => one[name])];
    return {
      subject: micros(median(ours)),
      reference: micros(median(theirs)),
      ratios: ours.map((one, round) => one / (theirs[round] ?? Number.NaN)),
      rounds: { subject: ours, reference: theirs },
      remarks: [],
    };
  };
  return { p50: compare("p50"), p99: compare("p99") };
}

/** The load of a client, which calls by itself, one call after the other. */
export async function callsOneByOne(
  contestant: Contestant,
): Promise<Awaited<ReturnType<TimedDuel["drive"]>>> {
  return { run: (ms) => contestant.latencies(ms), close() {} };
}

function micros(us: number): string {
  return `${us.toFixed(us < 100 ? 1 : 0)} µs`;
}
