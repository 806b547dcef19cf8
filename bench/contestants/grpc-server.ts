/** The gRPC server, configured as in `examples/grpc-only.ts`. */
import { ambient } from "../../src/entries/ambient.ts";
import { callLog, createLogger, Metrics } from "../../src/entries/telemetry.ts";
import { GrpcServer } from "../../src/index.ts";
import { Bench } from "./bench-service.ts";
import { takePart } from "./take-part.ts";

const [how] = process.argv.slice(2);
const observers = [callLog(createLogger()), new Metrics()];
const grpc = new GrpcServer({ port: 0, observers, ...(how === "ambient" && { ambient }) });
grpc.addService(new Bench());
await grpc.start();

takePart({ port: grpc.address?.port ?? 0 });
