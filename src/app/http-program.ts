import type { DescService } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { dial } from "../core/dial.ts";
import { upstreamOf } from "../core/grpc/client/upstream-flags.ts";
import { addServerGracefulStop, catchStopSignals } from "../core/lifecycle/signals.ts";
import type { RuleText } from "../core/http-rule/service-config.ts";
import { tlsOptions } from "../core/net/tls-flags.ts";
import { keepLoaded, type SchemaUpstream } from "../core/schema/schema-loader.ts";
import { schemaSource } from "../core/schema/schema-flags.ts";
import type { Schema, SchemaSource } from "../core/schema/schema.ts";
import { flagSecurity } from "../core/security/auth-flags.ts";
import type { Logger } from "../core/telemetry/logger.ts";
import { createTelemetry } from "../core/telemetry/telemetry.ts";
import { workerId } from "../core/lifecycle/worker-process.ts";
import { inWorkers } from "../core/workers/in-workers.ts";
import type { CommentSource } from "../gateway/faces/comment-files.ts";
import { faceOptions } from "../gateway/flags/face-flags.ts";
import { httpOptions } from "../gateway/flags/http-flags.ts";
import { severalUpstreams } from "../gateway/flags/upstreams-flags.ts";
import { HttpServer } from "../gateway/http-server.ts";
import type { Upstreams } from "../gateway/upstreams/upstreams.ts";
import type { MockUpstream } from "./mock-upstream.ts";
import type { HttpProgramFlags } from "./http-program-flags.ts";

/** What a program adds to its flags. */
export interface HttpProgram {
  /** Its name, by which it is registered unless a flag has another. */
  readonly name: string;
  /** The services to serve if no flag says where contracts are. */
  readonly builtIn: readonly DescService[];
  /** Comments of the contracts unless a flag has others. */
  readonly comments: readonly CommentSource[];
  /** Adds to the server what is no rpc, such as pages, before it starts. Default: nothing. */
  readonly prepare?: (http: HttpServer) => void;
  /** Answers in place of an upstream. Default: none. */
  readonly mock?: MockUpstream;
  /** Whether changed contracts and rules are used at once. Default: false. */
  readonly watch?: boolean;
  /**
   * The error of an upstream that gives no contracts, with what to do about it. Default: the error itself.
   *
   * @param target the upstream as the command line has it
   */
  readonly explain?: (error: unknown, target: string, isTls: boolean) => unknown;
}

/** The one upstream of a program. */
interface OneUpstream extends Transport, SchemaUpstream {
  close(): void;
}

/** The running parts of a program. */
interface Parts {
  readonly flags: HttpProgramFlags;
  readonly program: HttpProgram;
  readonly http: HttpServer;
  readonly logger: Logger;
  /** The one upstream, for errors. */
  readonly target: string;
  readonly isTls: boolean;
  /** Lines for the start-up message, besides those of the gateway. */
  readonly about: readonly string[];
  /** Ends what goes on in the background. */
  readonly signal: AbortSignal;
}

/**
 * Runs a gateway in front of gRPC servers until a signal stops it.
 *
 * @throws SetupError naming flags, files or contracts that cannot be used
 */
export async function runHttpProgram(flags: HttpProgramFlags, program: HttpProgram): Promise<void> {
  // Targets such as consul:///users have the agent of the environment.
  if (flags.consul !== undefined) process.env["CONSUL_HTTP_ADDR"] = flags.consul;
  const { logger, observers, httpObservers, onFault, startExporter } = createTelemetry(flags);
  const { workers: count, workerBalance: balance, drainDelay: drainDelayMs } = flags;
  await inWorkers({ count, balance, drainDelayMs, logger });
  const stopped = catchStopSignals({ drainDelayMs: flags.drainDelay, onFault });

  const { target, options } = upstreamOf(flags);
  const limits = { maxMessageBytes: flags.maxReply };
  const several = await severalUpstreams(flags, { dial: limits, logger });
  const upstream = several ?? program.mock ?? dial(target, { ...options, ...limits });
  const tls = tlsOptions(flags, logger);
  const security = await flagSecurity(flags, logger);
  const http = new HttpServer({
    ...httpOptions(flags),
    ...(await faceOptions(flags, program.comments)),
    onBadRule: flags.onBadRule,
    onSkippedRule: (message) => logger.warn(message),
    upstream,
    tls,
    gates: security?.gates ?? [],
    observers,
    httpObservers,
    logger,
    awaitServices: flags.reflection || several !== undefined,
  });
  program.prepare?.(http);
  const register = await registration(flags, program.name, http);
  addServerGracefulStop(http);
  const exporter = await startExporter();

  const ended = new AbortController();
  const where = program.mock?.about ?? `[HTTP] calling ${target}`;
  const about = [...(several === undefined ? [where] : []), ...(exporter?.describe() ?? [])];
  const isTls = options.tls !== undefined && options.tls !== false;
  const parts: Parts = { flags, program, http, logger, target, isTls, about, signal: ended.signal };
  await ("serve" in upstream ? serveSeveral(upstream, parts) : serveOne(upstream, parts));
  await register();

  const { signal, finished, notified, cut } = await stopped;
  ended.abort();
  upstream.close();
  security?.close();
  if (workerId() !== undefined) return; // The primary says it of all.
  print(`Stopped by ${signal}: ${finished} calls finished, ${notified.length} notified, ${cut.length} cut`);
}

