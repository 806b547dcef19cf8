/**
 * The first minute of the README: `npm create ts-ms@latest shop`, `npm test`, `npm start`, requests, one edit. Both packages are packed
 * and served by a registry of this test, which sends npm to the usual one for all others; npm's cache is empty.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { markedChanges, markedCommands } from "../project/marked-blocks.ts";
import { packageEnv, packageVersion, packCreate, packTsMs } from "../support/packed.ts";
import { complete } from "../support/program.ts";

const root = join(import.meta.dirname, "../..");
const scratch = mkdtempSync(join(tmpdir(), "ts-ms-create-"));
/** The folder that a user begins in. */
const home = join(scratch, "home");
const project = join(home, "shop");
/** Whether no others need the processors: only then the clock on the wall tells how long a user waits. */
const isQuiet = (loadavg()[0] ?? 0) < availableParallelism();
/** How long a step may take where others need the processors. */
const timeout = 300_000;
let registry: Server | undefined;
let env: NodeJS.ProcessEnv;

before(
  async () => {
    mkdirSync(home);
    await Promise.all([packTsMs(scratch), packCreate(scratch)]);
    const { stdout } = await complete("npm", ["config", "get", "registry"], { cwd: home, env: packageEnv });
    registry = createServer((request, response) => {
      const name = /^\/((?:create-)?ts-ms)(?:\/-\/.*)?$/.exec(request.url ?? "")?.[1];
      if (name === undefined) {
        response
          .writeHead(302, { location: new URL((request.url ?? "").slice(1), stdout.trim()).href })
          .end();
        return;
      }
      const bytes = readFileSync(join(scratch, `${name}-${packageVersion}.tgz`));
      if (request.url?.endsWith(".tgz") === true) response.end(bytes);
      else response.end(JSON.stringify(packument(name, bytes)));
    });
    registry.listen(0, "127.0.0.1");
    await once(registry, "listening");
    env = {
      ...packageEnv,
      npm_config_registry: `${origin()}/`,
      npm_config_cache: join(scratch, "cache"),
      npm_config_audit: "false",
    };
  },
  { timeout },
);
after(() => {
  registry?.close();
  rmSync(scratch, { recursive: true, force: true });
});

function origin(): string {
  assert.ok(registry);
  const { port } = registry.address() as AddressInfo; // It listens by TCP.
  return `http://127.0.0.1:${port}`;
}

/** What a registry says of a package. */
function packument(name: string, bytes: Uint8Array): object {
  const file = join(root, name === "ts-ms" ? "package.json" : "create/package.json");
  const manifest = JSON.parse(readFileSync(file, "utf8")) as object; // As npm reads it.
  const integrity = `sha512-${createHash("sha512").update(bytes).digest("base64")}`;
  const dist = { tarball: `${origin()}/${name}/-/${name}-${packageVersion}.tgz`, integrity };
  return {
    name,
    "dist-tags": { latest: packageVersion },
    versions: { [packageVersion]: { ...manifest, dist } },
  };
}

/** Runs a command to its end; it must not warn. @returns what it printed */
async function run(cwd: string, command: string, ...args: string[]): Promise<string> {
  const { stdout, stderr } = await complete(command, args, { cwd, env });
  assert.doesNotMatch(stdout + stderr, /warn/i);
  return stdout + stderr;
}

/** Runs `npm start` on ports that the system chooses, and what is done meanwhile with its addresses. */
function started(use: (addresses: Addresses) => Promise<void>): Promise<string> {
  const flags = ["--http-port=0", "--grpc-port=0", "--exporter-port=0"];
  return served(["start", "--", ...flags], project, async (listening) => {
    const [http, grpc] = await Promise.all([listening("HTTP"), listening("GRPC")]);
    await use({ http, grpc });
  });
}

