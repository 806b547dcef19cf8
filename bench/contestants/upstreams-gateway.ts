/**
 * The gateway in front of 50 upstreams with 200 services, one of them with the services of the benchmark. Its arguments
 * are the address of all of them, and `traffic` for rules that send every call where it goes anyway.
 */
import { callLog, createLogger, httpLog, Metrics } from "../../src/entries/telemetry.ts";
import { HttpServer, Upstreams, type UpstreamInit } from "../../src/index.ts";
import { BenchBooksService } from "../../gen/tsms/test/v1/bench_books_pb.ts";
import { BenchService } from "../../gen/tsms/test/v1/bench_pb.ts";
import { BenchStreamsService } from "../../gen/tsms/test/v1/bench_streams_pb.ts";
import { madeContract } from "../../test/support/made-contracts.ts";
import { takePart } from "./take-part.ts";

const [target = ""] = process.argv.slice(2);
const logger = createLogger();
const metrics = new Metrics();
const observers = [callLog(logger), metrics];
const httpObservers = [httpLog(logger), metrics];

const inits: Record<string, UpstreamInit> = {
  bench: { target, services: [BenchService, BenchBooksService, BenchStreamsService] },
};
for (let place = 1; place < 50; place++) {
  const services = Array.from({ length: 4 }, (_, one) => madeContract(`made.v${place}x${one}`).service);
  inits[`made${place}`] = { target, services };
}
const selector = "tsms.test.v1.BenchService/*";
const split = [
  { to: "bench", weight: 100 },
  { to: "made1", weight: 0 },
];
const upstreams = new Upstreams(inits, {
  traffic: [{ selector, split, mirror: { to: "made2", percent: 0 } }],
});
const http = new HttpServer({ port: 0, upstream: upstreams, observers, httpObservers, awaitServices: true });
void upstreams.serve(http);
await http.start();
await upstreams.ready();
while (http.services.length < 199) await new Promise((resolve) => upstreams.onChange(() => resolve(undefined)));

takePart({ port: http.address?.port ?? 0 });
