/**
 * The gateway in process. Arguments: `off`, `traced` with a ratio and the URL of a collector, or `access-log` with the path
 * of a file.
 */
import { callLog, createLogger, httpLog, AccessLog, Metrics } from "../../src/entries/telemetry.ts";
import { startTracing } from "../../src/entries/tracing.ts";
import { GrpcServer, HttpServer } from "../../src/index.ts";
import { Bench } from "./bench-service.ts";
import { takePart } from "./take-part.ts";

const [, , how = "off", what = "", endpoint = ""] = process.argv;
const logger = createLogger();
const metrics = new Metrics();
const further: (Metrics | AccessLog | Awaited<ReturnType<typeof startTracing>>)[] = [metrics];
if (how === "access-log") further.push(new AccessLog({ destination: what }));
if (how === "traced") {
  further.push(await startTracing({ endpoint, sampleRatio: Number(what), maxPerSecond: 1_000_000 }));
}
const observers = [callLog(logger), ...further];
const bench = new Bench();
const grpc = new GrpcServer({ listen: false, observers }).addService(bench);
const httpObservers = [httpLog(logger), ...further];
const http = new HttpServer({ port: 0, upstream: grpc, observers, httpObservers }).addService(bench);
await http.start();

takePart({ port: http.address?.port ?? 0 });
