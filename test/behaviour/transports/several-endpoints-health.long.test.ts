import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "../../../gen/grpc/health/v1/health_pb.ts";
import { service } from "../../../src/core/call/service.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import type { DialedTransport, DialOptions } from "../../../src/core/dial.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { Metrics } from "../../../src/core/telemetry/metrics.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { Echo } from "../../support/echo-service.ts";
import { failure } from "../../support/failure.ts";
import { Program } from "../../support/program.ts";
import {
  callsOf,
  dialSeveral,
  Load,
  severalServers,
  until,
  type OneOfSeveral,
} from "../../support/several-servers.ts";

const engines = ["own", "grpc-js"] as const;

function healthOf(transport: DialedTransport): readonly unknown[] {
  return transport.stats().endpoints.map(({ load }) => load?.health);
}

/** A client of all servers, as soon as it knows the health of each. */
async function checked(
  t: TestContext,
  servers: readonly OneOfSeveral[],
  health: DialOptions["health"],
  options: Partial<DialOptions> = {},
) {
  const dialled = dialSeveral(
    t,
    servers.map(({ address }) => address),
    { balance: "round_robin", health, ...options },
  );
  await dialled.transport.ready();
  await until(dialled.transport, () => healthOf(dialled.transport).every((found) => found !== "unknown"));
  return dialled;
}

for (const engine of engines) {
  for (const mode of ["watch", "check"] as const) {
    describe(`health by ${mode} (${engine})`, () => {
      const health = { mode, intervalMs: 20 } as const;

      test("a server that says NOT_SERVING gets no call until it says SERVING", async (t) => {
        const servers = await severalServers(t, 3, { engine });
        const [first] = servers;
        first?.server.health.setStatus("", "NOT_SERVING");
        const name = `${mode} ${engine}`;
        const { client, transport } = await checked(t, servers, health, { name });
        assert.deepEqual(healthOf(transport), ["not_serving", "serving", "serving"]);
        for (let call = 0; call < 20; call++) await client.echo({});
        assert.deepEqual(callsOf(servers), [0, 10, 10]);
        const page = await new Metrics({ processMetrics: false }).page();
        assert.ok(page.includes(`ts_ms_client_endpoints{upstream="${name}",state="not_serving"} 1\n`), page);
        first?.server.health.setStatus("", "SERVING");
        await until(transport, () => healthOf(transport)[0] === "serving");
        for (let call = 0; call < 30; call++) await client.echo({});
        assert.deepEqual(callsOf(servers), [10, 20, 20]);
      });

      test("if all say so, calls are UNAVAILABLE at once, and none is sent", async (t) => {
        const servers = await severalServers(t, 2, { engine });
        const { client, transport } = await checked(t, servers, health, { name: "users" });
        for (const { server } of servers) server.health.setStatus("", "NOT_SERVING");
        await until(transport, () => healthOf(transport).every((found) => found === "not_serving"));
        assert.equal(transport.state, "transient-failure");
        const error = await failure(client.echo({}), Code.Unavailable);
        assert.equal(error.rawMessage, "users: none of 2 endpoints is serving");
        assert.deepEqual(callsOf(servers), [0, 0]);
        servers[1]?.server.health.setStatus("", "SERVING");
        await transport.ready();
        await client.echo({});
        assert.deepEqual(callsOf(servers), [0, 1]);
      });

      test("a server without the health service counts as serving, and that is said once", async (t) => {
        const servers = await severalServers(t, 3, { engine, health: false });
        const warnings: string[] = [];
        const warned = (warning: Error): void => void warnings.push(warning.message);
        process.on("warning", warned);
        t.after(() => process.off("warning", warned));
        const { client, transport } = await checked(t, servers, health, { name: "plain" });
        assert.deepEqual(healthOf(transport), ["serving", "serving", "serving"]);
        for (let call = 0; call < 9; call++) await client.echo({});
        assert.deepEqual(callsOf(servers), [3, 3, 3]);
        assert.deepEqual(
          warnings.filter((text) => text.startsWith("plain")),
          ["plain: an endpoint does not implement grpc.health.v1.Health: such endpoints count as serving"],
        );
      });

      test("one service is asked for: a server that does not know it is not serving", async (t) => {
        const servers = await severalServers(t, 2, { engine });
        servers[0]?.server.health.setStatus("shop", "SERVING");
        const { client, transport } = await checked(t, servers, { ...health, service: "shop" });
        assert.deepEqual(healthOf(transport), ["serving", "not_serving"]);
        for (let call = 0; call < 4; call++) await client.echo({});
        assert.deepEqual(callsOf(servers), [4, 0]);
      });
    });
  }
}

/** A server with a health service of the test's own. */
async function withHealth(t: TestContext, watch: () => AsyncGenerator<{ status: Status }>): Promise<string> {
  const health = service(Health, { watch });
  const server = new GrpcServer({ port: 0, health: false }).addService(new Echo()).addService(health);
  await server.start();
  t.after(() => server.gracefulStop({ graceMs: 0 }));
  return `127.0.0.1:${server.address?.port}`;
}

