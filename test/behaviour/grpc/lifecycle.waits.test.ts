import { strict as assert } from "node:assert";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { connect, createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "../../../gen/grpc/health/v1/health_pb.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import type { ServerState } from "../../../src/core/lifecycle/lifecycle.ts";
import { Echo } from "../../support/echo-service.ts";
import { flag, frameType, hpack, http2Frame, RawHttp2 } from "../../support/http2-frames.ts";
import {
  assertAlive,
  collect,
  echoFrame,
  echoPath,
  open,
  running,
  session,
  within,
} from "../../support/running-grpc.ts";

const patience = 10_000;

async function assertNoSockets(server: GrpcServer): Promise<void> {
  const deadline = performance.now() + patience;
  while (server.connections > 0) {
    assert.ok(performance.now() < deadline, `${server.connections} connections are left`);
    await new Promise(setImmediate);
  }
}

test("a server goes through its states and says so", async () => {
  const server = new GrpcServer({ port: 0 }).addService(new Echo());
  const states: ServerState[] = [server.state];
  server.onStateChange((state) => states.push(state));
  assert.equal(server.describe()[0], "[GRPC] serving tsms.test.v1.EchoService");
  await server.start();
  assert.ok((server.address?.port ?? 0) > 0);
  await server.gracefulStop();
  assert.deepEqual(states, ["init", "boot", "listen", "ready", "graceful", "stop"]);
});

test("describe names address and services", async (t) => {
  const { server, port } = await running(t);
  assert.deepEqual(
    server.describe().filter((line) => !line.startsWith("[GRPC] engine: ")),
    [
      `[GRPC] listening on 127.0.0.1:${port}`,
      "[GRPC] serving tsms.test.v1.EchoService",
      "[GRPC] serving grpc.health.v1.Health",
      "[GRPC] serving grpc.reflection.v1.ServerReflection",
      "[GRPC] serving grpc.reflection.v1alpha.ServerReflection",
    ],
  );
  assert.equal(new GrpcServer({ health: false, reflection: false }).describe().length, 0);
});

test("starting twice or after a stop is an error", async (t) => {
  const { server } = await running(t);
  await assert.rejects(server.start(), /GRPC cannot start: its state is "ready"/);
  await server.gracefulStop();
  await assert.rejects(server.start(), /GRPC cannot start: its state is "stop"/);
});

test("a port that is taken rejects start() and can be tried again", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address() as AddressInfo;
  const server = new GrpcServer({ port });
  await assert.rejects(server.start(), {
    message: `GRPC cannot listen on 127.0.0.1:${port}: address already in use (EADDRINUSE)`,
  });
  assert.equal(server.state, "error");
  other.close();
  await once(other, "close");
  await server.start();
  assert.equal(server.state, "ready");
  await server.gracefulStop();
});

test("a host that is not of this machine rejects start() with its name", async () => {
  const server = new GrpcServer({ host: "192.0.2.1", port: 0 });
  await assert.rejects(server.start(), /GRPC cannot listen on 192\.0\.2\.1:0: .*\(EADDRNOTAVAIL\)/);
  assert.deepEqual(await server.gracefulStop(), { finished: 0, notified: [], cut: [] });
  assert.equal(server.state, "stop");
});

test("unix sockets are served", async (t) => {
  const path = join(tmpdir(), `grpc-${process.pid}-${Math.random().toString(36).slice(2)}.sock`);
  const server = new GrpcServer({ host: `unix:${path}` }).addService(new Echo());
  await server.start();
  t.after(() => server.gracefulStop({ graceMs: 0 }));
  assert.equal(server.describe()[0], `[GRPC] listening on unix:${path}`);
  const http2 = connectHttp2("http://localhost", { createConnection: () => connect(path) });
  t.after(() => http2.destroy());
  const stream = open(http2);
  const reply = collect(stream);
  stream.end(echoFrame({ text: "x" }));
  assert.equal((await within(patience, "the reply", reply)).status, 0);
});

test("Z01: idle connections do not hold up the stop", async (t) => {
  const { server, client, host, port } = await running(t);
  await client.echo({});
  const silent = connect(port, host); // It does not read, so it never learns that the server hangs up.
  t.after(() => silent.destroy());
  await once(silent, "connect");
  while (server.connections < 2) await new Promise(setImmediate);
  const began = performance.now();
  assert.deepEqual(await server.gracefulStop(), { finished: 0, notified: [], cut: [] });
  assert.ok(performance.now() - began < 5000, "the stop took too long");
  await assertNoSockets(server);
});

