import type { DescMethod } from "@bufbuild/protobuf";
import { collectDefaultMetrics, Counter, Gauge, Registry } from "prom-client";
import type { CallContext } from "../context.ts";
import { isUnexpected, type ConnectError } from "../errors.ts";
import type { CallObserver } from "../observer.ts";
import { codeName } from "../code-name.ts";
import { Durations, registerDurations } from "./duration-metric.ts";
import { metricList, type MetricDefinition } from "./metric-list.ts";

/** Options of `Metrics`. */
export interface MetricsOptions {
  /** Whether the page also tells of the process: memory, CPU, event loop, garbage collection. Default: true. */
  readonly processMetrics: boolean;
}

/** The defaults of `MetricsOptions`. */
export const metricsDefaults: MetricsOptions = Object.freeze({ processMetrics: true });

/** What an HTTP request may carry that no field answers to. */
export type UnknownKind = "query" | "field";

/** The book of one rpc called by one protocol. Plain numbers, which become metrics when somebody reads the page. */
interface CallSeries {
  readonly labels: { readonly service: string; readonly method: string; readonly protocol: string };
  readonly durations: Durations;
  /** How many calls ended, by status number. */
  readonly finished: number[];
  started: number;
  ended: number;
  faults: number;
}

/** The book of one HTTP method on one route. */
interface HttpSeries {
  readonly labels: { readonly route: string; readonly method: string };
  readonly durations: Durations;
  /** How many requests were answered, by status. */
  readonly byStatus: Map<number, number>;
}

/**
 * All metrics of one application, in a registry of their own, in the text format of Prometheus.
 *
 * Give it to servers as an observer, and to an `Exporter`, which serves the page. `metricList` names the metrics.
 */
export class Metrics implements CallObserver {
  readonly #registry = new Registry();
  readonly #calls = new Map<string, Map<DescMethod, CallSeries>>();
  readonly #http = new Map<string, Map<string, HttpSeries>>();
  readonly #processFaults = this.#counter(metricList.processFaults);
  readonly #ignoredUnknown = this.#counter(metricList.ignoredUnknown);

  constructor(options: Partial<MetricsOptions> = {}) {
    this.#counter(metricList.callsStarted, (metric) => {
      for (const { labels, started } of this.#callSeries()) metric.inc(labels, started);
    });
    this.#counter(metricList.callsFinished, (metric) => {
      for (const { labels, finished } of this.#callSeries()) {
        for (const [code, count] of finished.entries()) {
          if (count > 0) metric.inc({ ...labels, code: codeName(code) }, count);
        }
      }
    });
    this.#counter(metricList.callFaults, (metric) => {
      for (const { labels, faults } of this.#callSeries()) metric.inc(labels, faults);
    });
    this.#counter(metricList.httpRequests, (metric) => {
      for (const { labels, byStatus } of this.#httpSeries()) {
        for (const [status, count] of byStatus) metric.inc({ ...labels, status }, count);
      }
    });
    this.#inFlight();
    registerDurations(this.#registry, metricList.callDuration, () =>
      this.#ended().map(({ labels, durations }) => [labels, durations]),
    );
    registerDurations(this.#registry, metricList.httpDuration, () =>
      this.#httpSeries().map(({ labels, durations }) => [labels, durations]),
    );
    if ({ ...metricsDefaults, ...options }.processMetrics)
      collectDefaultMetrics({ register: this.#registry });
  }

  /** Media type of `page()`. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** All metrics as they are now. */
  page(): Promise<string> {
    return this.#registry.metrics();
  }

  started(context: CallContext): void {
    this.#series(context).started++;
  }

  finished(context: CallContext, error: ConnectError | undefined): void {
    const series = this.#series(context);
    const code = error?.code ?? 0;
    series.ended++;
    series.finished[code] = (series.finished[code] ?? 0) + 1;
    if (error !== undefined && isUnexpected(error)) series.faults++;
    series.durations.observe((performance.now() - context.startedAt) / 1000);
  }

  /**
   * Counts an HTTP request that was answered.
   *
   * @param route Template of the route, never the path itself: each new value is a new time series.
   * @param method HTTP method.
   * @param seconds Time from the request's head to the end of the answer.
   */
  httpRequest(route: string, method: string, status: number, seconds: number): void {
    const { durations, byStatus } = this.#httpBook(route, method);
    byStatus.set(status, (byStatus.get(status) ?? 0) + 1);
    durations.observe(seconds);
  }

  /** Counts query parameters or JSON fields of one request that were ignored as unknown. */
  ignoredUnknown(route: string, kind: UnknownKind, count: number): void {
    this.#ignoredUnknown.inc({ route, kind }, count);
  }

  /** Counts an exception or rejection outside of any call. */
  processFault(origin: string): void {
    this.#processFaults.inc({ origin });
  }

  #series(context: CallContext): CallSeries {
    const protocol = context.origin?.protocol ?? context.protocolName;
    let methods = this.#calls.get(protocol);
    if (methods === undefined) this.#calls.set(protocol, (methods = new Map<DescMethod, CallSeries>()));
    let series = methods.get(context.method);
    if (series === undefined) {
      const { parent, name } = context.method;
      const labels = { service: parent.typeName, method: name, protocol };
      series = { labels, durations: new Durations(), finished: [0], started: 0, ended: 0, faults: 0 };
      methods.set(context.method, series);
    }
    return series;
  }

  *#callSeries(): Generator<CallSeries, void, undefined> {
    for (const methods of this.#calls.values()) yield* methods.values();
  }

  /** Those of which something has ended: a histogram without any sample says nothing. */
  #ended(): CallSeries[] {
    return [...this.#callSeries()].filter(({ ended }) => ended > 0);
  }

  #httpSeries(): HttpSeries[] {
    return [...this.#http.values()].flatMap((methods) => [...methods.values()]);
  }

  #httpBook(route: string, method: string): HttpSeries {
    let methods = this.#http.get(route);
    if (methods === undefined) this.#http.set(route, (methods = new Map<string, HttpSeries>()));
    let series = methods.get(method);
    if (series === undefined) {
      series = { labels: { route, method }, durations: new Durations(), byStatus: new Map() };
      methods.set(method, series);
    }
    return series;
  }

  /** A counter; with `fill` it is counted anew from our books whenever the page is read. */
  #counter(definition: MetricDefinition, fill?: (metric: Counter) => void): Counter {
    const counter: Counter = new Counter({
      ...this.#configuration(definition),
      ...(fill === undefined
        ? {}
        : {
            collect: () => {
              counter.reset();
              fill(counter);
            },
          }),
    });
    return counter;
  }

  #inFlight(): void {
    const gauge: Gauge = new Gauge({
      ...this.#configuration(metricList.callsInFlight),
      collect: () => {
        gauge.reset();
        for (const { labels, started, ended } of this.#callSeries()) gauge.inc(labels, started - ended);
      },
    });
  }

  #configuration({ name, help, labels }: MetricDefinition) {
    return { name, help, labelNames: [...labels], registers: [this.#registry] };
  }
}
