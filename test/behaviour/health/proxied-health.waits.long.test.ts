import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "../../../gen/grpc/health/v1/health_pb.ts";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { createClient } from "../../../src/core/call/client.ts";
import { proxy } from "../../../src/core/call/proxy.ts";
import { dial } from "../../../src/core/dial.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { Upstreams } from "../../../src/gateway/upstreams/upstreams.ts";
import type { UpstreamInit } from "../../../src/gateway/upstreams/upstreams-options.ts";
import { severalServers } from "../../support/several-servers.ts";

const { typeName } = EchoService;

/** The health that a foreign client of a server is told, as it changes. */
function healthOf(t: TestContext, server: GrpcServer) {
  const transport = dial(`127.0.0.1:${server.address?.port}`);
  t.after(() => transport.close());
  const client = createClient(Health, transport);
  return {
    check: async (service: string) => (await client.check({ service })).status,
    /** Resolves when a watch reports this status. */
    async until(service: string, wanted: Status): Promise<void> {
      for await (const { status } of client.watch({ service })) if (status === wanted) return;
      assert.fail("the watch has ended");
    },
  };
}

/** A gateway with a gRPC port. */
async function edge(t: TestContext, inits: Readonly<Record<string, UpstreamInit>>) {
  const upstreams = new Upstreams(inits, { logger: false });
  const grpc = new GrpcServer({ port: 0, logger: false });
  const http = new HttpServer({ port: 0, upstream: upstreams, awaitServices: true, logger: false });
  const served = upstreams.serve(http, grpc);
  await grpc.start();
  await http.start();
  t.after(async () => {
    await http.gracefulStop({ graceMs: 0 });
    await grpc.gracefulStop({ graceMs: 0 });
    await served;
  });
  return { upstreams, grpc };
}

test("a service of an upstream is SERVING while one of its servers can be called, and the whole with it", async (t) => {
  const [server] = await severalServers(t, 1);
  assert.ok(server);
  const { grpc } = await edge(t, { echo: { target: server.address } });
  const health = healthOf(t, grpc);
  await health.until(typeName, Status.SERVING);
  await health.until("", Status.SERVING);
  await server.front.kill();
  await health.until(typeName, Status.NOT_SERVING);
  assert.equal(await health.check(typeName), Status.NOT_SERVING);
  assert.equal(await health.check(""), Status.NOT_SERVING);
  await server.front.start();
  await health.until(typeName, Status.SERVING);
  await health.until("", Status.SERVING);
});

test("an upstream that is not required, and is away, leaves the whole server SERVING", async (t) => {
  const [server] = await severalServers(t, 1);
  assert.ok(server);
  const { upstreams, grpc } = await edge(t, {
    echo: { target: server.address, services: [EchoService], required: false },
  });
  const health = healthOf(t, grpc);
  await health.until(typeName, Status.SERVING);
  await upstreams.ready();
  await createClient(EchoService, upstreams).echo({});
  await server.front.kill();
  await health.until(typeName, Status.NOT_SERVING);
  assert.equal(await health.check(""), Status.SERVING);
});

test("a required upstream without its contract makes the whole server NOT_SERVING", async (t) => {
  const [gone] = await severalServers(t, 1);
  assert.ok(gone);
  await gone.front.kill();
  const { grpc } = await edge(t, { gone: { target: gone.address } });
  assert.equal(await healthOf(t, grpc).check(""), Status.NOT_SERVING);
});

test("with health checks an upstream whose servers say NOT_SERVING is not serving", async (t) => {
  const [server] = await severalServers(t, 1);
  assert.ok(server);
  const { grpc } = await edge(t, { echo: { target: server.address, health: true } });
  const health = healthOf(t, grpc);
  await health.until(typeName, Status.SERVING);
  server.server.health.setStatus("", "NOT_SERVING");
  await health.until(typeName, Status.NOT_SERVING);
  server.server.health.setStatus("", "SERVING");
  await health.until(typeName, Status.SERVING);
});

test("a proxied service is NOT_SERVING while its server cannot be reached; what a program sets wins", async (t) => {
  const [server] = await severalServers(t, 1);
  assert.ok(server);
  const upstream = dial(server.address);
  const front = new GrpcServer({ port: 0, logger: false }).addService(proxy(EchoService, upstream));
  await front.start();
  t.after(async () => {
    upstream.close();
    await front.gracefulStop({ graceMs: 0 });
  });
  const health = healthOf(t, front);
  await upstream.ready();
  assert.equal(await health.check(typeName), Status.SERVING);
  await server.front.kill();
  const refused = createClient(EchoService, upstream).echo({});
  await assert.rejects(refused);
  await health.until(typeName, Status.NOT_SERVING);
  assert.equal(await health.check(""), Status.SERVING);
  front.health.setStatus(typeName, "SERVING");
  assert.equal(await health.check(typeName), Status.SERVING);
  assert.equal(front.removeService(EchoService), true);
});