test("Z02: a call under way ends well and the stop follows at once", async (t) => {
  const { server, client, echo } = await running(t);
  const call = client.echo({ text: "slow", behaviour: { sleepMs: 500 } });
  await within(
    patience,
    "the call",
    echo.until(({ calls }) => calls === 1),
  );
  const began = performance.now();
  const stop = server.gracefulStop();
  assert.equal(server.state, "graceful");
  assert.equal((await call).text, "slow");
  assert.deepEqual(await stop, { finished: 1, notified: [], cut: [] });
  assert.ok(performance.now() - began < 5000, "the stop took too long");
});

test("Z02: a request that is still being sent when the stop begins is served", async (t) => {
  const server = await running(t);
  const stream = open(session(t, server));
  const reply = collect(stream);
  const bytes = echoFrame({ text: "late" });
  stream.write(bytes.subarray(0, 6));
  await assertAlive(server); // By then the request headers have arrived.
  const stop = server.server.gracefulStop();
  stream.end(bytes.subarray(6));
  assert.equal((await within(patience, "the reply", reply)).status, 0);
  assert.deepEqual(await stop, { finished: 1, notified: [], cut: [] });
});

test("Z03: connections are refused once the listener is closed", async (t) => {
  const { server, host, port } = await running(t);
  await server.gracefulStop();
  const socket = connect(port, host);
  const [error] = (await once(socket, "error")) as [NodeJS.ErrnoException];
  assert.equal(error.code, "ECONNREFUSED");
});

test("Z04: clients get GOAWAY without an error", async (t) => {
  const server = await running(t);
  const http2 = session(t, server);
  await once(http2, "remoteSettings");
  const goaway = once(http2, "goaway");
  await server.server.gracefulStop();
  assert.equal((await within(patience, "the GOAWAY", goaway))[0], 0);
});

for (const engine of ["own", "grpc-js"] as const) {
  test(`Z04: a call that comes after the last one is refused as not processed (${engine})`, async (t) => {
    const { server, echo, host, port } = await running(t, { engine });
    const raw = await RawHttp2.open(host, port);
    t.after(() => raw.destroy());
    await raw.until("the SETTINGS", ({ frames }) => frames.length > 0);
    const stop = server.gracefulStop();
    await new Promise(setImmediate); // No call is in flight, so that none is served any more.
    const block = hpack([
      [":method", "POST"],
      [":scheme", "http"],
      [":path", echoPath],
      [":authority", "test"],
      ["content-type", "application/grpc"],
      ["te", "trailers"],
    ]);
    // This client does not answer the ping that follows GOAWAY, as one that has not read it yet.
    raw.send(
      http2Frame(frameType.headers, flag.endHeaders, 1, block),
      http2Frame(frameType.data, flag.endStream, 1, echoFrame({ text: "late" })),
    );
    await raw.until("the end", (seen) => seen.closed);
    const resets = raw.of(frameType.rstStream).map(({ payload }) => payload.readUInt32BE());
    const last = raw.of(frameType.goaway).at(-1)?.payload.readUInt32BE();
    // Either says that the stream was not processed.
    assert.ok(
      resets[0] === 7 || (resets.length === 0 && last === 0),
      `reset ${resets.join()}, last stream ${last}`,
    );
    if (engine === "own") assert.deepEqual(resets, [7]);
    assert.deepEqual(raw.of(frameType.headers), []);
    assert.equal(echo.calls, 0);
    assert.deepEqual(await stop, { finished: 0, notified: [], cut: [] });
  });
}

test("Z05: streams and calls left at the end of the grace end with UNAVAILABLE and are named", async (t) => {
  const { server, client, echo } = await running(t);
  const unary = client.echo({ behaviour: { sleepMs: 60_000 } }).catch((error: unknown) => error);
  const stream = (async () => {
    for await (const _ of client.repeat({ count: 1000, intervalMs: 1000 }));
  })().catch((error: unknown) => error);
  await within(
    patience,
    "the calls",
    echo.until(({ calls }) => calls === 2),
  );
  const report = await within(patience, "the stop", server.gracefulStop({ graceMs: 100 }));
  assert.equal(report.finished, 0);
  assert.deepEqual(report.notified, ["tsms.test.v1.EchoService/Repeat"]);
  assert.deepEqual(report.cut, ["tsms.test.v1.EchoService/Echo"]);
  assert.equal(ConnectError.from(await unary).code, Code.Unavailable);
  assert.equal(ConnectError.from(await stream).code, Code.Unavailable);
  assert.equal(echo.aborted, 2);
});

