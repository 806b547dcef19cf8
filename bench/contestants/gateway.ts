/**
 * The combined gateway, configured as in `examples/gateway.ts`; its port is that of HTTP. `BENCH_FAST_LANE=off` in the
 * environment turns its option `fastLane` off.
 */
import { callLog, createLogger, httpLog, Metrics } from "../../src/entries/telemetry.ts";
import { GrpcServer, HttpServer } from "../../src/index.ts";
import { Bench } from "./bench-service.ts";
import { chosenEngine } from "./engine.ts";
import { takePart } from "./take-part.ts";

const logger = createLogger();
const metrics = new Metrics();
const observers = [callLog(logger), metrics];
const httpObservers = [httpLog(logger), metrics];

const grpc = new GrpcServer({ port: 0, observers });
const fastLane = process.env["BENCH_FAST_LANE"] !== "off";
const http = new HttpServer({
  port: 0,
  upstream: grpc,
  observers,
  httpObservers,
  fastLane,
  ...chosenEngine(),
});
const bench = new Bench();
grpc.addService(bench);
http.addService(bench);
await grpc.start();
await http.start();

takePart({ port: http.address?.port ?? 0 });
