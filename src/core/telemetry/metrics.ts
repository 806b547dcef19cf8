import type { DescMethod } from "@bufbuild/protobuf";
import type { Registry } from "prom-client";
import type { CallContext } from "../call/context.ts";
import { Code, isUnexpected, largestKnownCode, type ConnectError } from "../errors/errors.ts";
import type { CallObserver, RefusedCall } from "../call/observer.ts";
import { Durations } from "./durations.ts";
import { type CountedOperation, GraphqlBooks } from "./graphql-books.ts";
import { messagesOf } from "./call-messages.ts";
import type {
  CallSeries,
  HttpSeries,
  MessageSeries,
  ReadWatched,
  Tally,
  WatchedMetric,
  WatchedValue,
} from "./metric-books.ts";
import { type MetricValues, openMetricsPage } from "./open-metrics.ts";

/** Options of `Metrics`. */
export interface MetricsOptions {
  /**
   * Whether the page has metrics of the process: memory, CPU, event loop, garbage collection. The last two count from
   * the first read of the page. Default: true.
   */
  readonly processMetrics: boolean;
  /** Whether pages of OpenMetrics have exemplars. Default: true. */
  readonly exemplars: boolean;
}

/** The defaults of `MetricsOptions`. */
export const metricsDefaults: MetricsOptions = Object.freeze({ processMetrics: true, exemplars: true });

/** Most status numbers above 16 for one rpc; further ones are counted as UNKNOWN. */
const mostOwnCodes = 64;

/** Kind of an unknown name in an HTTP request: a query parameter or a JSON field. */
export type UnknownKind = "query" | "field";

/**
 * All metrics of one application, in a registry of their own, in the text format of Prometheus.
 *
 * Pass it to servers as an observer, and to an `Exporter`, which serves the page. `metricList` defines the metrics.
 */
export class Metrics implements CallObserver {
  /** Media type of `page()`: the text format of Prometheus. */
  readonly contentType = "text/plain; version=0.0.4; charset=utf-8";
  /** Media type of `openMetricsPage()`. */
  readonly openMetricsType = "application/openmetrics-text; version=1.0.0; charset=utf-8";
  readonly #options: MetricsOptions;
  readonly #calls = new Map<string, Map<DescMethod, CallSeries>>();
  readonly #http = new Map<string, Map<string, HttpSeries>>();
  readonly #http1 = { fast: 0, node: 0 };
  readonly #processFaults = new Map<string, Tally>();
  readonly #refused = new Map<string, Tally>();
  readonly #ignored = new Map<string, Tally>();
  readonly #mcp = new Map<string, Tally>();
  readonly #graphql = new GraphqlBooks();
  readonly #watched = new Map<WatchedMetric, Set<ReadWatched>>();
  #registry: Promise<Registry> | undefined;

  constructor(options: Partial<MetricsOptions> = {}) {
    this.#options = { ...metricsDefaults, ...options };
  }

