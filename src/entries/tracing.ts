/** `ts-ms/tracing`: traces by OpenTelemetry, sent to a collector. */
export { startTracing, type Tracing } from "../core/telemetry/tracing/tracing.ts";
export type {
  TraceAcceptance,
  TracingOptions,
  TracingRules,
} from "../core/telemetry/tracing/tracing-options.ts";
