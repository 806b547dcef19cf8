import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { programFile } from "../support/program.ts";
import { freshCalls, grpcCalls, restCalls, SteadyLoad } from "../support/steady-load.ts";
import {
  echo,
  eventually,
  risingSamples,
  sample,
  startFlaggedWorkers,
  startWorkers,
} from "../support/worker-program.ts";

test("E14: a worker that runs out of memory loses its own calls and is replaced, no counter falls", async () => {
  await using running = await startFlaggedWorkers(["--max-old-space-size=160"]);
  using kept = restCalls(running.http);
  using grpc = grpcCalls(running.grpc);
  using load = new SteadyLoad([kept, freshCalls(running.http), grpc], 100);
  await eventually("some calls", () => (load.done > 300 ? true : undefined));
  const counted = risingSamples(await running.metrics());
  let mostInFlight = 0;
  const watch = setInterval(() => (mostInFlight = Math.max(mostInFlight, load.inFlight)), 5);
  await assert.rejects(echo(running, "fill"));
  await running.program.error(/worker \d has ended by SIGABRT/);
  clearInterval(watch);
  await eventually("it is replaced", async () =>
    sample(await running.metrics(), 'ts_ms_workers{state="serving"}') === 2 ? true : undefined,
  );
  const { lost } = await load.stop();
  // What comes while it fills its memory waits in it, and ends with it.
  assert.ok(lost.length <= mostInFlight, `${lost.length} lost of ${mostInFlight}:\n${lost.join("\n")}`);
  assert.deepEqual(
    lost.filter((text) => text.includes("ECONNREFUSED")),
    [],
  );
  const now = risingSamples(await running.metrics());
  for (const [series, value] of counted) {
    assert.ok((now.get(series) ?? 0) >= value, `${series} fell from ${value} to ${now.get(series)}`);
  }
  assert.equal((await running.program.stop()).code, 0);
});

test("E16: a primary without files for connections loses those, and serves all that come when it has some", async () => {
  await using running = await startWorkers();
  const { pid } = running.program;
  assert.equal((await echo(running, "before")).status, 200);
  // Files for two connections at a time: what comes at once is more.
  await limitFiles(pid, readdirSync(`/proc/${pid}/fd`).length + 2);
  const [host = "", port = "0"] = running.http.split(":");
  const sockets: Socket[] = [];
  let closed = 0;
  for (let number = 0; number < 300; number++) {
    const socket = connect(Number(port), host).on("error", () => {});
    sockets.push(socket.on("close", () => closed++).resume());
  }
  await eventually("all were accepted or closed", async () => {
    const page = await running.metrics().catch(() => undefined); // Its connection may be one too many, too.
    if (page === undefined) return undefined;
    const open = ["1", "2"].map((id) => sample(page, `ts_ms_worker_connections{worker="${id}"}`) ?? 0);
    return (open[0] ?? 0) + (open[1] ?? 0) + closed >= 300 ? true : undefined;
  });
  await eventually("a call alone is served", async () => {
    const answer = await echo(running, "single").catch(() => undefined); // Metrics may have the one file.
    return answer?.status === 200 ? true : undefined;
  });
  for (const socket of sockets) socket.destroy();
  await limitFiles(pid, 1_024);
  const answers = await Promise.all(Array.from({ length: 100 }, () => echo(running, "after")));
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
  assert.deepEqual(new Set(answers.map(({ worker }) => worker)), new Set(["1", "2"]));
  assert.equal((await running.program.stop()).code, 0);
});

test("--inspect is for worker 1, for the one that replaces it too", async () => {
  const port = await freePort();
  await using running = await startFlaggedWorkers([`--inspect=127.0.0.1:${port}`]);
  const [, first, second] = await running.program.line(/^\[WORKERS\] .* workers: (\d+), (\d+)/);
  assert.equal(await inspectedAt(port), Number(first));
  assert.notEqual(first, second);
  running.program.kill("SIGHUP");
  await running.program.error(/worker 2 was replaced/);
  const { pid } = await eventually("worker 1 answers", async () => {
    const answer = await echo(running, "who");
    return answer.worker === "1" ? answer : undefined;
  });
  assert.notEqual(pid, Number(first));
  await eventually("the new one is inspected", async () =>
    (await inspectedAt(port).catch(() => 0)) === pid ? true : undefined,
  );
  assert.equal((await running.program.stop()).code, 0);
});

