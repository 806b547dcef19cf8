import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { promisify } from "node:util";
import { commands } from "../../src/cli/commands.ts";
import { tsMs, tsMsFile } from "../support/ts-ms.ts";

const root = join(import.meta.dirname, "../..");

test("help lists the commands on standard output, and loads nothing but the list", async () => {
  const { code, stdout, stderr } = await tsMs("--help");
  assert.equal(code, 0);
  assert.equal(stderr, "");
  for (const { name, summary } of commands)
    assert.match(stdout, new RegExp(`^  ${name} +${escaped(summary)}$`, "m"));
  for (const args of [["help"], ["-h"]]) assert.equal((await tsMs(...args)).stdout, stdout);
  const hooks = `
    import { registerHooks } from "node:module";
    registerHooks({ load(url, context, next) { process.stderr.write(url + "\\n"); return next(url, context); } });`;
  const { stderr: loaded } = await promisify(execFile)(process.execPath, [
    `--import=data:text/javascript,${encodeURIComponent(hooks)}`,
    join(root, "src/cli/ts-ms.ts"),
    "--help",
  ]);
  const files = loaded.split("\n").flatMap((url) => /\/((?:src|gen|node_modules)\/.*)$/.exec(url)?.[1] ?? []);
  assert.ok(files.includes("src/cli/commands.ts"));
  assert.deepEqual(
    files.filter((file) => !/^src\/(?:cli\/[\w-]+\.ts|core\/(?:config|errors)\/)/.test(file)),
    [],
  );
});

suite("what is wrong with a command line is said on standard error, with exit code 2", () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["", /^Usage: ts-ms COMMAND/],
    ["rotues", /unknown command "rotues", did you mean routes\?\n.*--help/],
    ["frobnicate", /unknown command "frobnicate"\n/],
    ["--proto x.proto routes", /the first argument is the command, not --proto/],
    ["routes --protto x", /^ts-ms routes: unknown flag --protto, did you mean --proto\?/],
    ["routes a b", /unexpected argument "b"/],
    ["routes", /nothing says where the contracts are: give --proto FILE, --descriptors FILE, or a TARGET/],
  ];
  for (const [line, expected] of cases) {
    test(line === "" ? "no command" : line, async () => {
      const { code, stdout, stderr } = await tsMs(...line.split(" ").filter(Boolean));
      assert.deepEqual([code, stdout], [2, ""]);
      assert.match(stderr, expected);
    });
  }
});

test("every command has a help of its own, also by `help NAME`", async () => {
  for (const { name, load } of commands) {
    const { command } = await load();
    const text = command.help(`ts-ms ${name}`);
    assert.match(text, new RegExp(`^Usage: ts-ms ${name}\\b`));
    assert.match(text, /^ {2}--help +Print this list$/m);
  }
  const [first] = commands;
  const name = first?.name ?? "";
  const { command } = (await first?.load()) ?? {};
  for (const args of [
    ["help", name],
    [name, "--help"],
  ]) {
    assert.deepEqual(await tsMs(...args), { code: 0, stdout: command?.help(`ts-ms ${name}`), stderr: "" });
  }
});

test("docs/command-line.md lists the commands", () => {
  const page = readFileSync(join(root, "docs/command-line.md"), "utf8");
  const rows = page.split("\n").filter((line) => line.startsWith("| `"));
  assert.deepEqual(
    rows,
    commands.map(({ name, summary }) => `| \`${name}\` | ${summary} |`),
  );
});

test("--version prints the package's version", async () => {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  assert.deepEqual(await tsMs("--version"), { code: 0, stdout: `ts-ms ${version}\n`, stderr: "" });
});

test("a Node that is too old is told so, before anything is loaded that it cannot read", async () => {
  const script = `
    Object.defineProperty(process.versions, "node", { value: "22.17.9" });
    await import(${JSON.stringify(tsMsFile)});`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script]);
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const [code] = (await once(child, "close")) as [number];
  assert.equal(code, 1);
  assert.match(stderr, /^ts-ms needs Node 22\.18 or newer, and this is 22\.17\.9 \(.*\): install/);
  const { engines } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    engines: { node: string };
  };
  assert.equal(engines.node, ">=22.18");
});

test("F14: a reader that closes standard output early is no failure", async () => {
  const child = spawn(process.execPath, [tsMsFile, "routes", "--proto", "proto/library/v1/library.proto"], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
  });
  child.stdout.destroy();
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  assert.deepEqual(await once(child, "close"), [0, null]);
  assert.equal(stderr, "");
});

function escaped(text: string): string {
  return text.replaceAll(/[^\w\s]/g, "\\$&");
}
