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

/** A stop of many connections: how long it took, and in which time they were asked to leave. */
interface Stop {
  readonly tookMs: number;
  readonly spreadMs: number;
}

async function stopOf(
  { leftMs }: Awaited<ReturnType<typeof connections>>,
  stop: () => Promise<unknown>,
): Promise<Stop> {
  const beganMs = performance.now();
  await stop();
  const tookMs = performance.now() - beganMs;
  assert.equal(leftMs.length, count);
  return { tookMs, spreadMs: Math.max(...leftMs) - Math.min(...leftMs) };
}

/** The first of several stops that is good: a busy machine makes timers late, and one that stands still all of them. */
async function oneOf(stop: () => Promise<Stop>, isGood: (stop: Stop) => boolean): Promise<void> {
  const all: Stop[] = [];
  while (all.length < 5) {
    const one = await stop();
    if (isGood(one)) return;
    all.push(one);
  }
  assert.fail(JSON.stringify(all));
}

test("many clients of a gRPC server that stops are asked to leave in turn", async (t) => {
  await oneOf(
    async () => {
      const { port, server } = await running(t);
      const stop = await stopOf(await connections(t, count, port), () => server.gracefulStop());
      assert.ok(stop.tookMs >= 150, `${stop.tookMs} ms`);
      return stop;
    },
    ({ tookMs, spreadMs }) => tookMs < 3_000 && spreadMs >= 100,
  );
});

test("many clients of a gateway that stops are asked to leave in turn, within the grace period", async (t) => {
  await oneOf(
    async () => {
      await using gateway = await startGateway({});
      const all = await connections(t, count, gateway.port);
      return await stopOf(all, () => gateway.http.gracefulStop({ graceMs: 100 }));
    },
    ({ tookMs, spreadMs }) => tookMs < 2_000 && spreadMs >= 40,
  );
});

test("a single client is asked to leave at once", async (t) => {
  const { port, server } = await running(t);
  const { leftMs } = await connections(t, 1, port);
  const beganMs = performance.now();
  await server.gracefulStop();
  assert.ok((leftMs[0] ?? Infinity) - beganMs < 500);
});
