import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";

const root = join(import.meta.dirname, "../..");

/** What each module imports, of those that have been loaded: their addresses. */
type Graph = ReadonlyMap<string, readonly string[]>;

/** A program that serves, and so runs what the library imports late. */
const app = "test/project/fixtures/plain-app.ts";

const entries = readdirSync(join(root, "src/entries")).map((file) => `src/entries/${file}`);

/** What comes with the library, all of it loaded in one process, and what comes with the program that serves. */
const loaded = { library: graphOf(["src/index.ts", ...entries]), app: graphOf([app]) };

/** Imports files in a process of their own. */
async function graphOf(files: readonly string[]): Promise<Graph> {
  const folder = mkdtempSync(join(tmpdir(), "ts-ms-loaded-"));
  const list = join(folder, "list.json");
  const script = `
    import { writeFileSync } from "node:fs";
    import { registerHooks } from "node:module";
    import { pathToFileURL } from "node:url";
    const pairs = [];
    registerHooks({
      resolve(specifier, context, next) {
        const found = next(specifier, context);
        pairs.push([context.parentURL ?? "", found.url]);
        return found;
      },
    });
    process.on("exit", () => writeFileSync(${JSON.stringify(list)}, JSON.stringify(pairs)));
    for (const file of ${JSON.stringify(files.map((file) => join(root, file)))}) await import(pathToFileURL(file).href);
    process.exit();`;
  const args = ["--input-type=module", "--eval", script];
  await promisify(execFile)(process.execPath, args, { cwd: root });
  const pairs = JSON.parse(readFileSync(list, "utf8")) as [string, string][]; // As written above.
  rmSync(folder, { recursive: true });
  return new Map([...Map.groupBy(pairs, ([by]) => by)].map(([by, list]) => [by, list.map(([, url]) => url)]));
}

/** The modules that importing a file loads, each with those that it imports. */
async function loadedBy(file: string): Promise<Graph> {
  const graph = await (file === app ? loaded.app : loaded.library);
  const found = new Map<string, readonly string[]>();
  const first = pathToFileURL(join(root, file)).href;
  assert.ok(
    [...graph.values()].some((urls) => urls.includes(first)),
    `${file} was not loaded`,
  );
  const waiting = [first];
  for (let url = waiting.pop(); url !== undefined; url = waiting.pop()) {
    if (found.has(url)) continue;
    const imported = graph.get(url) ?? [];
    found.set(url, imported);
    waiting.push(...imported);
  }
  return found;
}

/** The modules of this repository that importing a file loads, by their paths. */
async function modulesOf(file: string): Promise<string[]> {
  const urls = [...(await loadedBy(file)).keys()];
  return urls.flatMap((url) => /\/((?:src|gen)\/.*)$/.exec(url)?.[1] ?? []);
}

/** The packages that modules of this repository import when files are imported. */
async function packagesOf(files: readonly string[]): Promise<ReadonlySet<string>> {
  const graphs = await Promise.all(files.map(loadedBy));
  const own = graphs.flatMap((graph) => [...graph].filter(([by]) => !by.includes("/node_modules/")));
  const urls = own.flatMap(([, imported]) => imported);
  return new Set(urls.flatMap((url) => /\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1] ?? []));
}

/**
 * What only programs load that find services, spare them, or state policies, but for what checks the options
 * `policies` and `serviceConfig` of `dial`, and clocks; and what only gateways of several upstreams load.
 */
const traffic =
  /^src\/gateway\/upstreams\/(?!upstream\.)|^src\/core\/call\/proxy\.|^src\/core\/(?:discovery\/|policy\/(?!(?:selected-policies|policy-(?:layer|fields|values)|selector|service-config|balance-config|config-json)\.)|resilience\/|time\/(?!(?:clock|in-turn)\.))|^gen\/ts_ms\/v1\/policy_pb/;

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
  /^src\/core\/(?:security\/(?!principal\.|auth-flags\.|access\/access-options\.)|limits\/|redis\/|overload\/|condition\/|validation\/(?!validation-options\.|validation\.|checked-invoker\.|rules-in\.)|telemetry\/tracing\/)|^src\/(?:gateway\/(?:session|authorizer)|hub)\/|^src\/app\/(?:redirect-server|one-port|admin-)/;

test("who names none of them loads no room of security, limits, overload, traces, sessions, rules or hubs", async () => {
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

/** Everything of messages between services. */
const messages =
  /^src\/(?:messaging|outbox|dispatch|saga)\/|^gen\/ts_ms\/(?:messaging|dispatch|saga)\/|^gen\/io\/cloudevents\//;

test("who sends and reads no messages loads nothing of brokers, outboxes, dispatchers and sagas", async () => {
  for (const file of ["src/index.ts", "src/entries/app.ts", "src/entries/telemetry.ts", app]) {
    const loaded = await modulesOf(file);
    assert.ok(loaded.length > 20, file);
    assert.deepEqual(
      loaded.filter((path) => messages.test(path)),
      [],
      file,
    );
  }
  const broker = await modulesOf("src/entries/messaging.ts");
  assert.ok(broker.includes("src/messaging/message-server.ts"));
  const others =
    /^src\/(?:outbox|dispatch|saga)\/|^src\/messaging\/(?:rabbitmq|kafka|nats)\/(?!\w+-options\.)/;
  assert.deepEqual(
    broker.filter((path) => others.test(path)),
    [],
  );
});

/** Packages that users install for the features that they use. */
function optionalPeers(): string[] {
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional: boolean }>>;
  };
  const { peerDependenciesMeta: peers } = manifest;
  return Object.keys(peers).filter((name) => peers[name]?.optional === true);
}

/** Entries that are for nothing else than a package does, which their functions use at once. */
const ofOnePeer: Readonly<Record<string, string>> = { session: "cookie", signatures: "http-message-sig" };

test("who uses no feature with a package of its own loads no module of any optional peer", async () => {
  const peers = optionalPeers();
  assert.ok(peers.length >= 16);
  const peersOf = async (files: readonly string[]): Promise<string[]> => {
    const loaded = await packagesOf(files);
    for (const name of ["@bufbuild/protobuf", "@connectrpc/connect"]) assert.ok(loaded.has(name), name);
    return peers.filter((name) => loaded.has(name));
  };
  const names = entries.map((file) => basename(file, ".ts"));
  const fileOf = (name: string): string => `src/entries/${name}.ts`;
  const general = names.filter((name) => ofOnePeer[name] === undefined);
  assert.deepEqual(await peersOf(["src/index.ts", ...general.map(fileOf), app]), []);
  assert.deepEqual(
    (await peersOf(Object.keys(ofOnePeer).map(fileOf))).toSorted(),
    Object.values(ofOnePeer).toSorted(),
  );
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
