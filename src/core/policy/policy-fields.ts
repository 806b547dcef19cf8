import { Code } from "../errors/errors.ts";
import { codes, count, delay, duration, flag, quantity, size, word } from "./policy-values.ts";
import type { PolicyValue, ValueKind } from "./policy-values.ts";

/** One field of `ts_ms.v1.MethodPolicy`. */
export interface PolicyField {
  /** Its name in contracts and configuration, with that of its group: `retry.max_attempts`. */
  readonly path: string;
  /** Its name in code, below its group: `maxAttempts`. */
  readonly option: string;
  readonly kind: ValueKind;
  /** Undefined where there is none. */
  readonly default: PolicyValue | undefined;
}

const many = Number.MAX_SAFE_INTEGER;
const retriable = [Code.Unavailable];
const failures = [Code.Unavailable, Code.DeadlineExceeded, Code.Internal, Code.Unknown, Code.DataLoss];

function field(path: string, kind: ValueKind, byDefault?: PolicyValue): PolicyField {
  const name = path
    .slice(path.indexOf(".") + 1)
    .replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  const unit = kind === duration || kind === delay ? "Ms" : "";
  return { path, option: name + unit, kind, default: byDefault };
}

/** All fields, in the order in which plans are shown. */
export const policyFields: readonly PolicyField[] = [
  field("timeout", duration),
  field("idempotency", word("UNKNOWN", "NO_SIDE_EFFECTS", "IDEMPOTENT")),
  field("retry.max_attempts", count(1, 10), 3),
  field("retry.initial_backoff", duration, 50),
  field("retry.max_backoff", duration, 1_000),
  field("retry.backoff_multiplier", quantity(1, Number.POSITIVE_INFINITY), 2),
  field("retry.jitter", quantity(0, 1), 0.2),
  field("retry.codes", codes, retriable),
  field("retry.attempt_timeout", duration),
  field("retry.buffer_bytes", size, 256 * 1024),
  field("hedge.max_attempts", count(2, 10), 2),
  field("hedge.delay", delay, { quantile: 0.95 }),
  field("hedge.codes", codes, retriable),
  field("hedge.max_extra", quantity(0, 1, true), 0.05),
  field("circuit_breaker.mode", word("window", "adaptive"), "window"),
  field("circuit_breaker.failure_ratio", quantity(0, 1, true), 0.5),
  field("circuit_breaker.min_calls", count(1, many), 20),
  field("circuit_breaker.window", duration, 10_000),
  field("circuit_breaker.slow_call", duration),
  field("circuit_breaker.open_for", duration, 5_000),
  field("circuit_breaker.max_open_for", duration, 60_000),
  field("circuit_breaker.probes", count(1, many), 1),
  field("circuit_breaker.probe_timeout", duration, 30_000),
  field("circuit_breaker.scope", word("target", "method", "endpoint", "endpoint_method"), "method"),
  field("circuit_breaker.codes", codes, failures),
  field("circuit_breaker.k", quantity(1, Number.POSITIVE_INFINITY), 2),
  field("concurrency.max", count(1, many)),
  field("concurrency.queue", count(0, many), 0),
  field("concurrency.queue_timeout", duration, 1_000),
  field("wait_for_ready", flag, false),
  field("max_request_bytes", size),
  field("max_response_bytes", size),
];

/** The groups of fields, by their names in contracts; those that are off unless a layer sets them. */
export const optionalGroups = ["hedge", "circuit_breaker", "concurrency"] as const;

/** The name of the group of a field; undefined for a field that stands alone. */
export function groupOf(path: string): string | undefined {
  const dot = path.indexOf(".");
  return dot < 0 ? undefined : path.slice(0, dot);
}
