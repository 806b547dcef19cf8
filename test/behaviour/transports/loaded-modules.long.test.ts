import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";

const run = promisify(execFile);

/** A program that makes calls with `dial(TARGET)`, and prints the modules of ours that it has loaded. */
const program = (target: string): string => `
import { registerHooks } from "node:module";
const loaded = [];
registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context); } });
const { createClient, dial, GrpcServer } = await import("${new URL("../../../src/index.ts", import.meta.url).href}");
const { EchoService } = await import("${new URL("../../../gen/tsms/test/v1/echo_pb.ts", import.meta.url).href}");
const { Echo } = await import("${new URL("../../support/echo-service.ts", import.meta.url).href}");
const server = new GrpcServer({ port: 0 }).addService(new Echo());
await server.start();
const address = "127.0.0.1:" + server.address.port;
const transport = dial(${target});
await createClient(EchoService, transport).echo({});
transport.close();
await server.gracefulStop({ graceMs: 0 });
console.log(JSON.stringify(loaded.flatMap((url) => /\\/src\\/(core\\/.*)$/.exec(url)?.[1] ?? [])));
`;

async function loadedBy(target: string): Promise<readonly string[]> {
  const { stdout } = await run(process.execPath, ["--input-type=module", "--eval", program(target)]);
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as string[]; // As the program prints it.
}

/** Rooms of clusters, which one server does not need, but for what checks the options `policies` and `serviceConfig`. */
const ofClusters =
  /^core\/(?:cluster\/|discovery\/|health-checks\/|policy\/(?!(?:selected-policies|policy-(?:layer|fields|values)|selector|service-config|balance-config|config-json)\.)|resilience\/|time\/(?!(?:clock|in-turn)\.)|traffic\/|ambient\/|rest\/|rest-endpoints\/)/;

test("a program that dials one server loads no module of clusters", async () => {
  for (const target of ["address", "server"]) {
    const loaded = await loadedBy(target);
    assert.ok(loaded.includes("core/dial.ts"));
    assert.deepEqual(
      loaded.filter((path) => ofClusters.test(path)),
      [],
    );
    // What they call is recognized by its text alone, and options are checked at once.
    assert.deepEqual(loaded.filter((path) => path.startsWith("core/targets/")).toSorted(), [
      "core/targets/choice-options.ts",
      "core/targets/cluster-target.ts",
      "core/targets/contract-states-policy.ts",
      "core/targets/dialled-server.ts",
      "core/targets/endpoint-protocol.ts",
      "core/targets/lazy-cluster.ts",
      "core/targets/option-groups.ts",
      "core/targets/policy-options.ts",
      "core/targets/program-defaults.ts",
      "core/targets/service-config-options.ts",
      "core/targets/text-target.ts",
    ]);
  }
});

test("one that dials a list loads them", async () => {
  for (const target of ["[address]", '"ipv4:" + address']) {
    const loaded = await loadedBy(target);
    assert.ok(loaded.includes("core/cluster/cluster.ts"));
    assert.ok(!loaded.some((path) => path.startsWith("core/health-checks/")));
    // A scheme loads what it needs, and nothing of the others.
    assert.deepEqual(
      loaded.filter((path) => /\/(?:consul|dns|srv|host-lookup)/.test(path)),
      [],
    );
  }
});
