import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:http2";
import { join } from "node:path";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { RepeatRequestSchema } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { Echo } from "../../support/echo-service.ts";
import { within } from "../../support/running-grpc.ts";
import { stallingProxy } from "../../support/stalling-proxy.ts";
import { startGateway } from "../../support/gateway-fixture.ts";
import { envelope } from "../rpc-protocols/rpc-fixture.ts";

const heartbeatMs = 600;
const repeat = { text: "a", count: 1_000_000 };
const rpc = "/tsms.test.v1.EchoService/Repeat";

/** An endless stream, as a client of some protocol asks for it. */
interface Form {
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer;
}

const message = (intervalMs: number): Buffer =>
  envelope(toBinary(RepeatRequestSchema, create(RepeatRequestSchema, { ...repeat, intervalMs })));

function forms(): Form[] {
  const found: Form[] = [];
  // Neither heartbeats nor messages hide that the client is dead.
  for (const intervalMs of [100_000, 50]) {
    for (const accept of ["application/x-ndjson", "text/event-stream", "application/json"]) {
      found.push({
        headers: {
          ":path": `/test/v1/repeat/a?count=${repeat.count}&intervalMs=${intervalMs}`,
          accept,
        },
      });
    }
    const posted = { ":method": "POST", ":path": rpc, "connect-protocol-version": "1", te: "trailers" };
    for (const type of [
      "application/connect+proto",
      "application/grpc-web+proto",
      "application/grpc+proto",
    ]) {
      found.push({
        headers: { ...posted, "content-type": type },
        body: message(intervalMs),
      });
    }
  }
  return found;
}

test("S04: dead HTTP/2 clients of every protocol are found within two heartbeats", async () => {
  const echo = new Echo();
  const grpc = new GrpcServer({ listen: false }).addService(echo);
  await using gateway = await startGateway({ heartbeatMs, headerFlushMs: 10, upstream: grpc, grpc });
  await grpc.start();
  await using proxy = await stallingProxy(gateway.port);
  const all = forms();
  const sessions = all.map(({ headers, body }) => {
    const session = connect(`http://127.0.0.1:${proxy.port}`);
    session.on("error", () => {});
    const stream = session.request(headers, { endStream: body === undefined });
    stream.on("error", () => {}).resume();
    if (body !== undefined) stream.end(body);
    return session;
  });
  try {
    await within(
      10_000,
      "the calls",
      echo.until(({ calls }) => calls === all.length),
    );
    // A client that is alive keeps its connection, however little is sent.
    await new Promise((resolve) => setTimeout(resolve, 3 * heartbeatMs));
    assert.equal(echo.aborted, 0);
    const began = performance.now();
    proxy.stall();
    await within(
      10_000,
      `the cancellation of ${all.length} calls`,
      echo.until(({ aborted }) => aborted === all.length),
    );
    const ms = performance.now() - began;
    assert.ok(ms < 2 * heartbeatMs + 500, `it took ${ms} ms`);
  } finally {
    for (const session of sessions) session.destroy();
    await grpc.gracefulStop({ graceMs: 0 });
  }
});

test("S04: a dead gRPC client is found by a ping", async () => {
  const echo = new Echo();
  const grpc = new GrpcServer({ port: 0, keepaliveTimeMs: 200, keepaliveTimeoutMs: 200 }).addService(echo);
  await grpc.start();
  await using proxy = await stallingProxy(grpc.address?.port ?? 0);
  const session = connect(`http://127.0.0.1:${proxy.port}`);
  session.on("error", () => {});
  try {
    const headers = { ":method": "POST", ":path": rpc, "content-type": "application/grpc", te: "trailers" };
    const stream = session.request(headers);
    stream.on("error", () => {}).end(message(100_000));
    await echo.until(({ calls }) => calls === 1);
    proxy.stall();
    await within(
      10_000,
      "the cancellation",
      echo.until(({ aborted }) => aborted === 1),
    );
  } finally {
    session.destroy();
    await grpc.gracefulStop({ graceMs: 0 });
  }
});

test("S04: a dead WebSocket client is found within two heartbeats", async () => {
  await using gateway = await startGateway({ socketHeartbeatMs: heartbeatMs });
  await using proxy = await stallingProxy(gateway.port);
  const { WebSocket } = await import("ws");
  const client = new WebSocket(`ws://127.0.0.1:${proxy.port}/test/v1/chat`);
  client.on("error", () => {});
  await once(client, "open");
  client.send('{"text":"a"}');
  await gateway.echo.until(({ received }) => received === 1);
  await new Promise((resolve) => setTimeout(resolve, 3 * heartbeatMs));
  assert.equal(gateway.echo.aborted, 0);
  const began = performance.now();
  proxy.stall();
  await within(
    10_000,
    "the cancellation",
    gateway.echo.until(({ aborted }) => aborted === 1),
  );
  const ms = performance.now() - began;
  assert.ok(ms < 2 * heartbeatMs + 500, `it took ${ms} ms`);
  client.terminate();
});

/** HTTP/1.1 has no pings: only a network that loses packets shows when the system gives a dead client up. */
const program = join(import.meta.dirname, "fixtures/vanishing-network.ts");

const vanished =
  "S04: dead HTTP/1.1 clients are found by TCP keepalive, write-idle or the system's retransmission";

/** Twice the heartbeat of the program and a second; its write-idle, behind the time in which the buffers become full. */
const limitsMs: Readonly<Record<string, number>> = { keepalive: 5000, "write-idle": 10_000 };

test(vanished, { timeout: 120_000 }, async (t) => {
  const { code, stdout, stderr } = await new Promise<{ code: unknown; stdout: string; stderr: string }>(
    (resolve) => {
      const command = ["-rn", process.execPath, program];
      execFile("unshare", command, { timeout: 100_000 }, (error, out, errors) =>
        resolve({ code: error === null ? 0 : (error.code ?? "cut"), stdout: out, stderr: errors }),
      );
    },
  );
  if (code === "ENOENT" || /unshare: |no network of one's own/.test(stderr)) {
    t.skip("this system gives no network of one's own");
    return;
  }
  assert.equal(code, 0, stdout + stderr);
  const lines = stdout.trim().split("\n");
  assert.equal(lines.shift(), "4 of 4 are complete while the network is up");
  const found = lines.map((line) => line.split(/: | after | ms/, 3) as [string, string, string]); // As it prints them.
  const calls = found.map(([way, count]) => `${way} ${count}`).sort();
  assert.deepEqual(calls, ["keepalive 4", "retransmission 1", "retransmission 5", "write-idle 5"]);
  for (const [way, , ms] of found) assert.ok(Number(ms) < (limitsMs[way] ?? Infinity), `${way}: ${ms} ms`);
});
