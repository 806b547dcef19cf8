/** REST in front of a gRPC server in another process, in any language. */
import { Child } from "../gen/go/micro/service/child/child_pb.ts";
import { GoMs } from "../gen/go/micro/service/goms/goms_pb.ts";
import { LibraryService } from "../gen/library/v1/library_pb.ts";
import {
  commonFlags,
  createTelemetry,
  httpFlags,
  httpOptions,
  parseFlags,
  registerFlags,
  schemaFlags,
  schemaSource,
  tlsFlags,
  tlsOptions,
  upstreamFlags,
  upstreamOf,
} from "../src/entries/flags.ts";
import { keepLoaded, type Schema } from "../src/entries/schema.ts";
import { addServerGracefulStop, catchStopSignals, dial, HttpServer } from "../src/index.ts";

const flags = parseFlags("http-only", {
  ...upstreamFlags,
  ...httpFlags,
  ...tlsFlags,
  ...schemaFlags,
  ...registerFlags,
  ...commonFlags,
});
const { logger, observers, httpObservers, onFault, startExporter } = createTelemetry(flags);
const stopped = catchStopSignals({ drainDelayMs: flags.drainDelay, onFault });
const awaitServices = flags.reflection;

const { target, options } = upstreamOf(flags);
const upstream = dial(target, { ...options, maxMessageBytes: flags.maxReply });
const tls = tlsOptions(flags, logger);
const http = new HttpServer({
  ...httpOptions(flags),
  onBadRule: flags.onBadRule,
  onSkippedRule: (message) => logger.warn(message),
  upstream,
  tls,
  observers,
  httpObservers,
  logger,
  awaitServices,
});

let registration;
if (flags.register !== undefined) {
  const { registerProgram } = await import("../src/entries/consul.ts");
  const check = flags.tlsClient === "required" ? "ttl" : "http";
  registration = registerProgram(flags, { name: "http-only", server: http, check });
  addServerGracefulStop(registration); // First: clients go elsewhere while it still serves.
}
addServerGracefulStop(http);
const exporter = await startExporter();

const source = schemaSource(flags, upstream, [GoMs, Child, LibraryService]);
const ended = new AbortController();
const use = ({ services, registry, warnings = [] }: Schema) => {
  for (const warning of warnings) logger.warn(warning);
  http.replaceServices(services, registry);
};
if (!awaitServices) use(await source.load(ended.signal));
await http.start();

console.log(http.describe().join("\n"));
console.log([`[HTTP] calling ${target}`, ...(exporter?.describe() ?? [])].join("\n"));
const suggest = () => {
  const at = `${tls === undefined ? "http" : "https"}://${http.address?.host}:${http.address?.port}`;
  if (http.samplePath !== undefined) console.log(`Try: curl ${at}${http.samplePath}`);
};
suggest();

if (awaitServices) {
  const apply = (schema: Schema) => {
    use(schema);
    console.log(http.describe().join("\n"));
    suggest();
  };
  const onFailure = (err: unknown, retryMs: number) => {
    logger.warn({ reason: err instanceof Error ? err.message : String(err), retryMs }, "no contracts yet");
    logger.debug({ err }, "why there are no contracts yet");
  };
  void keepLoaded({ source, upstream, apply, onFailure, signal: ended.signal });
}
if (registration !== undefined) {
  await registration.start();
  console.log(registration.describe().join("\n"));
}

const { signal, finished, notified, cut } = await stopped;
ended.abort();
upstream.close();
console.log(
  `Stopped by ${signal}: ${finished} calls finished, ${notified.length} notified, ${cut.length} cut`,
);
