/** Services over gRPC, REST and for browsers in one process: on two ports, or with `--port` on one. */
import {
  createTelemetry,
  faceFlags,
  faceOptions,
  flagHub,
  flagSecurity,
  gatewayFlags,
  gatewayOptions,
  hubFlags,
  parseFlags,
  tlsOptions,
  workerFlags,
} from "../src/entries/flags.ts";
import { inWorkers } from "../src/entries/workers.ts";
import { addServerGracefulStop, catchStopSignals, dial, GrpcServer, HttpServer } from "../src/index.ts";
import { ChildService } from "../src/services/child/child-service.ts";
import { GomsService } from "../src/services/goms/goms-service.ts";
import { seedLibrary } from "../src/services/library/library-seed.ts";
import { LibraryService } from "../src/services/library/library-service.ts";
import { servePages } from "./page/serve-pages.ts";
import { chatOf } from "./parts/chat.ts";
import { contractComments } from "./parts/contract-comments.ts";
import { print, printStop, say, urlOf } from "./parts/lines.ts";
import { registered } from "./parts/registered.ts";
import { workersOf } from "./parts/workers-of.ts";

const flags = parseFlags("gateway", { ...gatewayFlags, ...faceFlags, ...hubFlags, ...workerFlags });
const { logger, observers, httpObservers, onFault, startExporter } = createTelemetry(flags);
await inWorkers({ ...workersOf(flags), logger });
const stopped = catchStopSignals({ drainDelayMs: flags.drainDelay, onFault });

const options = gatewayOptions(flags);
const security = await flagSecurity(flags, logger);
const gates = security?.gates ?? [];
const live = await flagHub(flags, logger);
const { hub, chat } = await chatOf(live?.hub);
const shared = { tls: tlsOptions(flags, logger), gates, observers, logger };
const grpc = new GrpcServer({ ...options.grpc, ...shared, hub });
const faces = await faceOptions(flags, [contractComments()]);
const http = new HttpServer({ ...options.http(grpc), ...faces, ...shared, httpObservers });

const goms = new GomsService("goms");
const child = new ChildService("child", dial(grpc));
const library = new LibraryService(seedLibrary());
grpc.addService(goms).addService(child).addService(library).addService(chat);
http.addService(goms).addService(child).addService(library).addService(chat);
for (const service of live?.services ?? []) {
  grpc.addService(service);
  http.addService(service);
}
servePages(http, "library", "chat");

const register = await registered(flags, { name: "gateway", server: http, check: "http" });
addServerGracefulStop(http, grpc);
const exporter = await startExporter();
await grpc.start();
await http.start();

print(grpc, http, exporter);
say(
  `Try: curl ${urlOf(http)}/v1/shelves/1/books\nOr open ${urlOf(http)} in a browser, ${urlOf(http)}/chat in two`,
);
await register();
printStop(await stopped);
security?.close();
