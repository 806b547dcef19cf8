/** REST in front of a gRPC server in another process, in any language. */
import { Child } from "../gen/go/micro/service/child/child_pb.ts";
import { GoMs } from "../gen/go/micro/service/goms/goms_pb.ts";
import { LibraryService } from "../gen/library/v1/library_pb.ts";
import {
  authFlags,
  commonFlags,
  createTelemetry,
  faceFlags,
  faceOptions,
  flagSecurity,
  httpFlags,
  httpOptions,
  parseFlags,
  registerFlags,
  schemaFlags,
  schemaSource,
  severalUpstreams,
  tlsFlags,
  tlsOptions,
  upstreamFlags,
  upstreamOf,
} from "../src/entries/flags.ts";
import { keepLoaded, type Schema } from "../src/entries/schema.ts";
import type { Upstreams } from "../src/entries/upstreams.ts";
import {
  addServerGracefulStop,
  catchStopSignals,
  dial,
  type DialedTransport,
  HttpServer,
} from "../src/index.ts";
import { contractComments } from "./parts/contract-comments.ts";

const flags = parseFlags("http-only", {
  ...upstreamFlags,
  ...httpFlags,
  ...faceFlags,
  ...tlsFlags,
  ...schemaFlags,
  ...authFlags,
  ...registerFlags,
  ...commonFlags,
});
// Targets such as consul:///users have the agent of the environment.
if (flags.consul !== undefined) process.env["CONSUL_HTTP_ADDR"] = flags.consul;
const { logger, observers, httpObservers, onFault, startExporter } = createTelemetry(flags);
const stopped = catchStopSignals({ drainDelayMs: flags.drainDelay, onFault });

const { target, options } = upstreamOf(flags);
const several = await severalUpstreams(flags, { dial: { maxMessageBytes: flags.maxReply }, logger });
const upstream = several ?? dial(target, { ...options, maxMessageBytes: flags.maxReply });
const awaitServices = flags.reflection || several !== undefined;
const tls = tlsOptions(flags, logger);
const security = await flagSecurity(flags, logger);
const http = new HttpServer({
  ...httpOptions(flags),
  ...(await faceOptions(flags, [contractComments()])),
  onBadRule: flags.onBadRule,
  onSkippedRule: (message) => logger.warn(message),
  upstream,
  tls,
  gates: security?.gates ?? [],
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

const ended = new AbortController();
const suggest = () => {
  const at = `${tls === undefined ? "http" : "https"}://${http.address?.host}:${http.address?.port}`;
  if (http.samplePath !== undefined) console.log(`Try: curl ${at}${http.samplePath}`);
};

/** Serves the services of several upstreams, each with its own contracts. */
async function serveSeveral(upstreams: Upstreams): Promise<void> {
  void upstreams.serve(http);
  await http.start();
  console.log([...http.describe(), ...(exporter?.describe() ?? [])].join("\n"));
  let shown = 0;
  upstreams.onChange(() => {
    if (http.services.length === shown) return;
    shown = http.services.length;
    console.log(upstreams.describe().join("\n"));
    suggest();
  });
}

/** Serves the services of one upstream, by its reflection or by contracts that are at hand. */
async function serveOne(transport: DialedTransport): Promise<void> {
  const source = schemaSource(flags, transport, [GoMs, Child, LibraryService]);
  const use = ({ services, registry, warnings = [] }: Schema) => {
    for (const warning of warnings) logger.warn(warning);
    http.replaceServices(services, registry);
  };
  if (!awaitServices) use(await source.load(ended.signal));
  await http.start();
  console.log(http.describe().join("\n"));
  console.log([`[HTTP] calling ${target}`, ...(exporter?.describe() ?? [])].join("\n"));
  suggest();
  if (!awaitServices) return;
  const apply = (schema: Schema) => {
    use(schema);
    console.log(http.describe().join("\n"));
    suggest();
  };
  const onFailure = (err: unknown, retryMs: number) => {
    logger.warn({ reason: err instanceof Error ? err.message : String(err), retryMs }, "no contracts yet");
    logger.debug({ err }, "why there are no contracts yet");
  };
  void keepLoaded({ source, upstream: transport, apply, onFailure, signal: ended.signal });
}

await ("serve" in upstream ? serveSeveral(upstream) : serveOne(upstream));
if (registration !== undefined) {
  await registration.start();
  console.log(registration.describe().join("\n"));
}

const { signal, finished, notified, cut } = await stopped;
ended.abort();
upstream.close();
security?.close();
console.log(
  `Stopped by ${signal}: ${finished} calls finished, ${notified.length} notified, ${cut.length} cut`,
);
