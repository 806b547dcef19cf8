import { Contestant, type Program } from "./contestant.ts";
import { HttpLoad } from "./load/http-load.ts";
import { median, type Measured, type Rig } from "./rig.ts";
import { find } from "./works.ts";

/** Start-up time and memory of a server process, measured from outside. */
interface Life {
  /** From the start of the process to the first right answer, in milliseconds. */
  readonly startMs: number;
  /** Resident memory after the first answer, in bytes. */
  readonly idleBytes: number;
  /** The same after the calls. */
  readonly usedBytes: number;
}

/** Start and memory of a gateway, against a reference that does the same. */
export interface Lives {
  readonly start: Measured;
  readonly idle: Measured;
  readonly used: Measured;
  readonly growth: Measured;
}

/** Starts and stops both programs this many times, in turns. */
export async function compareLives(subject: Program, reference: Program, rig: Rig): Promise<Lives> {
  const [ours, theirs]: [Life[], Life[]] = [[], []];
  for (let round = 0; round < rig.rounds; round++) {
    ours.push(await live(subject, rig));
    theirs.push(await live(reference, rig));
  }
  const compare = (pick: (life: Life) => number, unit: (value: number) => string): Measured => ({
    subject: unit(median(ours.map(pick))),
    reference: unit(median(theirs.map(pick))),
    ratios: ours.map((life, round) => pick(life) / (theirs.map(pick)[round] ?? Number.NaN)),
    rounds: { subject: ours.map(pick), reference: theirs.map(pick) },
    remarks: [],
  });
  return {
    start: compare(
      (life) => life.startMs,
      (ms) => `${Math.round(ms)} ms`,
    ),
    idle: compare((life) => life.idleBytes, megabytes),
    used: compare((life) => life.usedBytes, megabytes),
    growth: await growth(subject, rig),
  };
}

/** The time from start to first answer of several programs, against a reference; all of them in turns. */
export async function compareStarts(
  subjects: readonly Program[],
  reference: Program,
  rig: Rig,
): Promise<readonly Measured[]> {
  const programs = [reference, ...subjects];
  const times = programs.map((): number[] => []);
  for (let round = 0; round < rig.rounds; round++) {
    for (const [index, program] of programs.entries()) {
      const { startMs } = await live(program, { ...rig, calls: 1 });
      times[index]?.push(startMs);
    }
  }
  const [theirs = [], ...ours] = times;
  const shown = (ms: readonly number[]): string => `${Math.round(median(ms))} ms`;
  return ours.map((one) => ({
    subject: shown(one),
    reference: shown(theirs),
    ratios: one.map((ms, round) => ms / (theirs[round] ?? Number.NaN)),
    rounds: { subject: one, reference: theirs },
    remarks: [],
  }));
}

async function live(program: Program, rig: Rig): Promise<Life> {
  const startedAt = performance.now();
  const contestant = await Contestant.start(program, rig);
  try {
    const load = await HttpLoad.open(contestant.port, find);
    try {
      await load.run(Infinity, 1);
      const startMs = performance.now() - startedAt;
      const { rssBytes: idleBytes } = await contestant.usage();
      await load.run(Infinity, rig.calls);
      const { rssBytes: usedBytes } = await contestant.usage();
      return { startMs, idleBytes, usedBytes };
    } finally {
      load.close();
    }
  } finally {
    await contestant.stop();
  }
}

/** Size of live objects after some calls, and after the same number of further calls. */
async function growth(program: Program, rig: Rig): Promise<Measured> {
  const contestant = await Contestant.start(program, rig);
  const load = await HttpLoad.open(contestant.port, find);
  try {
    return await growthOf(contestant, rig, () => load.run(Infinity, rig.calls / 2));
  } finally {
    load.close();
    await contestant.stop();
  }
}

/** Size of live objects of a contestant after `run`, and after further ones. */
export async function growthOf(
  contestant: Contestant,
  { rounds }: Rig,
  run: () => Promise<unknown>,
): Promise<Measured> {
  const sizes: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    await run();
    sizes.push(await contestant.liveBytes());
  }
  const [first = Number.NaN, ...later] = sizes;
  return {
    subject: megabytes(later.at(-1) ?? first),
    reference: megabytes(first),
    ratios: later.map((size) => size / first),
    rounds: { subject: later, reference: [first] },
    remarks: [],
  };
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
