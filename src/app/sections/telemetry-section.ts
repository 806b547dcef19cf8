import type { Config } from "../../core/config/loader/config-types.ts";
import { AccessLog, type AccessLogRules } from "../../core/telemetry/access-log.ts";
import { accessFields, accessFormats } from "../../core/telemetry/access-line.ts";
import {
  callLog,
  createLogger,
  httpLog,
  logFormats,
  logLevels,
  type Logger,
  type LogLevel,
} from "../../core/telemetry/logger.ts";
import { reopenLogs } from "../../core/telemetry/log-writer.ts";
import { Metrics } from "../../core/telemetry/metrics.ts";
import { Exporter } from "../../core/telemetry/exporter.ts";
import { Redactor } from "../../core/telemetry/redact.ts";
import { requestIdPolicies, type RequestIdPolicy } from "../../core/metadata/request-id.ts";
import type { AccessLogConfig } from "../../../gen/ts_ms/config/v1/telemetry_pb.ts";
import type { PlannedServer } from "../app-plan.ts";
import type { SectionKit, SectionParts } from "./section.ts";
import type { TracingParts } from "./tracing-parts.ts";

/** The log and the metrics of a program, before its sections are opened. */
export function createTelemetry(config: Config): {
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly redactor: Redactor;
} {
  const { log, metrics } = config.telemetry;
  const redactor = new Redactor(secretNames(config));
  return {
    redactor,
    logger: createLogger({
      level: levelOf(log?.level),
      format: logFormats.find((format) => format === log?.format) ?? "json",
      destination: log?.destination ?? "stderr",
      redact: redactor,
      service: config.app.name,
    }),
    metrics: new Metrics({ exemplars: metrics?.exemplars ?? true }),
  };
}

/** Log and metrics of every call, ids of requests, the access log, and the metrics page. */
export async function open(kit: SectionKit): Promise<SectionParts> {
  const { config, logger, metrics, redactor } = kit;
  const exporter = exporterOf(kit);
  const { log, accessLog } = config.telemetry;
  const access = accessLog === undefined ? undefined : accessLogOf(kit, accessLog);
  let requestId = requestIdPolicyOf(config);
  const accessLogs = access === undefined ? [] : [access];
  const tracing = await tracingOf(kit);
  return {
    observers: [
      callLog(logger, { maxPerSecond: log?.maxPerSecond ?? 100 }),
      metrics,
      ...accessLogs,
      ...(tracing?.observers ?? []),
    ],
    httpObservers: [httpLog(logger), metrics, ...accessLogs, ...(tracing?.httpObservers ?? [])],
    get grpc() {
      return { logger, requestId };
    },
    get http() {
      return { logger, requestId };
    },
    servers: exporter === undefined ? [] : [exporter],
    features: ["logging", ...(exporter === undefined ? [] : (["metrics"] as const))],
    start: () => tracing?.start(),
    stop: () => tracing?.stop(),
    reloaded: reopenLogs,
    async prepare(update) {
      const { next, changed } = update;
      const level = levelOf(next.telemetry.log?.level);
      const traced = await tracing?.prepare(update);
      return () => {
        traced?.();
        requestId = requestIdPolicyOf(next);
        redactor.use(secretNames(next));
        if (changed.includes("telemetry.log.level")) logger.level = level;
        if (next.telemetry.accessLog !== undefined) access?.update(rulesOf(next.telemetry.accessLog));
      };
    },
  };
}

/** Names whose values are in no log and no span, beside those of credentials: the headers of keys among them. */
function secretNames({ telemetry, auth }: Config): readonly string[] {
  const ofKeys = Object.values(auth?.providers ?? {}).flatMap(({ apiKey }) => apiKey?.header ?? []);
  return [...(telemetry.log?.redact ?? []), ...ofKeys];
}

function requestIdPolicyOf({ app }: Config): RequestIdPolicy {
  return requestIdPolicies.find((policy) => policy === app.requestId) ?? "any";
}

/** What makes traces is loaded where there is a collector for them. */
async function tracingOf(kit: SectionKit): Promise<TracingParts | undefined> {
  const { tracing } = kit.config.telemetry;
  if (tracing?.endpoint === undefined || tracing.disabled) return undefined;
  const { tracingParts } = await import("./tracing-parts.ts");
  return tracingParts(kit, tracing);
}

function accessLogOf({ mistake, config, redactor }: SectionKit, message: AccessLogConfig): AccessLog {
  const fields = message.fields.map((name) => {
    const known = accessFields.find((field) => field === name);
    if (known !== undefined) return known;
    throw mistake("telemetry.access_log.fields", `"${name}" is none of ${accessFields.join(", ")}`);
  });
  return new AccessLog({
    ...rulesOf(message),
    format: accessFormats.find((format) => format === message.format) ?? "json",
    destination: message.destination,
    redact: redactor,
    maxPerSecond: config.telemetry.log?.maxPerSecond ?? 100,
    ...(fields.length > 0 && { fields }),
  });
}

function rulesOf({ enabled, sampleOk, slow }: AccessLogConfig): AccessLogRules {
  return { enabled, sampleOk, slowMs: slow };
}

function exporterOf({ config, metrics, isSet, logger }: SectionKit): PlannedServer | undefined {
  const { host = "127.0.0.1", port = "4242", path = "/metrics" } = config.telemetry.metrics ?? {};
  if (port === "off") return undefined;
  const isChosen = isSet("telemetry.metrics.port");
  return {
    name: "exporter",
    make: () => new Exporter({ host, port: Number(port), path, metrics }),
    // Several programs can run on one machine with the default.
    goesWithout(error) {
      if (isChosen || !isPortInUse(error)) return false;
      logger.warn(`${error.message}; going on without metrics, choose another telemetry.metrics.port`);
      return true;
    },
  };
}

function levelOf(text: string | undefined): LogLevel {
  return logLevels.find((level) => level === text) ?? "info";
}

function isPortInUse(error: unknown): error is Error {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ("code" in cause && cause.code === "EADDRINUSE") return true;
  }
  return false;
}
