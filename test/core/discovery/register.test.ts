import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { Registration } from "../../../src/core/discovery/consul/register.ts";
import {
  mergeRegisterOptions,
  type RegisterInit,
} from "../../../src/core/discovery/consul/register-options.ts";
import { register, type RegisteredServer } from "../../../src/entries/consul.ts";
import { Metrics } from "../../../src/entries/telemetry.ts";
import { GrpcServer, HttpServer, type ServerState } from "../../../src/index.ts";
import { FakeConsul, type AgentCall } from "../../support/fake-consul.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

/** An agent that remembers what is registered, as a real one does. */
function memory(services: Map<string, unknown>) {
  return (call: AgentCall): boolean => {
    const id = decodeURIComponent(call.path.split("/").at(-1) ?? "");
    if (call.path.endsWith("/register")) {
      services.set((call.body as { ID: string }).ID, call.body);
      call.reply(200);
    } else if (call.path.includes("/deregister/")) {
      services.delete(id);
      call.reply(200);
    } else if (call.path.includes("/check/"))
      call.reply(services.has(id.replace("service:", "")) ? 200 : 500);
    else call.reply(services.has(id) ? 200 : 404);
    return true;
  };
}

/** A server that only has a state. */
class Standing implements RegisteredServer {
  readonly name = "STANDING";
  state: ServerState = "ready";
  readonly address = { host: "10.0.0.1", port: 42_001 };
  readonly isSecure: boolean = false;
  drain(): void {}
  gracefulStop() {
    return Promise.resolve({ finished: 0, notified: [], cut: [] });
  }
}

