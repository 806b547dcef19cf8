import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { after, before, suite, test } from "node:test";
import { buildSchema, Kind, parse as parseOperations, validate } from "graphql";
import { parse } from "yaml";
import { LibraryService } from "../../gen/library/v1/library_pb.ts";
import { Comments } from "../../src/core/contract/comments.ts";
import { annotatedBindings } from "../../src/core/http-rule/http-rule.ts";
import { compileRoute } from "../../src/core/http-rule/route.ts";
import { healthPaths } from "../../src/gateway/doors/health/health-door.ts";
import { schemaText } from "../../src/gateway/faces/graphql/schema-text.ts";
import { FakeConsul, instance } from "../support/fake-consul.ts";
import { complete, Program } from "../support/program.ts";
import { markedCommands, markedFiles } from "./marked-blocks.ts";
import { sourceExports } from "./public-surface.ts";

const root = join(import.meta.dirname, "../..");
const project = mkdtempSync(join(tmpdir(), "ts-ms-docs-"));
after(() => rmSync(project, { recursive: true, force: true }));

const pages = [
  "docs/testing.md",
  "docs/operate.md",
  "docs/recipes.md",
  "docs/existing-apps.md",
  "docs/discovery.md",
  "docs/clients.md",
  "docs/traffic.md",
  "docs/rest-client.md",
  "docs/upstreams.md",
  "docs/access.md",
  "docs/validation.md",
  "docs/console.md",
  "docs/openapi.md",
  "docs/limits.md",
  "docs/overload.md",
  "docs/hub.md",
  "docs/hub-client.md",
  "docs/messaging.md",
  "docs/outbox.md",
  "docs/sagas.md",
  "docs/ext-authz.md",
  "docs/signatures.md",
  "docs/envelope.md",
  "docs/sessions.md",
  "docs/pages.md",
  "docs/audit.md",
  "docs/admin.md",
  "docs/scaffold.md",
  "docs/command-line.md",
  "docs/lint.md",
  "docs/graphql.md",
  "docs/mcp.md",
  "docs/deploy.md",
  "docs/mesh.md",
];
const files = new Map(pages.flatMap((page) => [...markedFiles(root, page)]));
const { NODE_TEST_CONTEXT: _, ...env } = process.env;
env["PATH"] = [join(root, "node_modules/.bin"), env["PATH"]].join(delimiter);

/** Runs a command in the project to its end; rejects, with all of its output, when it fails. */
async function run(command: string, ...args: string[]): Promise<string> {
  return (await complete(command, args, { cwd: project, env })).stdout;
}

/** Writes a file of the project. */
function write(name: string, text: string): void {
  mkdirSync(dirname(join(project, name)), { recursive: true });
  writeFileSync(join(project, name), text);
}

/** A project as a user has it, where the package is the sources of today. */
before(async () => {
  write("package.json", JSON.stringify({ type: "module", private: true }));
  for (const [name, text] of files) write(name, text);
  write("node_modules/ts-ms/package.json", JSON.stringify({ type: "module", exports: sourceExports(root) }));
  // The library is a contract of the project, and not of the package.
  const library = join(root, "proto/library");
  const filter = (path: string): boolean => path !== library;
  cpSync(join(root, "proto"), join(project, "node_modules/ts-ms/proto"), { recursive: true, filter });
  cpSync(library, join(project, "proto/library"), { recursive: true });
  for (const folder of ["src", "gen"])
    symlinkSync(join(root, folder), join(project, "node_modules/ts-ms", folder));
  for (const name of [
    "@bufbuild",
    "@connectrpc",
    "@grpc",
    "@types",
    "fastify",
    "pg",
    "http-message-sig",
    "structured-headers",
  ]) {
    symlinkSync(join(root, "node_modules", name), join(project, "node_modules", name));
  }
  await run("buf", "generate");
});

