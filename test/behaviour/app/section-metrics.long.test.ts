import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { metricList } from "../../../src/entries/telemetry.ts";
import type { ConfigInit } from "../../../src/core/config/loader/config-types.ts";
import { createIssuerKey, FakeIssuer } from "../../support/fake-issuer.ts";
import { curl, bufCurl } from "../../support/program.ts";
import { allowed, startAuthorizer } from "../ext-authz/authorizer.ts";
import { Rules } from "../validation/rules-service.ts";
import { addressOf, loadApp } from "./app-fixture.ts";

const json = ["-H", "content-type: application/json"];
const echo = 'service="tsms.test.v1.EchoService"';

/** The samples of some metrics, by name and labels as they are on the page. */
function samplesOf(page: string, name: RegExp): Readonly<Record<string, number>> {
  const samples = page.split("\n").flatMap((line) => {
    const [, key = "", metric = "", value = ""] = /^((\w+)(?:\{.*\})?) (\S+)$/.exec(line) ?? [];
    return name.test(metric) ? [[key, Number(value)] as const] : [];
  });
  return Object.fromEntries(samples);
}

test("L6: the metrics page of an app of a configuration has what its sections did", async (t) => {
  const key = await createIssuerKey("one");
  await using issuer = await FakeIssuer.start(key);
  const authorizer = await startAuthorizer(t, ({ attributes }) =>
    attributes?.request?.http?.path.includes("forbidden") === true ? { status: { code: 7 } } : allowed,
  );
  const echoRpc = "tsms.test.v1.EchoService/Echo";
  const overrides: ConfigInit = {
    telemetry: { metrics: { port: "0" } },
    auth: { providers: { corp: { jwt: { issuer: issuer.url, audiences: ["library"] } } } },
    access: {
      default: "authenticated",
      rules: { "tsms.test.v1.EchoService/Collect": { level: "deny" } },
    },
    limits: { "per-user": { rpc: [echoRpc], key: ["principal"], rate: "3/1h" } },
    overload: { enabled: true, maxConcurrent: "40", targetLag: "1m" }, // Not for a busy machine.
    extAuthz: { target: authorizer.address, timeout: 10_000 },
  };
  await using app = (await loadApp(overrides)).addService(new Rules());
  await app.start();
  const base = `http://${addressOf(app, "http")}`;
  const bearer = ["-H", `authorization: Bearer ${await issuer.token(key)}`];
  const statuses: number[] = [];
  for (const args of [
    [`${base}/test/v1/echo/a`],
    [`${base}/test/v1/echo/a`, "-H", "authorization: Bearer a.b.c"],
    [`${base}/test/v1/collect`, "-d", "{}", ...bearer],
    [`${base}/test/v1/echo/a`, ...bearer],
    [`${base}/test/v1/echo/forbidden`, ...bearer],
    [`${base}/test/v1/echo/a?number=x`, ...bearer],
    [`${base}/test/v1/echo/a`, ...bearer],
    [`${base}/test/v1/orders`, "-d", "{}", ...json, ...bearer],
    [`${base}/test/v1/repeat/x?count=3`, ...bearer],
    [`${base}/nothing/here`],
  ]) {
    statuses.push((await curl(...args)).status);
  }
  assert.deepEqual(statuses, [401, 401, 403, 200, 403, 400, 429, 400, 200, 404]);
  assert.notEqual((await bufCurl(addressOf(app, "grpc"), echoRpc, "{}", "--schema", "proto")).code, 0);
  const [host = "", port] = addressOf(app, "http").split(":");
  const open = connect(Number(port), host);
  await once(open, "connect");
  await curl(`${base}/readyz`);

  const { body: page } = await curl(`http://${addressOf(app, "exporter")}/metrics`);
  open.destroy();
  assert.deepEqual(samplesOf(page, /^ts_ms_calls_refused_total$/), {
    [`ts_ms_calls_refused_total{${echo},method="Echo",protocol="rest",reason="unauthenticated"}`]: 2,
    [`ts_ms_calls_refused_total{${echo},method="Collect",protocol="rest",reason="denied"}`]: 1,
    [`ts_ms_calls_refused_total{${echo},method="Echo",protocol="rest",reason="denied"}`]: 1,
    [`ts_ms_calls_refused_total{${echo},method="Echo",protocol="rest",reason="rate_limited"}`]: 1,
    [`ts_ms_calls_refused_total{${echo},method="Echo",protocol="grpc",reason="unauthenticated"}`]: 1,
    ['ts_ms_calls_refused_total{service="tsms.test.v1.RulesService",method="Order",protocol="rest",reason="validation"}']: 1,
    [`ts_ms_calls_refused_total{${echo},method="Echo",protocol="rest",reason="malformed"}`]: 1,
    ['ts_ms_calls_refused_total{service="(none)",method="(none)",protocol="rest",reason="no_route"}']: 1,
  });
  assert.deepEqual(samplesOf(page, /^ts_ms_(?:auth_total|jwks_fetches_total)$/), {
    'ts_ms_auth_total{provider="corp",outcome="refused"}': 1,
    'ts_ms_auth_total{provider="corp",outcome="accepted"}': 6,
    'ts_ms_jwks_fetches_total{provider="corp",result="changed"}': 1,
  });
  const age = samplesOf(page, /^ts_ms_jwks_age_seconds$/)['ts_ms_jwks_age_seconds{provider="corp"}'];
  assert.ok(age !== undefined && age > 0 && age < 60, `${age}`);
  assert.deepEqual(samplesOf(page, /^ts_ms_limit_decisions_total$/), {
    'ts_ms_limit_decisions_total{limit="per-user",outcome="allowed"}': 3,
    'ts_ms_limit_decisions_total{limit="per-user",outcome="refused"}': 1,
    'ts_ms_limit_decisions_total{limit="per-user",outcome="shadow"}': 0,
    'ts_ms_limit_decisions_total{limit="per-user",outcome="degraded"}': 0,
  });
  assert.deepEqual(samplesOf(page, /^ts_ms_(?:overload_.*|shed_total)$/), {
    ts_ms_overload_limit: 40,
    ts_ms_overload_in_flight: 0,
    ts_ms_overload_state: 0,
  });
  assert.deepEqual(
    samplesOf(page, /^ts_ms_ext_authz_(?:total|ignored_headers_total|duration_seconds_count)$/),
    {
      'ts_ms_ext_authz_total{outcome="allowed"}': 4,
      'ts_ms_ext_authz_total{outcome="denied"}': 1,
      ts_ms_ext_authz_duration_seconds_count: 5,
      ts_ms_ext_authz_ignored_headers_total: 0,
    },
  );
  assert.deepEqual(samplesOf(page, /^ts_ms_messages_total$/), {
    [`ts_ms_messages_total{${echo},method="Echo",protocol="rest",direction="received"}`]: 1,
    [`ts_ms_messages_total{${echo},method="Echo",protocol="rest",direction="sent"}`]: 1,
    [`ts_ms_messages_total{${echo},method="Repeat",protocol="rest",direction="received"}`]: 1,
    [`ts_ms_messages_total{${echo},method="Repeat",protocol="rest",direction="sent"}`]: 3,
  });
  const connections = samplesOf(page, /^ts_ms_connections$/)['ts_ms_connections{server="http"}'] ?? 0;
  assert.ok(connections >= 1, `${connections}`);
});

