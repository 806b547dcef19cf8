import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { metricList, type MetricDefinition } from "../../src/core/telemetry/metric-list.ts";
import { Checks, type Suite } from "../suite.ts";
import { startScrapedApp, type ScrapedApp } from "./scraped-app.ts";
import { prometheusPrograms, PrometheusServer } from "./server.ts";

/** How long Prometheus may take to know of something, in milliseconds. */
const knownWithinMs = 10_000;

/** Metrics of parts that the program does not use, so that they have no series. */
const unused =
  /^ts_ms_(?:client|discovery|registration|upstream|split|mirror|ext_authz|faults_injected|graphql|mcp|hub|outbox|inbox|queue|broker|saga|worker|http3)_|^ts_ms_(?:process_faults|connections_refused|http2_pings)_total$|^ts_ms_workers$/;

/**
 * Findings that are none: `ts_ms_` is the name of this project and no unit, and names of metrics of the process are those
 * of prom-client.
 */
const argued =
  /^ts_ms_\w+ metric names should not contain abbreviated units$|^nodejs_active_\w+_total non-counter metrics should not have "_total" suffix$/;

const all: readonly MetricDefinition[] = Object.values(metricList);

/** Debian's Prometheus 2.42 scrapes a program by its configuration, and `promtool` judges the page. */
export const prometheus: Suite = {
  name: "prometheus",
  async run() {
    const programs = await prometheusPrograms();
    const checks = new Checks();
    await using app = await startScrapedApp();
    await using server = await PrometheusServer.start(programs, app.metrics, app.files);
    await checks.check("calls that succeed, fail and are refused", () => makeCalls(app));
    await checks.check("promtool finds nothing", async () => {
      const page = await (await fetch(app.metrics)).text();
      const findings = await promtool(join(programs, "promtool"), page);
      assert.deepEqual(
        findings.filter((finding) => !argued.test(finding)),
        [],
      );
    });
    await checks.check("the trace id of a call is an exemplar within 10 s", () =>
      seenAsExemplar(app, server),
    );
    await checks.check("every metric is known by its type", async () => {
      const types = await server.types();
      for (const { name, type } of all) {
        // A counter of OpenMetrics is known without the end of its samples' name.
        const family = type === "counter" ? name.replace(/_total$/, "") : name;
        assert.equal(types.get(family), type, family);
      }
    });
    for (const metric of all.filter(({ name }) => !unused.test(name))) {
      await checks.check(`${metric.name} has its labels`, () => hasItsLabels(server, metric));
    }
    await checks.check("counts are those of the calls", () => countsCalls(app, server));
    await checks.check("counters only rise", () => onlyRise(app, server));
    return checks.result;
  },
};

/** The lines in which `promtool check metrics` objects to a page. */
async function promtool(program: string, page: string): Promise<readonly string[]> {
  const child = spawn(program, ["check", "metrics"], { stdio: ["pipe", "pipe", "pipe"] });
  let said = "";
  for (const output of [child.stdout, child.stderr]) {
    output.setEncoding("utf8").on("data", (text: string) => (said += text));
  }
  child.stdin.end(page);
  await once(child, "close");
  // It has exited with 3 if it objects, which the metrics of the process make it do.
  assert.ok(child.exitCode === 0 || child.exitCode === 3, said);
  return said.split("\n").filter((line) => line !== "");
}

async function makeCalls(app: ScrapedApp): Promise<void> {
  const echo = "/test/v1/echo";
  const statuses = [
    await app.rest(`${echo}/a`),
    await app.rest(`${echo}/a?unknown=1`),
    await app.rest(echo, { behaviour: { failure: { code: 13 } } }),
    await app.rest(echo, { behaviour: { failure: { message: "unexpected" } } }),
    await app.anonymous(`${echo}/a`),
    await app.rest("/test/v1/collect", {}),
    await app.rest("/nothing"),
    await app.rest(`${echo}/a`, undefined, "--http1.1"),
  ];
  assert.deepEqual(statuses, [200, 200, 500, 500, 401, 403, 404, 200]);
  const repeated: number[] = [];
  for (let call = 0; call < 4; call++) repeated.push(await app.rest("/test/v1/repeat/x?count=2"));
  assert.deepEqual(repeated, [200, 200, 200, 429]);
  const { code, stderr } = await app.grpc('{"text":"a"}');
  assert.equal(code, 0, stderr);
  const slow = { behaviour: { sleepMs: 2_000 } };
  const together = await Promise.all([slow, slow, slow].map((body) => app.rest(echo, body)));
  assert.deepEqual(
    together.toSorted((a, b) => a - b),
    [200, 200, 503],
  );
}

