import {
  callLog,
  createLogger,
  httpLog,
  logLevels,
  type Logger,
  type LogLevel,
} from "../../core/telemetry/logger.ts";
import { Metrics } from "../../core/telemetry/metrics.ts";
import type { Config } from "../../core/config/loader/config-types.ts";
import { Exporter } from "../../core/telemetry/exporter.ts";
import type { PlannedServer } from "../app-plan.ts";
import type { SectionKit, SectionParts } from "./section.ts";

/** The log and the metrics of a program, before its sections are opened. */
export function createTelemetry({ telemetry }: Config): {
  readonly logger: Logger;
  readonly metrics: Metrics;
} {
  return { logger: createLogger({ level: levelOf(telemetry.log?.level) }), metrics: new Metrics() };
}

/** Log and metrics of every call, the metrics page, and the level of the log at a reload. */
export function open(kit: SectionKit): SectionParts {
  const { logger, metrics } = kit;
  const exporter = exporterOf(kit);
  return {
    observers: [callLog(logger), metrics],
    httpObservers: [httpLog(logger), metrics],
    grpc: { logger },
    http: { logger },
    servers: exporter === undefined ? [] : [exporter],
    features: ["logging", ...(exporter === undefined ? [] : (["metrics"] as const))],
    prepare({ next, changed }) {
      const level = levelOf(next.telemetry.log?.level);
      return () => {
        if (changed.includes("telemetry.log.level")) logger.level = level;
      };
    },
  };
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
