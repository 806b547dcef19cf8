import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

const root = join(import.meta.dirname, "../..");

/** The modules of this repository that importing a file loads, by their paths. */
async function modulesOf(file: string): Promise<string[]> {
  const script = `
    import { registerHooks } from "node:module";
    import { pathToFileURL } from "node:url";
    registerHooks({ load(url, context, next) { console.log(url); return next(url, context); } });
    await import(pathToFileURL(${JSON.stringify(join(root, file))}).href);
    process.exit();`;
  const args = ["--input-type=module", "--eval", script];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root });
  return stdout.split("\n").flatMap((url) => /\/((?:src|gen)\/.*)$/.exec(url)?.[1] ?? []);
}

/**
 * What only programs load that find services, spare them, or state policies, but for what checks the options
 * `policies` and `serviceConfig` of `dial`; and what only gateways of several upstreams load.
 */
const traffic =
  /^src\/gateway\/upstreams\/(?!upstream\.)|^src\/core\/call\/proxy\.|^src\/core\/(?:discovery\/|policy\/(?!(?:selected-policies|policy-(?:layer|fields|values)|selector|service-config|balance-config|config-json)\.)|resilience\/|time\/(?!clock\.))|^gen\/ts_ms\/v1\/policy_pb|\/retry-info\.ts$/;

test("who uses neither discovery, policies, breakers nor several upstreams loads none of their modules", async () => {
  for (const file of ["src/index.ts", "src/entries/flags.ts", "src/entries/telemetry.ts"]) {
    const loaded = await modulesOf(file);
    assert.ok(loaded.length > 20, file);
    assert.deepEqual(
      loaded.filter((path) => traffic.test(path)),
      [],
      file,
    );
  }
  const loaded = await modulesOf("src/entries/resilience.ts");
  assert.ok(loaded.includes("src/core/resilience/breaker.ts"));
  assert.deepEqual(
    loaded.filter((path) => /^src\/core\/(?:discovery\/|policy|grpc|http2|call)\//.test(path)),
    [],
  );
  for (const [entry, other] of [
    ["consul", /kubernetes|xds|envoy/],
    ["kubernetes", /consul|xds|envoy|http2|grpc/],
    ["xds", /consul|kubernetes|src\/core\/grpc\/server/],
  ] as const) {
    const modules = await modulesOf(`src/entries/${entry}.ts`);
    assert.ok(modules.includes(`src/core/discovery/${entry}/${entry}-resolver.ts`));
    assert.deepEqual(
      modules.filter((path) => other.test(path)),
      [],
      entry,
    );
  }
});

/** What reads configurations, but for the error that others throw and catch. */
const configuration = /^src\/core\/config\/loader\/(?!config-error\.)|^gen\/ts_ms\/config\//;

test("who has no configuration loads nothing that reads one", async () => {
  for (const file of [
    "src/index.ts",
    "src/entries/flags.ts",
    "src/entries/telemetry.ts",
    "src/entries/app.ts",
  ]) {
    const loaded = await modulesOf(file);
    assert.deepEqual(
      loaded.filter((path) => configuration.test(path)),
      [],
      file,
    );
  }
  const loaded = await modulesOf("src/entries/config.ts");
  assert.ok(loaded.includes("src/core/config/loader/load-config.ts"));
  const needless = /key-texts|schema-json|^src\/(?!core\/(?:config|errors)\/|entries\/config\.)/;
  assert.deepEqual(
    loaded.filter((path) => needless.test(path)),
    [],
  );
});

/** Rooms of what a program has to ask for, beside the parts of them that all programs have. */
const asked =
  /^src\/core\/(?:security\/(?!principal\.|auth-flags\.|access\/access-options\.)|limits\/|redis\/|overload\/|condition\/|validation\/(?!validation-options\.|validation\.|checked-invoker\.|rules-in\.)|telemetry\/tracing\/)|^src\/gateway\/(?:session|authorizer)\//;

test("who names none of them loads no room of security, limits, overload, traces, sessions or rules", async () => {
  const app = "test/project/fixtures/plain-app.ts";
  for (const file of ["src/index.ts", "src/entries/flags.ts", "src/entries/telemetry.ts", app]) {
    const loaded = await modulesOf(file);
    assert.ok(loaded.length > 20, file);
    assert.deepEqual(
      loaded.filter((path) => asked.test(path)),
      [],
      file,
    );
  }
  const descriptors = (await modulesOf(app)).filter((path) => path.startsWith("gen/ts_ms/config/"));
  assert.deepEqual(descriptors, [], "an app reads its configuration without descriptors");
});

/** What answers requests for a face: documents, the files of the console, messages of MCP. */
const answers =
  /faces\/(?:docs\/(?:docs-files|model|shown-contract)|openapi\/(?:documents?|foreign-(?:documents|security)|security-schemes)|mcp\/(?:endpoint|mcp-server|json-rpc|results|resources|tool-(?:list|runner))|in-slices)\.|tagged-document|json-schema|schema-rules/;

test("who has faces loads what answers for them with the first request", async () => {
  for (const face of ["docs", "openapi", "mcp"]) {
    const loaded = await modulesOf(`src/entries/${face}.ts`);
    assert.ok(loaded.includes(`src/gateway/faces/${face}/${face}.ts`));
    assert.deepEqual(
      loaded.filter((path) => answers.test(path)),
      [],
      face,
    );
  }
});
