import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import { Client as GrpcJsClient, credentials, type ServiceError } from "@grpc/grpc-js";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { createClient, type Client } from "../../../src/core/call/client.ts";
import { dial, type DialOptions } from "../../../src/core/dial.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { service } from "../../../src/core/call/service.ts";
import { all, failure, never } from "../../support/failure.ts";
import { callsOf, severalServers } from "../../support/several-servers.ts";

const name = [{ service: "tsms.test.v1.EchoService" }];
const retryPolicy = {
  maxAttempts: 4,
  initialBackoff: "0.001s",
  maxBackoff: "0.001s",
  backoffMultiplier: 1,
  retryableStatusCodes: ["UNAVAILABLE"],
};

/** A server that fails calls of Echo as `fails` says, and a client of it. */
async function rig(
  t: TestContext,
  fails: (call: number) => Code | undefined,
  options: Partial<DialOptions>,
): Promise<{
  readonly client: Client<typeof EchoService>;
  readonly calls: () => number;
  readonly address: string;
}> {
  let calls = 0;
  const echo = service(EchoService, {
    echo() {
      const code = fails(calls++);
      if (code !== undefined) throw new ConnectError("on purpose", code);
      return {};
    },
    async *chat(requests) {
      for await (const _ of requests) yield {};
    },
  });
  const server = new GrpcServer({ port: 0, logger: false }).addService(echo);
  await server.start();
  const address = `127.0.0.1:${server.address?.port}`;
  const transport = dial(address, options);
  t.after(async () => {
    transport.close();
    await server.gracefulStop({ graceMs: 0 });
  });
  return { client: createClient(EchoService, transport), calls: () => calls, address };
}

describe("a service config", () => {
  test("retries rpcs as it says, those with side effects too, and one code alone", async (t) => {
    const codes = [Code.Unavailable, Code.Unavailable, undefined, Code.Aborted];
    const serviceConfig = { methodConfig: [{ name, retryPolicy }] };
    const { client, calls } = await rig(t, (call) => codes[call], { serviceConfig });
    await client.echo({});
    assert.equal(calls(), 3);
    await failure(client.echo({}), Code.Aborted);
    assert.equal(calls(), 4);
  });

  test("limits calls, and is overridden by policies of code", async (t) => {
    const serviceConfig = JSON.stringify({ methodConfig: [{ name, timeout: "1s", retryPolicy }] });
    const policies = [{ selector: "tsms.*", retry: { maxAttempts: 1 } }];
    const { client, calls } = await rig(t, () => Code.Unavailable, { serviceConfig, policies });
    await failure(client.echo({}), Code.Unavailable);
    assert.equal(calls(), 1);
    const slow = await rig(t, () => undefined, { serviceConfig });
    const silent = { [Symbol.asyncIterator]: () => ({ next: () => never<IteratorResult<object>>() }) };
    await failure(all(slow.client.chat(silent)), Code.DeadlineExceeded);
  });

  test("throttles retries as grpc-js does with the same config", async (t) => {
    const serviceConfig = {
      methodConfig: [{ name, retryPolicy }],
      retryThrottling: { maxTokens: 10, tokenRatio: 0.5 },
    };
    const { client, calls, address } = await rig(t, (call) => (call % 7 < 5 ? Code.Unavailable : undefined), {
      serviceConfig,
    });
    const attempts: number[] = [];
    for (let call = 0; call < 30; call++) {
      const before = calls();
      await client.echo({}).catch(() => {});
      attempts.push(calls() - before);
    }
    const path = "/tsms.test.v1.EchoService/Echo";
    const asItIs = (bytes: Buffer): Buffer => bytes;
    const stub = new GrpcJsClient(address, credentials.createInsecure(), {
      "grpc.service_config": JSON.stringify(serviceConfig),
    });
    t.after(() => stub.close());
    const expected: number[] = [];
    while (calls() % 7 !== 0) await client.echo({}).catch(() => {}); // The same begin.
    for (let call = 0; call < 30; call++) {
      const before = calls();
      await new Promise<ServiceError | null>((resolve) => {
        stub.makeUnaryRequest(path, asItIs, asItIs, Buffer.alloc(0), (error) => resolve(error));
      });
      expected.push(calls() - before);
    }
    assert.deepEqual(attempts, expected);
    assert.ok(attempts.includes(4) && attempts.slice(1).includes(1), attempts.join(" "));
  });

  test("balances, and is overridden by options", async (t) => {
    const servers = await severalServers(t, 3);
    const addresses = servers.map(({ address }) => address);
    const serviceConfig = { loadBalancingConfig: [{ unknown: {} }, { pick_first: {} }] };
    for (const [options, used] of [
      [{}, 1],
      [{ balance: "round_robin" }, 3],
    ] as const) {
      const transport = dial(addresses, { serviceConfig, ...options });
      t.after(() => transport.close());
      await transport.ready();
      const before = callsOf(servers);
      const client = createClient(EchoService, transport);
      for (let call = 0; call < 60; call++) await client.echo({});
      const now = callsOf(servers).filter((calls, index) => calls > (before[index] ?? 0));
      assert.equal(now.length, used);
    }
  });

  test("watches the health of the service that it names", async (t) => {
    const [server] = await severalServers(t, 1);
    assert.ok(server !== undefined);
    for (const [serviceName, code] of [
      ["tsms.test.v1.EchoService", undefined],
      ["absent.v1.Absent", Code.Unavailable],
    ] as const) {
      const transport = dial([server.address], { serviceConfig: { healthCheckConfig: { serviceName } } });
      t.after(() => transport.close());
      const call = createClient(EchoService, transport).echo({}, { timeoutMs: 5_000 });
      if (code === undefined) await call;
      else await failure(call, code);
    }
  });

  test("is refused where it is wrong", () => {
    const of =
      (serviceConfig: unknown): (() => unknown) =>
      () =>
        dial("localhost:1", { serviceConfig: serviceConfig as object });
    assert.throws(of("{"), /^TypeError: dial: serviceConfig is no JSON/);
    assert.throws(of(1), /^TypeError: dial: serviceConfig must be an object, not 1$/);
    assert.throws(
      of({ methodConfig: [{ name, timeout: 1 }] }),
      /dial: serviceConfig\.methodConfig\[0\]\.timeout must be/,
    );
  });
});
