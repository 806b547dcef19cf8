import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { register } from "../../src/entries/consul.ts";
import { GrpcServer } from "../../src/index.ts";
import { GomsService } from "../../src/services/goms/goms-service.ts";
import { ConsulRegistry } from "../support/consul-registry.ts";
import { FakeConsul, type AgentCall } from "../support/fake-consul.ts";
import { curlJson, Program } from "../support/program.ts";

/** An agent to which everything is well, until an instance is taken away. */
async function agentOf(): Promise<{ readonly agent: FakeConsul; readonly left: Promise<AgentCall> }> {
  let registered = false;
  let leave = (_call: AgentCall): void => {};
  const left = new Promise<AgentCall>((resolve) => (leave = resolve));
  const agent = await FakeConsul.start((call) => {
    if (call.path.includes("/register")) registered = true;
    if (call.path.includes("/deregister/") && registered) leave(call);
    else call.reply(200);
    return true;
  });
  return { agent, left };
}

interface Body {
  readonly ID: string;
  readonly Name: string;
  readonly Address: string;
  readonly Port: number;
  readonly Tags: readonly string[];
  readonly Meta: object;
  readonly Check: Readonly<Record<string, unknown>>;
}

function registrationAt(agent: FakeConsul): Body {
  const call =
    agent.calls.find(({ path }) => path.endsWith("/register")) ?? assert.fail("nothing is registered");
  return call.body as Body; // As Consul documents it.
}

suite("programs register themselves", () => {
  test("a gRPC server as a service, with tags, zone and another address, and is served until Consul knows of its stop", async () => {
    const { agent, left } = await agentOf();
    await using _ = agent;
    await using program = new Program(
      "examples/grpc-only.ts",
      ...["--grpc-port", "0", "--exporter-port", "off", "--register", "consul=users", "--consul", agent.url],
      ...[
        "--register-tag",
        "v2",
        "--register-tag",
        "blue",
        "--zone",
        "a",
        "--register-address",
        "10.0.0.9:1234",
      ],
    );
    await program.line(/^\[CONSUL users\] registered as users-10\.0\.0\.9-1234$/);
    const { Name, Address, Port, Tags, Meta, Check } = registrationAt(agent);
    assert.deepEqual([Name, Address, Port], ["users", "10.0.0.9", 1234]);
    assert.deepEqual([Tags, Meta, Check["GRPC"]], [["v2", "blue"], { zone: "a" }, "10.0.0.9:1234"]);
    const address = await program.address("GRPC");
    program.kill();
    const call = await left;
    const socket = await import("node:http2").then(({ connect }) => connect(`http://${address}`));
    await new Promise((resolve, reject) => socket.once("remoteSettings", resolve).once("error", reject));
    socket.destroy();
    call.reply(200);
    assert.equal((await program.exit()).code, 0);
  });

  test("a gateway by its own name, with its HTTP port", async () => {
    const { agent, left } = await agentOf();
    await using _ = agent;
    await using program = new Program(
      "examples/gateway.ts",
      ...["--grpc-port", "0", "--http-port", "0", "--exporter-port", "off", "--register", "consul"],
      ...["--consul", agent.url.replace("http://", "")],
    );
    const address = await program.address("HTTP");
    await program.line(/^\[CONSUL gateway\] registered as gateway-127\.0\.0\.1-\d+$/);
    const { Name, Address, Port, Check } = registrationAt(agent);
    assert.deepEqual([Name, `${Address}:${Port}`], ["gateway", address]);
    assert.equal(Check["HTTP"], `http://${address}/readyz`);
    program.kill();
    (await left).reply(200);
    assert.equal((await program.exit()).code, 0);
  });

  test("a gateway calls what is registered with the agent of its flag", async () => {
    await using registry = await ConsulRegistry.start();
    await using server = new GrpcServer({ port: 0 }).addService(new GomsService("goms"));
    await server.start();
    await using registration = register({ name: "goms", server, url: registry.url, settleMs: 0 });
    await registration.start();
    await using program = new Program(
      "examples/http-only.ts",
      ...["--http-port", "0", "--exporter-port", "off", "--upstream", "goms=consul:///goms", "--reflection"],
      ...["--consul", registry.url],
    );
    await program.line(/^\[HTTP\] calling consul:\/\/\/goms$/);
    await program.line(/^\[HTTP\] GET \/goms\/\{id\} → /);
    const http = `http://${await program.address("HTTP")}`;
    assert.deepEqual(await curlJson(`${http}/goms/42`), [200, { message: "GoMs View" }]);
    assert.equal((await program.stop()).code, 0);
  });

  test("one without Consul serves, and says so", async () => {
    await using program = new Program(
      "examples/http-only.ts",
      ...["--http-port", "0", "--exporter-port", "off", "--register", "consul=edge"],
      ...["--consul", "http://127.0.0.1:1"],
    );
    await program.line(/^\[CONSUL edge\] not registered yet$/);
    await program.error(/edge is not registered with Consul: connect ECONNREFUSED/);
    assert.equal((await program.stop()).code, 0);
  });
});
