/**
 * The gateway in front of 50 upstreams with 200 services, one of them with the services of the benchmark, behind rules
 * that send every call where it goes anyway. With the argument `alone` it is the gateway of that upstream only, which is
 * a cluster of one server as well. The last argument is the address.
 */
import { callLog, createLogger, httpLog, Metrics } from "../../src/entries/telemetry.ts";
import { Upstreams, type UpstreamInit } from "../../src/entries/upstreams.ts";
import { dial, HttpServer } from "../../src/index.ts";
import { BenchBooksService } from "../../gen/tsms/test/v1/bench_books_pb.ts";
import { BenchService } from "../../gen/tsms/test/v1/bench_pb.ts";
import { BenchStreamsService } from "../../gen/tsms/test/v1/bench_streams_pb.ts";
import { madeContract } from "../../test/support/made-contracts.ts";
import { takePart } from "./take-part.ts";

const [target = "", alone] = process.argv.slice(2).toReversed();
const logger = createLogger();
const metrics = new Metrics();
const observers = [callLog(logger), metrics];
const httpObservers = [httpLog(logger), metrics];

const own = [BenchService, BenchBooksService, BenchStreamsService];

const http = alone === "alone" ? gatewayOfOne() : await gatewayOfMany();
await http.start();

takePart({ port: http.address?.port ?? 0 });

function gatewayOfOne(): HttpServer {
  const gateway = new HttpServer({ port: 0, upstream: dial([target]), observers, httpObservers });
  for (const service of own) gateway.addService(service);
  return gateway;
}

async function gatewayOfMany(): Promise<HttpServer> {
  const inits: Record<string, UpstreamInit> = { bench: { target, services: own } };
  for (let place = 1; place < 50; place++) {
    const services = Array.from({ length: 4 }, (_, one) => madeContract(`made.v${place}x${one}`).service);
    inits[`made${place}`] = { target, services };
  }
  const split = [
    { to: "bench", weight: 100 },
    { to: "made1", weight: 0 },
  ];
  const traffic = [{ selector: "tsms.test.v1.BenchService/*", split, mirror: { to: "made2", percent: 0 } }];
  const upstreams = new Upstreams(inits, { traffic });
  const gateway = new HttpServer({
    port: 0,
    upstream: upstreams,
    observers,
    httpObservers,
    awaitServices: true,
  });
  void upstreams.serve(gateway);
  await upstreams.ready();
  while (gateway.services.length < own.length + 49 * 4) {
    await new Promise<void>((resolve) => {
      const forget = upstreams.onChange(() => {
        forget();
        resolve();
      });
    });
  }
  return gateway;
}
