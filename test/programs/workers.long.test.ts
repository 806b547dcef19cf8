import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent } from "node:http";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { EchoService } from "../../gen/tsms/test/v1/echo_pb.ts";
import { createClient, dial } from "../../src/index.ts";
import { createCertificate } from "../support/certificates.ts";
import { curl, Program } from "../support/program.ts";
import { freshCalls, grpcCalls, restCalls, SteadyLoad, uploadCalls } from "../support/steady-load.ts";
import {
  echo,
  eventually,
  isAlive,
  risingSamples,
  sample,
  startWorkers,
  type WorkerProgram,
} from "../support/worker-program.ts";

/** Pids of the workers that answer now, by their numbers. */
async function pidsOf(running: WorkerProgram): Promise<ReadonlyMap<string, number>> {
  const pids = new Map<string, number>();
  const agents: Agent[] = [];
  // Connections stay open meanwhile, for each goes to the worker with the fewest.
  for (let call = 0; call < 8 || (call < 64 && pids.size < 2); call++) {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    agents.push(agent);
    const { worker, pid } = await echo(running, "who", 0, agent);
    pids.set(worker, pid);
  }
  for (const agent of agents) agent.destroy();
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
  assert.equal(
    sample(page, 'ts_ms_http_requests_total{route="/test/v1/echo/{text}",method="GET",status="200"}'),
    8,
  );
  assert.ok(sample(page, 'process_resident_memory_bytes{worker="2"}') !== undefined);
  assert.equal(sample(page, 'ts_ms_workers{state="serving"}'), 2);
  for (const agent of agents) agent.destroy();
  const { code } = await running.program.stop();
  assert.equal(code, 0);
  await running.program.line(/^Stopped by SIGTERM: \d+ calls finished, 0 notified, 0 cut$/);
});

for (const [how, end] of [
  [
    "is killed",
    async (running: WorkerProgram) => {
      const pid = (await echo(running, "who")).pid;
      process.kill(pid, "SIGKILL");
      return pid;
    },
  ],
  [
    "exits with 1",
    async (running: WorkerProgram) => {
      const { pid } = await echo(running, "who");
      const agents = new Set<number>();
      while (!agents.has(pid)) {
        const next = await echo(running, "who");
        agents.add(next.pid);
      }
      await echo(running, "exit").catch(() => {});
      return pid;
    },
  ],
] as const) {
  test(`E14: a worker that ${how} loses its own calls, no connection is refused, no counter falls`, async () => {
    await using running = await startWorkers();
    const before = await pidsOf(running);
    using kept = restCalls(running.http);
    using grpc = grpcCalls(running.grpc);
    using load = new SteadyLoad([kept, freshCalls(running.http), grpc], 100);
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
    assert.deepEqual(
      lost.filter((text) => text.includes("ECONNREFUSED")),
      [],
    );
    const now = risingSamples(await running.metrics());
    for (const [series, value] of counted) {
      assert.ok((now.get(series) ?? 0) >= value, `${series} fell from ${value} to ${now.get(series)}`);
    }
    assert.equal(sample(await running.metrics(), 'ts_ms_worker_restarts_total{cause="died"}'), 1);
    assert.equal((await running.program.stop()).code, 0);
  });
}

test("E15: SIGHUP replaces all workers, one after the other, without a lost call", async () => {
  await using running = await startWorkers();
  const before = await pidsOf(running);
  using kept = restCalls(running.http);
  using grpc = grpcCalls(running.grpc);
  using uploads = uploadCalls(running.http);
  using load = new SteadyLoad([kept, freshCalls(running.http), grpc, uploads], 40);
  running.program.kill("SIGHUP");
  await running.program.error(/worker 2 was replaced/);
  const after = await pidsOf(running);
  assert.deepEqual([...after.keys()].sort(), ["1", "2"]);
  for (const [number, pid] of after) assert.notEqual(pid, before.get(number));
  await eventually("the last old worker is gone", () =>
    [...before.values()].every((pid) => !isAlive(pid)) ? true : undefined,
  );
  const { done, lost } = await load.stop();
  assert.deepEqual(lost, []);
  assert.ok(done > 200);
  assert.equal(sample(await running.metrics(), 'ts_ms_worker_restarts_total{cause="reload"}'), 2);
  assert.equal((await running.program.stop()).code, 0);
});

