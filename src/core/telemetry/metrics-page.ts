import { monitorEventLoopDelay } from "node:perf_hooks";
import { collectDefaultMetrics, type Counter, Registry } from "prom-client";
import { ownVersion } from "../config/own-version.ts";
import { codeName } from "../errors/code-name.ts";
import { reloadCounts } from "../config/reload-counts.ts";
import { serverConnections } from "../net/connection-count.ts";
import { http3Counts } from "../net/http3-counts.ts";
import { certificateExpiries } from "../net/tls.ts";
import { http2Counts, upstreams, type Http2Counts } from "../http2/http2-counts.ts";
import { registrations } from "../lifecycle/lifecycle.ts";
import { trafficBooks, type TrafficCounts } from "../traffic/traffic-books.ts";
import { logCounts } from "./log-writer.ts";
import { traceCounts } from "./trace-counts.ts";
import { clientCounts } from "./client-books.ts";
import type { MetricBooks, Tally } from "./metric-books.ts";
import { metricList, type MetricDefinition } from "./metric-list.ts";
import { counter, gauge, histogram } from "./registered-metrics.ts";
import { addWatched } from "./watched-metrics.ts";

/** How often the lag of the event loop is measured, in milliseconds. */
const lagResolutionMs = 20;

/**
 * A registry of prom-client that reads its values from `books` whenever the page is read; with `processMetrics` it has
 * metrics of the process too.
 */
export function metricsPage(books: MetricBooks, processMetrics: boolean): Registry {
  const registry = new Registry();
  counter(registry, metricList.callsStarted, (metric) => {
    for (const { labels, started } of books.calls()) metric.inc(labels, started);
  });
  counter(registry, metricList.callsFinished, (metric) => {
    for (const { labels, finished, ownCodes } of books.calls()) {
      for (const [code, count] of [...finished.entries(), ...ownCodes]) {
        if (count > 0) metric.inc({ ...labels, code: codeName(code) }, count);
      }
    }
  });
  gauge(registry, metricList.callsInFlight, (metric) => {
    for (const { labels, started, ended } of books.calls()) metric.inc(labels, started - ended);
  });
  histogram(registry, metricList.callDuration, (name) =>
    books
      .calls()
      .filter(({ ended }) => ended > 0) // An empty histogram is left out.
      .flatMap(({ labels, durations }) => durations.samples(name, labels)),
  );
  counter(registry, metricList.callsRefused, (metric) => addTallies(metric, books.refused));
  counter(registry, metricList.callFaults, (metric) => {
    for (const { labels, faults } of books.calls()) metric.inc(labels, faults);
  });
  counter(registry, metricList.processFaults, (metric) => addTallies(metric, books.processFaults));
  counter(registry, metricList.httpRequests, (metric) => {
    for (const { labels, byStatus } of books.http()) {
      for (const [status, count] of byStatus) metric.inc({ ...labels, status }, count);
    }
  });
  histogram(registry, metricList.httpDuration, (name) =>
    books.http().flatMap(({ labels, durations }) => durations.samples(name, labels)),
  );
  counter(registry, metricList.http1Requests, (metric) => {
    const { fast, node } = books.http1;
    if (fast + node === 0) return; // Without HTTP there are no lanes.
    metric.inc({ lane: "fast" }, fast);
    metric.inc({ lane: "node" }, node);
  });
  counter(registry, metricList.ignoredUnknown, (metric) => addTallies(metric, books.ignored));
  counter(registry, metricList.mcpRequests, (metric) => addTallies(metric, books.mcp));
  addGraphql(registry, books);
  addProcess(registry, books);
  addHttp2(registry);
  addHttp3(registry);
  addClients(registry);
  addDiscovery(registry);
  addTraffic(registry);
  addWatched(registry, books);
  addConfig(registry);
  if (processMetrics) collectDefaultMetrics({ register: registry });
  return registry;
}

/** Operations of GraphQL. */
function addGraphql(registry: Registry, { graphql }: MetricBooks): void {
  counter(registry, metricList.graphqlOperations, (metric) => addTallies(metric, graphql.operations));
  histogram(registry, metricList.graphqlDuration, (name) =>
    [...graphql.durations].flatMap(([type, durations]) => durations.samples(name, { type })),
  );
  counter(registry, metricList.graphqlRefused, (metric) => addTallies(metric, graphql.refused));
  histogram(registry, metricList.graphqlBatchedKeys, (name) =>
    graphql.keys.count === 0 ? [] : graphql.keys.samples(name, {}),
  );
}

