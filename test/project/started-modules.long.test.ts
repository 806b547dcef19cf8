import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

const root = join(import.meta.dirname, "../..");
const scratch = mkdtempSync(join(tmpdir(), "ts-ms-started-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

/** What every start needs. */
const all = ["@bufbuild/protobuf", "@connectrpc/connect"];

/** pino with what it loads at once. */
const log = [
  "@pinojs/redact",
  "atomic-sleep",
  "on-exit-leak-free",
  "pino",
  "pino-std-serializers",
  "quick-format-unescaped",
  "safe-stable-stringify",
  "sonic-boom",
  "thread-stream",
];

/** Fastify with what it loads at once: neither compilers of schemas nor what its tests inject requests by. */
const fastify = [
  "@fastify/error",
  "@fastify/forwarded",
  "@fastify/proxy-addr",
  "abstract-logging",
  "avvio",
  "fast-decode-uri-component",
  "fast-deep-equal",
  "fast-json-stringify",
  "fast-querystring",
  "fastify",
  "fastq",
  "find-my-way",
  "ipaddr.js",
  "process-warning",
  "ret",
  "reusify",
  "rfdc",
  "safe-regex2",
  "secure-json-parse",
  "semver",
  "toad-cache",
];

const ports = ["--grpc-port=0", "--http-port=0", "--exporter-port=0"];

/** The packages that each start loads, and no other. */
const starts: readonly { name: string; args: readonly string[]; packages: readonly string[] }[] = [
  {
    name: "grpc-only",
    args: ["examples/grpc-only.ts", "--grpc-port=0", "--exporter-port=0"],
    packages: [...all, ...log],
  },
  {
    name: "http-only",
    args: ["examples/http-only.ts", "--http-port=0", "--exporter-port=0"],
    packages: [...all, ...log, ...fastify],
  },
  { name: "gateway", args: ["examples/gateway.ts", ...ports], packages: [...all, ...log, ...fastify] },
  {
    name: "app",
    args: ["examples/app.ts", "--config=examples/app.yaml", ...ports],
    packages: [...all, ...log, ...fastify, "yaml"],
  },
  {
    name: "two servers of a user",
    args: ["test/project/fixtures/two-servers.ts"],
    packages: [...all, ...fastify],
  },
];

/** Starts a program, ends it as soon as it serves, and returns the addresses of the modules that it has loaded. */
async function loadedBy(args: readonly string[]): Promise<string[]> {
  const list = join(scratch, "list.json");
  const preload = ["--import", join(root, "test/project/fixtures/list-loaded.mjs")];
  const child = spawn(process.execPath, [...preload, ...args], {
    cwd: root,
    env: { ...process.env, LOADED_LIST: list },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "close");
  let [output, serves] = ["", false];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
    if (serves || !/^(?:Try: |\[OPENAPI\])/m.test(output)) return;
    serves = true;
    child.kill("SIGTERM"); // A second one would mean "at once".
  });
  assert.deepEqual(await ended, [0, null], output);
  return JSON.parse(readFileSync(list, "utf8")) as string[]; // As the preloaded module writes it.
}

for (const { name, args, packages } of starts) {
  test(`a start of ${name} loads the packages that it uses, and no other`, async () => {
    const urls = await loadedBy(args);
    const found = urls.flatMap((url) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? []);
    assert.deepEqual([...new Set(found)].toSorted(), packages.toSorted());
  });
}