test("every piece of code of the pages is a file or a command that is tried here", () => {
  for (const page of pages) {
    const lines = readFileSync(join(root, page), "utf8").split("\n");
    for (const [index, line] of lines.entries()) {
      if (!/^```\w/.test(line)) continue;
      assert.match(lines[index - 1] ?? "", /^<!-- (?:file|run): \S+ -->$/, `${page}:${index + 1} ${line}`);
    }
  }
});

test("README.md names every page of docs/ that is for users", () => {
  const readme = readFileSync(join(root, "README.md"), "utf8");
  for (const page of pages) assert.ok(readme.includes(`${page}`), `README.md does not name ${page}`);
});

test("the programs of the pages are checked by TypeScript", { timeout: 300_000 }, async () => {
  const flags =
    "--noEmit --strict --exactOptionalPropertyTypes --noUncheckedIndexedAccess --erasableSyntaxOnly --skipLibCheck";
  const more =
    "--module nodenext --target es2023 --lib es2024,esnext --types node --allowImportingTsExtensions --verbatimModuleSyntax";
  const names = [...files.keys()].filter((name) => name.endsWith(".ts"));
  assert.ok(names.length >= 10);
  await run("tsc", "--ignoreConfig", ...`${flags} ${more}`.split(" "), ...names);
});

test("docs/testing.md: its tests pass", async () => {
  const [command] = markedCommands(root, "testing", "docs/testing.md");
  assert.equal(command?.command, "node --test greeter.test.ts");
  assert.match(await run(process.execPath, "--test", "greeter.test.ts"), /pass 3\b/);
});

suite("the programs of the pages print what they are said to print", () => {
  for (const [page, program, name] of [
    ["docs/operate.md", "server.ts", "server"],
    ["docs/recipes.md", "notes-server.ts", "recipes"],
    ["docs/existing-apps.md", "own-routes.ts", "own-routes"],
    ["docs/existing-apps.md", "app.ts", "app"],
    ["docs/existing-apps.md", "grpc-js.ts", "grpc-js"],
  ] as const) {
    test(`${page}: ${program}`, async () => {
      await serve(program, async (addresses) => {
        const commands = markedCommands(root, name, page);
        assert.ok(commands.length > 0);
        for (const { command, output } of commands) {
          const printed = await run(
            "sh",
            "-c",
            atPorts(command, addresses).replace("curl ", "curl -sS --max-time 20 "),
          );
          assert.match(printed, output ?? /^$/, command);
        }
        if (program !== "notes-server.ts") return;
        const url = `http://${addresses.get("8080")}`;
        assert.match(await run(process.execPath, "rest-note.ts", url), /^By REST\nnotes\/1\n$/);
        assert.equal(await run(process.execPath, "watch.ts", addresses.get("42001") ?? ""), "notes/1\n");
      });
    });
  }
});

test("docs/recipes.md: a unary call is made again until a server is there", async () => {
  const { retry } = (await import(join(project, "client.ts"))) as {
    retry: (n: number, ms: number) => unknown;
  };
  write(
    "retried.ts",
    `import { Code, ConnectError, createClient, dial, GrpcServer, service } from "ts-ms";
import { retry } from "./client.ts";
import { NotesService } from "./gen/notes/v1/notes_pb.ts";
let calls = 0;
const updateNote = () => {
  if (++calls < 3) throw new ConnectError("not yet", Code.Unavailable);
  return { name: "notes/1" };
};
await using grpc = new GrpcServer({ port: 0 }).addService(service(NotesService, { updateNote }));
await grpc.start();
for (const target of [grpc, \`127.0.0.1:\${grpc.address?.port}\`]) {
  calls = 0;
  await using transport = dial(target, { interceptors: [retry(3, 1)] });
  const { name } = await createClient(NotesService, transport).updateNote({});
  console.log(name, calls);
}
`,
  );
  assert.equal(typeof retry, "function");
  assert.equal(await run(process.execPath, "retried.ts"), "notes/1 3\nnotes/1 3\n");
});

