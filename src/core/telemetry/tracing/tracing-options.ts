import type { Redactor } from "../redact.ts";

/** From whom traces are continued: every client, trusted proxies and peers, or none. */
export const traceAcceptance = ["all", "trusted", "none"] as const;

/** One of `traceAcceptance`. */
export type TraceAcceptance = (typeof traceAcceptance)[number];

/** What of the options can change while traces are on. */
export interface TracingRules {
  /** Share of the traces that begin here which are sampled, from 0 to 1. Default: 0.1. */
  readonly sampleRatio: number;
  /** The most traces in a second that untrusted clients can make this server sample. Default: 100. */
  readonly maxPerSecond: number;
  /** From whom the trace of a call is continued; all other calls begin a new one. Default: `all`. */
  readonly accept: TraceAcceptance;
}

/** Options of `startTracing`. */
export interface TracingOptions extends TracingRules {
  /** URL of a collector that takes OTLP over HTTP, without `/v1/traces`. */
  readonly endpoint: string;
  /** Headers of requests to the collector, such as credentials. Default: none. */
  readonly headers: Readonly<Record<string, string>>;
  /** Name of the program in its traces. Default: `unknown_service`. */
  readonly service: string;
  /** Further attributes of the program. Default: none. */
  readonly resource: Readonly<Record<string, string>>;
  /** Names of the members of `baggage` that go out with calls. Default: none. */
  readonly baggageKeys: readonly string[];
  /** Further names whose values are masked in queries, beside those of credentials, or what masks them. Default: none. */
  readonly redact: readonly string[] | Redactor;
  /** The most spans that wait for the collector; further ones are dropped and counted. Default: 2,048. */
  readonly queue: number;
  /** How long the last spans may take when the program stops, in milliseconds. Default: 2,000. */
  readonly flushTimeoutMs: number;
}

/** The defaults of `TracingOptions`; only `endpoint` has none. */
export const tracingDefaults: Omit<TracingOptions, "endpoint"> = Object.freeze({
  sampleRatio: 0.1,
  maxPerSecond: 100,
  accept: "all",
  headers: {},
  service: "unknown_service",
  resource: {},
  baggageKeys: [],
  redact: [],
  queue: 2048,
  flushTimeoutMs: 2_000,
});
