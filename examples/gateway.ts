/** Services over gRPC, REST and for browsers in one process: on two ports, or with `--port` on one. */
import {
  commonFlags,
  createTelemetry,
  grpcFlags,
  grpcOptions,
  httpFlags,
  httpOptions,
  onePortFlags,
  parseFlags,
  registerFlags,
  tlsFlags,
  tlsOptions,
} from "../src/entries/flags.ts";
import { addServerGracefulStop, catchStopSignals, dial, GrpcServer, HttpServer } from "../src/index.ts";
import { ChildService } from "../src/services/child/child-service.ts";
import { GomsService } from "../src/services/goms/goms-service.ts";
import { seedLibrary } from "../src/services/library/library-seed.ts";
import { LibraryService } from "../src/services/library/library-service.ts";
import { servePage } from "./page/serve-page.ts";

const flags = parseFlags("gateway", {
  ...grpcFlags,
  ...httpFlags,
  ...onePortFlags,
  ...tlsFlags,
  ...registerFlags,
  ...commonFlags,
});
const { logger, observers, httpObservers, onFault, startExporter } = createTelemetry(flags);
const stopped = catchStopSignals({ drainDelayMs: flags.drainDelay, onFault });

const tls = tlsOptions(flags, logger);
const listen = flags.port === undefined;
const limits = {
  maxMessageBytes: flags.maxBody,
  maxSendBytes: flags.maxReply,
  defaultTimeoutMs: flags.timeout,
  maxTimeoutMs: flags.maxTimeout,
};
const grpc = new GrpcServer({ ...grpcOptions(flags), ...limits, listen, tls, observers, logger });
const onePort = listen ? {} : { port: flags.port, grpc };
const http = new HttpServer({
  ...httpOptions(flags),
  ...onePort,
  upstream: grpc,
  tls,
  observers,
  httpObservers,
  logger,
});

const goms = new GomsService("goms");
const child = new ChildService("child", dial(grpc));
const library = new LibraryService(seedLibrary());
grpc.addService(goms).addService(child).addService(library);
http.addService(goms).addService(child).addService(library);
servePage(http);

let registration;
if (flags.register !== undefined) {
  const { registerProgram } = await import("../src/entries/consul.ts");
  const check = flags.tlsClient === "required" ? "ttl" : "http";
  registration = registerProgram(flags, { name: "gateway", server: http, check });
  addServerGracefulStop(registration); // First: clients go elsewhere while it still serves.
}
addServerGracefulStop(http, grpc);
const exporter = await startExporter();
await grpc.start();
await http.start();

console.log([...grpc.describe(), ...http.describe(), ...(exporter?.describe() ?? [])].join("\n"));
const scheme = tls === undefined ? "http" : "https";
const url = `${scheme}://${http.address?.host}:${http.address?.port}`;
console.log(`Try: curl ${url}/v1/shelves/1/books`);
console.log(`Or open ${url} in a browser`);
if (registration !== undefined) {
  await registration.start();
  console.log(registration.describe().join("\n"));
}

const { signal, finished, notified, cut } = await stopped;
console.log(
  `Stopped by ${signal}: ${finished} calls finished, ${notified.length} notified, ${cut.length} cut`,
);
