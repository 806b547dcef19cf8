import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, sep } from "node:path";
import { after, before, test } from "node:test";
import { markedCommands, markedFiles } from "../project/marked-blocks.ts";
import { exportedNames, publicSources } from "../project/public-surface.ts";
import { packageEnv, packageVersion, packTsMs } from "../support/packed.ts";
import { complete } from "../support/program.ts";

const root = join(import.meta.dirname, "../..");
const scratch = mkdtempSync(join(tmpdir(), "ts-ms-package-"));
/** The page with a project that is made by hand, without `npm create`. */
const page = "docs/scaffold.md";
/** That project, which the other tests use once the package is in it. */
const project = join(scratch, "project");
const [install, ...commands] = markedCommands(root, "greeter", page).map(({ command }) => command);
after(() => rmSync(scratch, { recursive: true, force: true }));

/** Runs a command to its end and returns all that it printed; rejects, with its output, when it fails. */
async function run(cwd: string, command: string, ...args: string[]): Promise<string> {
  const { stdout, stderr } = await complete(command, args, { cwd, env: packageEnv });
  return stdout + stderr;
}

/** Installs the optional peers, which some sub-paths need. */
async function installPeers(): Promise<void> {
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Record<
    string,
    Record<string, string>
  >;
  const versions = manifest["devDependencies"] ?? {};
  const peers = Object.keys(manifest["peerDependenciesMeta"] ?? {}).map(
    (peer) => `${peer}@${versions[peer]}`,
  );
  const flags = ["--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
  await run(project, "npm", "install", ...flags, ...peers);
}

before(
  async () => {
    await packTsMs(scratch);
    for (const [name, text] of markedFiles(root, page)) {
      mkdirSync(dirname(join(project, name)), { recursive: true });
      // Ports that the system chooses, for those of the page may be taken.
      writeFileSync(join(project, name), text.replace(/port: \d+/g, "port: 0"));
    }
    // The user's own contract of a name that one of this project's examples has.
    const library = 'syntax = "proto3";\n\npackage library.v1;\n\nmessage Shelf {\n  string name = 1;\n}\n';
    mkdirSync(join(project, "proto/library/v1"), { recursive: true });
    writeFileSync(join(project, "proto/library/v1/library.proto"), library);
    assert.equal(install, "npm install ts-ms @bufbuild/protobuf");
    await obey(install);
  },
  { timeout: 300_000 },
);

test("the package holds compiled code, types and contracts, and nothing else", () => {
  const folder = join(project, "node_modules/ts-ms");
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/"));
  for (const wanted of [
    "dist/src/index.js",
    "dist/src/index.d.ts",
    "dist/src/entries/flags.js",
    "dist/src/entries/flags.d.ts",
    "dist/src/cli/ts-ms.js",
    "proto/google/api/http.proto",
    "LICENSE",
  ]) {
    assert.ok(files.includes(wanted), `${wanted} is missing`);
  }
  if (existsSync(join(root, "README.md"))) assert.ok(files.includes("README.md"));
  const allowed =
    /^(?:package\.json|README\.md|LICENSE|CHANGELOG\.md|docs\/.+\.md|docs\/images\/[\w-]+\.png|proto\/README\.md|proto\/(?:buf|google|grpc)\/LICENSE|proto\/(?:buf\/validate|google\/(?:api|rpc)|grpc\/health|ts_ms)\/.+\.proto|dist\/(?:src\/(?:app|core|gateway|entries|hub|hub-client|messaging|outbox|dispatch|saga)|gen\/(?:buf|envoy|google\/(?:api|rpc)|grpc|io\/cloudevents|ts_ms))\/.+\.d\.ts|dist\/src\/(?:entries\/[\w-]+|chunks\/[\w-]+)\.js|dist\/src\/(?:cli\/)?THIRD-PARTY-NOTICES|dist\/src\/cli\/ts-ms\.js|dist\/src\/index\.(?:js|d\.ts))$/;
  assert.deepEqual(
    files.filter((file) => !allowed.test(file) || /(?:^|\/|\.)tests?(?:\/|\.|_)/.test(file)),
    [],
  );
  const readme = readFileSync(join(root, "README.md"), "utf8");
  const links = [...readme.matchAll(/\]\(([^)#]+)[^)]*\)/g)].map(([, link = ""]) => link);
  const relatives = links.filter((link) => !link.startsWith("https://"));
  assert.ok(relatives.length > 0);
  assert.deepEqual(
    relatives.filter((link) => !files.includes(link)),
    [],
  );
  const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Record<string, unknown>;
  for (const field of ["repository", "homepage", "bugs"]) assert.ok(field in manifest, field);
  const peers = Object.keys(manifest["peerDependencies"] as object);
  const optional = Object.keys(manifest["peerDependenciesMeta"] as object);
  assert.deepEqual(
    peers.filter((peer) => !optional.includes(peer)),
    ["@bufbuild/protobuf"],
  );
});

test("a user's program gets the exports of src/index.ts and of each sub-path, with types", async () => {
  const sources = [...publicSources(root)];
  assert.ok(sources.some(([specifier]) => specifier === "ts-ms/flags"));
  const lines = sources.flatMap(([specifier, source], index) => {
    const names = exportedNames(readFileSync(join(root, source), "utf8")).map(({ name }) => name);
    return [
      `import * as m${index} from ${JSON.stringify(specifier)};`,
      `console.log(JSON.stringify(Object.keys(m${index}).sort()));`,
      `export type { ${names.join(", ")} } from ${JSON.stringify(specifier)};`,
    ];
  });
  writeFileSync(join(project, "exports.ts"), lines.join("\n"));
  await installPeers();
  const printed = (await run(project, process.execPath, "exports.ts")).trim().split("\n");
  for (const [index, [, source]] of sources.entries()) {
    const module = (await import(join(root, source))) as object;
    assert.deepEqual(JSON.parse(printed[index] ?? ""), Object.keys(module).toSorted(), source);
  }
  await typeCheck("exports.ts");
  rmSync(join(project, "exports.ts"));
});

test("a user's contract may import google/api from the package", async () => {
  const contract = 'syntax = "proto3";\npackage x;\nimport "google/api/annotations.proto";\n';
  mkdirSync(join(project, "contract"));
  writeFileSync(join(project, "contract/x.proto"), contract);
  const modules = [{ path: "contract" }, { path: "node_modules/ts-ms/proto" }];
  const config = JSON.stringify({ version: "v2", modules });
  await run(project, "buf", "build", "--config", config, "-o", join(scratch, "x.binpb"));
});

test("the project that is made by hand goes without a warning", async () => {
  assert.equal(commands.at(-1), "npm start");
  for (const command of commands.slice(0, -1)) await obey(command);
  assert.ok(existsSync(join(project, "gen/library/v1/library_pb.ts")));
  await run(project, "npm", "run", "build");
  for (const file of ["main.ts", "dist/main.js"]) {
    const output = await serve(join(project, file), async (address) => {
      for (const { command, output } of markedCommands(root, "greetings", page)) {
        const line = command.replace("localhost:8080", address).replace("curl", "curl -sS");
        assert.match(await run(project, "sh", "-c", line), output ?? /^$/);
      }
    });
    assert.doesNotMatch(output, /warn/i);
  }
});

test("the built programs need nothing but Node", async () => {
  const programs = join(scratch, "copy/dist/programs");
  const empty = mkdtempSync(join(tmpdir(), "ts-ms-program-"));
  try {
    for (const name of ["grpc-only", "http-only", "gateway"]) {
      cpSync(join(programs, `${name}.mjs`), join(empty, `${name}.mjs`));
      assert.match(await run(empty, process.execPath, `${name}.mjs`, "--version"), /^ts-ms \d/);
    }
    const flags = ["--grpc-port=0", "--http-port=0", "--exporter-port=0", "--graphql"];
    await serve(
      join(empty, "gateway.mjs"),
      async (address) => {
        assert.match(await run(empty, "curl", "-sS", `http://${address}/v1/shelves`), /"shelves":/);
        assert.match(await run(empty, "curl", "-sS", `http://${address}/`), /<!doctype html>/i);
        const asked = `http://${address}/graphql?query=%7B__typename%7D`;
        assert.equal(await run(empty, "curl", "-sS", asked), '{"data":{"__typename":"Query"}}');
      },
      ...flags,
    );
  } finally {
    rmSync(empty, { recursive: true });
  }
  const notices = readFileSync(join(programs, "THIRD-PARTY-NOTICES"), "utf8");
  for (const name of ["fastify", "@grpc/grpc-js", "@bufbuild/protobuf", "pino", "ajv"]) {
    assert.match(notices, new RegExp(`^${name} \\d`, "m"));
  }
});

/** Runs a command of the page, which must not warn. */
async function obey(command: string): Promise<void> {
  const words = pinned(command).split(" ");
  const quick = words[1] === "install" ? ["--prefer-offline", "--no-audit", "--no-fund"] : [];
  const [program = "", ...args] = [...words, ...quick];
  assert.doesNotMatch(await run(project, program, ...args), /warn|lint|ts-ms\/proto/i, command);
}

/** A command of the page with the package under test, and the versions of tools that this project uses. */
function pinned(command: string): string {
  const { devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    devDependencies: Record<string, string>;
  };
  return command.replace(/ (@?[a-z][\w./-]*)(?= |$)/g, (word, name: string) => {
    if (name === "ts-ms") return ` ${join(scratch, `ts-ms-${packageVersion}.tgz`)}`;
    return name in devDependencies && command.startsWith("npm install")
      ? `${word}@${devDependencies[name]}`
      : word;
  });
}

/** Checks files with the strictest settings a user may have, our declarations included. */
async function typeCheck(...files: string[]): Promise<void> {
  const flags =
    "--noEmit --strict --exactOptionalPropertyTypes --noUncheckedIndexedAccess --erasableSyntaxOnly";
  const more =
    "--module nodenext --target es2023 --types node --allowImportingTsExtensions --verbatimModuleSyntax";
  await run(project, "tsc", "--ignoreConfig", ...`${flags} ${more}`.split(" "), ...files);
}

/**
 * Starts a server program, calls `use` when it says where it listens for HTTP, ends it by SIGTERM, and returns what it
 * has printed.
 */
async function serve(
  file: string,
  use: (address: string) => Promise<void>,
  ...args: string[]
): Promise<string> {
  const child = spawn(process.execPath, [file, ...args], {
    cwd: dirname(file),
    env: packageEnv,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = once(child, "close");
  let output = "";
  const listening = new Promise<string | undefined>((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
        const address = /\[HTTP\] listening on (\S+)/.exec(output)?.[1];
        if (address !== undefined) resolve(address);
      });
    }
    child.once("close", () => resolve(undefined));
  });
  try {
    const address = await listening;
    assert.ok(address, `${file} ended without listening:\n${output}`);
    await use(address);
  } finally {
    child.kill("SIGTERM");
  }
  assert.deepEqual(await ended, [0, null], output);
  return output;
}
