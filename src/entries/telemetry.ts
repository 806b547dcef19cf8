/** `ts-ms/telemetry`: logs and metrics. */

// Logs.
export {
  callLog,
  type CallLogOptions,
  createLogger,
  httpLog,
  logFormats,
  logLevels,
  type HttpLog,
  type Logger,
  type LoggerOptions,
  type LogLevel,
} from "../core/telemetry/logger.ts";

export { callLogger } from "../core/telemetry/call-logger.ts";
export { logMessage, type LogMessageOptions } from "../core/telemetry/log-message.ts";
export { type LogDestination, LogWriter, reopenLogs } from "../core/telemetry/log-writer.ts";
export { Redactor } from "../core/telemetry/redact.ts";
export type { RequestIdPolicy } from "../core/metadata/request-id.ts";

export { AccessLog, type AccessLogOptions, type AccessLogRules } from "../core/telemetry/access-log.ts";
export type { AccessFields, AccessFormat } from "../core/telemetry/access-line.ts";

// Metrics.
export { Metrics, type MetricsOptions, type UnknownKind } from "../core/telemetry/metrics.ts";
export { metricList, type MetricDefinition } from "../core/telemetry/metric-list.ts";
export { Exporter, type ExporterOptions } from "../core/telemetry/exporter.ts";
