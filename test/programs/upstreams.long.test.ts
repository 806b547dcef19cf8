import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { GrpcServer } from "../../src/index.ts";
import { ChildService } from "../../src/services/child/child-service.ts";
import { GomsService } from "../../src/services/goms/goms-service.ts";
import { dial } from "../../src/core/dial.ts";
import { FakeConsul, instance } from "../support/fake-consul.ts";
import { curl, curlJson, Program } from "../support/program.ts";

const listen = ["--http-port=0", "--exporter-port=off"];

/** Two servers in this process, each with a service of its own. */
async function twoServers() {
  const goms = new GrpcServer({ port: 0, logger: false }).addService(new GomsService("goms"));
  await goms.start();
  const child = new GrpcServer({ port: 0, logger: false });
  const transport = dial(goms);
  child.addService(new ChildService("child", transport));
  await child.start();
  return {
    goms: goms.address?.port ?? 0,
    child: child.address?.port ?? 0,
    async [Symbol.asyncDispose]() {
      transport.close();
      await child.gracefulStop({ graceMs: 0 });
      await goms.gracefulStop({ graceMs: 0 });
    },
  };
}

suite("http-only in front of several upstreams", () => {
  test("--upstream, given twice, serves both by their reflection", async () => {
    await using servers = await twoServers();
    await using gateway = new Program(
      "examples/http-only.ts",
      ...listen,
      `--upstream=goms=127.0.0.1:${servers.goms}`,
      `--upstream=127.0.0.1:${servers.child}`,
      "--reflection",
      "--balance=round_robin",
      "--upstream-health",
    );
    const http = `http://${await gateway.address("HTTP")}`;
    await gateway.line(/^\[UPSTREAMS\] goms → 127\.0\.0\.1:\d+: 1 service/);
    await gateway.line(/^\[UPSTREAMS\] 127\.0\.0\.1:\d+ → .*: 1 service/);
    assert.deepEqual(await curlJson(`${http}/goms/42`), [200, { message: "GoMs View" }]);
    assert.deepEqual(await curlJson(`${http}/child/42/parent`), [200, { message: "GoMs View" }]);
    assert.equal((await curl(`${http}/readyz`)).status, 200);
    assert.equal((await gateway.stop()).code, 0);
  });

  test("--discover serves what has the tag in Consul", async () => {
    await using servers = await twoServers();
    const ports = new Map([
      ["goms", servers.goms],
      ["child", servers.child],
    ]);
    await using agent = await FakeConsul.start((call) => {
      if (call.query.has("index")) return false; // It waits for changes.
      if (call.path === "/v1/catalog/services") {
        call.reply(200, { goms: ["ts-ms"], child: ["ts-ms"], other: [] }, 1);
        return true;
      }
      const name = call.path.split("/").at(-1) ?? "";
      call.reply(200, [instance(name, ports.get(name) ?? 1, { Address: "127.0.0.1" })], 1);
      return true;
    });
    await using gateway = new Program(
      "examples/http-only.ts",
      ...listen,
      "--discover=consul:ts-ms",
      `--consul=${agent.url}`,
    );
    const http = `http://${await gateway.address("HTTP")}`;
    await gateway.line(/^\[UPSTREAMS\] goms → consul:\/\/\/goms: 1 service/);
    await gateway.line(/^\[UPSTREAMS\] child → consul:\/\/\/child: 1 service/);
    assert.deepEqual(await curlJson(`${http}/child/42/parent`), [200, { message: "GoMs View" }]);
    assert.equal((await gateway.stop()).code, 0);
  });

  test("one --upstream is the server of --grpc-host and --grpc-port", async () => {
    await using servers = await twoServers();
    const target = `--upstream=127.0.0.1:${servers.goms}`;
    await using gateway = new Program("examples/http-only.ts", ...listen, target, "--reflection");
    const http = `http://${await gateway.address("HTTP")}`;
    await gateway.line(/^\[HTTP\] GET \/goms/);
    assert.deepEqual(await curlJson(`${http}/goms/42`), [200, { message: "GoMs View" }]);
  });
});
