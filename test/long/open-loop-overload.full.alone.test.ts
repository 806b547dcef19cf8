import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { OpenLoop, type Answer, type Arrivals } from "../support/open-loop.ts";
import { Program } from "../support/program.ts";

const self = "127.0.0.1";
const greedy = "127.0.0.77";

/**
 * The part of the time of a busy event loop that must be the processor's for figures to be those of the program. Where
 * other programs have more of it, calls are neither made nor answered when they should be: then it is only judged that each
 * call is served or refused. Times are printed, not judged: docs/performance.md has them.
 */
const ownMachine = 0.9;

type Work = "cpu" | "places";

/** What a load has come to; times in milliseconds. */
interface Outcome {
  /** Good calls a second. */
  readonly rate: number;
  /** The part of what there is, processor or places, that went into good calls. */
  readonly use: number;
  /** The part of the time in which the program had something to do. */
  readonly activity: number;
  readonly p99: number;
  readonly refused: number;
  readonly refusedP99: number;
  /** Whether the program had a processor whenever it wanted one. */
  readonly isQuiet: boolean;
}

interface Usage {
  readonly atMs: number;
  readonly cpuMs: number;
  readonly activeMs: number;
  readonly usedMs: number;
  readonly heldMs: number;
}

function p99Of(answers: readonly Answer[]): number {
  const sorted = answers.map(({ latencyMs }) => latencyMs).toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length * 0.99)] ?? 0;
}

/** An app with overload control as it is by default, and a client with connections to it. */
class LoadedApp {
  readonly load: OpenLoop;
  /** Where probes ask whether it is there, and the page of metrics. */
  readonly watched: readonly string[];
  readonly #work: Work;
  readonly #program: Program;
  readonly #report: (line: string) => void;

  static async start(t: TestContext, work: Work): Promise<LoadedApp> {
    const program = new Program(
      "test/long/fixtures/busy-app.ts",
      ...["--http-port=0", "--set", "grpc.enabled=false", "--exporter-port=0", "--log-level=silent"],
    );
    t.after(() => program[Symbol.asyncDispose]());
    const http = `http://${await program.address("HTTP")}`;
    const load = new OpenLoop(`${http}/test/v1/echo/${work}`);
    t.after(() => load[Symbol.dispose]());
    const watched = [`${http}/livez`, `${http}/readyz`, await program.metrics()];
    return new LoadedApp(work, program, load, watched, (line) => t.diagnostic(line));
  }

  constructor(
    work: Work,
    program: Program,
    load: OpenLoop,
    watched: readonly string[],
    report: (line: string) => void,
  ) {
    this.#work = work;
    this.#program = program;
    this.load = load;
    this.watched = watched;
    this.#report = report;
  }

  /** @param fromMs what is seen of the load begins then. Default: at its begin */
  async run(name: string, arrivals: readonly Arrivals[], timeMs: number, fromMs = 0): Promise<Outcome> {
    return this.#outcome(name, await this.#measured(() => this.load.run(arrivals, timeMs)), fromMs);
  }

  /** The most that so many callers get done. */
  async most(callers: number): Promise<Outcome> {
    await this.load.runClosed(callers, 2_000);
    return this.#outcome("most", await this.#measured(() => this.load.runClosed(callers, 3_000)), 0);
  }

  async #measured(run: () => Promise<readonly Answer[]>) {
    const before = await this.#usage();
    const answers = await run();
    return { answers, before, after: await this.#usage() };
  }

  #outcome(
    name: string,
    {
      answers,
      before,
      after,
    }: { readonly answers: readonly Answer[]; readonly before: Usage; readonly after: Usage },
    fromMs: number,
  ): Outcome {
    const good = answers.filter(({ status }) => status === 200);
    const refused = answers.filter(({ status }) => status === 503);
    const others = answers.filter(({ status }) => status !== 200 && status !== 503);
    assert.deepEqual(
      new Set(others.map(({ status }) => status)),
      new Set(),
      "every call is served or refused",
    );
    const seen = ({ atMs }: Answer): boolean => atMs >= fromMs;
    const [wallMs, cpuMs, activeMs] = [
      after.atMs - before.atMs,
      after.cpuMs - before.cpuMs,
      after.activeMs - before.activeMs,
    ];
    const outcome: Outcome = {
      rate: (good.length * 1000) / wallMs,
      use:
        this.#work === "cpu"
          ? (after.usedMs - before.usedMs) / cpuMs
          : (after.heldMs - before.heldMs) / wallMs,
      activity: activeMs / wallMs,
      p99: p99Of(good.filter(seen)),
      refused: refused.filter(seen).length,
      refusedP99: p99Of(refused.filter(seen)),
      isQuiet: cpuMs / activeMs >= ownMachine,
    };
    const { rate, use, activity, p99, refusedP99, isQuiet } = outcome;
    this.#report(
      `${this.#work}, ${name}: ${rate.toFixed(0)}/s, p99 ${p99.toFixed(0)} ms; use ${use.toFixed(2)}, activity ` +
        `${activity.toFixed(2)}; ${outcome.refused} refused, p99 ${refusedP99.toFixed(0)} ms; ` +
        (isQuiet ? "own machine" : "shared machine: goodput is not judged"),
    );
    return outcome;
  }

  /** A report of the program that is made from now on. */
  async #usage(): Promise<Usage> {
    this.#program.lines.length = 0;
    const [, ...numbers] = await this.#program.line(/^usage (\S+) (\S+) (\S+) (\S+) (\S+)$/);
    const [atMs = 0, cpuMs = 0, activeMs = 0, usedMs = 0, heldMs = 0] = numbers.map(Number);
    return { atMs, cpuMs, activeMs, usedMs, heldMs };
  }
}

