import assert from "node:assert/strict";
import { test } from "node:test";
import { openMetricsPage } from "../../../src/core/telemetry/open-metrics.ts";

const bucket = "call_seconds_bucket";
const exemplar = { traceId: "a".repeat(32), spanId: "b".repeat(16), seconds: 0.25, timeMs: 1_500 };
const histogram = {
  name: "call_seconds",
  help: "How long\ncalls take.",
  type: "histogram",
  values: [
    { metricName: bucket, labels: { le: 0.5, rpc: 'a"b' }, value: 2, exemplar },
    // As prom-client gives a bucket without one.
    { metricName: bucket, labels: { le: "+Inf" }, value: 3, exemplar: null },
    { metricName: "call_seconds_count", labels: {}, value: 3 },
  ],
};

test("L7 exemplars stand behind their buckets, where there are any and they are wanted", () => {
  const trace = `trace_id="${exemplar.traceId}",span_id="${exemplar.spanId}"`;
  for (const exemplars of [true, false]) {
    const lines = openMetricsPage([histogram], exemplars).split("\n");
    assert.deepEqual(lines, [
      "# TYPE call_seconds histogram",
      String.raw`# HELP call_seconds How long\ncalls take.`,
      String.raw`call_seconds_bucket{le="0.5",rpc="a\"b"} 2` + (exemplars ? ` # {${trace}} 0.25 1.5` : ""),
      `call_seconds_bucket{le="+Inf"} 3`,
      "call_seconds_count 3",
      "# EOF",
      "",
    ]);
  }
});

test("a counter is named by its family, one without the usual name is of unknown type", () => {
  const values = [{ labels: { a: "b" }, value: Number.POSITIVE_INFINITY }];
  const page = openMetricsPage(
    [
      { name: "calls_total", help: "Calls.", type: "counter", values },
      { name: "calls", help: "Calls.", type: "counter" },
    ],
    true,
  );
  const samples = ["# TYPE calls counter", "# HELP calls Calls.", 'calls_total{a="b"} +Inf'];
  assert.deepEqual(page.split("\n"), [
    ...samples,
    "# TYPE calls unknown",
    "# HELP calls Calls.",
    "# EOF",
    "",
  ]);
});
