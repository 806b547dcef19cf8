/** The gateway in front of a server of another process, configured as in `examples/http-only.ts`. */
import { callLog, createLogger, httpLog, Metrics } from "../../src/entries/telemetry.ts";
import { HttpServer } from "../../src/index.ts";
import { BenchBooksService } from "../../gen/tsms/test/v1/bench_books_pb.ts";
import { BenchService } from "../../gen/tsms/test/v1/bench_pb.ts";
import { BenchStreamsService } from "../../gen/tsms/test/v1/bench_streams_pb.ts";
import { dialByChoice } from "./engine.ts";
import { takePart } from "./take-part.ts";

const [target = ""] = process.argv.slice(2);
const logger = createLogger();
const metrics = new Metrics();
const observers = [callLog(logger), metrics];
const httpObservers = [httpLog(logger), metrics];

const upstream = dialByChoice(target);
const http = new HttpServer({ port: 0, upstream, observers, httpObservers });
http.addService(BenchService);
http.addService(BenchBooksService);
http.addService(BenchStreamsService);
await http.start();

takePart({ port: http.address?.port ?? 0 });
