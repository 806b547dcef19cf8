import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { consulResolver, register, type Registration } from "../../../src/entries/consul.ts";
import { createClient, dial, GrpcServer, HttpServer, type DialedTransport } from "../../../src/index.ts";
import { ConsulRegistry } from "../../support/consul-registry.ts";
import { Echo } from "../../support/echo-service.ts";
import { Load, until } from "../../support/several-servers.ts";

/** A server that is registered, and stops as a program does: the registration first. */
class Instance implements AsyncDisposable {
  readonly echo = new Echo();
  readonly server = new GrpcServer({ port: 0 }).addService(this.echo);
  readonly registration: Registration;

  constructor(url: string) {
    this.registration = register({ name: "users", server: this.server, url, settleMs: 200 });
  }

  async start(): Promise<this> {
    await this.server.start();
    await this.registration.start();
    return this;
  }

  async stop(): Promise<void> {
    await this.registration.gracefulStop();
    assert.equal(this.server.state, "ready", "it serves until clients know of its stop");
    await this.server.gracefulStop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** A gateway in front of what is registered as `users`. */
async function gatewayTo(
  t: TestContext,
  url: string,
): Promise<{ http: HttpServer; upstream: DialedTransport }> {
  const upstream = dial(consulResolver("users", { url }));
  const http = new HttpServer({ port: 0, upstream }).addService(EchoService);
  await http.start();
  t.after(async () => {
    await http.gracefulStop({ graceMs: 0 });
    upstream.close();
  });
  return { http, upstream };
}

describe("a gateway whose servers are found by Consul", () => {
  test("Z09: servers that are replaced one after the other cost no call, whatever it does", async (t) => {
    await using registry = await ConsulRegistry.start();
    const instances = [await new Instance(registry.url).start(), await new Instance(registry.url).start()];
    await using _ = {
      async [Symbol.asyncDispose]() {
        for (const instance of instances) await instance.stop();
      },
    };
    const { http, upstream } = await gatewayTo(t, registry.url);
    await upstream.ready();
    const url = `http://127.0.0.1:${http.address?.port}/tsms.test.v1.EchoService/Echo`;
    const post = async (): Promise<void> => {
      const headers = { "content-type": "application/json" };
      const response = await fetch(url, { method: "POST", body: '{"text":"x"}', headers });
      const text = await response.text();
      assert.equal(response.status, 200, text);
    };
    const grpc = createClient(EchoService, dial(`127.0.0.1:${http.address?.port}`));
    const loads = [new Load(4, post), new Load(4, () => grpc.echo({ text: "x" }))];
    for (let round = 0; round < 3; round++) {
      for (const [place, instance] of instances.entries()) {
        const next = await new Instance(registry.url).start();
        instances[place] = next;
        await until(upstream, () => upstream.endpoints.length === 3);
        await instance.stop();
        assert.equal(registry.services.size, 2);
        await loads[0]?.until(() => next.echo.calls > 0);
      }
    }
    for (const load of loads) await load.stop(); // All before a check that can fail: one that goes on keeps the process.
    for (const load of loads) {
      assert.deepEqual(load.errors, []);
      assert.ok(load.done > 20, `${load.done} calls`);
    }
  });

  test("D01: Consul away at the start: 503, and calls within 5 s after it is there", async (t) => {
    const registry = await ConsulRegistry.start();
    const { port, url } = registry;
    await registry[Symbol.asyncDispose]();
    const { http, upstream } = await gatewayTo(t, url);
    const at = `http://127.0.0.1:${http.address?.port}`;
    const headers = { "content-type": "application/json" };
    const call = () =>
      fetch(`${at}/tsms.test.v1.EchoService/Echo`, { method: "POST", body: '{"text":"x"}', headers });
    const refused = await call();
    assert.equal(refused.status, 503);
    assert.deepEqual(await refused.json(), {
      code: 14,
      message: "users: no endpoint (consul: the agent does not answer)",
      details: [],
    });
    assert.equal((await fetch(`${at}/readyz`)).status, 503);
    await using back = await ConsulRegistry.start(port);
    await using _ = await new Instance(back.url).start();
    const sinceMs = performance.now();
    await until(upstream, () => upstream.state === "ready");
    assert.ok(performance.now() - sinceMs < 5_000);
    assert.equal((await call()).status, 200);
    assert.equal((await fetch(`${at}/readyz`)).status, 200);
  });
});
