import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { test } from "node:test";
import { curlJson, Program, run } from "../support/program.ts";

async function start(...args: string[]): Promise<{ program: Program; http: string } & AsyncDisposable> {
  const listen = ["--grpc-port=0", "--http-port=0", "--exporter-port=0"];
  const program = new Program("test/programs/fixtures/echo-program.ts", ...listen, ...args);
  await program.line(/^ready$/);
  return {
    program,
    http: `http://${await program.address("HTTP")}`,
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

const slow = (ms: number) => `behaviour.sleepMs=${ms}`;

test("Z08: a signal during start-up ends it with 0 and leaves no port bound", async () => {
  await using program = new Program(
    "test/programs/fixtures/echo-program.ts",
    "--grpc-port=0",
    "--http-port=0",
    "--exporter-port=0",
    "--boot-time=60s",
  );
  const grpc = await program.address("GRPC");
  const { code, afterMs } = await program.stop();
  assert.equal(code, 0);
  assert.ok(afterMs < 2_000, `it took ${afterMs} ms`);
  assert.equal(program.errors, "");
  assert.equal((await run("curl", "-s", `http://${grpc}/`)).code, 7);
});

test("Z08: a signal at any other moment of the start ends it in time, too", async () => {
  for (const waitMs of [0, 100, 200, 300, 400]) {
    await using program = new Program(
      "examples/gateway.ts",
      "--grpc-port=0",
      "--http-port=0",
      "--exporter-port=0",
    );
    await delay(waitMs);
    const { code, signal, afterMs } = await program.stop();
    assert.ok(code === 0 || signal === "SIGTERM", `after ${waitMs} ms: ${code} ${signal} ${program.errors}`);
    assert.ok(afterMs < 2_000, `after ${waitMs} ms it took ${afterMs} ms`);
  }
});

for (const [signal, expected] of [
  ["SIGTERM", 143],
  ["SIGINT", 130],
] as const) {
  test(`a second ${signal} ends it at once with ${expected}`, async () => {
    await using running = await start();
    const { program, http } = running;
    const lost = run("curl", "-s", `${http}/test/v1/echo/long?${slow(20_000)}`);
    await program.line(/^begun long$/);
    program.kill(signal);
    await delay(400);
    const { code, afterMs } = await program.stop(signal);
    assert.equal(code, expected);
    assert.ok(afterMs < 2_000, `it took ${afterMs} ms`);
    await lost;
  });

  test(`${signal} twice within 300 ms is one`, async () => {
    await using running = await start();
    const { program, http } = running;
    const call = curlJson(`${http}/test/v1/echo/long?${slow(1500)}`);
    await program.line(/^begun long$/);
    program.kill(signal);
    program.kill(signal);
    assert.equal((await call)[0], 200);
    assert.equal((await program.exit()).code, 0);
  });
}

test("a handler that hangs is cut after the grace, and named", async () => {
  await using running = await start("--grace=500ms");
  const { program, http } = running;
  const lost = run("curl", "-s", `${http}/test/v1/echo/hang`);
  await program.line(/^begun hang$/);
  const { code, afterMs } = await program.stop();
  assert.equal(code, 1);
  assert.ok(afterMs < 5_000, `it took ${afterMs} ms`);
  await program.line(/cut: .*tsms\.test\.v1\.EchoService\/Echo/);
  await lost;
});
