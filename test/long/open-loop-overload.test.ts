import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { OpenLoop, type Answer } from "../support/open-loop.ts";
import { Program } from "../support/program.ts";

const self = "127.0.0.1";
const greedy = "127.0.0.77";

/** How a load ended: good calls a second, and times in milliseconds. */
interface Outcome {
  readonly rate: number;
  readonly p99: number;
  readonly refused: number;
  readonly refusedP99: number;
}

/** What is seen of a load between two moments since its begin. */
function outcomeOf(answers: readonly Answer[], fromMs: number, untilMs: number): Outcome {
  const seen = answers.filter(({ atMs }) => atMs >= fromMs && atMs < untilMs);
  const good = seen.filter(({ status }) => status === 200);
  const refused = seen.filter(({ status }) => status === 503);
  assert.equal(good.length + refused.length, seen.length, "every call is served or refused");
  return {
    rate: (good.length * 1000) / (untilMs - fromMs),
    p99: p99Of(good),
    refused: refused.length,
    refusedP99: p99Of(refused),
  };
}

function p99Of(answers: readonly Answer[]): number {
  const sorted = answers.map(({ latencyMs }) => latencyMs).toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length * 0.99)] ?? 0;
}

/** An app with overload control as it is by default, and a client with connections to it. */
async function start(t: TestContext, what: string) {
  const app = new Program(
    "test/long/fixtures/busy-app.ts",
    ...["--http-port=0", "--set", "grpc.enabled=false", "--exporter-port=off", "--log-level=silent"],
  );
  t.after(() => app[Symbol.asyncDispose]());
  const load = new OpenLoop(`http://${await app.address("HTTP")}/test/v1/echo/${what}`);
  t.after(() => load[Symbol.dispose]());
  const say = (name: string, { rate, p99, refused, refusedP99 }: Outcome): Outcome => {
    const numbers = `${rate.toFixed(0)}/s, p99 ${p99.toFixed(0)} ms`;
    t.diagnostic(
      `${what}, ${name}: ${numbers}; ${refused} refused${refused === 0 ? "" : `, p99 ${refusedP99.toFixed(0)} ms`}`,
    );
    return { rate, p99, refused, refusedP99 };
  };
  return { load, say };
}

/** The most calls a second that so many callers get done. */
async function mostOf(load: OpenLoop, callers: number): Promise<number> {
  await load.runClosed(callers, 3_000);
  return outcomeOf(await load.runClosed(callers, 4_000), 500, 4_000).rate;
}

for (const [what, callers] of [
  ["cpu", 4],
  ["places", 10],
] as const) {
  test(`O01 Q2 an open loop of 2 and 5 times what an app can do: ${what}`, async (t) => {
    const { load, say } = await start(t, what);
    await load.open(self, 1_000);
    const most = await mostOf(load, callers);
    const run = (times: number, timeMs: number) => load.run([{ rate: most * times, from: self }], timeMs);
    const quiet = say("unloaded", outcomeOf(await run(0.25, 5_000), 500, 5_000));
    const normal = say("normal", outcomeOf(await run(0.5, 5_000), 500, 5_000));
    assert.equal(normal.refused, 0);
    for (const [times, least] of [
      [2, 0.9],
      [5, 0.8],
    ] as const) {
      const loaded = say(`${times} times`, outcomeOf(await run(times, 10_000), 3_000, 10_000));
      const after = say("after 5 s", outcomeOf(await run(0.5, 8_000), 5_000, 8_000));
      assert.ok(loaded.rate >= least * most, `${loaded.rate} of ${most} calls a second`);
      assert.ok(loaded.p99 <= 5 * quiet.p99, `${loaded.p99} ms, unloaded ${quiet.p99} ms`);
      assert.ok(loaded.refusedP99 < 50, `refused after ${loaded.refusedP99} ms`);
      assert.equal(after.refused, 0);
      assert.ok(after.p99 <= 2 * normal.p99, `${after.p99} ms, before ${normal.p99} ms`);
    }
  });
}

test("Q3 an open loop of one caller with 20 times his share beside nine others", async (t) => {
  const { load, say } = await start(t, "cpu");
  const nine = Array.from({ length: 9 }, (_, at) => `127.0.0.${at + 2}`);
  for (const from of nine) await load.open(from, 20);
  await load.open(greedy, 500);
  const most = await mostOf(load, 4);
  const calls = nine.map((from) => ({ from, rate: most / 20 }));
  const ofNine = (answers: readonly Answer[]) => answers.filter(({ from }) => from !== greedy);
  const alone = say("nine", outcomeOf(await load.run(calls, 6_000), 500, 6_000));
  const all = await load.run([...calls, { from: greedy, rate: most * 2 }], 12_000);
  const beside = say("nine beside one", outcomeOf(ofNine(all), 3_000, 12_000));
  assert.ok(beside.rate >= 0.95 * alone.rate, `${beside.rate} of ${alone.rate} calls a second`);
  assert.ok(beside.p99 < 2 * alone.p99, `${beside.p99} ms, alone ${alone.p99} ms`);
});
