import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { promisify } from "node:util";
import { GrpcServer, HttpServer } from "../../src/index.ts";
import { freePort, listening } from "../listening.ts";
import { Checks, type Suite } from "../suite.ts";
import { goTool, mavenJars } from "../tools.ts";
import { clientCases } from "./client-cases.ts";
import { runOurClient } from "./our-client.ts";
import { interopContract, interopService } from "./test-service.ts";
import { WireTap } from "./wire-tap.ts";

const run = promisify(execFile);

/** The cases that apply to a server without credentials. */
const serverCases: readonly string[] = Object.keys(clientCases);

/** Cases of grpc-java's client, in addition to most of these. */
const javaCases: readonly string[] = [
  ...serverCases.filter((name) => !name.endsWith("_soak")),
  "client_compressed_unary",
  "server_compressed_unary",
  "client_compressed_streaming",
  "server_compressed_streaming",
  "very_large_request",
];

/** The client of grpc-go against our server, and ours against the server of grpc-go. */
export const grpcInterop: Suite = {
  name: "grpc-interop",
  async run() {
    const theirClient = await goTool("grpc-go-interop-client");
    const theirServer = await goTool("grpc-go-interop-server");
    const contract = await interopContract();
    const checks = new Checks();
    const own = new GrpcServer({ port: 0, engine: "own" }).addService(interopService(contract));
    const grpcJs = new GrpcServer({ port: 0, engine: "grpc-js" }).addService(interopService(contract));
    const inside = new GrpcServer({ listen: false }).addService(interopService(contract));
    const http = new HttpServer({ port: 0, upstream: inside, grpc: inside });
    for (const server of [own, grpcJs, inside, http]) await server.start();
    try {
      for (const [name, address] of [
        ["the gRPC port, own engine", own.address],
        ["the gRPC port, grpc-js", grpcJs.address],
        ["the one port", http.address],
      ] as const) {
        for (const test of serverCases) {
          await checks.check(`grpc-go's client on ${name}: ${test}`, async () => {
            const at = ["--server_host=127.0.0.1", `--server_port=${address?.port}`];
            await run(theirClient, [...at, `--test_case=${test}`], { timeout: 30_000 });
          });
        }
      }
    } finally {
      for (const server of [http, inside, grpcJs, own]) await server.gracefulStop({ graceMs: 0 });
    }
    const port = await freePort();
    const child = spawn(theirServer, [`--port=${port}`], { stdio: "ignore" });
    try {
      await listening(child, port);
      await runOurClient(checks, "grpc-go's server", `127.0.0.1:${port}`, contract);
    } finally {
      const closed = once(child, "exit");
      child.kill("SIGTERM");
      await closed;
    }
    return checks.result;
  },
};

/** The client of grpc-java against our server, whose cases with compression are in no other, and ours against its server. */
export const grpcJavaInterop: Suite = {
  name: "grpc-java-interop",
  slow: true,
  async run() {
    const jars = await mavenJars("io.grpc:grpc-interop-testing:1.78.0");
    const contract = await interopContract();
    const checks = new Checks();
    const grpc = new GrpcServer({
      listen: false,
      maxMessageBytes: 64 << 20,
      maxSendBytes: 64 << 20,
      compressReplies: true,
    });
    const tap = new WireTap(grpc);
    grpc.addService(interopService(contract, tap.of));
    const http = new HttpServer({ port: 0, upstream: grpc, grpc: tap });
    await grpc.start();
    await http.start();
    try {
      for (const test of javaCases) {
        await checks.check(`grpc-java's client: ${test}`, async () => {
          const words = ["-cp", join(jars, "*"), "io.grpc.testing.integration.TestServiceClient"];
          words.push("--server_host=127.0.0.1", `--server_port=${http.address?.port}`);
          await run("java", [...words, "--use_tls=false", `--test_case=${test}`], { timeout: 60_000 });
        });
      }
    } finally {
      await http.gracefulStop({ graceMs: 0 });
      await grpc.gracefulStop({ graceMs: 0 });
    }
    const port = await freePort();
    const words = ["-cp", join(jars, "*"), "io.grpc.testing.integration.TestServiceServer"];
    const child = spawn("java", [...words, `--port=${port}`, "--use_tls=false"], { stdio: "ignore" });
    try {
      await listening(child, port);
      await runOurClient(checks, "grpc-java's server", `127.0.0.1:${port}`, contract);
    } finally {
      const closed = once(child, "exit");
      child.kill("SIGTERM");
      await closed;
    }
    return checks.result;
  },
};