class Rig implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly services = new Map<string, unknown>();
  readonly server = new Standing();
  readonly warnings: string[] = [];
  readonly registration: Registration;
  agent: FakeConsul;
  readonly #warned = (warning: Error): void => void this.warnings.push(warning.message);

  private constructor(agent: FakeConsul, options: Partial<RegisterInit>) {
    this.agent = agent;
    agent.script = memory(this.services);
    process.on("warning", this.#warned);
    const merged = mergeRegisterOptions({ name: "users", server: this.server, url: agent.url, ...options });
    this.registration = new Registration(merged, { clock: this.clock, random: () => 0.5 });
  }

  static async start(options: Partial<RegisterInit> = {}): Promise<Rig> {
    return new Rig(await FakeConsul.start(), options);
  }

  /** Lets time pass until `isDone`. @returns how much, in milliseconds */
  async passUntil(isDone: () => boolean, stepMs = 100): Promise<number> {
    const begin = this.clock.nowMs();
    for (let turn = 0; !isDone(); turn++) {
      assert.ok(turn < 2_000, "it does not happen");
      await new Promise((resolve) => setImmediate(resolve));
      // Requests have time to be answered before more of it passes.
      if (turn % 20 === 19) this.clock.advance(stepMs);
    }
    return this.clock.nowMs() - begin;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const stopped = this.registration.gracefulStop();
    let isStopped = false;
    void stopped.then(() => (isStopped = true));
    await this.passUntil(() => isStopped, 1_000);
    await this.agent[Symbol.asyncDispose]();
    process.off("warning", this.#warned);
  }
}

suite("start()", () => {
  test("takes an old registration away and registers as passing", async () => {
    await using rig = await Rig.start({ tags: ["v2"], meta: { zone: "a" }, weight: 3 });
    await rig.registration.start();
    assert.deepEqual(rig.agent.lines, [
      "PUT /v1/agent/service/deregister/users-10.0.0.1-42001",
      "PUT /v1/agent/service/register",
    ]);
    assert.equal(rig.agent.calls[1]?.query.get("replace-existing-checks"), "true");
    assert.deepEqual(rig.agent.calls[1]?.body, {
      ID: "users-10.0.0.1-42001",
      Name: "users",
      Address: "10.0.0.1",
      Port: 42_001,
      Tags: ["v2"],
      Meta: { zone: "a" },
      Weights: { Passing: 3, Warning: 1 },
      Check: {
        Status: "passing",
        DeregisterCriticalServiceAfter: "60000ms",
        Interval: "10000ms",
        Timeout: "3000ms",
        GRPC: "10.0.0.1:42001",
        GRPCUseTLS: false,
      },
    });
    const { state, isRegistered, id, name } = rig.registration;
    assert.deepEqual(
      [state, isRegistered, id, name],
      ["ready", true, "users-10.0.0.1-42001", "CONSUL users"],
    );
  });

  const asked = {
    Status: "passing",
    DeregisterCriticalServiceAfter: "90000ms",
    Interval: "5000ms",
    Timeout: "1000ms",
  };
  const times = { intervalMs: 5_000, timeoutMs: 1_000, deregisterAfterMs: 90_000 };
  for (const [name, options, isSecure, check] of [
    ["http", { check: "http", path: "/livez" }, false, { ...asked, HTTP: "http://10.0.0.1:42001/livez" }],
    [
      "http by TLS",
      { check: "http", tlsSkipVerify: true },
      true,
      { ...asked, TLSSkipVerify: true, HTTP: "https://10.0.0.1:42001/readyz" },
    ],
    [
      "grpc by TLS",
      { check: "grpc" },
      true,
      { ...asked, TLSSkipVerify: false, GRPC: "10.0.0.1:42001", GRPCUseTLS: true },
    ],
    ["tcp", { check: "tcp" }, true, { ...asked, TCP: "10.0.0.1:42001" }],
    [
      "ttl",
      { check: "ttl", ttlMs: 9_000 },
      true,
      { Status: "passing", DeregisterCriticalServiceAfter: "90000ms", TTL: "9000ms" },
    ],
    ["none", { check: false }, false, undefined],
    [
      "grpc at another address",
      { address: "fd00::1", port: 9, id: "me" },
      false,
      { ...asked, GRPC: "[fd00::1]:9", GRPCUseTLS: false },
    ],
  ] as const) {
    test(`check: ${name}`, async () => {
      const server = Object.assign(new Standing(), { isSecure });
      await using rig = await Rig.start({ ...times, ...options, server });
      await rig.registration.start();
      const { Check } = [...rig.services.values()][0] as { Check: unknown };
      assert.deepEqual(Check, check);
    });
  }

  test("waits until the server is ready", async () => {
    await using rig = await Rig.start();
    rig.server.state = "listen";
    const started = rig.registration.start();
    await rig.clock.pass(1_000);
    assert.deepEqual([rig.agent.calls.length, rig.registration.state], [0, "boot"]);
    rig.server.state = "ready";
    await rig.clock.pass(20);
    await started;
    assert.equal(rig.services.size, 1);
  });

  test("rejects when the server fails", async () => {
    await using rig = await Rig.start();
    rig.server.state = "error";
    await assert.rejects(rig.registration.start(), /the server of users is in state "error"/);
    assert.equal(rig.registration.state, "error");
  });

  test("without Consul warns once, and goes on trying", async () => {
    await using rig = await Rig.start();
    rig.agent.script = (call) => {
      call.reply(500, "No cluster leader");
      return true;
    };
    await rig.registration.start();
    assert.deepEqual([rig.registration.state, rig.registration.isRegistered], ["ready", false]);
    await rig.passUntil(() => rig.agent.calls.length >= 4);
    assert.deepEqual(rig.warnings, [
      "users is not registered with Consul: Consul answered 500: No cluster leader",
    ]);
    rig.agent.script = memory(rig.services);
    await rig.passUntil(() => rig.registration.isRegistered);
  });

  test("with required it rejects", async () => {
    await using rig = await Rig.start({ required: true });
    rig.agent.script = (call) => {
      call.reply(500, "No cluster leader");
      return true;
    };
    await assert.rejects(rig.registration.start(), /Consul answered 500: No cluster leader/);
    assert.equal(rig.registration.state, "error");
  });

  test("a refusal by ACL names the rule, once, and is tried every 30 s", async () => {
    await using rig = await Rig.start();
    rig.agent.script = (call) => {
      call.reply(403, "Permission denied");
      return true;
    };
    await rig.registration.start();
    const firstMs = await rig.passUntil(() => rig.agent.calls.length === 2, 1_000);
    assert.ok(firstMs >= 30_000 && firstMs <= 32_000, String(firstMs));
    await rig.passUntil(() => rig.agent.calls.length === 3, 1_000);
    assert.deepEqual(rig.warnings, [
      'users is not registered with Consul: the token lacks the ACL rule service "users" { policy = "write" }',
    ]);
  });
});

suite("while the server lives", () => {
  test("the metrics page has whether it is registered, until it stops", async () => {
    const metrics = new Metrics({ processMetrics: false });
    const shown = async (): Promise<string | undefined> =>
      /^ts_ms_registration_registered\{name="shown"\} (.)$/m.exec(await metrics.page())?.[1];
    await using rig = await Rig.start({ name: "shown", settleMs: 0 });
    await rig.registration.start();
    assert.equal(await shown(), "1");
    rig.services.clear();
    rig.agent.script = (call) => {
      call.reply(call.method === "GET" ? 404 : 500);
      return true;
    };
    await rig.passUntil(() => !rig.registration.isRegistered);
    assert.equal(await shown(), "0");
    await rig.registration.gracefulStop();
    assert.equal(await shown(), undefined);
  });

  test("K04: an agent that has forgotten it gets it again", async () => {
    await using rig = await Rig.start();
    await rig.registration.start();
    rig.services.clear();
    const ms = await rig.passUntil(() => rig.services.size === 1);
    assert.ok(ms <= 5_500, `${ms} ms`);
    assert.deepEqual(rig.warnings, []);
  });

  test("K04: an agent that was away for 20 s and is back without memory has it within 10 s", async () => {
    await using rig = await Rig.start();
    await rig.registration.start();
    const { port } = rig.agent;
    await rig.agent[Symbol.asyncDispose]();
    rig.services.clear();
    const away = rig.clock.nowMs();
    await rig.passUntil(() => rig.clock.nowMs() - away >= 20_000, 500);
    assert.equal(rig.warnings.length, 1);
    assert.match(rig.warnings[0] ?? "", /users is not registered with Consul: .*ECONNREFUSED/);
    rig.agent = await FakeConsul.start(memory(rig.services), port);
    const ms = await rig.passUntil(() => rig.services.size === 1, 500);
    assert.ok(ms <= 10_000, `${ms} ms`);
  });

  test("an agent that still knows it gets nothing but the question", async () => {
    await using rig = await Rig.start({ verifyMs: 2_000 });
    await rig.registration.start();
    await rig.passUntil(() => rig.agent.calls.length === 4);
    assert.deepEqual(rig.agent.lines.slice(2), [
      "GET /v1/agent/service/users-10.0.0.1-42001",
      "GET /v1/agent/service/users-10.0.0.1-42001",
    ]);
  });

  test("with ttl it reports every third of the time, and its own health", async () => {
    await using rig = await Rig.start({ check: "ttl", ttlMs: 9_000 });
    await rig.registration.start();
    assert.equal(rig.agent.lines.at(-1), "PUT /v1/agent/check/pass/service%3Ausers-10.0.0.1-42001");
    const ms = await rig.passUntil(() => rig.agent.calls.length === 4);
    assert.ok(ms >= 3_000 && ms <= 3_500, `${ms} ms`);
    rig.server.state = "graceful";
    await rig.passUntil(() => rig.agent.calls.length === 5);
    assert.equal(rig.agent.lines.at(-1), "PUT /v1/agent/check/fail/service%3Ausers-10.0.0.1-42001");
  });

  for (const status of [404, 500]) {
    test(`with ttl a report that ends with ${status} is looked into`, async () => {
      await using rig = await Rig.start({ check: "ttl" });
      await rig.registration.start();
      rig.services.clear();
      const agent = memory(rig.services);
      rig.agent.script = (call) => {
        if (!call.path.includes("/check/") || rig.services.size > 0) return agent(call);
        call.reply(status, "unknown check");
        return true;
      };
      await rig.passUntil(() => rig.services.size === 1);
      await rig.passUntil(() => rig.registration.isRegistered);
      assert.deepEqual(rig.warnings, []);
    });
  }
});

suite("drain and stop", () => {
  test("drain() deregisters at once, gracefulStop() waits for that and for the time to settle", async () => {
    await using rig = await Rig.start({ settleMs: 700 });
    await rig.registration.start();
    rig.registration.drain();
    rig.registration.drain();
    let isStopped = false;
    const stopped = rig.registration.gracefulStop().then((report) => {
      isStopped = true;
      return report;
    });
    const ms = await rig.passUntil(() => isStopped, 50);
    assert.ok(ms >= 700 && ms <= 900, `${ms} ms`);
    assert.deepEqual(await stopped, { finished: 0, notified: [], cut: [] });
    assert.equal(rig.services.size, 0);
    assert.equal(rig.agent.lines.filter((line) => line.includes("/deregister/")).length, 2);
    assert.deepEqual([rig.registration.state, rig.clock.nextMs], ["stop", undefined]);
  });

  test("an agent that does not answer delays the stop by 2 s and is warned of", async () => {
    await using rig = await Rig.start({ settleMs: 0 });
    await rig.registration.start();
    rig.agent.script = () => false;
    let isStopped = false;
    void rig.registration.gracefulStop().then(() => (isStopped = true));
    const ms = await rig.passUntil(() => isStopped);
    assert.ok(ms >= 2_000 && ms <= 2_500, `${ms} ms`);
    await rig.passUntil(() => rig.warnings.length > 0);
    assert.match(rig.warnings[0] ?? "", /^users is not deregistered with Consul: no answer within/);
  });

  test("what was never started stops at once, and never again starts", async () => {
    await using rig = await Rig.start();
    await rig.registration.gracefulStop();
    assert.deepEqual([rig.registration.state, rig.agent.calls.length], ["stop", 0]);
  });

  test("a stop while the server is not ready ends the start", async () => {
    await using rig = await Rig.start();
    rig.server.state = "listen";
    const started = assert.rejects(rig.registration.start(), /stopped before it was registered/);
    await rig.registration.gracefulStop();
    await started;
    assert.equal(rig.agent.calls.length, 0);
  });

  test("a registration that is under way is undone by the stop", async () => {
    await using rig = await Rig.start({ settleMs: 0 });
    rig.agent.script = (call) => call.path.includes("/deregister/") && memory(rig.services)(call);
    const started = rig.registration.start();
    const call = await rig.agent.next();
    const stopped = rig.registration.gracefulStop();
    memory(rig.services)(call);
    await started;
    let isStopped = false;
    void stopped.then(() => (isStopped = true));
    await rig.passUntil(() => isStopped);
    assert.equal(rig.services.size, 0);
    assert.equal(rig.registration.state, "stop");
  });
});

suite("with servers of this package", () => {
  test("a GrpcServer and an HttpServer, bound anywhere and by themselves", async () => {
    const services = new Map<string, unknown>();
    await using agent = await FakeConsul.start(memory(services));
    await using grpc = new GrpcServer({ port: 0 });
    await using http = new HttpServer({ host: "0.0.0.0", port: 0, upstream: grpc });
    await grpc.start();
    await http.start();
    await using users = register({ name: "users", server: grpc, url: agent.url, settleMs: 0 });
    await using gateway = register({
      name: "gateway",
      server: http,
      check: "http",
      url: agent.url,
      settleMs: 0,
    });
    await users.start();
    await gateway.start();
    const outer = Object.values(networkInterfaces())
      .flat()
      .find((one) => one?.family === "IPv4" && !one.internal)?.address;
    assert.deepEqual(
      [...services.values()].map((service) => {
        const { Address, Port } = service as { Address: string; Port: number };
        return `${Address}:${Port}`;
      }),
      [`${grpc.address?.host}:${grpc.address?.port}`, `${outer ?? "127.0.0.1"}:${http.address?.port}`],
    );
  });
});

test("the agent's address and token come from options, files, or the variables of Consul", async () => {
  const folder = mkdtempSync(join(tmpdir(), "ts-ms-consul-"));
  after(() => rmSync(folder, { recursive: true }));
  const tokenFile = join(folder, "token");
  writeFileSync(tokenFile, "from a file\n");
  for (const [options, expected] of [
    [{ token: "given" }, "given"],
    [{ tokenFile }, "from a file"],
    [{}, undefined],
  ] as const) {
    await using rig = await Rig.start(options);
    await rig.registration.start();
    assert.equal(rig.agent.calls[0]?.token, expected);
  }
});

suite("options that cannot be", () => {
  const server = new Standing();
  for (const [options, expected] of [
    [{ server }, /register: the option name is missing/],
    [{ name: "users" }, /register: the option server is missing: it must be a GrpcServer or an HttpServer/],
    [{ name: "users", server, tag: ["a"] }, /there is no option "tag"; did you mean tags\?/],
    [
      { name: "users", server, check: "ping" },
      /the option check must be "grpc", "http", "tcp", "ttl" or false, not 'ping'/,
    ],
    [{ name: "users", server, verifyMs: 0 }, /the option verifyMs must be above 0, not 0/],
    [{ name: "users", server, weight: "2" }, /the option weight must be a number/],
    [{ name: "users", server, url: "ftp://x" }, /the URL of a Consul agent must be http/],
  ] as const) {
    test(String(expected), () => {
      assert.throws(() => register(options as unknown as RegisterInit), {
        name: "TypeError",
        message: expected,
      });
    });
  }

  test("a server without a port of its own", async () => {
    const bare = Object.assign(new Standing(), { address: undefined });
    const registration = register({ name: "users", server: bare });
    await assert.rejects(registration.start(), /users has no port of its own: set address and port/);
  });

  test("deregisterAfterMs under a minute is raised, with a warning", async () => {
    const warned = new Promise<Error>((resolve) => process.once("warning", resolve));
    const merged = mergeRegisterOptions({ name: "users", server, deregisterAfterMs: 5_000 });
    assert.equal(merged.deregisterAfterMs, 60_000);
    assert.match((await warned).message, /deregisterAfterMs is raised from 5000 to 60000/);
  });
});
