/** `ts-ms/telemetry`: logs and metrics. */

// Logs.
export {
  callLog,
  createLogger,
  httpLog,
  logLevels,
  type HttpLog,
  type Logger,
  type LoggerOptions,
  type LogLevel,
} from "../core/telemetry/logger.ts";

// Metrics.
export { Metrics, type MetricsOptions, type UnknownKind } from "../core/telemetry/metrics.ts";
export { metricList, type MetricDefinition } from "../core/telemetry/metric-list.ts";
export { Exporter, type ExporterOptions } from "../core/telemetry/exporter.ts";