  /** The page with the current values of all metrics. */
  async page(): Promise<string> {
    const registry = await (this.#registry ??= this.#load());
    return registry.metrics();
  }

  /**
   * The same page in the format OpenMetrics 1.0. Histograms of calls have exemplars, unless the option is off: the last
   * sampled trace of each bucket.
   */
  async openMetricsPage(): Promise<string> {
    return openMetricsPage(await this.values(), this.#options.exemplars);
  }

  /** What is on the page, as values; with the exemplars that there are. */
  async values(): Promise<readonly MetricValues[]> {
    const registry = await (this.#registry ??= this.#load());
    return registry.getMetricsAsJSON();
  }

  started(context: CallContext): void {
    const series = this.#series(context);
    series.started++;
    if (context.method.methodKind !== "unary") series.streams.add(context);
  }

  finished(context: CallContext, error: ConnectError | undefined): void {
    const series = this.#series(context);
    series.ended++;
    countCode(series, error?.code ?? 0);
    if (error !== undefined && isUnexpected(error)) series.faults++;
    series.durations.observe((performance.now() - context.startedAt) / 1000, context.trace);
    series.streams.delete(context);
    if (context.protocolName === "in-process") return;
    const { received, sent } = messagesOf(context, error === undefined);
    series.received += received;
    series.sent += sent;
  }

  refused({ method, protocolName: protocol, kind: reason }: RefusedCall): void {
    const service = method?.parent.typeName ?? "(none)";
    const name = method?.name ?? "(none)";
    const labels = { service, method: name, protocol, reason };
    tally(this.#refused, `${protocol} ${reason} ${service}/${name}`, labels, 1);
  }

  /**
   * Counts an HTTP request that was answered.
   *
   * @param route Template of the route, never the path itself: each new value is a new time series.
   * @param method HTTP method.
   * @param seconds Time from the request's head to the end of the answer.
   * @param lane What has read a request over HTTP/1.1; undefined for others.
   */
  httpRequest(route: string, method: string, status: number, seconds: number, lane?: "fast" | "node"): void {
    if (lane !== undefined) this.#http1[lane]++;
    const { durations, byStatus } = this.#httpSeries(route, method);
    byStatus.set(status, (byStatus.get(status) ?? 0) + 1);
    durations.observe(seconds);
  }

  /** Counts query parameters or JSON fields of one request that were ignored as unknown. */
  ignoredUnknown(route: string, kind: UnknownKind, count: number): void {
    tally(this.#ignored, `${kind} ${route}`, { route, kind }, count);
  }

  /** Counts a request of MCP that was answered. */
  mcpRequest(method: string, outcome: string): void {
    tally(this.#mcp, `${method} ${outcome}`, { method, outcome }, 1);
  }

  /** Counts what happens to an operation of GraphQL. */
  graphql(event: CountedOperation): void {
    this.#graphql.count(event);
  }

  /** Counts an exception or rejection outside of any call. */
  processFault(origin: string): void {
    tally(this.#processFaults, origin, { origin }, 1);
  }

  /**
   * Adds the values of a feature to the page. They are counts of the feature's own, which are read with the page.
   *
   * @returns takes them from the page
   */
  watch(metric: WatchedMetric, read: ReadWatched): () => void {
    const readers = this.#watched.get(metric) ?? new Set();
    this.#watched.set(metric, readers.add(read));
    return () => void readers.delete(read);
  }

  /** Loads prom-client at the first read of the page: loading is slow, and counting does not need it. */
  async #load(): Promise<Registry> {
    const { metricsPage } = await import("./metrics-page.ts");
    const books = {
      calls: () => [...this.#calls.values()].flatMap((methods) => [...methods.values()]),
      messages: () => this.#messages(),
      http: () => [...this.#http.values()].flatMap((methods) => [...methods.values()]),
      http1: this.#http1,
      processFaults: this.#processFaults,
      refused: this.#refused,
      ignored: this.#ignored,
      mcp: this.#mcp,
      graphql: this.#graphql,
      watched: (metric: WatchedMetric) => this.#readWatched(metric),
    };
    return metricsPage(books, this.#options.processMetrics);
  }

  *#readWatched(metric: WatchedMetric): Generator<WatchedValue> {
    for (const read of this.#watched.get(metric) ?? []) yield* read();
  }

  *#messages(): Generator<MessageSeries> {
    for (const methods of this.#calls.values()) {
      for (const { labels, received, sent, streams } of methods.values()) {
        const open = [...streams].map((context) => messagesOf(context, false));
        yield {
          labels,
          received: open.reduce((sum, { received: more }) => sum + more, received),
          sent: open.reduce((sum, { sent: more }) => sum + more, sent),
        };
      }
    }
  }

  #series(context: CallContext): CallSeries {
    const protocol = context.protocolName;
    let methods = this.#calls.get(protocol);
    if (methods === undefined) this.#calls.set(protocol, (methods = new Map<DescMethod, CallSeries>()));
    let series = methods.get(context.method);
    if (series === undefined) {
      const { parent, name } = context.method;
      const labels = { service: parent.typeName, method: name, protocol };
      series = {
        labels,
        durations: new Durations(),
        finished: [0],
        ownCodes: new Map(),
        started: 0,
        ended: 0,
        faults: 0,
        received: 0,
        sent: 0,
        streams: new Set(),
      };
      methods.set(context.method, series);
    }
    return series;
  }

  #httpSeries(route: string, method: string): HttpSeries {
    let methods = this.#http.get(route);
    if (methods === undefined) this.#http.set(route, (methods = new Map<string, HttpSeries>()));
    let series = methods.get(method);
    if (series === undefined) {
      series = { labels: { route, method }, durations: new Durations(), byStatus: new Map() };
      methods.set(method, series);
    }
    return series;
  }
}

/**
 * Each status number is a time series of its own. To bound them, only the first `mostOwnCodes` of a service's own
 * numbers are kept; further ones are counted as UNKNOWN.
 */
function countCode({ finished, ownCodes }: Pick<CallSeries, "finished" | "ownCodes">, code: number): void {
  if (code <= largestKnownCode) finished[code] = (finished[code] ?? 0) + 1;
  else if (ownCodes.size < mostOwnCodes || ownCodes.has(code))
    ownCodes.set(code, (ownCodes.get(code) ?? 0) + 1);
  else countCode({ finished, ownCodes }, Code.Unknown);
}

function tally(tallies: Map<string, Tally>, key: string, labels: Tally["labels"], count: number): void {
  const known = tallies.get(key);
  if (known === undefined) tallies.set(key, { labels, count });
  else known.count += count;
}
