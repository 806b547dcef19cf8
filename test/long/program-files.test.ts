import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { markedCommands } from "../project/marked-blocks.ts";

const root = join(import.meta.dirname, "../..");
const scratch = mkdtempSync(join(tmpdir(), "ts-ms-programs-"));
/** Where the programs run: nothing is in it. */
const empty = join(scratch, "empty");
after(() => rmSync(scratch, { recursive: true, force: true }));

/** What `tools/`, which has no types, offers. */
interface Tools {
  bundleOneFile(outdir: string, program: string): Promise<unknown>;
  buildExecutable(outdir: string, program: string): Promise<{ readonly output: string }>;
}

const file = join(scratch, "gateway.mjs");
let executable = "";

before(
  async () => {
    mkdirSync(empty);
    const bundle = (await import(join(root, "tools/bundle.js"))) as Tools;
    await bundle.bundleOneFile(scratch, "examples/gateway.ts");
    const builder = (await import(join(root, "tools/executable.js"))) as Tools;
    ({ output: executable } = await builder.buildExecutable(scratch, "examples/gateway.ts"));
  },
  { timeout: 300_000 },
);

interface Run {
  readonly output: string;
  readonly errors: string;
  readonly code: number | null;
}

/** Runs a program, with `use` as soon as it serves, and ends it by SIGTERM. */
async function run(
  [command = "", ...args]: readonly string[],
  env: NodeJS.ProcessEnv,
  use?: (origin: string) => Promise<void>,
): Promise<Run> {
  const child = spawn(command, args, { cwd: empty, env, stdio: ["ignore", "pipe", "pipe"] });
  const ended = once(child, "close");
  let [output, errors] = ["", ""];
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  const served = new Promise<string | undefined>((resolve) => {
    child.once("close", () => resolve(undefined));
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      const address = /^\[HTTP\] listening on (\S+)$/m.exec(output)?.[1];
      if (/^Try: /m.test(output) && address !== undefined) resolve(`http://${address}`);
    });
  });
  try {
    const origin = use && (await served);
    if (origin !== undefined) await use?.(origin);
  } finally {
    if (use !== undefined) child.kill("SIGTERM");
  }
  const [code] = (await ended) as [number | null];
  return { output, errors, code };
}

const anyPorts = ["--grpc-port=0", "--http-port=0", "--exporter-port=0"];
const textOf = async (url: string): Promise<string> => (await fetch(url)).text();

for (const [kind, command] of [
  ["a program of one file", () => [process.execPath, file]],
  ["an executable, without Node in PATH", () => [executable]],
] as const) {
  test(`${kind} needs nothing beside it`, async () => {
    const env = { PATH: "" };
    const version = await run([...command(), "--version"], env);
    assert.match(version.output, /^ts-ms \d/);
    const wrong = await run([...command(), "--htp-port=0"], env);
    assert.match(wrong.errors, /--http-port/);
    assert.notEqual(wrong.code, 0);
    const answers: string[] = [];
    const { code, errors, output } = await run(
      [...command(), ...anyPorts, "--graphql"],
      env,
      async (origin) => {
        for (const path of ["/v1/shelves", "/", "/openapi.json", "/docs/console.js"]) {
          answers.push(await textOf(origin + path));
        }
        answers.push(await textOf(`${origin}/graphql?query=%7B__typename%7D`));
        const socket = new WebSocket(`${origin.replace("http", "ws")}/v1/helpdesk:chat`);
        await once(socket, "open");
        socket.close();
        await once(socket, "close");
      },
    );
    const lines = errors.split("\n").filter((line) => line !== "" && !line.startsWith('{"level":30,'));
    assert.deepEqual({ code, lines }, { code: 0, lines: [] }, output);
    const [shelves = "", page = "", openapi = "", script = "", graphql = ""] = answers;
    assert.match(shelves, /"shelves":/);
    assert.match(page, /<!doctype html>/i);
    assert.match(openapi, /"openapi":\s*"3/);
    assert.match(script, /import /);
    assert.equal(graphql, '{"data":{"__typename":"Query"}}');
  });
}

test("a program of one file keeps what Node compiles for the next start, unless that is off", async () => {
  const caches = join(scratch, "caches");
  const serve = (env: NodeJS.ProcessEnv): Promise<Run> =>
    run([process.execPath, file, ...anyPorts], env, async () => {});
  await serve({ XDG_CACHE_HOME: caches, TS_MS_COMPILE_CACHE: "off" });
  assert.equal(existsSync(caches), false);
  await serve({ XDG_CACHE_HOME: caches });
  const kept = readdirSync(join(caches, "ts-ms"), { recursive: true });
  assert.ok(kept.length > 10, `${kept.length} files`);
  const home = join(scratch, "home");
  await serve({ HOME: home });
  assert.ok(existsSync(join(home, ".cache/ts-ms")));
});

test("E21: where nothing can be written a program of one file starts without a word", async () => {
  writeFileSync(join(scratch, "no-folder"), "");
  for (const env of [{ XDG_CACHE_HOME: join(scratch, "no-folder") }, { HOME: join(scratch, "no-folder") }]) {
    const { code, errors } = await run([process.execPath, file, ...anyPorts], env, async () => {});
    assert.deepEqual({ code, errors }, { code: 0, errors: "" });
  }
});

test("the page on programs names the commands that build them", () => {
  assert.deepEqual(
    markedCommands(root, "build-programs", "docs/programs.md").map(({ command }) => command),
    ["npm run build", "npm run build -- --executable gateway"],
  );
});