test("docs/recipes.md: a breaker opens as the page shows", async () => {
  const [command] = markedCommands(root, "topic", "docs/recipes.md");
  assert.equal(command?.command, "node broker-away.ts");
  assert.match(await run(process.execPath, "broker-away.ts"), command?.output ?? /^$/);
});

test("docs/audit.md: a log is checked as the page shows", async () => {
  write(
    "record.ts",
    'import { audit } from "./audited.ts";\naudit.open();\naudit.write({ event: "call" });\naudit.close();\n',
  );
  await run(process.execPath, "record.ts");
  assert.match(await run(process.execPath, "verify.ts"), /^3 records, the last is [0-9a-f]{64}\n$/);
  write(
    "changed.log",
    readFileSync(join(project, "audit.log"), "utf8").replace('"event":"call"', '"event":"stop"'),
  );
  assert.equal(await run(process.execPath, "verify.ts", "changed.log"), "line 2 was changed\n");
});

test("docs/lint.md: its commands find nothing in the contracts that they are shown with", async () => {
  const tsMs = (...args: string[]): [string, ...string[]] => [
    process.execPath,
    join(root, "src/cli/ts-ms.ts"),
    ...args,
  ];
  await run(...tsMs("new", "shop", "--no-install", "--no-git"));
  const shop = join(project, "shop");
  symlinkSync(join(project, "node_modules"), join(shop, "node_modules"));
  await complete("buf", ["build", "proto", "-o", "main.binpb"], { cwd: shop, env });
  await using grpc = new Program("examples/grpc-only.ts", "--grpc-port=0", "--exporter-port=off");
  const address = await grpc.address("GRPC");
  const commands = markedCommands(root, "lint", "docs/lint.md");
  assert.equal(commands.length, 3);
  for (const { command } of commands) {
    const words = command.replace("localhost:50051", address).split(" ").slice(2);
    const [program, ...args] = tsMs(...words);
    const { stdout, stderr } = await complete(program, args, { cwd: shop, env });
    assert.deepEqual([stdout, stderr.includes("failed")], ["", false], `${command}: ${stderr}`);
  }
});

test("docs/graphql.md: its operations fit the schema", async () => {
  const comments = (): Promise<Comments> => Promise.resolve(new Comments());
  const routes = LibraryService.methods.flatMap((method) => annotatedBindings(method).map(compileRoute));
  const contract = { services: [LibraryService], registry: undefined, routes, comments };
  const schema = buildSchema(await schemaText(contract));
  const { definitions } = parseOperations(files.get("shelf.graphql") ?? "");
  assert.equal(definitions.length, 2);
  // Each is sent alone, for one without a name may stand beside no other.
  for (const definition of definitions)
    assert.deepEqual(validate(schema, { kind: Kind.DOCUMENT, definitions: [definition] }), []);
});

test("docs/discovery.md: a program registers itself, is found, and deregisters as it stops", async () => {
  const registered: string[] = [];
  await using agent = await FakeConsul.start((call) => {
    if (call.path.endsWith("/register")) registered.push((call.body as { Name: string }).Name);
    const isHealth = call.path.startsWith("/v1/health/");
    if (isHealth && call.query.has("index")) return false;
    call.reply(200, isHealth ? [instance("notes-1", 42_001, { Meta: { zone: "a" } })] : {}, 5);
    return true;
  });
  write(
    "follow.ts",
    `import { follow } from "./instances.ts";\nfollow(AbortSignal.timeout(500), process.argv[2]);\n`,
  );
  write("run-registered.ts", (files.get("registered.ts") ?? "").replace("port: 42001", "port: 0"));
  const child = spawn(process.execPath, ["run-registered.ts"], {
    cwd: project,
    env: { ...env, CONSUL_HTTP_ADDR: `127.0.0.1:${agent.port}` },
    stdio: ["ignore", "inherit", "inherit"],
  });
  const ended = once(child, "exit");
  while (registered.length === 0 && child.exitCode === null)
    await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(registered, ["notes"]);
  child.kill("SIGTERM");
  assert.deepEqual(await ended, [0, null]);
  assert.match(agent.lines.at(-1) ?? "", /^PUT \/v1\/agent\/service\/deregister\/notes-/);
  assert.equal(await run(process.execPath, "follow.ts", agent.url), "10.0.0.1:42001 in a\n");
});

