import assert from "node:assert/strict";
import { Agent } from "node:http";
import { test } from "node:test";
import { Program } from "../support/program.ts";
import { freshCalls, grpcCalls, restCalls, SteadyLoad } from "../support/steady-load.ts";
import { echo, eventually, risingSamples, sample, startWorkers, type WorkerProgram } from "../support/worker-program.ts";

/** Pids of the workers that answer now, by their numbers. */
async function pidsOf(running: WorkerProgram): Promise<ReadonlyMap<string, number>> {
  const pids = new Map<string, number>();
  for (let call = 0; call < 8; call++) {
    const { worker, pid } = await echo(running, "who");
    pids.set(worker, pid);
  }
  return pids;
}

test("port 0 is one port for all workers, and 8 connections are 4 for each", async () => {
  await using running = await startWorkers();
  const agents = Array.from({ length: 8 }, () => new Agent({ keepAlive: true, maxSockets: 1 }));
  const answers = await Promise.all(agents.map((agent) => echo(running, "who", 0, agent)));
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
  const counts = ["1", "2"].map((number) => answers.filter(({ worker }) => worker === number).length);
  assert.deepEqual(counts, [4, 4]);
  const page = await running.metrics();
  assert.equal(sample(page, 'ts_ms_worker_connections{worker="1"}'), 4);
  assert.equal(sample(page, 'ts_ms_worker_handed_over_total{outcome="taken"}'), 8);
  assert.equal(sample(page, 'ts_ms_http_requests_total{route="/test/v1/echo/{text}",method="GET",status="200"}'), 8);
  assert.ok(sample(page, 'process_resident_memory_bytes{worker="2"}') !== undefined);
  assert.equal(sample(page, 'ts_ms_workers{state="serving"}'), 2);
  for (const agent of agents) agent.destroy();
  const { code } = await running.program.stop();
  assert.equal(code, 0);
  await running.program.line(/^Stopped by SIGTERM: \d+ calls finished, 0 notified, 0 cut$/);
});

for (const [how, end] of [
  ["is killed", async (running: WorkerProgram) => {
    const pid = (await echo(running, "who")).pid;
    process.kill(pid, "SIGKILL");
    return pid;
  }],
  ["exits with 1", async (running: WorkerProgram) => {
    const { pid } = await echo(running, "who");
    const agents = new Set<number>();
    while (!agents.has(pid)) {
      const next = await echo(running, "who");
      agents.add(next.pid);
    }
    await echo(running, "exit").catch(() => {});
    return pid;
  }],
] as const) {
  test(`E14: a worker that ${how} loses its own calls, no connection is refused, no counter falls`, async () => {
    await using running = await startWorkers();
    const before = await pidsOf(running);
    using kept = restCalls(running.http);
    using grpc = grpcCalls(running.grpc);
    const load = new SteadyLoad([kept, freshCalls(running.http), grpc], 100);
    await eventually("some calls", () => (load.done > 300 ? true : undefined));
    const counted = risingSamples(await running.metrics());
    await end(running);
    const endedMs = performance.now();
    await running.program.error(/has ended/);
    const after = await eventually("two workers", async () => {
      const pids = await pidsOf(running);
      const fresh = [...pids.values()].filter((pid) => ![...before.values()].includes(pid));
      return fresh.length > 0 && pids.size === 2 ? pids : undefined;
    });
    assert.equal(after.size, 2);
    assert.ok(performance.now() - endedMs < 15_000); // On a busy machine; of itself it is a start and 200 ms.
    const { done, lost } = await load.stop();
    assert.ok(done > 300);
    assert.ok(lost.length <= 30, `${lost.length} lost:\n${lost.join("\n")}`);
    assert.deepEqual(lost.filter((text) => text.includes("ECONNREFUSED")), []);
    const now = risingSamples(await running.metrics());
    for (const [series, value] of counted) {
      assert.ok((now.get(series) ?? 0) >= value, `${series} fell from ${value} to ${now.get(series)}`);
    }
    assert.equal(sample(await running.metrics(), 'ts_ms_worker_restarts_total{cause="died"}'), 1);
    assert.equal((await running.program.stop()).code, 0);
  });
}
