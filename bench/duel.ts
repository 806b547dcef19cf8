import { Contestant, type Program } from "./contestant.ts";
import { sameJson } from "./load/http-load.ts";
import { median, type Measured, type Rig } from "./rig.ts";

/** How a contestant is driven: it works for so many milliseconds and tells how many calls it made. */
export interface Drive {
  run(ms: number): Promise<number>;
  close(): void;
}

/** Two programs that do the same work. */
export interface Duel {
  readonly subject: Program;
  readonly reference: Program;
  /** Looks whether a contestant's answers are right; before the first lap and after the last. */
  readonly check?: (contestant: Contestant) => Promise<void>;
  /** Opens what drives a contestant. Default: it drives itself. */
  readonly drive?: (contestant: Contestant) => Promise<Drive>;
  /** Whether the subject's time is divided by the reference's, or the other way round. Default: other way round. */
  readonly inverse?: boolean;
}

interface Lap {
  readonly calls: number;
  readonly seconds: number;
  readonly cpuUs: number;
}

/** Below this share of a busy core, a contestant waited for its load. */
const saturated = 0.85;

/**
 * Runs two programs side by side: each gets its warm-up, then laps in turns, so that what the machine does to one it
 * does to its neighbour in time. Ratios are those of CPU time per call, lap by lap, since a load may be the limit and
 * other processes take their share of the machine.
 */
export async function runDuel(duel: Duel, rig: Rig): Promise<Measured> {
  const { check = async () => {}, drive = drivesItself } = duel;
  const sides: { contestant: Contestant; drive: Drive; laps: Lap[] }[] = [];
  try {
    for (const program of [duel.subject, duel.reference]) {
      const contestant = await Contestant.start(program, rig);
      sides.push({ contestant, drive: { run: async () => 0, close() {} }, laps: [] });
    }
    for (const side of sides) {
      await check(side.contestant);
      side.drive = await drive(side.contestant);
      await side.drive.run(rig.warmupMs);
    }
    for (let round = 0; round < rig.rounds; round++) {
      for (const { contestant, drive: driver, laps } of sides)
        laps.push(await lap(contestant, driver, rig.lapMs));
    }
    for (const { contestant } of sides) await check(contestant);
    const [subject = [], reference = []] = sides.map(({ laps }) => laps);
    const ratios = subject.map((one, round) => {
      const ratio = perCall(reference[round]) / perCall(one);
      return duel.inverse === true ? 1 / ratio : ratio;
    });
    return {
      subject: figures(subject),
      reference: figures(reference),
      ratios,
      rounds: { subject: subject.map(perCall), reference: reference.map(perCall) },
      remarks: waited(sides.map(({ laps }) => laps)),
    };
  } finally {
    for (const { contestant, drive: driver } of sides) {
      driver.close();
      await contestant.stop();
    }
  }
}

/** Compares what both contestants give with `expected`. */
export function samplesAre(expected: unknown): NonNullable<Duel["check"]> {
  return async (contestant) => {
    const sample = await contestant.sample();
    if (!sameJson(sample, expected)) {
      throw new Error(`${contestant.name} gives ${JSON.stringify(sample).slice(0, 500)}`);
    }
  };
}

async function drivesItself(contestant: Contestant): Promise<Drive> {
  return { run: (ms) => contestant.work(ms), close() {} };
}

async function lap(contestant: Contestant, drive: Drive, ms: number): Promise<Lap> {
  const stopSpinning = spin();
  const before = await contestant.usage();
  const startedAt = performance.now();
  const calls = await drive.run(ms);
  const seconds = (performance.now() - startedAt) / 1000;
  const after = await contestant.usage();
  stopSpinning();
  return { calls, seconds, cpuUs: after.cpuUs - before.cpuUs };
}

/**
 * Keeps this process from sleeping until it is told to stop. A contestant that answers one that sleeps has to wake it,
 * which costs as much as the rest of a small call, and slow contestants would pay for it more often than fast ones.
 */
function spin(): () => void {
  let spinning = true;
  const again = (): void => {
    if (spinning) setImmediate(again);
  };
  again();
  return () => {
    spinning = false;
  };
}

function perCall(one: Lap | undefined): number {
  return one === undefined ? Number.NaN : one.cpuUs / one.calls;
}

function figures(laps: readonly Lap[]): string {
  const us = median(laps.map(perCall));
  const rate = median(laps.map(({ calls, seconds }) => calls / seconds));
  return `${us < 10 ? us.toFixed(2) : us.toFixed(us < 100 ? 1 : 0)} µs, ${Math.round(rate).toLocaleString("en")}/s`;
}

/** A remark when contestants had less than their core: the load or other programs were the limit of calls per second. */
function waited(sides: readonly (readonly Lap[])[]): string[] {
  const shares = sides.map((laps) => median(laps.map(({ cpuUs, seconds }) => cpuUs / 1e6 / seconds)));
  if (shares.every((share) => share >= saturated)) return [];
  const words = shares.map((share) => `${Math.round(share * 100)} %`).join(" and ");
  return [
    `the contestants used ${words} of their core: the load or other programs limited the calls a second`,
  ];
}
