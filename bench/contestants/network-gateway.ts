/** The gateway in front of a server of another process, configured as in `examples/http-only.ts`. */
import { callLog, createLogger, httpLog, Metrics } from "../../src/entries/telemetry.ts";
import { mirror, route, split } from "../../src/entries/traffic.ts";
import { HttpServer, type Transport } from "../../src/index.ts";
import { BenchBooksService } from "../../gen/tsms/test/v1/bench_books_pb.ts";
import { BenchService } from "../../gen/tsms/test/v1/bench_pb.ts";
import { BenchStreamsService } from "../../gen/tsms/test/v1/bench_streams_pb.ts";
import { dialByChoice } from "./engine.ts";
import { takePart } from "./take-part.ts";

const [target = "", how] = process.argv.slice(2).toReversed();
const logger = createLogger();
const metrics = new Metrics();
const observers = [callLog(logger), metrics];
const httpObservers = [httpLog(logger), metrics];

/** Fifty upstreams, of which one has the rpcs, behind a split and a mirror that send everything there. */
function amongFifty(): Transport {
  const others = Array.from(
    { length: 49 },
    (_, index) => [`other${index}.v1.*`, dialByChoice(target)] as const,
  );
  const [canary, shadow] = [dialByChoice(target), dialByChoice(target)];
  const main = split([
    { to: dialByChoice(target), weight: 1 },
    { to: canary, weight: 0 },
  ]);
  return route({ ...Object.fromEntries(others), "tsms.*": mirror(main, shadow, { percent: 0 }) });
}

const upstream = how === "traffic" ? amongFifty() : dialByChoice(target);
const http = new HttpServer({ port: 0, upstream, observers, httpObservers });
http.addService(BenchService);
http.addService(BenchBooksService);
http.addService(BenchStreamsService);
await http.start();

takePart({ port: http.address?.port ?? 0 });