test("docs/operate.md: container and probes fit the program", () => {
  const docker = files.get("Dockerfile") ?? "";
  const server = files.get("server.ts") ?? "";
  for (const [, list = ""] of docker.matchAll(/^COPY (?!package\.json)(.+) \S+$/gm)) {
    for (const name of list.split(" "))
      assert.ok(existsSync(join(project, name)), `${name} is not in the project`);
  }
  assert.match(docker, /^CMD \["node", "server\.ts"\]$/m);
  const ports = [...server.matchAll(/port: (\d+)/g)].map(([, port = ""]) => port).toSorted();
  const exposed = /^EXPOSE (.*)$/m.exec(docker)?.[1]?.split(" ").toSorted();
  assert.deepEqual(exposed, ports);
  const pod = parse(files.get("container.yaml") ?? "") as Pod;
  const [container] = pod.containers;
  assert.deepEqual(container?.ports.map(({ containerPort }) => String(containerPort)).toSorted(), ports);
  const paths: readonly string[] = healthPaths;
  for (const { httpGet } of [container?.livenessProbe, container?.readinessProbe].filter(
    (probe) => probe !== undefined,
  )) {
    assert.ok(paths.includes(httpGet.path));
    assert.match(server, new RegExp(`new HttpServer\\(\\{ host: "0\\.0\\.0\\.0", port: ${httpGet.port},`));
  }
  const drainMs = Number(/drainDelayMs: (\d+)/.exec(server)?.[1]);
  assert.ok(pod.terminationGracePeriodSeconds * 1000 > drainMs + 15_000);
});

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: number };
}

interface Pod {
  readonly terminationGracePeriodSeconds: number;
  readonly containers: readonly {
    readonly ports: readonly { readonly containerPort: number }[];
    readonly livenessProbe: Probe;
    readonly readinessProbe: Probe;
  }[];
}

function atPorts(command: string, addresses: ReadonlyMap<string, string>): string {
  return command.replace(/localhost:(\d+)/g, (text, port: string) => addresses.get(port) ?? text);
}

/**
 * Runs a program on ports that the system chooses, on this machine alone, calls `use` with its addresses by the ports
 * that the page has, and ends it by SIGTERM.
 */
async function serve(
  file: string,
  use: (addresses: ReadonlyMap<string, string>) => Promise<void>,
): Promise<void> {
  const text = (files.get(file) ?? "")
    .replace(/port: \d+/g, "port: 0")
    .replace(/host: "0\.0\.0\.0", /g, "")
    .replace(/drainDelayMs: \d+/, "drainDelayMs: 0");
  write(`run-${file}`, text);
  const child = spawn(process.execPath, [`run-${file}`], {
    cwd: project,
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = once(child, "close");
  let output = "";
  const addresses = new Map<string, string>();
  const listening = new Promise<void>((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (part: string) => {
        output += part;
        for (const [, kind, address = ""] of output.matchAll(
          /^\[(HTTP|GRPC|EXPORTER)\] (?:listening|metrics) on (?:http:\/\/)?([^\s/]+)/gm,
        )) {
          addresses.set(kind === "HTTP" ? "8080" : kind === "GRPC" ? "42001" : "4242", address);
        }
        const due = text.includes("Exporter") ? 3 : 1;
        if (addresses.has("8080") && addresses.size >= due) resolve();
      });
    }
    child.once("close", resolve);
  });
  try {
    await listening;
    assert.ok(addresses.has("8080"), `${file} ended without listening:\n${output}`);
    await use(addresses);
  } finally {
    child.kill("SIGTERM");
  }
  assert.deepEqual(await ended, [0, null], output);
}
