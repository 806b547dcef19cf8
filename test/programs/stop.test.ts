import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, get } from "node:http";
import { connect as connectHttp2, type ClientHttp2Session } from "node:http2";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { test } from "node:test";
import { EchoService } from "../../gen/tsms/test/v1/echo_pb.ts";
import { Code, ConnectError, createClient, dial } from "../../src/index.ts";
import { bufCurl, curl, curlJson, Program, run, type Exit } from "../support/program.ts";
import { stallingProxy } from "../support/stalling-proxy.ts";

interface Running extends AsyncDisposable {
  readonly program: Program;
  readonly http: string;
  readonly grpc: string;
}

async function start(...args: string[]): Promise<Running> {
  const listen = ["--grpc-port=0", "--http-port=0", "--exporter-port=0"];
  const program = new Program("test/programs/fixtures/echo-program.ts", ...listen, ...args);
  await program.line(/^ready$/);
  return {
    program,
    http: `http://${await program.address("HTTP")}`,
    grpc: await program.address("GRPC"),
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

const slow = (ms: number) => `behaviour.sleepMs=${ms}`;

test("Z01: idle connections of every kind do not hold the stop", async () => {
  const attempt = async (): Promise<Exit> => {
    await using running = await start();
    const { program, http, grpc } = running;
    const agent = new Agent({ keepAlive: true });
    const response = await new Promise<NodeJS.ReadableStream>((resolve, reject) => {
      get(`${http}/livez`, { agent }, resolve).on("error", reject);
    });
    response.resume();
    await once(response, "end");
    const session = await openSession(grpc);
    const transport = dial(grpc);
    await createClient(EchoService, transport).echo({ text: "x" });
    const silent = connect(Number(grpc.split(":")[1]), "127.0.0.1").on("error", () => {});
    await once(silent, "connect");
    const exit = await program.stop();
    transport.close();
    session.destroy();
    silent.destroy();
    agent.destroy();
    return exit;
  };
  let exit = await attempt();
  // A busy machine may need more than one try; a program that waits for its clients needs minutes in all of them.
  for (let tries = 1; tries < 3 && exit.afterMs > 1_000; tries++) exit = await attempt();
  assert.deepEqual([exit.code, exit.signal], [0, null]);
  assert.ok(exit.afterMs <= 1_000, `it took ${exit.afterMs} ms`);
});

test("Z02: calls in flight over REST and gRPC complete, then the program ends with 0", async () => {
  await using running = await start();
  const { program, http, grpc } = running;
  const rest = curlJson(`${http}/test/v1/echo/rest?${slow(2000)}`);
  const rpc = bufCurl(grpc, "tsms.test.v1.EchoService/Echo", `{"text":"rpc","behaviour":{"sleepMs":2000}}`);
  await Promise.all([program.line(/^begun rest$/), program.line(/^begun rpc$/)]);
  program.kill();
  const [status, body] = await rest;
  assert.equal(status, 200);
  assert.partialDeepStrictEqual(body, { text: "rest" });
  const { code, stdout } = await rpc;
  assert.equal(code, 0);
  assert.partialDeepStrictEqual(JSON.parse(stdout), { text: "rpc" });
  const exit = await program.exit();
  assert.equal(exit.code, 0);
  assert.ok(exit.afterMs < 8_000, `it took ${exit.afterMs} ms`);
  await program.line(/^stopped: [23] finished, cut: none$/); // The tool's reflection stream may be one of them.
});

test("Z03, G24: drained, it is not ready and still serves; then connections are refused", async () => {
  await using running = await start("--drain-delay=3s");
  const { program, http, grpc } = running;
  const last = curlJson(`${http}/test/v1/echo/last?${slow(6000)}`);
  await program.line(/^begun last$/);
  program.kill();
  while ((await curl(`${http}/readyz`)).status !== 503) await delay(20);
  const served = await curl(`${http}/test/v1/echo/late`);
  assert.deepEqual([served.status, served.headers.get("connection")], [200, "close"]);
  const health = await bufCurl(grpc, "grpc.health.v1.Health/Check", "{}");
  assert.deepEqual(JSON.parse(health.stdout), { status: "NOT_SERVING" });
  assert.equal((await bufCurl(grpc, "tsms.test.v1.EchoService/Echo", '{"text":"late"}')).code, 0);
  for (;;) {
    const { code } = await run("curl", "-s", "--max-time", "5", `${http}/livez`);
    if (code === 7) break; // Connection refused.
    assert.equal(code, 0);
    await delay(50);
  }
  assert.equal((await last)[0], 200);
  assert.equal((await program.exit()).code, 0);
});

test("Z04: gRPC clients get GOAWAY NO_ERROR and lose no call", async () => {
  await using running = await start();
  const { program, grpc } = running;
  const session = await openSession(grpc);
  const goaway = once(session, "goaway");
  const transport = dial(grpc);
  const call = createClient(EchoService, transport).echo({ text: "x", behaviour: { sleepMs: 1000 } });
  await program.line(/^begun x$/);
  program.kill();
  const [errorCode] = (await goaway) as [number];
  assert.equal(errorCode, 0);
  assert.equal((await call).text, "x");
  assert.equal((await program.exit()).code, 0);
  transport.close();
  session.destroy();
});

test("Z05: a gRPC stream that outlives the grace ends with UNAVAILABLE, the program with 1", async () => {
  await using running = await start("--grace=500ms");
  const { program, grpc } = running;
  const transport = dial(grpc);
  const replies = createClient(EchoService, transport).repeat({ text: "x", count: 100_000, intervalMs: 20 });
  let count = 0;
  await assert.rejects(
    async () => {
      for await (const _ of replies) if (count++ === 0) program.kill();
    },
    (error: unknown) => error instanceof ConnectError && error.code === Code.Unavailable,
  );
  assert.equal((await program.exit()).code, 1);
  await program.line(/^stopped: 0 finished, cut: tsms\.test\.v1\.EchoService\/Repeat$/);
  assert.ok(count > 1, "the stream goes on during the grace");
  transport.close();
});

test("Z07: a client that vanished in the midst of a stream holds the stop for the grace at most", async () => {
  await using running = await start("--grace=1s");
  const { program, grpc } = running;
  await using proxy = await stallingProxy(Number(grpc.split(":")[1]));
  const transport = dial(`127.0.0.1:${proxy.port}`);
  const replies = createClient(EchoService, transport).repeat({
    text: "x",
    payload: new Uint8Array(65_536),
    count: 100_000,
  });
  const iterator = replies[Symbol.asyncIterator]();
  await iterator.next();
  proxy.stall();
  const { code, afterMs } = await program.stop();
  assert.equal(code, 1);
  assert.ok(afterMs < 6_000, `it took ${afterMs} ms`);
  transport.close();
  await iterator.return?.().catch(() => {});
});

test("Z07: a client that was killed in the midst of a stream does not hold it at all", async () => {
  await using running = await start();
  const { program, grpc } = running;
  const session = await openSession(grpc);
  const stream = session.request({
    ":method": "POST",
    ":path": "/tsms.test.v1.EchoService/Repeat",
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.on("error", () => {});
  stream.end(Buffer.from([0, 0, 0, 0, 6, 0x18, 0xa0, 0x8d, 0x06, 0x20, 0x05])); // count: 100,000, interval_ms: 5
  await once(stream, "data");
  session.destroy();
  assert.equal((await program.stop()).code, 0);
});

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

async function openSession(grpc: string): Promise<ClientHttp2Session> {
  const session = connectHttp2(`http://${grpc}`);
  session.on("error", () => {});
  await once(session, "remoteSettings");
  return session;
}