/** What belongs to the process as a whole. */
function addProcess(registry: Registry, books: MetricBooks): void {
  counter(registry, metricList.messages, (metric) => {
    for (const { labels, received, sent } of books.messages()) {
      if (received > 0) metric.inc({ ...labels, direction: "received" }, received);
      if (sent > 0) metric.inc({ ...labels, direction: "sent" }, sent);
    }
  });
  gauge(registry, metricList.connections, (metric) => {
    for (const [server, { open }] of serverConnections) metric.set({ server }, open);
  });
  counter(registry, metricList.connectionsRefused, (metric) => {
    for (const [server, { refused }] of serverConnections) {
      for (const [reason, count] of refused) metric.inc({ server, reason }, count);
    }
  });
  gauge(registry, metricList.certificateExpiry, (metric) => {
    for (const [server, endMs] of certificateExpiries) metric.set({ server }, endMs / 1_000);
  });
  const delay = monitorEventLoopDelay({ resolution: lagResolutionMs });
  delay.enable();
  gauge(registry, metricList.eventLoopLag, (metric) => {
    metric.set(Math.max(0, delay.max / 1e9 - lagResolutionMs / 1e3));
    delay.reset();
  });
  counter(registry, metricList.logLinesDropped, (metric) => metric.inc(logCounts.dropped));
  counter(registry, metricList.spansDropped, (metric) => metric.inc(traceCounts.dropped));
  gauge(registry, metricList.buildInfo, (metric) =>
    metric.set({ version: ownVersion(), node: process.version }, 1),
  );
}

/** Connections belong to the process: each page of it has all of them. */
function addHttp2(registry: Registry): void {
  const sides = (): [side: string, counts: Http2Counts][] =>
    Object.entries(http2Counts).filter(([, { used }]) => used);
  gauge(registry, metricList.http2Connections, (metric) => {
    for (const [side, { open }] of sides()) metric.set({ side }, open.size);
  });
  gauge(registry, metricList.http2Streams, (metric) => {
    for (const [side, { open }] of sides()) {
      metric.set({ side }, 0);
      for (const { streams } of open) metric.inc({ side }, streams);
    }
  });
  counter(registry, metricList.http2ConnectionsEnded, (metric) => {
    for (const [side, { ended }] of sides()) {
      for (const [cause, count] of ended) metric.inc({ side, cause }, count);
    }
  });
  counter(registry, metricList.http2RefusedStreams, (metric) => {
    for (const [side, { refusedStreams }] of sides()) metric.inc({ side }, refusedStreams);
  });
  counter(registry, metricList.http2Pings, (metric) => {
    for (const [side, { pings }] of sides()) {
      for (const [outcome, count] of Object.entries(pings)) metric.inc({ side, outcome }, count);
    }
  });
  counter(registry, metricList.clientGoaways, (metric) => {
    for (const [upstream, { goaways }] of upstreams) {
      for (const [code, count] of goaways) metric.inc({ upstream, code }, count);
    }
  });
  gauge(registry, metricList.clientQueuedCalls, (metric) => {
    for (const [upstream, { queued }] of upstreams) metric.set({ upstream }, queued);
  });
}

function addHttp3(registry: Registry): void {
  gauge(registry, metricList.http3Connections, (metric) => {
    if (http3Counts.used) metric.set(http3Counts.open);
  });
  counter(registry, metricList.http3EarlyRefused, (metric) => {
    if (http3Counts.used || http3Counts.earlyRefused > 0) metric.inc(http3Counts.earlyRefused);
  });
}