test("E15: new code that cannot start leaves the old workers", async () => {
  const folder = mkdtempSync(join(tmpdir(), "workers-"));
  const broken = join(folder, "broken");
  try {
    await using running = await startWorkers(`--broken=${broken}`);
    const before = await pidsOf(running);
    writeFileSync(broken, "");
    running.program.kill("SIGHUP");
    await running.program.error(/worker 1 stays: .* before it was ready: the new code cannot start/);
    assert.deepEqual(await pidsOf(running), before);
    rmSync(broken);
    running.program.kill("SIGHUP");
    await running.program.error(/worker 2 was replaced/);
    assert.equal((await running.program.stop()).code, 0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("E14: while a worker blocks its process, others get the connections, and it none after a while", async () => {
  await using running = await startWorkers();
  const blocked = echo(running, "block", 8_000);
  const begun = performance.now();
  const answers = await Promise.all(Array.from({ length: 20 }, () => echo(running, "who")));
  const inTime = answers.filter(({ status }) => status === 200).length;
  const tookMs = performance.now() - begun;
  const { worker, status } = await blocked;
  assert.equal(status, 200);
  assert.equal(inTime, 20);
  const byIt = answers.filter((answer) => answer.worker === worker).length;
  assert.ok(byIt <= 1, `${byIt} connections waited for it`);
  if (byIt === 0) assert.ok(tookMs < 5_000, `it took ${tookMs} ms`);
});

test("E16: a primary that is killed leaves no worker behind, and calls in flight end well", async () => {
  await using running = await startWorkers("--grace=5s");
  const pids = await pidsOf(running);
  const slow = fetch(`http://${running.http}/test/v1/echo/slow?behaviour.sleepMs=1500`);
  await eventually("the call has begun", async () =>
    sample(
      await running.metrics(),
      'ts_ms_calls_in_flight{service="tsms.test.v1.EchoService",method="Echo",protocol="rest"}',
    ) === 1
      ? true
      : undefined,
  );
  running.program.kill("SIGKILL");
  assert.equal((await slow).status, 200);
  await eventually("they end", () => ([...pids.values()].every((pid) => !isAlive(pid)) ? true : undefined));
});

test("a signal at one worker stops and replaces it", async () => {
  await using running = await startWorkers();
  const { pid, worker } = await echo(running, "who");
  process.kill(pid, "SIGTERM");
  const next = await eventually("another process in its place", async () => {
    const fresh = (await pidsOf(running)).get(worker);
    return fresh !== undefined && fresh !== pid ? fresh : undefined;
  });
  assert.notEqual(next, pid);
  assert.equal((await running.program.stop()).code, 0);
});

test("a stop waits for the calls of all workers, and its code is the worst of theirs", async () => {
  await using running = await startWorkers("--grace=1s");
  const calls = Array.from({ length: 4 }, (_, index) =>
    fetch(
      `http://${running.http}/test/v1/echo/slow${index}?behaviour.sleepMs=${index === 0 ? 20_000 : 600}`,
      {
        headers: { connection: "close" },
      },
    ).then(
      ({ status }) => status,
      () => 0,
    ),
  );
  await eventually("the calls have begun", async () =>
    sample(
      await running.metrics(),
      'ts_ms_calls_in_flight{service="tsms.test.v1.EchoService",method="Echo",protocol="rest"}',
    ) === 4
      ? true
      : undefined,
  );
  const { code } = await running.program.stop();
  assert.equal(code, 1);
  const statuses = await Promise.all(calls);
  assert.deepEqual(statuses.slice(1), [200, 200, 200]);
  await running.program.line(/^Stopped by SIGTERM: 3 calls finished, 0 notified, 1 cut$/);
});

test("a second signal ends all of them at once", async () => {
  await using running = await startWorkers();
  const pids = await pidsOf(running);
  const lost = echo(running, "slow?behaviour.sleepMs=20000&x=").catch(() => {});
  await eventually("the call has begun", async () =>
    (await running.metrics()).includes("ts_ms_calls_in_flight") ? true : undefined,
  );
  running.program.kill("SIGTERM");
  await new Promise((resolve) => setTimeout(resolve, 400));
  const { code, afterMs } = await running.program.stop("SIGTERM");
  assert.equal(code, 143);
  assert.ok(afterMs < 3_000);
  await lost;
  await eventually("they end", () => ([...pids.values()].every((pid) => !isAlive(pid)) ? true : undefined));
});

test("a first worker that cannot start ends the program, and says why once", async () => {
  await using running = await startWorkers();
  const [, port = ""] = running.http.split(":");
  await using second = new Program(
    "test/programs/fixtures/worker-program.ts",
    ...["--grpc-port=0", `--http-port=${port}`, "--exporter-port=off", "--workers=3"],
  );
  const { code } = await second.exit();
  assert.equal(code, 1);
  const said = second.errors.match(
    /HTTP cannot listen on 127\.0\.0\.1:\d+: address already in use \(EADDRINUSE\)/g,
  );
  assert.equal(said?.length, 1, second.errors);
});

test("workers send messages to all others, and more of them than cores are a warning", async () => {
  await using running = await startWorkers("--workers=3");
  const cores = availableParallelism();
  assert.equal(
    running.program.errors.includes(`3 workers are more than the ${cores} cores that there are`),
    cores < 3,
  );
  const sender = await echo(running, "post");
  for (const number of ["1", "2", "3"].filter((other) => other !== sender.worker)) {
    const { heard } = await eventually(`worker ${number} has heard it`, async () => {
      const answer = await echo(running, "heard");
      return answer.worker === number && answer.heard !== "" ? answer : undefined;
    });
    assert.equal(heard, `${sender.worker}:from ${sender.pid}`);
  }
});

test("a worker above the limit of memory is replaced, and a SIGHUP meanwhile is not lost", async () => {
  await using running = await startWorkers("--max-memory=400MiB");
  const { pid } = await echo(running, "keep", 400 * 1024 * 1024);
  await running.program.error(/worker \d was replaced/);
  running.program.kill("SIGHUP"); // The old one still drains.
  assert.equal(sample(await running.metrics(), 'ts_ms_worker_restarts_total{cause="memory"}'), 1);
  await eventually("the old one is gone", () => (isAlive(pid) ? undefined : true));
  await eventually("both workers are new", async () =>
    sample(await running.metrics(), 'ts_ms_worker_restarts_total{cause="reload"}') === 2 ? true : undefined,
  );
});

test("by the kernel each worker binds the port itself", async () => {
  await using running = await startWorkers("--worker-balance=kernel");
  assert.match(running.program.errors, /unless net\.ipv4\.tcp_migrate_req is 1/);
  const workers = new Set<string>();
  await eventually("both answer", async () => {
    workers.add((await echo(running, "who")).worker);
    return workers.size === 2 ? true : undefined;
  });
  assert.equal((await running.program.stop()).code, 0);
});

test("Unix sockets are served by all workers", async () => {
  const folder = mkdtempSync(join(tmpdir(), "workers-"));
  try {
    const path = join(folder, "http.sock");
    await using running = await startWorkers(`--http-host=unix:${path}`);
    const answers = new Set<string>();
    await eventually("both answer", async () => {
      const { status, headers } = await curl("--unix-socket", path, "http://x/test/v1/echo/who");
      assert.equal(status, 200);
      answers.add(headers.get("x-worker") ?? "");
      return answers.size === 2 ? true : undefined;
    });
    assert.equal((await running.program.stop()).code, 0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("TLS is the worker's, on both ports and with both versions of HTTP", async () => {
  const folder = mkdtempSync(join(tmpdir(), "workers-"));
  try {
    const { key, cert } = createCertificate({ name: "self", hosts: ["127.0.0.1"] });
    writeFileSync(join(folder, "cert.pem"), cert);
    writeFileSync(join(folder, "key.pem"), key);
    await using running = await startWorkers(
      `--tls-cert=${join(folder, "cert.pem")}`,
      `--tls-key=${join(folder, "key.pem")}`,
    );
    for (const version of ["--http1.1", "--http2"]) {
      const answers = new Set<string>();
      for (let call = 0; call < 4; call++) {
        const { status, headers } = await curl("-k", version, `https://${running.http}/test/v1/echo/who`);
        assert.equal(status, 200);
        answers.add(headers.get("x-worker") ?? "");
      }
      assert.equal(answers.size, 2, version);
    }
    const transport = dial(running.grpc, { tls: { ca: cert } });
    assert.equal((await createClient(EchoService, transport).echo({ text: "a" })).text, "a");
    transport.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
});