describe("health by watch", () => {
  test("calls wait for the first answer", async (t) => {
    let answer = (): void => {};
    const answered = new Promise<void>((resolve) => (answer = resolve));
    let asked = (): void => {};
    const isAsked = new Promise<void>((resolve) => (asked = resolve));
    const address = await withHealth(t, async function* () {
      asked();
      await answered;
      yield { status: Status.SERVING };
    });
    const { client, transport } = dialSeveral(t, [address], { health: true });
    const reply = client.echo({ text: "waited" });
    await isAsked;
    assert.equal(transport.state, "connecting");
    await failure(client.echo({}, { timeoutMs: 30 }), Code.DeadlineExceeded);
    answer();
    assert.equal((await reply).text, "waited");
  });

  test("after a stream that ends, a server is not serving until it answers again", async (t) => {
    let streams = 0;
    const address = await withHealth(t, async function* () {
      if (++streams === 1) throw new ConnectError("no health today", Code.Internal);
      yield { status: Status.SERVING };
      await new Promise(() => {});
    });
    const { client, transport } = dialSeveral(t, [address], { health: true });
    await failure(client.echo({}), Code.Unavailable);
    assert.deepEqual(healthOf(transport), ["not_serving"]);
    await transport.ready();
    assert.equal(streams, 2);
    assert.equal((await client.echo({ text: "again" })).text, "again");
  });

  test("a connection that is replaced leaves no gap, and its stream does not hold it", async (t) => {
    const servers = await severalServers(t, 1);
    const { client, transport } = await checked(t, servers, true, { connections: { maxAgeMs: 60 } });
    const load = new Load(2, () => client.echo({}));
    t.after(() => load.stop());
    await load.until(() => (servers[0]?.front.accepted ?? 0) >= 5);
    await load.stop();
    assert.deepEqual(load.errors, []);
    assert.ok((transport.stats().cluster?.connections ?? 0) <= 2);
    assert.ok((servers[0]?.front.open ?? 0) <= 3, `${servers[0]?.front.open} connections`);
  });

  test("after a lost connection the health is asked anew", async (t) => {
    const servers = await severalServers(t, 2);
    const { client, transport } = await checked(t, servers, true);
    await servers[0]?.front.kill();
    await until(transport, () => healthOf(transport)[0] === "unknown");
    servers[0]?.server.health.setStatus("", "NOT_SERVING");
    await servers[0]?.front.start();
    await until(transport, () => healthOf(transport)[0] === "not_serving", 10_000);
    for (let call = 0; call < 5; call++) await client.echo({});
    assert.deepEqual(callsOf(servers), [0, 5]);
  });

  test("checks are no calls of the client, and need no place of its limits", async (t) => {
    const servers = await severalServers(t, 1);
    let intercepted = 0;
    const { client, transport } = await checked(
      t,
      servers,
      { mode: "check", intervalMs: 5 },
      {
        interceptors: [
          (next) => (request) => {
            intercepted++;
            return next(request);
          },
        ],
      },
    );
    await client.echo({});
    assert.equal(intercepted, 1);
    assert.equal(transport.stats().cluster?.calls, 1);
    assert.equal(transport.stats().endpoints[0]?.load?.attempts, 1);
  });
});

test("health by http: a path of the same port, which is good with any 2xx", async (t) => {
  const ports = await Promise.all(
    [0, 1].map(async () => {
      const grpc = new GrpcServer({ port: 0 }).addService(new Echo());
      const http = new HttpServer({ port: 0, upstream: grpc, grpc });
      let status = 200;
      http.fastify.get("/up", (_, reply) => reply.code(status).send("up"));
      await grpc.start();
      await http.start();
      t.after(async () => {
        await http.gracefulStop({ graceMs: 0 });
        await grpc.gracefulStop({ graceMs: 0 });
      });
      return { address: `127.0.0.1:${http.address?.port}`, set: (code: number) => (status = code) };
    }),
  );
  const [first, second] = ports;
  first?.set(503);
  const { client, transport } = dialSeveral(
    t,
    ports.map(({ address }) => address),
    { health: { mode: "http", path: "/up", intervalMs: 10, failures: 2 } },
  );
  await client.echo({});
  await until(transport, () => healthOf(transport).join() === "not_serving,serving");
  second?.set(500);
  await until(transport, () => healthOf(transport).join() === "not_serving,not_serving");
  await failure(client.echo({}), Code.Unavailable);
  first?.set(204);
  await until(transport, () => healthOf(transport)[0] === "serving");
  await client.echo({});
});

test("a process that is stopped is found by its checks, and called again when it goes on", async (t) => {
  await using hanging = new Program("test/behaviour/transports/fixtures/echo-server.ts");
  const [, port] = await hanging.line(/^port (\d+)$/);
  const [well] = await severalServers(t, 1);
  const { client, transport } = dialSeveral(t, [`127.0.0.1:${port}`, well?.address ?? ""], {
    balance: "round_robin",
    health: { mode: "check", intervalMs: 20, timeoutMs: 300, failures: 2 },
  });
  await transport.ready();
  await until(transport, () => healthOf(transport).join() === "serving,serving");
  hanging.kill("SIGSTOP");
  await until(transport, () => healthOf(transport)[0] === "not_serving");
  const replies = Array.from({ length: 20 }, () => client.echo({}, { timeoutMs: 5_000 }));
  await Promise.all(replies);
  assert.equal(well?.echo.calls, 20);
  hanging.kill("SIGCONT");
  await until(transport, () => healthOf(transport)[0] === "serving");
});
