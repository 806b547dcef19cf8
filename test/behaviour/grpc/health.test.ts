import { strict as assert } from "node:assert";
import { test, type TestContext } from "node:test";
import { Code, ConnectError, createClient, type Client } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "../../../gen/grpc/health/v1/health_pb.ts";
import { running, within, type Running } from "../../support/running-grpc.ts";

const patience = 10_000;
const name = "tsms.test.v1.EchoService";

function healthClient(t: TestContext, { baseUrl }: Running): Client<typeof Health> {
  const sessionManager = new Http2SessionManager(baseUrl);
  t.after(() => sessionManager.abort());
  return createClient(Health, createGrpcTransport({ baseUrl, sessionManager }));
}

test("G24: Check knows the server and its services, others are NOT_FOUND", async (t) => {
  const server = await running(t);
  const health = healthClient(t, server);
  assert.equal((await health.check({})).status, Status.SERVING);
  assert.equal((await health.check({ service: name })).status, Status.SERVING);
  const error = await health.check({ service: "no.such.Service" }).then(
    () => undefined,
    (reason: unknown) => ConnectError.from(reason),
  );
  assert.equal(error?.code, Code.NotFound);
  server.server.health.setStatus(name, "NOT_SERVING");
  server.server.health.setStatus("custom", "SERVING");
  assert.equal((await health.check({ service: name })).status, Status.NOT_SERVING);
  assert.equal((await health.check({ service: "custom" })).status, Status.SERVING);
  assert.equal((await health.check({})).status, Status.SERVING);
});

test("G24: Watch tells SERVICE_UNKNOWN, then every change, each once", async (t) => {
  const server = await running(t);
  const updates = healthClient(t, server).watch({ service: "later" })[Symbol.asyncIterator]();
  const next = async (): Promise<Status | undefined> => {
    const update = await within(patience, "an update", updates.next());
    return update.done === true ? undefined : update.value.status;
  };
  assert.equal(await next(), Status.SERVICE_UNKNOWN);
  server.server.health.setStatus("later", "NOT_SERVING");
  assert.equal(await next(), Status.NOT_SERVING);
  server.server.health.setStatus("later", "NOT_SERVING");
  server.server.health.setStatus("later", "SERVING");
  assert.equal(await next(), Status.SERVING);
  const began = performance.now();
  server.server.drain();
  assert.equal(await next(), Status.NOT_SERVING);
  assert.ok(performance.now() - began < 1000);
});

test("G24: List names everything that is known", async (t) => {
  const server = await running(t);
  server.server.health.setStatus("custom", "UNKNOWN");
  const { statuses } = await healthClient(t, server).list({});
  assert.equal(statuses[""]?.status, Status.SERVING);
  assert.equal(statuses[name]?.status, Status.SERVING);
  assert.equal(statuses["grpc.health.v1.Health"]?.status, Status.SERVING);
  assert.equal(statuses["custom"]?.status, Status.UNKNOWN);
});

test("G24: health can be switched off", async (t) => {
  const health = healthClient(t, await running(t, { health: false }));
  const error = await health.check({}).then(
    () => undefined,
    (reason: unknown) => ConnectError.from(reason),
  );
  assert.equal(error?.code, Code.Unimplemented);
});

test("watches that were left leave nothing behind", async (t) => {
  const server = await running(t);
  const health = healthClient(t, server);
  for (let i = 0; i < 20; i++) {
    const leave = new AbortController();
    await assert.rejects(async () => {
      for await (const _ of health.watch({}, { signal: leave.signal })) leave.abort();
    });
  }
  const deadline = performance.now() + patience;
  while (server.server.dispatcher.inFlight > 0) {
    assert.ok(performance.now() < deadline, "calls are still under way");
    await health.check({});
  }
});