test("Z05: a request that never comes is cut and named too", async (t) => {
  const server = await running(t);
  const reply = collect(open(session(t, server)));
  await assertAlive(server);
  const report = await within(patience, "the stop", server.server.gracefulStop({ graceMs: 50 }));
  assert.deepEqual(report, { finished: 0, notified: [], cut: ["tsms.test.v1.EchoService/Echo"] });
  assert.equal((await reply).status, Code.Unavailable);
});

test("Z07: a client that vanished during a stream does not hang the stop", async (t) => {
  const { server, echo, host, port } = await running(t);
  const socket = connect(port, host);
  t.after(() => socket.destroy());
  const http2 = connectHttp2(`http://${host}:${port}`, { createConnection: () => socket });
  http2.on("error", () => {});
  const stream = open(http2, { ":path": "/tsms.test.v1.EchoService/Collect" });
  stream.on("error", () => {});
  stream.write(echoFrame({ text: "x" }));
  await within(
    patience,
    "the message",
    echo.until(({ received }) => received === 1),
  );
  socket.pause(); // From now on it neither reads, nor hangs up.
  const report = await within(patience, "the stop", server.gracefulStop({ graceMs: 100 }));
  assert.deepEqual(report.cut, ["tsms.test.v1.EchoService/Collect"]);
  await assertNoSockets(server);
});

test("Z08: a stop during the start leaves no port bound", async () => {
  const server = new GrpcServer({ port: 0 });
  let port: number | undefined;
  server.onStateChange(() => (port = server.address?.port));
  const start = server.start().catch((error: unknown) => error);
  await server.gracefulStop();
  assert.match(String(await start), /GRPC was stopped while it was starting/);
  assert.equal(server.state, "stop");
  assert.equal(port, undefined);
  await assert.rejects(server.start());
});

test("Z08: a stop at any moment of the start leaves the port free", async () => {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, "close");
  for (let ticks = 0; ticks < 8; ticks++) {
    const server = new GrpcServer({ port });
    const start = server.start().catch(() => {});
    for (let i = 0; i < ticks; i++) await (ticks % 2 === 0 ? Promise.resolve() : new Promise(setImmediate));
    await server.gracefulStop();
    await start;
    assert.equal(server.state, "stop");
    const again = createServer().listen(port, "127.0.0.1");
    await once(again, "listening");
    again.close();
    await once(again, "close");
  }
});

test("Z08: a stop on the news that the port is bound ends the start", async () => {
  const server = new GrpcServer({ port: 0 });
  const stopped = new Promise((resolve) => {
    server.onStateChange((state) => {
      if (state === "listen") resolve(server.gracefulStop());
    });
  });
  await assert.rejects(server.start(), /was stopped while it was starting/);
  await stopped;
  assert.equal(server.state, "stop");
});

test("gracefulStop can be called again and gives the same report", async (t) => {
  const { server } = await running(t);
  const [one, two] = await Promise.all([server.gracefulStop(), server.gracefulStop()]);
  assert.equal(one, two);
  assert.equal(await server.gracefulStop(), one);
});

test("gracefulStop before the start makes the server unusable", async () => {
  const server = new GrpcServer({ port: 0 });
  assert.deepEqual(await server.gracefulStop(), { finished: 0, notified: [], cut: [] });
  await assert.rejects(server.start(), /"stop"/);
});

test("G24: drain says NOT_SERVING while calls are served; the stop ends every Watch", async (t) => {
  const { server, client, baseUrl } = await running(t);
  const health = createClient(Health, createGrpcTransport({ baseUrl }));
  const seen: Status[] = [];
  const watch = (async () => {
    for await (const { status } of health.watch({})) {
      seen.push(status);
      if (status === Status.SERVING) server.drain();
    }
  })().catch((error: unknown) => error);
  while (!seen.includes(Status.NOT_SERVING)) await client.echo({});
  assert.equal((await client.echo({ text: "still" })).text, "still");
  assert.equal((await health.check({ service: "tsms.test.v1.EchoService" })).status, Status.NOT_SERVING);
  const report = await within(patience, "the stop", server.gracefulStop());
  assert.deepEqual(report.cut, []);
  assert.equal(ConnectError.from(await watch).code, Code.Unavailable);
  assert.deepEqual(seen, [Status.SERVING, Status.NOT_SERVING]);
});