/** Prepares the registration that flags ask for. @returns registers the program */
async function registration(
  flags: HttpProgramFlags,
  name: string,
  server: HttpServer,
): Promise<() => Promise<void>> {
  if (flags.register === undefined) return async () => {};
  const { registerProgram } = await import("../core/discovery/consul/register-program.ts");
  const check = flags.tlsClient === "required" ? "ttl" : "http";
  const registered = registerProgram(flags, { name, server, check });
  addServerGracefulStop(registered); // First: clients go elsewhere while it still serves.
  return async () => {
    await registered.start();
    print(...registered.describe());
  };
}

/** Serves the services of several upstreams, each with its own contracts. */
async function serveSeveral(upstreams: Upstreams, { http, about }: Parts): Promise<void> {
  void upstreams.serve(http);
  await http.start();
  print(...http.describe(), ...about);
  let shown = 0;
  upstreams.onChange(() => {
    if (http.services.length === shown) return;
    shown = http.services.length;
    print(...upstreams.describe());
    suggest(http);
  });
}

/** Serves the services of one upstream, by its reflection or by contracts that are at hand. */
async function serveOne(upstream: OneUpstream, parts: Parts): Promise<void> {
  const { flags, program, http, about, signal } = parts;
  const source = schemaSource(flags, upstream, program.builtIn);
  if (!flags.reflection) use(await source.load(signal), parts);
  await http.start();
  print(...http.describe(), ...about);
  suggest(http);
  if (flags.reflection) void keepLoaded({ source, upstream, signal, ...loaderOf(parts) });
  if (program.watch === true) await watchContracts(source, parts);
}

/** Puts contracts into use. @param rules changed rules. @throws Error if they cannot be used; then all is as it was */
function use(schema: Schema, { http, logger, program }: Parts, rules?: readonly RuleText[]): void {
  const { services, registry, warnings = [] } = schema;
  for (const warning of warnings) logger.warn(warning);
  const undo = program.mock?.use(services);
  try {
    http.replaceServices(services, registry, rules);
  } catch (error) {
    undo?.();
    throw error;
  }
}

function loaderOf(parts: Parts) {
  const { http, logger, program, target, isTls } = parts;
  return {
    apply(schema: Schema): void {
      use(schema, parts);
      print(...http.describe());
      suggest(http);
    },
    onFailure(err: unknown, retryMs: number): void {
      const explained = program.explain?.(err, target, isTls) ?? err;
      logger.warn({ reason: textOf(explained), retryMs }, "no contracts yet");
      logger.debug({ err }, "why there are no contracts yet");
    },
  };
}

/** Uses contracts and rules again whenever one of their files changes; what is wrong is logged and changes nothing. */
async function watchContracts(source: SchemaSource, parts: Parts): Promise<void> {
  const { flags, http, logger, signal } = parts;
  const { watchFiles } = await import("./watch-files.ts");
  const { descriptors, proto, protoPath, rules } = flags;
  watchFiles({ files: [...descriptors, ...proto, ...rules], folders: protoPath, signal }, async () => {
    try {
      const texts = httpOptions(flags).rules;
      use(await source.load(signal), parts, texts);
      print(`[HTTP] loaded again: ${http.services.map(({ typeName }) => typeName).join(", ")}`);
    } catch (error) {
      if (!signal.aborted) logger.error(`changed contracts are not used: ${textOf(error)}`);
    }
  });
}

function suggest({ address, isSecure, samplePath }: HttpServer): void {
  if (samplePath === undefined) return;
  print(`Try: curl ${isSecure ? "https" : "http"}://${address?.host}:${address?.port}${samplePath}`);
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What is true of all workers the first one prints. */
function print(...lines: readonly string[]): void {
  if ((workerId() ?? 1) !== 1) return;
  process.stdout.write(lines.map((line) => `${line}\n`).join(""));
}
