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
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, relative, sep } from "node:path";
import { after, before, test } from "node:test";
import { markedCommands, markedFiles } from "./marked-blocks.ts";

const root = join(import.meta.dirname, "../..");
const scratch = mkdtempSync(join(tmpdir(), "ts-ms-package-"));
const project = join(scratch, "project");
const env = { ...process.env, PATH: [join(root, "node_modules/.bin"), process.env["PATH"]].join(delimiter) };
after(() => rmSync(scratch, { recursive: true, force: true }));

/** Runs a command to its end and returns what it printed; rejects, with all of its output, when it fails. */
async function run(cwd: string, command: string, ...args: string[]): Promise<string> {
  const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
  let printed = "";
  let complaints = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (printed += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (complaints += text));
  const [code] = (await once(child, "close")) as [number | null];
  assert.equal(code, 0, `${command} ${args.join(" ")}\n${printed}${complaints}`);
  return printed;
}

/** Packs a copy of the tree, so that a build of somebody else's in `dist/` is neither seen nor disturbed. */
async function pack(): Promise<string> {
  const copy = join(scratch, "copy");
  const parts = [
    "src",
    "gen",
    "proto",
    "test",
    "examples",
    "tools/node/package.json",
    "tools/node/package-lock.json",
  ];
  const files = [
    "package.json",
    "package-lock.json",
    "tsconfig.json",
    "tsconfig.build.json",
    "README.md",
    "LICENSE",
  ];
  const tools = ["build", "child", "install", "node-version", "npm-parent", "run"].map(
    (name) => `tools/${name}.js`,
  );
  for (const path of [...parts, ...files, ...tools, "CHANGELOG.md"].filter((name) =>
    existsSync(join(root, name)),
  )) {
    cpSync(join(root, path), join(copy, path), { recursive: true });
  }
  for (const path of ["node_modules", "tools/node/node_modules"]) {
    if (existsSync(join(root, path))) symlinkSync(join(root, path), join(copy, path));
  }
  await run(copy, "npm", "pack", "--loglevel=error", "--pack-destination", scratch);
  const { name, version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Record<
    string,
    string
  >;
  return join(scratch, `${name}-${version}.tgz`);
}

before(async () => {
  const packed = await pack();
  mkdirSync(project);
  writeFileSync(
    join(project, "package.json"),
    JSON.stringify({ name: "scratch", private: true, type: "module" }),
  );
  const flags = ["--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  await run(project, "npm", "install", ...flags, packed);
});

test("the package holds compiled code, types and contracts, and nothing else", () => {
  const folder = join(project, "node_modules/ts-ms");
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/"));
  for (const wanted of [
    "dist/src/index.js",
    "dist/src/index.d.ts",
    "proto/google/api/http.proto",
    "LICENSE",
  ]) {
    assert.ok(files.includes(wanted), `${wanted} is missing`);
  }
  if (existsSync(join(root, "README.md"))) assert.ok(files.includes("README.md"));
  const allowed =
    /^(?:package\.json|README\.md|LICENSE|CHANGELOG\.md|proto\/.+\.(?:proto|md)|proto\/.*LICENSE|dist\/(?:src|gen)\/.+\.(?:js|d\.ts))$/;
  assert.deepEqual(
    files.filter((file) => !allowed.test(file) || /(?:^|\/|\.)tests?(?:\/|\.|_)/.test(file)),
    [],
  );
});

test("a user's program gets the exports of src/index.ts, with types", async () => {
  const program = 'import * as tsMs from "ts-ms";\nconsole.log(JSON.stringify(Object.keys(tsMs).sort()));\n';
  writeFileSync(join(project, "exports.ts"), program);
  const source = (await import(join(root, "src/index.ts"))) as object;
  const printed = JSON.parse(await run(project, process.execPath, "exports.ts")) as string[];
  assert.deepEqual(printed, Object.keys(source).sort());
  assert.ok(printed.length > 0);
  await typeCheck("exports.ts");
});

test("a user's contract may import google/api from the package", async () => {
  const contract = 'syntax = "proto3";\npackage x;\nimport "google/api/annotations.proto";\n';
  mkdirSync(join(project, "contract"));
  writeFileSync(join(project, "contract/x.proto"), contract);
  const modules = [{ path: "contract" }, { path: "node_modules/ts-ms/proto" }];
  writeFileSync(join(project, "buf.yaml"), JSON.stringify({ version: "v2", modules }));
  await run(project, "buf", "build", "-o", join(scratch, "x.binpb"));
});

test("the README's program runs in a project that installed the package", async () => {
  const files = markedFiles(root);
  assert.ok(files.has("main.ts"));
  for (const [name, text] of files) {
    mkdirSync(dirname(join(project, name)), { recursive: true });
    // Ports that the system chooses, for those of the README may be taken.
    writeFileSync(join(project, name), text.replace(/port: \d+/g, "port: 0"));
  }
  assert.ok(markedCommands(root, "greeter").some(({ command }) => command === "npx buf generate"));
  await run(project, "buf", "generate");
  await typeCheck(...[...files.keys()].filter((name) => name.endsWith(".ts")));
  await serve("main.ts", async (address) => {
    for (const { command, output } of markedCommands(root, "greetings")) {
      const printed = await run(
        project,
        "sh",
        "-c",
        command.replace("localhost:8080", address).replace("curl", "curl -sS"),
      );
      assert.match(printed, output ?? /^$/);
    }
  });
});

/** Checks files with the strictest settings a user may have, our declarations included. */
async function typeCheck(...files: string[]): Promise<void> {
  const flags =
    "--noEmit --strict --exactOptionalPropertyTypes --noUncheckedIndexedAccess --erasableSyntaxOnly";
  const more =
    "--module nodenext --target es2023 --types node --allowImportingTsExtensions --verbatimModuleSyntax";
  await run(project, "tsc", "--ignoreConfig", ...`${flags} ${more}`.split(" "), ...files);
}

/** Starts a server program, calls `use` when it says where it listens for HTTP, and ends it by SIGTERM. */
async function serve(file: string, use: (address: string) => Promise<void>): Promise<void> {
  const child = spawn(process.execPath, [file], { cwd: project, env, stdio: ["ignore", "pipe", "pipe"] });
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
}
