import assert from "node:assert/strict";
import { test } from "node:test";
import { GoMs } from "../../../gen/go/micro/service/goms/goms_pb.ts";
import { CallContext } from "../../../src/core/call/context.ts";
import { Code, ConnectError, toCallError } from "../../../src/core/errors/errors.ts";
import { metricList } from "../../../src/core/telemetry/metric-list.ts";
import { Metrics } from "../../../src/core/telemetry/metrics.ts";

function call(protocolName = "grpc"): CallContext {
  return new CallContext({ method: GoMs.method.get, protocolName, requestHeader: new Headers() });
}

/** The samples of one metric, by their labels as the page writes them. */
async function samples(metrics: Metrics, name: string): Promise<Record<string, number>> {
  const page = await metrics.page();
  const rows = page.split("\n").flatMap((line) => {
    const match = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line);
    return match?.[1] === name ? [[match[2] ?? "", Number(match[3])] as const] : [];
  });
  return Object.fromEntries(rows);
}

const get = 'service="go.micro.service.goms.GoMs",method="Get"';

test("calls are counted by service, method, protocol and code", async () => {
  const metrics = new Metrics({ processMetrics: false });
  const [good, bad, rest, open] = [call(), call(), call("rest"), call()];
  for (const context of [good, bad, rest, open]) metrics.started(context);
  metrics.finished(good, undefined);
  metrics.finished(bad, new ConnectError("x", Code.NotFound));
  metrics.finished(rest, toCallError(new TypeError("x")));
  for (let reading = 0; reading < 2; reading++) {
    assert.deepEqual(await samples(metrics, "ts_ms_calls_started_total"), {
      [`${get},protocol="grpc"`]: 3,
      [`${get},protocol="rest"`]: 1,
    });
    assert.deepEqual(await samples(metrics, "ts_ms_calls_finished_total"), {
      [`${get},protocol="grpc",code="OK"`]: 1,
      [`${get},protocol="grpc",code="NOT_FOUND"`]: 1,
      [`${get},protocol="rest",code="INTERNAL"`]: 1,
    });
    assert.deepEqual(await samples(metrics, "ts_ms_calls_in_flight"), {
      [`${get},protocol="grpc"`]: 1,
      [`${get},protocol="rest"`]: 0,
    });
    assert.deepEqual(await samples(metrics, "ts_ms_call_faults_total"), {
      [`${get},protocol="grpc"`]: 0,
      [`${get},protocol="rest"`]: 1,
    });
  }
});

test("durations are in seconds", async () => {
  const metrics = new Metrics({ processMetrics: false });
  const context = call();
  metrics.started(context);
  metrics.finished(context, undefined);
  const count = await samples(metrics, "ts_ms_call_duration_seconds_count");
  assert.deepEqual(count, { [`${get},protocol="grpc"`]: 1 });
  const [sum = 0] = Object.values(await samples(metrics, "ts_ms_call_duration_seconds_sum"));
  assert.ok(sum > 0 && sum < 1, `sum ${sum}`);
});

test("HTTP requests are counted by route, method and status", async () => {
  const metrics = new Metrics({ processMetrics: false });
  metrics.httpRequest("/goms/{id}", "GET", 200, 0.25);
  metrics.httpRequest("/goms/{id}", "GET", 200, 0.5);
  metrics.httpRequest("/goms/{id}", "GET", 404, 0.25);
  metrics.httpRequest("/goms/{id}", "PATCH", 200, 0.25);
  assert.deepEqual(await samples(metrics, "ts_ms_http_requests_total"), {
    'route="/goms/{id}",method="GET",status="200"': 2,
    'route="/goms/{id}",method="GET",status="404"': 1,
    'route="/goms/{id}",method="PATCH",status="200"': 1,
  });
  assert.deepEqual(await samples(metrics, "ts_ms_http_request_duration_seconds_sum"), {
    'route="/goms/{id}",method="GET"': 1,
    'route="/goms/{id}",method="PATCH"': 0.25,
  });
});

test("durations are counted by bucket, a bound belonging to its own", async () => {
  const metrics = new Metrics({ processMetrics: false });
  for (const seconds of [0, 0.001, 0.0011, 0.5, 29, 31]) metrics.httpRequest("/goms", "GET", 200, seconds);
  const buckets = Object.entries(await samples(metrics, "ts_ms_http_request_duration_seconds_bucket"));
  const counts = buckets.map(
    ([labels, count]) => `${/^le="([^"]+)",route="\/goms",/.exec(labels)?.[1]}: ${count}`,
  );
  assert.deepEqual(counts.slice(0, 2), ["0.001: 2", "0.0025: 3"]);
  assert.ok(counts.includes("0.25: 3") && counts.includes("0.5: 4"), counts.join());
  assert.deepEqual(counts.slice(-3), ["10: 4", "30: 5", "+Inf: 6"]);
});

test("ignored names and faults of the process are counted", async () => {
  const metrics = new Metrics({ processMetrics: false });
  metrics.ignoredUnknown("/goms", "query", 2);
  metrics.ignoredUnknown("/goms", "query", 1);
  metrics.processFault("uncaughtException");
  assert.deepEqual(await samples(metrics, "ts_ms_http_ignored_unknown_total"), {
    'route="/goms",kind="query"': 3,
  });
  assert.deepEqual(await samples(metrics, "ts_ms_process_faults_total"), {
    'origin="uncaughtException"': 1,
  });
});

test("the page has the metrics of the list and no other of ours", async () => {
  const page = await new Metrics({ processMetrics: false }).page();
  const found = [...page.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name, type]) => `${name} ${type}`);
  const listed = Object.values(metricList).map(({ name, type }) => `${name} ${type}`);
  assert.deepEqual(found.sort(), listed.sort());
});

test("two applications in one process do not share their metrics", async () => {
  const [one, other] = [new Metrics(), new Metrics()];
  one.processFault("x");
  assert.deepEqual(await samples(other, "ts_ms_process_faults_total"), {});
  assert.match(await one.page(), /^process_resident_memory_bytes \d+/m);
});

test("no two metrics are one family: OpenMetrics names a counter without `_total`", () => {
  const families = Object.values(metricList).map(({ name }) => name.replace(/_total$/, ""));
  assert.deepEqual(
    families.filter((family, at) => families.indexOf(family) !== at),
    [],
  );
});
