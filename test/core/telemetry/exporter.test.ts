import assert from "node:assert/strict";
import { createServer } from "node:net";
import { once } from "node:events";
import { test } from "node:test";
import type { ServerState } from "../../../src/core/lifecycle/lifecycle.ts";
import { Exporter } from "../../../src/core/telemetry/exporter.ts";
import { Metrics } from "../../../src/core/telemetry/metrics.ts";

const metrics = new Metrics({ processMetrics: false });

async function started(path = "/metrics") {
  const exporter = new Exporter({ port: 0, path, metrics });
  await exporter.start();
  return { exporter, base: `http://127.0.0.1:${exporter.address?.port}` };
}

test("GET and HEAD of the path give the page, whatever the query", async () => {
  const { exporter, base } = await started();
  const response = await fetch(`${base}/metrics?name=x`);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  assert.match(await response.text(), /# TYPE ts_ms_calls_started_total counter/);
  const head = await fetch(`${base}/metrics`, { method: "HEAD" });
  assert.deepEqual([head.status, await head.text()], [200, ""]);
  await exporter.gracefulStop();
});

test("other paths are 404, other methods 405", async () => {
  const { exporter, base } = await started("/m");
  for (const path of ["/", "/metrics", "/m/", "/mm", "/M"]) {
    const response = await fetch(`${base}${path}`);
    assert.equal(response.status, 404, path);
    await response.text();
  }
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
    const body = method === "POST" ? "x".repeat(100_000) : null;
    const response = await fetch(`${base}/m`, { method, body });
    assert.equal(response.status, 405, method);
    assert.equal(response.headers.get("allow"), "GET, HEAD");
    await response.text();
  }
  await exporter.gracefulStop();
});

test("a taken port rejects start, naming host, port and cause", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const address = taken.address();
  assert.ok(typeof address === "object" && address !== null);
  const exporter = new Exporter({ port: address.port, metrics });
  await assert.rejects(exporter.start(), (error: Error) => {
    assert.match(
      error.message,
      new RegExp(`EXPORTER cannot listen on 127.0.0.1:${address.port}: .*EADDRINUSE`),
    );
    return true;
  });
  assert.equal(exporter.state, "error");
  await exporter.gracefulStop();
  assert.equal(exporter.state, "stop");
  taken.close();
});

test("all states of its life are passed, idle connections do not hold the stop", async () => {
  const exporter = new Exporter({ port: 0, metrics });
  const states: ServerState[] = [exporter.state];
  exporter.onStateChange((state) => states.push(state));
  await exporter.start();
  const response = await fetch(`http://127.0.0.1:${exporter.address?.port}/metrics`);
  await response.text(); // fetch keeps the connection.
  const begin = performance.now();
  const [report, again] = await Promise.all([exporter.gracefulStop(), exporter.gracefulStop()]);
  assert.ok(performance.now() - begin < 5_000);
  assert.deepEqual(
    [report, again],
    [
      { finished: 0, notified: [], cut: [] },
      { finished: 0, notified: [], cut: [] },
    ],
  );
  assert.deepEqual(states, ["init", "boot", "listen", "ready", "graceful", "stop"]);
});

test("stopped while it starts, it leaves no port bound", async () => {
  const exporter = new Exporter({ port: 0, metrics });
  const start = exporter.start();
  const stop = exporter.gracefulStop();
  await assert.rejects(start, /stopped while it started/);
  await stop;
  assert.equal(exporter.address, undefined);
});

test("it says where the page is", async () => {
  const { exporter, base } = await started();
  assert.deepEqual(exporter.describe(), [`[EXPORTER] metrics on ${base}/metrics`]);
  await exporter.gracefulStop();
});

test("a path without a slash is refused", () => {
  assert.throws(() => new Exporter({ path: "metrics", metrics }), /must begin with a slash/);
});
