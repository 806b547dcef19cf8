/** Services over gRPC only. A gateway in another process can be put in front: see http-only.ts. */
import {
  authFlags,
  commonFlags,
  createTelemetry,
  flagHub,
  flagSecurity,
  grpcFlags,
  grpcOptions,
  hubFlags,
  parseFlags,
  registerFlags,
  tlsFlags,
  tlsOptions,
  workerFlags,
} from "../src/entries/flags.ts";
import { inWorkers } from "../src/entries/workers.ts";
import { addServerGracefulStop, catchStopSignals, dial, GrpcServer } from "../src/index.ts";
import { ChildService } from "../src/services/child/child-service.ts";
import { GomsService } from "../src/services/goms/goms-service.ts";
import { seedLibrary } from "../src/services/library/library-seed.ts";
import { LibraryService } from "../src/services/library/library-service.ts";
import { chatOf } from "./parts/chat.ts";
import { print, printStop, say } from "./parts/lines.ts";
import { registered } from "./parts/registered.ts";
import { workersOf } from "./parts/workers-of.ts";

const flags = parseFlags("grpc-only", {
  ...grpcFlags,
  ...tlsFlags,
  ...authFlags,
  ...hubFlags,
  ...registerFlags,
  ...commonFlags,
  ...workerFlags,
});
const { logger, observers, onFault, startExporter } = createTelemetry(flags);
await inWorkers({ ...workersOf(flags), logger });
const stopped = catchStopSignals({ drainDelayMs: flags.drainDelay, onFault });

const tls = tlsOptions(flags, logger);
const security = await flagSecurity(flags, logger);
const gates = security?.gates ?? [];
const live = await flagHub(flags, logger);
const { hub, chat } = await chatOf(live?.hub);
const grpc = new GrpcServer({ ...grpcOptions(flags), tls, gates, observers, logger, hub });
grpc.addService(new GomsService("goms"));
grpc.addService(new ChildService("child", dial(grpc)));
grpc.addService(new LibraryService(seedLibrary()));
grpc.addService(chat);
for (const service of live?.services ?? []) grpc.addService(service);

const register = await registered(flags, { name: "grpc-only", server: grpc, check: "grpc" });
addServerGracefulStop(grpc);
const exporter = await startExporter();
await grpc.start();

const tool = `npx buf curl --protocol grpc ${tls === undefined ? "--http2-prior-knowledge" : ""}`.trimEnd();
const at = `${tls === undefined ? "http" : "https"}://${grpc.address?.host}:${grpc.address?.port}`;
print(grpc, exporter);
say(`Try: ${tool} ${at}/library.v1.LibraryService/ListShelves`);
await register();
printStop(await stopped);
security?.close();
