/** The gateway as in `gateway.ts`, with the faces that its arguments ask for, which are flags of programs. */
import { parseFlags } from "../../src/core/config/flags.ts";
import { callLog, createLogger, httpLog, Metrics } from "../../src/entries/telemetry.ts";
import { faceFlags, faceOptions } from "../../src/gateway/flags/face-flags.ts";
import { GrpcServer, HttpServer } from "../../src/index.ts";
import { Bench } from "./bench-service.ts";
import { chosenEngine } from "./engine.ts";
import { takePart } from "./take-part.ts";

const logger = createLogger();
const metrics = new Metrics();
const observers = [callLog(logger), metrics];
const faces = await faceOptions({ ...parseFlags("faced-gateway", faceFlags), httpHost: "127.0.0.1" });

const grpc = new GrpcServer({ port: 0, observers });
const http = new HttpServer({
  port: 0,
  upstream: grpc,
  observers,
  httpObservers: [httpLog(logger), metrics],
  ...faces,
  ...chosenEngine(),
});
const bench = new Bench();
grpc.addService(bench);
http.addService(bench);
await grpc.start();
await http.start();

takePart({ port: http.address?.port ?? 0 });