test("lines of the access log say which worker wrote them", async () => {
  await using running = await startWorkers("--log-level=debug", "--log-format=json");
  const answers = [await echo(running, "one"), await echo(running, "two")];
  assert.deepEqual(answers.map(({ worker }) => worker).toSorted(), ["1", "2"]);
  for (const worker of ["1", "2"]) {
    await running.program.error(new RegExp(`^\\{.*"worker":${worker},.*"door":"rest"`, "m"));
  }
  assert.equal((await running.program.stop()).code, 0);
});

test("the page of metrics waits half a second for a worker that hangs, then shows what it has said last", async () => {
  await using running = await startWorkers();
  const { worker, pid } = await echo(running, "who");
  const counted = 'ts_ms_http_requests_total{route="/test/v1/echo/{text}",method="GET",status="200"}';
  const age = `ts_ms_worker_snapshot_age_seconds{worker="${worker}"}`;
  await eventually("the call is counted", async () =>
    sample(await running.metrics(), counted) === 1 ? true : undefined,
  );
  process.kill(pid, "SIGSTOP");
  try {
    const page = await eventually("its last word is old", async () => {
      const begun = performance.now();
      const text = await running.metrics();
      const tookMs = performance.now() - begun;
      assert.ok(tookMs >= 400 && tookMs < 5_000, `the page took ${tookMs} ms`);
      return (sample(text, age) ?? 0) > 1.5 ? text : undefined;
    });
    assert.equal(sample(page, counted), 1);
    assert.equal(sample(page, 'ts_ms_workers{state="serving"}'), 2);
  } finally {
    process.kill(pid, "SIGCONT");
  }
  await eventually("it answers again", async () =>
    (sample(await running.metrics(), age) ?? Infinity) < 0.5 ? true : undefined,
  );
  assert.equal((await running.program.stop()).code, 0);
});

test("a signal that a terminal sends to primary and workers alike counts once, and calls end well", async () => {
  const child = spawn(
    process.execPath,
    [
      programFile("test/programs/fixtures/worker-program.ts"),
      ...["--grpc-port=0", "--http-port=0", "--exporter-port=off", "--workers=2"],
    ],
    { stdio: ["ignore", "pipe", "inherit"], detached: true }, // A process group of its own.
  );
  try {
    let http = "";
    for await (const line of createInterface({ input: child.stdout })) {
      http ||= /^\[HTTP\] listening on (\S+)$/.exec(line)?.[1] ?? "";
      if (line.startsWith("[WORKERS] primary")) break;
    }
    child.stdout.resume();
    const calls = Array.from({ length: 4 }, (_, number) =>
      echo({ http }, `slow${number}?behaviour.sleepMs=1500&x=`),
    );
    // Each has begun when a further one, which was accepted later, is answered.
    for (let number = 0; number < 4; number++) await echo({ http }, "quick");
    process.kill(-(child.pid ?? 0), "SIGINT");
    const exit = once(child, "exit");
    assert.deepEqual(
      (await Promise.all(calls)).map(({ status }) => status),
      [200, 200, 200, 200],
    );
    assert.deepEqual(await exit, [0, null]);
  } finally {
    child.kill("SIGKILL");
  }
});

/** How many files a process may have open. */
async function limitFiles(pid: number, count: number): Promise<void> {
  const limit = spawn("prlimit", ["--pid", String(pid), `--nofile=${count}:4096`], { stdio: "inherit" });
  const [code] = (await once(limit, "exit")) as [number];
  assert.equal(code, 0);
}

/** The process that an inspector inspects. */
async function inspectedAt(port: number): Promise<number> {
  const [target] = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as [
    { readonly webSocketDebuggerUrl: string },
  ];
  const socket = new WebSocket(target.webSocketDebuggerUrl);
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  socket.addEventListener("error", () => reject(new Error("the inspector is gone")));
  socket.addEventListener("open", () =>
    socket.send(JSON.stringify({ id: 1, method: "Runtime.evaluate", params: { expression: "process.pid" } })),
  );
  socket.addEventListener("message", ({ data }) => resolve(String(data)));
  const { result } = JSON.parse(await promise) as { readonly result: { readonly result: { value: number } } };
  socket.close();
  return result.result.value;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // It listens on TCP.
  server.close();
  await once(server, "close");
  return port;
}
