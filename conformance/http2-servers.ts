import assert from "node:assert/strict";
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { DescService } from "@bufbuild/protobuf";
import { connectionEngines } from "../src/core/http2/connection-options.ts";
import { Code, dial, type ConnectError } from "../src/index.ts";
import { testClient } from "./interop/client-cases.ts";
import { grpcJsServer } from "./interop/grpc-js-server.ts";
import { runOurClient } from "./interop/our-client.ts";
import { interopContract } from "./interop/test-service.ts";
import { freePort, listening } from "./listening.ts";
import { Checks, type Suite } from "./suite.ts";
import { debianPackages, goTool, Missing } from "./tools.ts";

const run = promisify(execFile);

/**
 * Our client, over each engine, against HTTP/2 servers of others: bare grpc-js, grpc-go behind Debian's nghttpx, and
 * nghttpd, which knows nothing of gRPC.
 */
export const http2Servers: Suite = {
  name: "http2-servers",
  async run() {
    const [bin, env] = await nghttp2();
    const contract = await interopContract();
    const checks = new Checks();
    const [grpcJs, port] = await grpcJsServer(contract);
    try {
      await runOurClient(checks, "grpc-js", `127.0.0.1:${port}`, contract);
    } finally {
      grpcJs.forceShutdown();
    }
    await behindNghttpx(checks, contract, join(bin, "nghttpx"), env);
    await nghttpd(checks, contract, join(bin, "nghttpd"), env);
    return checks.result;
  },
};

async function behindNghttpx(
  checks: Checks,
  contract: DescService,
  program: string,
  env: NodeJS.ProcessEnv,
): Promise<void> {
  const goPort = await freePort();
  const go = spawn(await goTool("grpc-go-interop-server"), [`--port=${goPort}`], { stdio: "ignore" });
  try {
    await listening(go, goPort);
    const port = await freePort();
    const words = ["--conf=/dev/null", `--frontend=127.0.0.1,${port};no-tls`];
    words.push(`--backend=127.0.0.1,${goPort};;proto=h2`, "--workers=1", "--single-process");
    const proxy = spawn(program, words, { env, stdio: "ignore" });
    try {
      await listening(proxy, port);
      await runOurClient(checks, "grpc-go behind nghttpx", `127.0.0.1:${port}`, contract);
    } finally {
      await stop(proxy);
    }
  } finally {
    await stop(go);
  }
}

/** A server of files: it answers calls by 404, and by the bytes of a file. */
async function nghttpd(
  checks: Checks,
  contract: DescService,
  program: string,
  env: NodeJS.ProcessEnv,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "ts-ms-nghttpd-"));
  mkdirSync(join(folder, contract.typeName));
  writeFileSync(join(folder, contract.typeName, "EmptyCall"), Buffer.alloc(1 << 20));
  const port = await freePort();
  const server = spawn(program, ["--no-tls", `--htdocs=${folder}`, `${port}`], { env, stdio: "ignore" });
  try {
    await listening(server, port);
    for (const engine of connectionEngines) {
      const transport = dial(`127.0.0.1:${port}`, { engine });
      const client = testClient(contract, transport);
      const expect = async (call: Promise<unknown>, code: Code): Promise<void> => {
        await assert.rejects(call, (error: ConnectError) => error.code === code);
      };
      await checks.check(`our client (${engine}) on nghttpd: 404`, () =>
        expect(client.unaryCall({}), Code.Unimplemented),
      );
      await checks.check(`our client (${engine}) on nghttpd: a file`, () =>
        expect(client.emptyCall({}), Code.Unknown),
      );
      await checks.check(`our client (${engine}) on nghttpd: 100 at once`, async () => {
        const calls = Array.from({ length: 100 }, () => client.emptyCall({}));
        await Promise.all(calls.map((call) => expect(call, Code.Unknown)));
      });
      transport.close();
    }
  } finally {
    await stop(server);
    rmSync(folder, { recursive: true });
  }
}

async function stop(child: ChildProcess): Promise<void> {
  const closed = once(child, "exit");
  child.kill("SIGTERM");
  await closed;
}

/**
 * The folder of nghttp2's servers and the environment in which they run.
 *
 * @throws Missing if the packages cannot be had.
 */
async function nghttp2(): Promise<readonly [string, NodeJS.ProcessEnv]> {
  const libraries = ["libnghttp2-14", "libev4", "libjemalloc2", "libc-ares2"];
  try {
    const root = await debianPackages("bookworm", ["nghttp2-server", "nghttp2-proxy", ...libraries]);
    const env = { ...process.env, LD_LIBRARY_PATH: join(root, "usr/lib/x86_64-linux-gnu") };
    const bin = join(root, "usr/sbin");
    for (const program of ["nghttpd", "nghttpx"]) await run(join(bin, program), ["--version"], { env });
    return [bin, env];
  } catch (error) {
    if (error instanceof Missing) throw error;
    throw new Missing(`nghttp2's servers cannot be had: ${String(error).trim().split("\n").at(-1)}`);
  }
}
