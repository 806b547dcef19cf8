/** The gateway with a handler in process and one gate, which the argument names; without one it has none. */
import { spawn } from "node:child_process";
import { createServer, type AddressInfo } from "node:net";
import { Limiter, Overload, type LimitsInit } from "../../src/entries/limits.ts";
import { connectRedis } from "../../src/entries/redis.ts";
import { GrpcServer, HttpServer, type HttpServerOptions } from "../../src/index.ts";
import { Bench } from "./bench-service.ts";
import { chosenEngine } from "./engine.ts";
import { takePart } from "./take-part.ts";

/** More than all calls of a run. */
const rate = "1000000000/1h";
const local: LimitsInit = {
  ip: { key: ["ip"], rate },
  rpc: { key: ["ip", "rpc"], rate },
  all: { key: ["global"], rate, burst: 1_000_000 },
};

async function gatesFor(how: string | undefined): Promise<HttpServerOptions["gates"]> {
  switch (how) {
    case "limits":
      return [new Limiter(local).beforeAuthentication];
    case "overload":
      return [new Overload().start().gate];
    case "redis-1":
    case "redis-50": {
      const redis = await connectRedis({ url: `redis://127.0.0.1:${await startRedis()}` });
      if (!(await redis.whenReady(5_000))) throw new Error("redis-server does not answer");
      const batch = Number(how.slice("redis-".length));
      const limits: LimitsInit = { ip: { key: ["ip"], rate, store: "redis", batch } };
      return [new Limiter(limits, { redis }).beforeAuthentication];
    }
    default:
      return [];
  }
}

/** Starts a Redis that ends with this program. @returns its port */
async function startRedis(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address() as AddressInfo; // It listens on TCP.
  await new Promise((resolve) => probe.close(resolve));
  const redis = spawn("redis-server", ["--port", String(port), "--bind", "127.0.0.1", "--save", ""], {
    stdio: "ignore",
  });
  process.once("exit", () => redis.kill());
  process.once("disconnect", () => process.exit());
  return port;
}

const gates = await gatesFor(process.argv[2]);
const bench = new Bench();
const grpc = new GrpcServer({ listen: false }).addService(bench);
const http = new HttpServer({ port: 0, upstream: grpc, gates, ...chosenEngine() });
http.addService(bench);
await http.start();

takePart({ port: http.address?.port ?? 0 });
