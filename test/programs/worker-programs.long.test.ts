import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { curl, Program, programFile } from "../support/program.ts";
import { eventStreams, socketStreams, SteadyLoad } from "../support/steady-load.ts";
import { echo, eventually, sample, startWorkers } from "../support/worker-program.ts";

const ownPorts = ["--http-port=0", "--exporter-port=0"];

for (const [file, ...flags] of [
  ["examples/gateway.ts", "--grpc-port=0", ...ownPorts],
  ["examples/grpc-only.ts", "--grpc-port=0", "--exporter-port=0"],
  ["examples/http-only.ts", ...ownPorts],
] as const) {
  test(`${file} serves in workers`, async () => {
    await using program = new Program(file, "--workers=2", ...flags);
    await program.line(
      /^\[WORKERS\] primary \d+, 2 workers: \d+, \d+; limits of a process are those of each worker$/,
    );
    const isGateway = file === "examples/gateway.ts";
    if (isGateway) {
      const { status } = await curl(`http://${await program.address("HTTP")}/v1/shelves/1/books`);
      assert.equal(status, 200);
    }
    const page = await (await fetch(await program.metrics())).text();
    assert.equal(sample(page, 'ts_ms_workers{state="serving"}'), 2);
    assert.equal((await program.stop()).code, 0, program.errors);
    assert.equal(program.lines.filter((line) => line.includes("listening on")).length, isGateway ? 2 : 1);
    assert.match(program.lines.at(-1) ?? "", /^Stopped by SIGTERM: /);
  });
}

test("an app has the workers of its configuration, and new ones have the one of now", async () => {
  const folder = mkdtempSync(join(tmpdir(), "workers-"));
  const file = join(folder, "config.yaml");
  const config = (level: string): string =>
    `workers: 2\nhttp: { port: 0 }\ngrpc: { port: 0 }\ntelemetry: { metrics: { port: "0" }, log: { level: ${level} } }\n`;
  try {
    writeFileSync(file, config("info"));
    await using program = new Program("examples/app.ts", "--config", file);
    await program.line(/^\[WORKERS\] primary/);
    const http = await program.address("HTTP");
    assert.equal((await curl(`http://${http}/v1/shelves`)).status, 200);
    writeFileSync(file, config("no-level"));
    program.kill("SIGHUP");
    await program.error(/worker 1 stays: the process that was to replace it has ended before it was ready/);
    writeFileSync(file, config("debug"));
    program.kill("SIGHUP");
    await program.error(/worker 2 was replaced/);
    assert.equal((await curl(`http://${http}/v1/shelves`)).status, 200);
    assert.equal((await program.stop()).code, 0);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("E15: streams of events and WebSockets come to their end while all workers are replaced", async () => {
  await using running = await startWorkers();
  using events = eventStreams(running.http);
  using load = new SteadyLoad([events, socketStreams(running.http)], 20);
  await eventually("some calls", () => (load.done > 20 ? true : undefined));
  running.program.kill("SIGHUP");
  await running.program.error(/worker 2 was replaced/);
  const { done, lost } = await load.stop();
  assert.deepEqual(lost, []);
  assert.ok(done > 40);
});

for (const workers of ["1", "2"]) {
  test(`a socket that was passed is served by ${workers === "1" ? "one process" : "workers"}`, async () => {
    const opened = createServer().listen(0, "127.0.0.1");
    await once(opened, "listening");
    const { port } = opened.address() as { readonly port: number };
    const child = spawn(
      process.execPath,
      [
        programFile("test/programs/fixtures/worker-program.ts"),
        ...["--http-host=fd:3", "--grpc-port=0", "--exporter-port=off", `--workers=${workers}`],
      ],
      { stdio: ["ignore", "pipe", "inherit", fdOf(opened)], env: { ...process.env, LISTEN_FDS: "1" } },
    );
    try {
      await lineOf(child, workers === "1" ? `[HTTP] listening on 127.0.0.1:${port}` : "[WORKERS] primary");
      opened.close(); // The program has it too.
      const answers = new Set<string>();
      await eventually("all answer", async () => {
        answers.add((await echo({ http: `127.0.0.1:${port}` }, "who")).worker);
        return answers.size === Number(workers) ? true : undefined;
      });
      child.kill("SIGTERM");
      const [code] = (await once(child, "exit")) as [number | null];
      assert.equal(code, 0);
    } finally {
      child.kill("SIGKILL");
    }
  });
}

test("E16: a worker without a file for a connection leaves it to another one, and recovers", async () => {
  await using running = await startWorkers();
  const [host = "", port = "0"] = running.http.split(":");
  const { pid, worker } = await echo(running, "who");
  const limit = spawn("prlimit", ["--pid", String(pid), "--nofile=40:40"], { stdio: "inherit" });
  const [limited] = (await once(limit, "exit")) as [number];
  assert.equal(limited, 0);
  const sockets: Socket[] = [];
  for (let number = 0; number < 120; number++)
    sockets.push(connect(Number(port), host).on("error", () => {}));
  await eventually("the other one has them", async () => {
    const page = await running.metrics();
    const open = ["1", "2"].map((id) => sample(page, `ts_ms_worker_connections{worker="${id}"}`) ?? 0);
    return (open[0] ?? 0) + (open[1] ?? 0) === 120 ? true : undefined;
  });
  const page = await running.metrics();
  assert.ok((sample(page, 'ts_ms_worker_handed_over_total{outcome="lost"}') ?? 0) > 0);
  assert.equal((await echo(running, "who")).status, 200);
  for (const socket of sockets) socket.destroy();
  await eventually("it serves again", async () =>
    (await echo(running, "who")).worker === worker ? true : undefined,
  );
  assert.equal((await running.program.stop()).code, 0);
});

test("without a second worker nothing is started", async () => {
  await using program = new Program(
    "test/programs/fixtures/worker-program.ts",
    ...["--grpc-port=0", "--http-port=0", "--exporter-port=off", "--workers=1"],
  );
  const http = await program.address("HTTP");
  assert.equal((await echo({ http }, "who")).pid, program.pid);
  assert.equal((await program.stop()).code, 0);
});

/** The descriptor of a server, which Node keeps without a type. */
function fdOf(server: object): number {
  const { _handle: handle } = server as { readonly _handle: { readonly fd: number } };
  return handle.fd;
}

/** Resolves when a program has printed a line that begins so. */
async function lineOf(child: ChildProcess, begin: string): Promise<void> {
  const lines: string[] = [];
  if (child.stdout === null) return;
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    if (line.startsWith(begin)) {
      child.stdout.resume();
      return;
    }
  }
  assert.fail(`no line ${begin}:\n${lines.join("\n")}`);
}
