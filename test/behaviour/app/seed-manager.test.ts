import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { App } from "../../../src/app/app.ts";
import { featureNames } from "../../../src/app/features.ts";
import { Metrics } from "../../../src/core/telemetry/metrics.ts";
import { Exporter } from "../../../src/core/telemetry/exporter.ts";
import { loadApp } from "./app-fixture.ts";

/** One call of the manager of communication that other toolkits have, and what an app does for it. */
interface Row {
  readonly call: string;
  readonly here: (app: App) => unknown;
  readonly expected: unknown;
}

const rows: readonly Row[] = [
  {
    call: "RegisterProvider",
    here: (app) => app.register("pages", () => new Exporter({ port: 0, metrics: new Metrics() })) === app,
    expected: true,
  },
  {
    call: "GetSupportedProviders",
    here: (app) => app.servers.map(({ name }) => name),
    expected: ["grpc", "http", "pages"],
  },
  { call: "Start", here: (app) => app.start("http"), expected: undefined },
  {
    call: "IsProviderRunning",
    here: (app) => [app.isRunning("http"), app.isRunning("grpc"), app.isRunning()],
    expected: [true, false, true],
  },
  {
    call: "GetRunningProviders",
    here: (app) => app.servers.filter(({ isRunning }) => isRunning).map(({ name }) => name),
    expected: ["http"],
  },
  {
    call: "GetSupportedFeatures, GetProviderCapabilities",
    here: (app) => app.features("http"),
    expected: [
      ...["http", "websocket", "server_sent_events", "long_polling", "logging", "health_checks", "headers"],
      ...["query_params", "path_params", "body_parsing", "streaming", "real_time", "unicasting"],
    ],
  },
  {
    call: "GetConnectionInfo",
    here: (app) =>
      app.servers.find(({ name }) => name === "http")?.addresses.map((text) => text.split(":")[0]),
    expected: ["127.0.0.1"],
  },
  {
    call: "HandleRequest",
    here: async (app) => (await app.inject({ url: "/test/v1/echo/a" })).status,
    expected: 200,
  },
  {
    call: "HealthCheck",
    here: async (app) => Object.values(await app.health()).map(({ status }) => status),
    expected: ["stopped", "serving", "stopped"],
  },
  {
    call: "GetStats",
    here: (app) => {
      const { totalConnections, totalRequests, activeRequests, failedRequests } = app.statistics("http");
      return [totalConnections, totalRequests, activeRequests, failedRequests];
    },
    expected: [1, 1, 0, 0], // The connection is that of the health check.
  },
  { call: "IsConfigured, Configure", here: (app) => app.config?.http.port, expected: 0 },
  {
    call: "Stop",
    here: (app) => app.stop("http"),
    expected: { finished: 0, notified: [], cut: [] },
  },
  {
    call: "Close",
    here: async (app) => {
      await app.start();
      await app.stop();
      return app.servers.map(({ isRunning }) => isRunning);
    },
    expected: [false, false, false],
  },
];

suite("the calls of a manager of communication, one after the other", () => {
  let app: App;
  before(async () => {
    app = await loadApp();
  });
  after(() => app.stop());
  for (const { call, here, expected } of rows) {
    test(call, async () => assert.deepEqual(await here(app), expected));
  }
});

test("there are 28 names of features, in lower case", () => {
  assert.equal(new Set(featureNames).size, 28);
  assert.ok(featureNames.every((name) => /^[a-z_]+$/.test(name)));
});
