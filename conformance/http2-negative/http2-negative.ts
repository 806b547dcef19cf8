import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import type { DescService } from "@bufbuild/protobuf";
import { connectionEngines, type ConnectionEngine } from "../../src/core/http2/connection-options.ts";
import { dial } from "../../src/index.ts";
import { testClient, type TestClient } from "../interop/client-cases.ts";
import { interopContract } from "../interop/test-service.ts";
import { Checks, type Suite } from "../suite.ts";
import { debianPackages, Missing } from "../tools.ts";

const run = promisify(execFile);

const bytes = 314_159;

/** The client's side of the cases, by their names. */
const cases: Readonly<Record<string, (client: TestClient) => Promise<void>>> = {
  async goaway(client) {
    await largeUnary(client);
    await largeUnary(client);
  },
  rst_after_header: fails,
  rst_during_data: fails,
  rst_after_data: fails,
  ping: largeUnary,
  async max_streams(client) {
    await largeUnary(client);
    await Promise.all(Array.from({ length: 10 }, () => largeUnary(client)));
  },
  data_frame_padding: largeUnary,
  no_df_padding_sanity_test: largeUnary,
};

/**
 * gRPC's negative HTTP/2 cases, with our client over each engine: servers that reset, retire and limit in the middle of
 * a reply.
 *
 * @see https://github.com/grpc/grpc/blob/master/doc/negative-http2-interop-test-descriptions.md
 */
export const http2Negative: Suite = {
  name: "http2-negative",
  async run() {
    const env = await environment();
    const contract = await interopContract();
    const checks = new Checks();
    for (const engine of connectionEngines) {
      for (const [name, body] of Object.entries(cases)) {
        await checks.check(`engine ${engine}: ${name}`, () => runCase(name, body, engine, contract, env));
      }
    }
    return checks.result;
  },
};

async function runCase(
  name: string,
  body: (client: TestClient) => Promise<void>,
  engine: ConnectionEngine,
  contract: DescService,
  env: NodeJS.ProcessEnv,
): Promise<void> {
  const script = join(import.meta.dirname, "negative_server.py");
  const server = spawn("python3", [script, name], { env, stdio: ["pipe", "pipe", "inherit"] });
  const exited = once(server, "exit");
  const printed: string[] = [];
  const lines = createInterface(server.stdout);
  lines.on("line", (line) => printed.push(line));
  await once(lines, "line");
  const transport = dial(`127.0.0.1:${printed.shift()}`, { engine });
  try {
    await body(testClient(contract, transport));
  } finally {
    transport.close();
    server.stdin.end();
    await exited;
  }
  assert.deepEqual(printed, []);
}

async function largeUnary(client: TestClient): Promise<void> {
  const request = { responseSize: bytes, payload: { body: new Uint8Array(271_828) } };
  const { payload } = await client.unaryCall(request, { timeoutMs: 20_000 });
  assert.equal(payload?.body.length, bytes);
}

async function fails(client: TestClient): Promise<void> {
  await assert.rejects(largeUnary(client), { name: "ConnectError" });
}

/**
 * The environment in which Python finds the package.
 *
 * @throws Missing if there is no Python 3, or the package cannot be installed or used.
 */
async function environment(): Promise<NodeJS.ProcessEnv> {
  await run("python3", ["--version"]).catch(() => {
    throw new Missing("Python 3 is not installed");
  });
  try {
    const root = await debianPackages("bookworm", ["python3-h2", "python3-hpack", "python3-hyperframe"]);
    const env = { ...process.env, PYTHONPATH: join(root, "usr/lib/python3/dist-packages") };
    await run("python3", ["-c", "import h2.connection"], { env });
    return env;
  } catch (error) {
    if (error instanceof Missing) throw error;
    throw new Missing(
      `python3-h2 of Debian bookworm cannot be had: ${String(error).trim().split("\n").at(-1)}`,
    );
  }
}
