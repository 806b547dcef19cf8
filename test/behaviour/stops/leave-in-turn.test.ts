import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type ClientHttp2Session } from "node:http2";
import { test, type TestContext } from "node:test";
import { startGateway } from "../../support/gateway-fixture.ts";
import { running } from "../../support/running-grpc.ts";

/** So many connections, and when each was asked to leave. */
async function connections(t: TestContext, count: number, port: number) {
  const leftMs: number[] = [];
  const one = async (): Promise<ClientHttp2Session> => {
    const session = connect(`http://127.0.0.1:${port}`);
    session.on("error", () => {});
    session.once("goaway", () => leftMs.push(performance.now()));
    t.after(() => session.destroy());
    await once(session, "remoteSettings");
    return session;
  };
  const sessions = await Promise.all(Array.from({ length: count }, one));
  return { sessions, leftMs };
}

const count = 200;

test("many clients of a gRPC server that stops are asked to leave in turn", async (t) => {
  const { port, server } = await running(t);
  const { leftMs } = await connections(t, count, port);
  const beganMs = performance.now();
  await server.gracefulStop();
  const tookMs = performance.now() - beganMs;
  assert.ok(tookMs >= 150 && tookMs < 3_000, `${tookMs} ms`);
  assert.equal(leftMs.length, count);
  assert.ok(Math.max(...leftMs) - Math.min(...leftMs) >= 100, leftMs.join());
});

test("many clients of a gateway that stops are asked to leave in turn, within the grace period", async (t) => {
  await using gateway = await startGateway({});
  const { leftMs } = await connections(t, count, gateway.port);
  const beganMs = performance.now();
  await gateway.http.gracefulStop({ graceMs: 100 });
  assert.ok(performance.now() - beganMs < 2_000);
  assert.equal(leftMs.length, count);
  assert.ok(Math.max(...leftMs) - Math.min(...leftMs) >= 40, leftMs.join());
});

test("a single client is asked to leave at once", async (t) => {
  const { port, server } = await running(t);
  const { leftMs } = await connections(t, 1, port);
  const beganMs = performance.now();
  await server.gracefulStop();
  assert.ok((leftMs[0] ?? Infinity) - beganMs < 500);
});
