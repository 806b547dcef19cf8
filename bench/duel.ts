import { Contestant, type Program } from "./contestant.ts";
import { sameJson } from "./load/http-load.ts";
import { median, type Measured, type Rig } from "./rig.ts";

/** The load on a contestant: runs for this many milliseconds and resolves with the number of calls. */
export interface Drive {
  run(ms: number): Promise<number>;
  close(): void;
}

/** Two programs that do the same work. */
export interface Duel {
  readonly subject: Program;
  readonly reference: Program;
  /** Checks the responses of a contestant; called before the first lap and after the last. */
  readonly check?: (contestant: Contestant) => Promise<void>;
  /** Opens the load on a contestant. Default: the contestant generates its own load. */
  readonly drive?: (contestant: Contestant) => Promise<Drive>;
  /** Whether the subject's time is divided by the reference's, or the other way round. Default: other way round. */
  readonly inverse?: boolean;
}

interface Lap {
  readonly calls: number;
  readonly seconds: number;
  readonly cpuUs: number;
}

/** A contestant that uses less than this share of its core was waiting for its load. */
const saturated = 0.85;

/**
 * Compares two programs: each gets a warm-up, then they run laps in turns, so that other activity on the machine
 * affects both alike. Ratios are those of CPU time per call, lap by lap, since the load may be the bottleneck and other
 * processes use the machine too.
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

/** Compares the results of both contestants with `expected`. */
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
 * Keeps this process from sleeping until it is stopped. A contestant that responds to a sleeping process has to wake
 * it, which costs as much as the rest of a small call, and slow contestants would pay this cost more often than fast
 * ones.
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

/** A remark if contestants had less than their core: then the load or other programs limited the calls per second. */
function waited(sides: readonly (readonly Lap[])[]): string[] {
  const shares = sides.map((laps) => median(laps.map(({ cpuUs, seconds }) => cpuUs / 1e6 / seconds)));
  if (shares.every((share) => share >= saturated)) return [];
  const words = shares.map((share) => `${Math.round(share * 100)} %`).join(" and ");
  return [
    `the contestants used ${words} of their core: the load or other programs limited the calls a second`,
  ];
}