async function seenAsExemplar(app: ScrapedApp, server: PrometheusServer): Promise<void> {
  const traceId = crypto.randomUUID().replaceAll("-", "");
  // No other call falls into the bucket from 0.5 to 1 s.
  const args = ["-H", `traceparent: 00-${traceId}-00f067aa0ba902b7-01`];
  assert.equal(await app.rest("/test/v1/echo", { behaviour: { sleepMs: 700 } }, ...args), 200);
  const sinceMs = performance.now();
  for (;;) {
    const found = await server.exemplars("ts_ms_call_duration_seconds_bucket");
    const [one] = found.flatMap(({ seriesLabels, exemplars }) =>
      exemplars.flatMap(({ labels, value }) =>
        labels["trace_id"] === traceId ? [{ seriesLabels, labels, value: Number(value) }] : [],
      ),
    );
    if (one !== undefined) {
      assert.equal(one.seriesLabels["method"], "Echo");
      assert.match(one.labels["span_id"] ?? "", /^[0-9a-f]{16}$/);
      assert.ok(one.value >= 0.7 && one.value < 10, `${one.value} s`);
      return;
    }
    assert.ok(performance.now() - sinceMs < knownWithinMs, "not seen");
    await delay(200);
  }
}

async function hasItsLabels(
  server: PrometheusServer,
  { name, type, labels }: MetricDefinition,
): Promise<void> {
  const names = type === "histogram" ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name];
  for (const sample of names) {
    await known(server, async () => (await server.series(sample)).length > 0);
    const series = await server.series(sample);
    const expected = [
      "__name__",
      "instance",
      "job",
      ...labels,
      ...(sample.endsWith("_bucket") ? ["le"] : []),
    ];
    for (const one of series) assert.deepEqual(Object.keys(one).toSorted(), expected.toSorted(), sample);
  }
}

/** What is finished and refused is what was asked for, once no call is under way. */
async function countsCalls(app: ScrapedApp, server: PrometheusServer): Promise<void> {
  const ofEcho = '{method="Echo",protocol="rest"}';
  const sum = async (metric: string): Promise<number> =>
    (await server.query(`sum(${metric}${ofEcho})`))[0]?.value ?? 0;
  const count = async (): Promise<number> =>
    (await sum("ts_ms_calls_finished_total")) + (await sum("ts_ms_calls_refused_total"));
  const before = await settled(count);
  for (let call = 0; call < 5; call++) await app.rest("/test/v1/echo/a");
  await app.anonymous("/test/v1/echo/a");
  await known(server, async () => (await count()) === before + 6);
  assert.equal(await sum("ts_ms_calls_started_total"), await sum("ts_ms_calls_finished_total"));
  assert.equal(await sum("ts_ms_call_duration_seconds_count"), await sum("ts_ms_calls_finished_total"));
}

/** A value once two scrapes have shown the same. */
async function settled(value: () => Promise<number>): Promise<number> {
  for (let last = await value(); ;) {
    await delay(2_500);
    const next = await value();
    if (next === last) return next;
    last = next;
  }
}

async function onlyRise(app: ScrapedApp, server: PrometheusServer): Promise<void> {
  for (let call = 0; call < 5; call++) {
    await app.rest("/test/v1/echo/a");
    await delay(500);
  }
  let count = 0;
  for (const { name, type } of all) {
    const samples = {
      counter: [name],
      gauge: [],
      histogram: [`${name}_bucket`, `${name}_sum`, `${name}_count`],
    };
    for (const sample of samples[type]) {
      for (const { metric, value } of await server.query(`resets(${sample}[2m])`)) {
        assert.equal(value, 0, `${sample} ${JSON.stringify(metric)}`);
        count++;
      }
    }
  }
  assert.ok(count > 50, `${count} series`);
  const rise = 'increase(ts_ms_calls_finished_total{method="Echo",code="OK"}[1m])';
  await known(server, async () => (await server.query(rise)).some(({ value }) => value > 0));
}

/** Waits until Prometheus knows something: on a busy machine a scrape may take more than its second and is lost. */
async function known(server: PrometheusServer, isKnown: () => Promise<boolean>): Promise<void> {
  for (const sinceMs = performance.now(); !(await isKnown()); await delay(200)) {
    const isLate = performance.now() - sinceMs > 3 * knownWithinMs;
    assert.ok(!isLate, `not known in time: ${await server.scrapeError()}`);
  }
}