/** Clusters of one name are one upstream. */
function addClients(registry: Registry): void {
  const { clusters, rejections, denials, waits } = clientCounts;
  counter(registry, metricList.clientCallsFinished, (metric) => {
    for (const { labels, finishedByCode } of clientCounts.series) {
      for (const [code, count] of finishedByCode) metric.inc({ ...labels, code: codeName(code) }, count);
    }
  });
  histogram(registry, metricList.clientCallDuration, (name) =>
    clientCounts.series
      .filter(({ finishedByCode }) => finishedByCode.size > 0)
      .flatMap(({ labels, durations }) => durations.samples(name, labels)),
  );
  counter(registry, metricList.clientAttempts, (metric) => {
    for (const { labels, attempts } of clientCounts.series) {
      for (const [kind, count] of attempts) metric.inc({ ...labels, kind }, count);
    }
  });
  counter(registry, metricList.clientRejected, (metric) => {
    for (const [upstream, reasons] of rejections) {
      for (const [reason, count] of reasons) metric.inc({ upstream, reason }, count);
    }
  });
  counter(registry, metricList.clientRetriesDenied, (metric) => {
    for (const [upstream, reasons] of denials) {
      for (const [reason, count] of reasons) metric.inc({ upstream, reason }, count);
    }
  });
  histogram(registry, metricList.clientQueue, (name) =>
    [...waits].flatMap(([upstream, durations]) => durations.samples(name, { upstream })),
  );
  gauge(registry, metricList.clientBreakerState, (metric) => {
    for (const { name: upstream, breakerStates } of clusters) {
      for (const [breaker, state] of breakerStates) metric.set({ upstream, breaker }, state);
    }
  });
  counter(registry, metricList.upstreamRefused, (metric) => {
    for (const [upstream, reasons] of clientCounts.refusals) {
      for (const [reason, count] of reasons) metric.inc({ upstream, reason }, count);
    }
  });
  gauge(registry, metricList.clientInFlight, (metric) => {
    for (const { name: upstream, inFlight } of clusters) metric.inc({ upstream }, inFlight);
  });
  gauge(registry, metricList.clientEndpoints, (metric) => {
    for (const { name: upstream, endpoints } of clusters) {
      for (const [state, count] of endpoints) metric.inc({ upstream, state }, count);
    }
  });
  counter(registry, metricList.clientEjections, (metric) => {
    for (const [upstream, reasons] of clientCounts.ejections) {
      for (const [reason, count] of reasons) metric.inc({ upstream, reason }, count);
    }
  });
  gauge(registry, metricList.clientConnections, (metric) => {
    for (const { name: upstream, connections } of clusters) metric.inc({ upstream }, connections);
  });
  counter(registry, metricList.clientConnectionsClosed, (metric) => {
    for (const [upstream, reasons] of clientCounts.closings) {
      for (const [reason, count] of reasons) metric.inc({ upstream, reason }, count);
    }
  });
}

/** Of several clusters of one name, the worst counts. */
function addDiscovery(registry: Registry): void {
  const known = (): Map<string, { ageMs: number; stale: boolean }> => {
    const worst = new Map<string, { ageMs: number; stale: boolean }>();
    for (const { name, discovery } of clientCounts.clusters) {
      if (discovery?.ageMs === undefined) continue;
      const other = worst.get(name) ?? { ageMs: 0, stale: false };
      const { ageMs, stale } = discovery;
      worst.set(name, { ageMs: Math.max(ageMs, other.ageMs), stale: stale || other.stale });
    }
    return worst;
  };
  gauge(registry, metricList.discoveryAge, (metric) => {
    for (const [upstream, { ageMs }] of known()) metric.set({ upstream }, ageMs / 1_000);
  });
  gauge(registry, metricList.discoveryStale, (metric) => {
    for (const [upstream, { stale }] of known()) metric.set({ upstream }, stale ? 1 : 0);
  });
  counter(registry, metricList.discoveryUpdates, (metric) => {
    for (const [upstream, results] of clientCounts.looks) {
      for (const [result, count] of results) metric.inc({ upstream, result }, count);
    }
  });
  gauge(registry, metricList.registrationRegistered, (metric) => {
    for (const { service, isRegistered } of registrations) {
      metric.inc({ name: service }, isRegistered ? 1 : 0);
    }
  });
}

function addTraffic(registry: Registry): void {
  const add = (definition: MetricDefinition, counts: TrafficCounts): void =>
    counter(registry, definition, (metric) => {
      for (const { labels, count } of counts.all) metric.inc(labels, count);
    });
  add(metricList.splitCalls, trafficBooks.splits);
  add(metricList.mirrorCalls, trafficBooks.mirrors);
  add(metricList.faultsInjected, trafficBooks.faults);
}

function addTallies(metric: Counter, tallies: ReadonlyMap<string, Tally>): void {
  for (const { labels, count } of tallies.values()) metric.inc({ ...labels }, count);
}

/** The configuration of a process is one, if it has one. */
function addConfig(registry: Registry): void {
  counter(registry, metricList.configReloads, (metric) => {
    if (reloadCounts.restartNeeded === undefined) return;
    for (const [result, count] of Object.entries(reloadCounts.results)) metric.inc({ result }, count);
  });
  gauge(registry, metricList.configRestartNeeded, (metric) => {
    if (reloadCounts.restartNeeded !== undefined) metric.set(reloadCounts.restartNeeded);
  });
}
