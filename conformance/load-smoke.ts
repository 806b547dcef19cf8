import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { GrpcServer, HttpServer } from "../src/index.ts";
import { GomsService } from "../src/services/goms/goms-service.ts";
import { Checks, type Suite } from "./suite.ts";
import { goTool } from "./tools.ts";

const run = promisify(execFile);
const proto = join(import.meta.dirname, "../proto");

/** `ghz` as a smoke test: a few thousand calls, ten at a time, all answered, on a gRPC port and on the one port. */
export const loadSmoke: Suite = {
  name: "load-smoke",
  async run() {
    const ghz = await goTool("ghz");
    const checks = new Checks();
    const goms = new GomsService("goms");
    const own = new GrpcServer({ port: 0 }).addService(goms);
    const inside = new GrpcServer({ listen: false }).addService(goms);
    const http = new HttpServer({ port: 0, upstream: inside, grpc: inside }).addService(goms);
    for (const server of [own, inside, http]) await server.start();
    try {
      for (const [name, address] of [
        ["the gRPC port", own.address],
        ["the one port", http.address],
      ] as const) {
        await checks.check(`ghz on ${name}`, async () => {
          const words = ["--insecure", "-i", proto, "--proto", "go/micro/service/goms/goms.proto"];
          words.push("--call", "go.micro.service.goms.GoMs/Get", "-d", '{"id":"42"}');
          words.push("-n", "2000", "-c", "10", "-O", "json", `${address?.host}:${address?.port}`);
          const { stdout } = await run(ghz, words, { timeout: 60_000, maxBuffer: 64 << 20 });
          // As documented by ghz.
          const report = JSON.parse(stdout) as { statusCodeDistribution: Record<string, number> };
          assert.deepEqual(report.statusCodeDistribution, { OK: 2000 });
        });
      }
    } finally {
      for (const server of [http, inside, own]) await server.gracefulStop({ graceMs: 0 });
    }
    return checks.result;
  },
};
