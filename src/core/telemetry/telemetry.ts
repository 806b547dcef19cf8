import type { FlagValues } from "../config/flags.ts";
import type { CallObserver } from "../call/observer.ts";
import type { FaultOrigin } from "../lifecycle/signals.ts";
import { stopFlags } from "../lifecycle/lifecycle-flags.ts";
import { AccessLog } from "./access-log.ts";
import { exporterFlags, startExporter } from "./exporter-flags.ts";
import type { Exporter } from "./exporter.ts";
import { logFlags } from "./log-flags.ts";
import { reopenLogs } from "./log-writer.ts";
import { callLog, createLogger, httpLog, type HttpLog, type Logger } from "./logger.ts";
import { Metrics } from "./metrics.ts";

/** Flags of every program: those of the metrics page, the log and the stop. */
export const commonFlags = { ...exporterFlags, ...stopFlags, ...logFlags } as const;

/** Log and metrics of a program, with the observers that fill them. */
export interface Telemetry {
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** For servers: log and metrics of every call. */
  readonly observers: readonly CallObserver[];
  /** For gateways: log and metrics of every HTTP request. */
  readonly httpObservers: ReadonlyArray<HttpLog | Metrics | AccessLog>;
  /** For `catchStopSignals`: logs and counts exceptions and rejections outside of any call. */
  readonly onFault: (reason: unknown, origin: FaultOrigin) => void;
  /** Starts the metrics page, unless it is off; see `startExporter`. */
  readonly startExporter: () => Promise<Exporter | undefined>;
}

/** Log and metrics as configured by the flags of a program. */
export function createTelemetry(
  flags: FlagValues<typeof exporterFlags> & FlagValues<typeof logFlags>,
): Telemetry {
  const logger = createLogger({ level: flags.logLevel, format: flags.logFormat });
  const metrics = new Metrics();
  const access = flags.accessLog === "off" ? [] : [new AccessLog({ destination: flags.accessLog })];
  if (access.length > 0 && flags.accessLog !== "stderr" && flags.accessLog !== "stdout") {
    process.on("SIGHUP", reopenLogs);
  }
  return {
    logger,
    metrics,
    observers: [callLog(logger), metrics, ...access],
    httpObservers: [httpLog(logger), metrics, ...access],
    onFault(reason, origin) {
      metrics.processFault(origin);
      logger.error({ err: reason, origin }, "fault outside of any call");
    },
    startExporter: () => startExporter(flags, metrics, logger),
  };
}