test("L6: calls that overload control refuses are shed", async () => {
  await using app = await loadApp({
    telemetry: { metrics: { port: "0" } },
    overload: { enabled: true, maxConcurrent: "1", queue: 0, targetLag: "1m" },
  });
  await app.start();
  const base = `http://${addressOf(app, "http")}`;
  const slow = curl(`${base}/test/v1/echo`, ...json, "-d", '{"behaviour":{"sleepMs":3000}}');
  const metrics = (): Promise<string> =>
    curl(`http://${addressOf(app, "exporter")}/metrics`).then(({ body }) => body);
  const inFlight = async (): Promise<number | undefined> =>
    samplesOf(await metrics(), /^ts_ms_overload_in_flight$/)["ts_ms_overload_in_flight"];
  for (let looks = 0; looks < 100 && (await inFlight()) !== 1; looks++);
  assert.equal((await curl(`${base}/test/v1/echo/a`)).status, 503);
  assert.deepEqual(samplesOf(await metrics(), /^ts_ms_(?:shed_total|calls_refused_total)$/), {
    'ts_ms_shed_total{reason="concurrency",criticality="DEFAULT"}': 1,
    [`ts_ms_calls_refused_total{${echo},method="Echo",protocol="rest",reason="overload"}`]: 1,
  });
  assert.equal((await slow).status, 200);
});

test("L6: an app without these sections has no series of them", async () => {
  await using app = await loadApp({ telemetry: { metrics: { port: "0" } }, overload: { enabled: false } });
  await app.start();
  await curl(`http://${addressOf(app, "http")}/test/v1/echo/a`);
  const { body } = await curl(`http://${addressOf(app, "exporter")}/metrics`);
  assert.deepEqual(samplesOf(body, /^ts_ms_(?:auth|jwks|limit|overload|shed|ext_authz)/), {});
  for (const { name, type } of Object.values(metricList))
    assert.ok(body.includes(`# TYPE ${name} ${type}\n`));
});
