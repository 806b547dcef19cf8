import { Contestant, type Program } from "./contestant.ts";
import { sameJson } from "./load/http-load.ts";
import { median, type Measured, type Rig } from "./rig.ts";

/** The load on a contestant: runs for this many milliseconds and resolves with the number of calls. */
export interface Drive<Result = number> {
  run(ms: number): Promise<Result>;
  close(): void;
}

/** Two programs that do the same work under the same load. */
export interface Contest<Result = number> {
  readonly subject: Program;
  readonly reference: Program;
  /** Checks the responses of a contestant; called before the first lap and after the last. */
  readonly check: (contestant: Contestant) => Promise<void>;
  /** Opens the load on a contestant. */
  readonly drive: (contestant: Contestant) => Promise<Drive<Result>>;
}

/** Two programs whose CPU time is compared. */
export interface Duel extends Pick<Contest, "subject" | "reference"> {
  /** As in `Contest`. Default: none. */
  readonly check?: Contest["check"];
  /** As in `Contest`. Default: the contestant generates its own load. */
  readonly drive?: Contest["drive"];
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
 * Starts two programs, each of which gets a warm-up; then they run laps in turns, so that other activity on the machine
 * affects both alike. Resolves with what `lap` says of each lap.
 */
export async function takeTurns<Result, L>(
  { subject, reference, check, drive }: Contest<Result>,
  rig: Rig,
  lap: (contestant: Contestant, drive: Drive<Result>) => Promise<L>,
): Promise<{ readonly subject: L[]; readonly reference: L[] }> {
  const contestants: Contestant[] = [];
  const sides: { contestant: Contestant; driver: Drive<Result>; laps: L[] }[] = [];
  try {
    const starts = await Promise.allSettled([subject, reference].map((one) => Contestant.start(one, rig)));
    for (const start of starts) if (start.status === "fulfilled") contestants.push(start.value);
    for (const start of starts) if (start.status === "rejected") throw start.reason;
    for (const contestant of contestants) {
      await check(contestant);
      const driver = await drive(contestant);
      sides.push({ contestant, driver, laps: [] });
      await warmUp(contestant, driver, rig.warmupMs);
    }
    for (let round = 0; round < rig.rounds; round++) {
      for (const { contestant, driver, laps } of sides) {
        const stopSpinning = spin();
        laps.push(await lap(contestant, driver).finally(stopSpinning));
      }
    }
    for (const contestant of contestants) await check(contestant);
    return { subject: sides[0]?.laps ?? [], reference: sides[1]?.laps ?? [] };
  } finally {
    for (const { driver } of sides) driver.close();
    for (const contestant of contestants) await contestant.stop();
  }
}

/** A warm-up takes at most so many times its length. */
const longestWarmup = 8;

/**
 * Lets a contestant work until it has had `ms` of its core: where other programs share the core, as much time alone would
 * leave its code uncompiled, and compilers of the JIT would be compared.
 */
async function warmUp<Result>(contestant: Contestant, drive: Drive<Result>, ms: number): Promise<void> {
  const end = performance.now() + longestWarmup * ms;
  const { cpuUs: before } = await contestant.usage();
  for (let usedMs = 0; usedMs < saturated * ms && performance.now() < end;) {
    await drive.run(Math.max(ms / 4, (saturated * ms - usedMs) / 2));
    usedMs = ((await contestant.usage()).cpuUs - before) / 1000;
  }
}

/**
 * Compares the CPU time of two programs. Ratios are those of CPU time per call, lap by lap, since the load may be the
 * bottleneck and other processes use the machine too.
 */
export async function runDuel(duel: Duel, rig: Rig): Promise<Measured> {
  const { check = async () => {}, drive = drivesItself } = duel;
  const { subject, reference } = await takeTurns({ ...duel, check, drive }, rig, (contestant, driver) =>
    lap(contestant, driver, rig.lapMs),
  );
  const ratios = subject.map((one, round) => {
    const ratio = perCall(reference[round]) / perCall(one);
    return duel.inverse === true ? 1 / ratio : ratio;
  });
  return {
    subject: figures(subject),
    reference: figures(reference),
    ratios,
    rounds: { subject: subject.map(perCall), reference: reference.map(perCall) },
    remarks: waited([subject, reference]),
  };
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
  const before = await contestant.usage();
  const startedAt = performance.now();
  const calls = await drive.run(ms);
  const seconds = (performance.now() - startedAt) / 1000;
  const after = await contestant.usage();
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
