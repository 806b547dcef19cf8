import assert from "node:assert/strict";
import { test } from "node:test";
import {
  openMetricsPage,
  prometheusPage,
  type MetricValues,
} from "../../../src/core/telemetry/open-metrics.ts";
import { MergedMetrics } from "../../../src/core/workers/merged-metrics.ts";

const calls = (ok: number, failed: number): MetricValues => ({
  name: "ts_ms_calls_total",
  help: 'Calls, "all".',
  type: "counter",
  values: [
    { labels: { code: "OK", method: "a" }, value: ok },
    { labels: { method: "a", code: "INTERNAL" }, value: failed },
  ],
});
const gauge = (name: string, value: number): MetricValues => ({
  name,
  help: "H.",
  type: "gauge",
  values: [{ labels: {}, value }],
});
const histogram = (count: number): MetricValues => ({
  name: "h_seconds",
  help: "H.",
  type: "histogram",
  values: [
    { metricName: "h_seconds_bucket", labels: { le: "+Inf" }, value: count },
    { metricName: "h_seconds_count", labels: {}, value: count },
  ],
});

/** Values by name and labels. */
function read(metrics: readonly MetricValues[]): Record<string, number> {
  return Object.fromEntries(
    metrics.flatMap(({ name, values = [] }) =>
      values.map(({ metricName = name, labels, value }) => [
        `${metricName} ${Object.values(labels).map(String).toSorted().join(" ")}`.trimEnd(),
        value,
      ]),
    ),
  );
}

test("counters and histograms are sums, those of workers that are gone too", () => {
  const merged = new MergedMetrics();
  const [a, b, c] = [{}, {}, {}];
  merged.update(a, 1, [calls(1, 2), histogram(3)]);
  merged.update(a, 1, [calls(10, 20), histogram(30)]);
  merged.update(b, 2, [calls(1, 0), histogram(1)]);
  const expected = {
    "ts_ms_calls_total OK a": 11,
    "ts_ms_calls_total INTERNAL a": 20,
    "h_seconds_bucket +Inf": 31,
    h_seconds_count: 31,
  };
  assert.deepEqual(read(merged.values([])), expected);
  merged.ended(a);
  assert.deepEqual(read(merged.values([])), expected);
  merged.update(c, 1, [calls(5, 0), histogram(0)]);
  assert.equal(read(merged.values([]))["ts_ms_calls_total OK a"], 16);
  merged.ended({}); // One that has said nothing.
});

test("gauges are summed, but for those whose sum says nothing", () => {
  const merged = new MergedMetrics();
  const expiry = "ts_ms_tls_certificate_expiry_timestamp_seconds";
  const lag = "ts_ms_event_loop_lag_seconds";
  const [a, b] = [{}, {}];
  merged.update(a, 1, [gauge("ts_ms_calls_in_flight", 2), gauge(expiry, 200), gauge(lag, 7)]);
  merged.update(a, 1, [gauge("ts_ms_calls_in_flight", 3), gauge(expiry, 200), gauge(lag, 1)]);
  merged.update(b, 2, [gauge("ts_ms_calls_in_flight", 4), gauge(expiry, 100), gauge(lag, 2)]);
  assert.deepEqual(read(merged.values([])), { ts_ms_calls_in_flight: 7, [expiry]: 100, [lag]: 7 });
  assert.equal(read(merged.values([]))[lag], 2, "the greatest since the page was read");
  merged.ended(a);
  assert.equal(read(merged.values([]))["ts_ms_calls_in_flight"], 4);
});

test("what is of a process has the number of its worker", () => {
  const merged = new MergedMetrics();
  const cpu = (value: number): MetricValues => ({
    ...gauge("process_cpu_seconds_total", value),
    type: "counter",
  });
  const [a, b, next] = [{}, {}, {}];
  merged.update(a, 1, [gauge("process_resident_memory_bytes", 100), cpu(5)]);
  merged.update(b, 2, [gauge("process_resident_memory_bytes", 200), cpu(6)]);
  merged.update(next, 1, [gauge("process_resident_memory_bytes", 50), cpu(1)]);
  assert.deepEqual(read(merged.values([])), {
    "process_resident_memory_bytes 1": 50,
    "process_resident_memory_bytes 2": 200,
    "process_cpu_seconds_total 1": 6,
    "process_cpu_seconds_total 2": 6,
  });
  merged.ended(a);
  assert.equal(read(merged.values([]))["process_cpu_seconds_total 1"], 6);
});

test("own values come first and are not added to", () => {
  const merged = new MergedMetrics();
  merged.update({}, 1, [gauge("ts_ms_workers", 9), calls(1, 1)]);
  const values = merged.values([gauge("ts_ms_workers", 2)]);
  assert.deepEqual(
    values.map(({ name }) => name),
    ["ts_ms_workers", "ts_ms_calls_total"],
  );
  assert.equal(read(values)["ts_ms_workers"], 2);
});

test("the page of all is a page as of one process", () => {
  const values = [calls(1, 2), gauge("g", 0.5)];
  assert.equal(
    prometheusPage(values),
    '# HELP ts_ms_calls_total Calls, "all".\n# TYPE ts_ms_calls_total counter\n' +
      'ts_ms_calls_total{code="OK",method="a"} 1\nts_ms_calls_total{method="a",code="INTERNAL"} 2\n\n' +
      "# HELP g H.\n# TYPE g gauge\ng 0.5\n",
  );
  assert.match(openMetricsPage(values, true), /# EOF\n$/);
});