/** Runs a server by npm, and what is done meanwhile with the addresses of its listeners. @returns what it printed */
async function served(
  args: readonly string[],
  cwd: string,
  use: (listening: (name: string) => Promise<string>) => Promise<void>,
): Promise<string> {
  // A group of its own, for npm sends no signal to the server; Ctrl-C at a terminal goes to all of a group.
  const child = spawn("npm", args, { cwd, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  const ended = once(child, "close");
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  try {
    await use((name) => address(child, () => output, name));
  } finally {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGINT");
  }
  await ended;
  return output;
}

/** Starts the program of the project without npm, stops it as a container is stopped, and says how it has ended. */
async function stopped(): Promise<readonly [code: number | null, signal: string | null]> {
  const flags = ["--http-port=0", "--grpc-port=0", "--exporter-port=0"];
  const child = spawn("node", ["src/main.ts", "--config", "config.yaml", ...flags], {
    cwd: project,
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = once(child, "close") as Promise<[number | null, string | null]>;
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  await address(child, () => output, "HTTP");
  child.kill("SIGTERM");
  return ended;
}

async function address(child: ChildProcess, output: () => string, name: string): Promise<string> {
  for (;;) {
    const found = new RegExp(String.raw`\[${name}\] listening on (\S+)`).exec(output())?.[1];
    if (found !== undefined) return found;
    assert.equal(child.exitCode, null, output());
    await Promise.race([once(child.stdout ?? child, "data"), once(child, "close")]);
  }
}

/** Runs the commands of a block of the README in the project, each of which prints what the block says. */
async function obey(block: string, addresses: Addresses): Promise<void> {
  for (const { command, output } of markedCommands(root, block)) {
    const line = command
      .replace("localhost:8080", addresses.http)
      .replace("localhost:42001", addresses.grpc)
      .replace(/^curl /, "curl -sS --max-time 20 ");
    assert.match(await run(project, "sh", "-c", line), output ?? /^$/, command);
  }
}

test(
  "npm create makes a project that passes its tests and answers within 60 s, from an empty cache",
  { timeout },
  async (t) => {
    const begunAt = performance.now();
    const marks: string[] = [];
    const mark = (what: string): void => {
      marks.push(`${what} ${((performance.now() - begunAt) / 1000).toFixed(1)} s`);
    };
    const [create, enter, start] = markedCommands(root, "create").map(({ command }) => command);
    assert.deepEqual([enter, start], ["cd shop", "npm start"]);
    // npm asks at a terminal whether it may install create-ts-ms, and warns where there is none.
    const created = await run(home, "sh", "-c", `${create} --yes`);
    assert.match(created, /^shop is ready:$/m);
    mark("created");
    assert.match(await run(project, "npm", "test"), /pass 2$/m);
    mark("tested");
    const output = await started(async (addresses) => {
      const get = (path: string): Promise<string> =>
        run(project, "curl", "-sS", "--max-time", "20", `http://${addresses.http}${path}`);
      assert.equal(await get("/v1/shop/greetings/you"), '{"message":"Hello, you!"}');
      mark("answered");
      const tookMs = performance.now() - begunAt;
      t.diagnostic(`${marks.join(", ")}, on a ${isQuiet ? "quiet" : "busy"} machine`);
      await obey("shop", addresses);
      const service = `http://${addresses.grpc}/shop.v1.ShopService/Greet`;
      const call = [
        "curl",
        "--protocol",
        "grpc",
        "--http2-prior-knowledge",
        "-d",
        '{"guest": "you"}',
        service,
      ];
      assert.match(await run(project, "npx", "buf", ...call), /"message": "Hello, you!"/);
      const document = JSON.parse(await get("/openapi.json")) as Document;
      assert.equal(document.info.title, "Shop");
      assert.match(
        document.paths["/v1/shop/greetings/{guest}"]?.get.summary ?? "",
        /^Greet greets a guest\./,
      );
      assert.match(await get("/docs"), /<title>.+<\/title>/);
      assert.match(await get("/docs/model.json"), /Greet greets a guest\./);
      assert.match(
        await run(project, "npx", "ts-ms", "routes", addresses.grpc),
        /\/v1\/shop\/greetings\/\{guest\}/,
      );
      assert.ok(!isQuiet || tookMs < 60_000, marks.join(", "));
    });
    assert.doesNotMatch(output, /warn/i);
  },
);

test(
  "npm create makes a project that can be changed: one edit of the contract, and a second service",
  { timeout },
  async () => {
    const [change, ...others] = markedChanges(root);
    assert.ok(change);
    assert.deepEqual(others, []);
    const contract = readFileSync(join(project, change.file), "utf8");
    assert.equal(contract.split(change.before).length, 2);
    writeFileSync(join(project, change.file), contract.replace(change.before, change.after));
    await run(project, "npx", "ts-ms", "add", "service", "orders");
    assert.match(await run(project, "npm", "test"), /pass 4$/m);
    const output = await started((addresses) => obey("changed", addresses));
    assert.doesNotMatch(output, /warn/i);
    assert.deepEqual(await stopped(), [0, null]);
    assert.equal(await run(project, "npx", "buf", "lint"), "");
  },
);

/** Makes a project of a template with the packages of the first one, and runs its tests. @returns its folder */
async function tested(template: string): Promise<string> {
  const flags = ["--template", template, "--no-install"];
  await run(home, "npm", "create", "--yes", "ts-ms@latest", template, "--", ...flags);
  const folder = join(home, template);
  symlinkSync(join(project, "node_modules"), join(folder, "node_modules"));
  assert.match(await run(folder, "npm", "test"), /pass 1$/m);
  return folder;
}

test(
  "npm create makes a gateway that passes its tests, and answers before there is a server",
  { timeout },
  async () => {
    const folder = await tested("gateway");
    const mock = ["run", "mock", "--", "--http-port=0", "--exporter-port=0"];
    const output = await served(mock, folder, async (listening) => {
      const http = await listening("HTTP");
      const get = (path: string): Promise<string> =>
        run(folder, "curl", "-sSi", "--max-time", "20", `http://${http}${path}`);
      assert.match(
        await get("/v1/gateway/greetings/you"),
        /^HTTP\/1\.1 200 [^]*x-ts-ms-mock: 1[^]*"message":"[^"]+"/,
      );
      assert.match(await get("/docs"), /<title>.+<\/title>/);
    });
    assert.doesNotMatch(output, /warn/i);
  },
);

test("npm create makes a library that passes its tests and is built", { timeout }, async () => {
  await run(await tested("library"), "npm", "run", "build");
});

interface Addresses {
  readonly http: string;
  readonly grpc: string;
}

interface Document {
  readonly info: { readonly title: string };
  readonly paths: Readonly<Record<string, { readonly get: { readonly summary: string } }>>;
}
