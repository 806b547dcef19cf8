import assert from "node:assert/strict";
import {
  copyFileSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { publicSources } from "../project/public-surface.ts";
import { packageEnv, packageVersion, packTsMs } from "../support/packed.ts";
import { complete } from "../support/program.ts";

const root = join(import.meta.dirname, "../..");
const scratch = mkdtempSync(join(tmpdir(), "ts-ms-alone-"));
const folder = join(scratch, "alone");
after(() => rmSync(scratch, { recursive: true, force: true }));

const quiet = ["--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];

async function run(command: string, ...args: string[]): Promise<string> {
  return (await complete(command, args, { cwd: folder, env: packageEnv })).stdout;
}

before(
  async () => {
    await packTsMs(scratch);
    mkdirSync(folder);
    writeFileSync(join(folder, "package.json"), '{ "private": true, "type": "module" }');
    await run("npm", "install", ...quiet, join(scratch, `ts-ms-${packageVersion}.tgz`));
  },
  { timeout: 300_000 },
);

/** The bytes of all files below a folder. */
function bytesIn(path: string): number {
  const entries = readdirSync(path, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return files.reduce((sum, entry) => sum + lstatSync(join(entry.parentPath, entry.name)).size, 0);
}

test("`npm install ts-ms` brings at most 60 packages and 25 MB", () => {
  const lock = JSON.parse(readFileSync(join(folder, "node_modules/.package-lock.json"), "utf8")) as {
    readonly packages: Readonly<Record<string, { readonly version: string }>>;
  };
  const packages = Object.keys(lock.packages);
  assert.ok(packages.includes("node_modules/@bufbuild/protobuf"), "npm installs peers that are needed");
  assert.ok(packages.length <= 60, `${packages.length} packages: ${packages.join(" ")}`);
  const bytes = bytesIn(join(folder, "node_modules"));
  assert.ok(bytes <= 25_000_000, `${bytes} bytes`);
});

test("WebSockets, forms, metrics and sources of contracts work without further packages", async () => {
  copyFileSync(join(root, "test/long/fixtures/installed-alone.mjs"), join(folder, "alone.mjs"));
  assert.deepEqual(JSON.parse(await run(process.execPath, "alone.mjs")), {
    form: '{"text":"by form"}',
    socket: '{"text":"by socket"}',
    metrics: true,
    engine: "TypeError: GRPC: `engine` needs the package @grpc/grpc-js: `npm install @grpc/grpc-js`",
  });
  const notices = readFileSync(join(folder, "node_modules/ts-ms/dist/src/THIRD-PARTY-NOTICES"), "utf8");
  for (const name of ["@fastify/websocket", "@grpc/proto-loader", "duplexify", "prom-client", "protobufjs"]) {
    assert.match(notices, new RegExp(`^${name} \\d`, "m"));
  }
});

test("types are complete without optional peers, whose own are any then", async () => {
  const lines = [...publicSources(root)].map(([specifier]) => `export * from "${specifier}";`);
  const uses = [
    'import { GrpcServer } from "ts-ms";',
    "const port: number | undefined = new GrpcServer().address?.port;",
    "export { port };",
  ];
  const modules = lines.map((line, index) => [`export-${index}.ts`, line] as const);
  for (const [name, text] of [...modules, ["use.ts", uses.join("\n")] as const]) {
    writeFileSync(join(folder, name), `${text}\n`);
  }
  const types = `@types/node@${devVersion("@types/node")}`;
  await run("npm", "install", ...quiet, "--no-save", types);
  const flags = ["--noEmit", "--strict", "--ignoreConfig", "--module", "nodenext", "--target", "es2023"];
  const files = [...modules.map(([name]) => name), "use.ts"];
  await run("tsc", ...flags, "--types", "node", ...files);
});

function devVersion(name: string): string | undefined {
  const { devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly devDependencies: Readonly<Record<string, string>>;
  };
  return devDependencies[name];
}