for (const [work, callers] of [
  ["cpu", 4],
  ["places", 10],
] as const) {
  test(`O01 Q2 an open loop of 2 and 5 times what an app can do: ${work}`, async (t) => {
    const app = await LoadedApp.start(t, work);
    await app.load.open(self, 500);
    const most = await app.most(callers);
    const times = (factor: number): readonly Arrivals[] => [{ rate: most.rate * factor, from: self }];
    const quiet = await app.run("unloaded", times(0.25), 3_000);
    for (const [factor, least] of [
      [2, 0.9],
      [5, 0.8],
    ] as const) {
      const loaded = await app.run(`${factor} times`, times(factor), 8_000, 2_000);
      const after = await app.run("5 s after it", times(0.25), 7_000, 5_000);
      assert.ok(loaded.refused > 0, "what is too much is refused");
      if (most.isQuiet && quiet.isQuiet && loaded.isQuiet) {
        assert.ok(loaded.use >= least * most.use, `${loaded.use} of ${most.use} go into good calls`);
        assert.ok(loaded.activity >= least * most.activity, "calls are there to be served");
      }
      const ratio = (loaded.p99 / quiet.p99).toFixed(1);
      t.diagnostic(
        `p99 ${ratio} times that without load; behind it ${after.refused} refused, p99 ${after.p99} ms`,
      );
    }
  });
}

test("O10 Q1 health and metrics are there while five times as many calls come as can be served", async (t) => {
  const app = await LoadedApp.start(t, "cpu");
  await app.load.open(self, 300);
  const most = await app.most(4);
  const running = app.run("5 times", [{ rate: most.rate * 5, from: self }], 6_000, 2_000);
  const isOver = running.then(
    () => true,
    () => true,
  );
  const took: number[] = [];
  for (let over = false; !over; over = await Promise.race([isOver, delay(200, false)])) {
    for (const url of app.watched) {
      const since = performance.now();
      const response = await fetch(url);
      await response.arrayBuffer();
      assert.equal(response.status, 200, url);
      took.push(performance.now() - since);
    }
  }
  const loaded = await running;
  const slowest = Math.max(...took);
  t.diagnostic(`the slowest of ${took.length} answers took ${slowest.toFixed(0)} ms`);
  assert.ok(took.length >= app.watched.length && loaded.refused > 0);
});

test("Q3 an open loop of one caller with 20 times his share beside nine others", async (t) => {
  const app = await LoadedApp.start(t, "cpu");
  const nine = Array.from({ length: 9 }, (_, at) => `127.0.0.${at + 2}`);
  for (const from of nine) await app.load.open(from, 20);
  await app.load.open(greedy, 300);
  const most = await app.most(4);
  const calls = nine.map((from) => ({ from, rate: most.rate / 20 }));
  const alone = await app.run("nine", calls, 4_000);
  const answers = await app.load.run([...calls, { from: greedy, rate: most.rate * 2 }], 10_000);
  const late = answers.filter(({ atMs }) => atMs >= 3_000);
  const goodPart = (of: readonly Answer[]): number =>
    of.filter(({ status }) => status === 200).length / of.length;
  const others = late.filter(({ from }) => from !== greedy);
  const his = late.filter(({ from }) => from === greedy);
  const p99 = p99Of(others.filter(({ status }) => status === 200));
  t.diagnostic(
    `good: ${goodPart(others)} of nine, ${goodPart(his)} of one; p99 of nine ${p99.toFixed(0)} ms, ` +
      `alone ${alone.p99.toFixed(0)} ms`,
  );
  assert.ok(
    goodPart(his) < goodPart(others),
    `${goodPart(his)} of his calls, ${goodPart(others)} of others'`,
  );
  if (most.isQuiet && alone.isQuiet) {
    assert.ok(goodPart(others) >= 0.9, `${goodPart(others)} of the others' calls`);
  }
});
