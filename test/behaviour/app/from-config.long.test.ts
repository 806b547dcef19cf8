import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test, type TestContext } from "node:test";
import { WebSocket } from "ws";
import { App } from "../../../src/app/app.ts";
import { createCertificate } from "../../support/certificates.ts";
import { bufCurl, curl, curlJson } from "../../support/program.ts";
import { addressOf, freePort, loadApp, takenPort } from "./app-fixture.ts";

const rpc = "tsms.test.v1.EchoService/Echo";

/** A file that is removed after the test. */
function file(t: TestContext, name: string, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), "app-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

suite("servers of a configuration", () => {
  test("gRPC and HTTP on ports of their own, and the metrics page first", async () => {
    const started: string[] = [];
    await using app = await loadApp({ telemetry: { metrics: { port: "0" } } });
    app.onStateChange((name, state) => {
      if (state === "ready") started.push(name);
    });
    await app.start();
    assert.deepEqual(started, ["exporter", "grpc", "http"]);
    assert.equal((await curl(`http://${addressOf(app, "http")}/test/v1/echo/a`)).status, 200);
    assert.equal((await bufCurl(addressOf(app, "grpc"), rpc, '{"text":"x"}')).code, 0);
    const { body } = await curl(`http://${addressOf(app, "exporter")}/metrics`);
    assert.match(
      body,
      /ts_ms_calls_finished_total\{service="tsms.test.v1.EchoService",method="Echo",protocol="rest",code="OK"\} 1/,
    );
    assert.equal(app.config?.http.port, 0);
  });

  test("one port for every protocol is one server", async () => {
    await using app = await loadApp({ app: { port: 0 } });
    await app.start();
    assert.deepEqual(
      app.servers.map(({ name }) => name),
      ["http"],
    );
    const address = addressOf(app, "http");
    assert.equal((await curl(`http://${address}/test/v1/echo/a`)).status, 200);
    assert.equal((await bufCurl(address, rpc, '{"text":"x"}')).code, 0);
    await app.restart("http");
    assert.equal((await bufCurl(addressOf(app, "http"), rpc, '{"text":"x"}')).code, 0);
    assert.equal((await app.health())["http"]?.status, "serving");
  });

  test("a port of their own for WebSockets and for events opens servers with these alone", async () => {
    const [sockets, events] = [await freePort(), await freePort()];
    await using app = await loadApp({ websocket: { port: sockets }, sse: { port: events } });
    await app.start();
    assert.deepEqual(
      app.servers.map(({ name }) => name),
      ["grpc", "http", "websocket", "sse"],
    );
    const socket = new WebSocket(`ws://${addressOf(app, "websocket")}/test/v1/repeat/x?count=2`);
    const frames: string[] = [];
    socket.on("message", (data: Buffer) => frames.push(data.toString()));
    await new Promise((resolve) => socket.once("close", resolve));
    assert.match(frames[0] ?? "", /"text":"x"/);
    assert.equal((await curl(`http://${addressOf(app, "websocket")}/test/v1/echo/a`)).status, 404);
    assert.equal((await curl(`http://${addressOf(app, "websocket")}/readyz`)).status, 200);
    const stream = `http://${addressOf(app, "sse")}/test/v1/repeat/x?count=2`;
    const { status, headers, body } = await curl(stream, "-H", "accept: text/event-stream");
    assert.deepEqual([status, headers.get("content-type")], [200, "text/event-stream"]);
    assert.match(body, /event: end/);
    assert.equal((await curl(stream)).status, 404);
  });

  test("http.redirect_port leads to https", async (t) => {
    const { key, cert } = createCertificate({ name: "self", hosts: ["127.0.0.1"] });
    await using app = await loadApp({
      tls: { cert: file(t, "cert.pem", cert), key: file(t, "key.pem", key) },
      http: { redirectPort: await freePort(), port: await freePort() },
    });
    await app.start();
    const secure = addressOf(app, "http");
    const plain = `http://${addressOf(app, "redirect")}`;
    const led = await curl(`${plain}/test/v1/echo/a?x=%2F`);
    assert.deepEqual(
      [led.status, led.headers.get("location")],
      [308, `https://${secure}/test/v1/echo/a?x=%2F`],
    );
    assert.equal((await curl("-I", plain)).status, 308);
    assert.equal((await curl("-d", "{}", plain)).status, 403);
    assert.equal((await curl("-H", "host: a b", plain)).status, 400);
    assert.equal((await curl("-k", "-L", `${plain}/test/v1/echo/a`)).status, 308);
    assert.equal((await app.health())["http"]?.status, "serving");
    assert.equal((await app.health())["grpc"]?.status, "serving");
    assert.ok(app.features("http").includes("https"));
  });

  test("an upstream in place of a gRPC server, with the contracts of its reflection", async () => {
    await using behind = await loadApp();
    await behind.start("grpc");
    const port = Number(addressOf(behind, "grpc").split(":")[1]);
    await using app = await App.load({
      argv: [],
      env: {},
      overrides: {
        http: { port: 0 },
        upstream: { port },
        gateway: { reflection: true },
        overload: { enabled: false }, // A busy machine is no reason to refuse calls here.
        telemetry: { metrics: { port: "off" }, log: { level: "silent" } },
      },
    });
    await app.start();
    assert.deepEqual(
      app.servers.map(({ name }) => name),
      ["http"],
    );
    const url = `http://${addressOf(app, "http")}/test/v1/echo/a`;
    while ((await curl(url)).status === 503);
    const [status, reply] = await curlJson(url);
    assert.deepEqual([status, (reply as { protocol: string }).protocol], [200, "grpc"]); // As `Echo` answers.
    await app.restart("http");
    assert.equal((await curl(`http://${addressOf(app, "http")}/test/v1/echo/a`)).status, 200);
  });

  test("the default port of the metrics page may be taken; a chosen one may not", async () => {
    await using taken = await takenPort();
    await using app = await loadApp({ telemetry: { metrics: { port: String(taken.port) } } });
    await assert.rejects(app.start(), /the server "exporter" cannot start: .*address already in use/);
  });

  test("gRPC or HTTP alone", async () => {
    await using grpc = await loadApp({ http: { enabled: false } });
    await grpc.start();
    assert.deepEqual(
      grpc.servers.map(({ name }) => name),
      ["grpc"],
    );
    assert.ok(grpc.isRunning()); // The default server is the only one.
    await using http = await loadApp({ grpc: { enabled: false } });
    await http.start();
    assert.deepEqual(
      http.servers.map(({ name }) => name),
      ["http"],
    );
    assert.equal((await curl(`http://${addressOf(http, "http")}/test/v1/echo/a`)).status, 200);
  });

  test("an app stops and starts again as a whole", async () => {
    await using app = await loadApp();
    for (let i = 0; i < 2; i++) {
      await app.start();
      assert.equal((await curl(`http://${addressOf(app, "http")}/test/v1/echo/a`)).status, 200);
      await app.stop();
      assert.equal(app.isRunning(), false);
    }
  });
});

suite("reload", () => {
  const page = "https://page.example";

  test("keys that reload are in use at once, others are listed, mistakes change nothing (C12, C13)", async (t) => {
    const config = file(t, "config.yaml", "http: { timeout: 30s }\n");
    await using app = await loadApp({}, ["--config", config]);
    await app.start();
    const url = `http://${addressOf(app, "http")}/test/v1/echo`;
    const slow = ["-H", "content-type: application/json", "-d", '{"behaviour":{"sleepMs":5000}}', url];
    const allowed = async (): Promise<string | null> =>
      (await curl("-H", `origin: ${page}`, `${url}/a`)).headers.get("access-control-allow-origin");
    assert.equal(await allowed(), null);

    writeFileSync(config, `http: { timeout: 50ms, cors: { origins: ["${page}"] }, max_url_bytes: 4KiB }\n`);
    const report = await app.reload();
    assert.deepEqual(
      [report.result, report.changed.toSorted(), report.restartNeeded],
      ["applied", ["http.cors.origins", "http.timeout"], ["http.max_url_bytes"]],
    );
    assert.equal(await allowed(), page);
    assert.equal((await curl(...slow)).status, 504);
    assert.equal(app.config?.http.timeout, 50);

    writeFileSync(config, "http: { timeout: soon }\n");
    const rejected = await app.reload();
    assert.equal(rejected.result, "rejected");
    assert.match(rejected.problems[0] ?? "", /config\.yaml:1:\d+: http\.timeout: /);
    assert.equal(await allowed(), page);

    // A server that starts now has them too.
    await app.restart("http");
    const again = `http://${addressOf(app, "http")}/test/v1/echo/a`;
    const { headers } = await curl("-H", `origin: ${page}`, again);
    assert.equal(headers.get("access-control-allow-origin"), page);
  });

  test("calls under way keep the timeout that they began with (C14)", async (t) => {
    const config = file(t, "config.yaml", "http: { timeout: 30s }\n");
    await using app = await loadApp({}, ["--config", config]);
    await app.start();
    const url = `http://${addressOf(app, "http")}/test/v1/echo`;
    const begun = curl("-H", "content-type: application/json", "-d", '{"behaviour":{"sleepMs":500}}', url);
    while (app.statistics().activeRequests === 0) await new Promise(setImmediate);
    writeFileSync(config, "http: { timeout: 20ms }\n");
    assert.equal((await app.reload()).result, "applied");
    assert.equal((await begun).status, 200);
  });

  test("100 reloads under load fail no call (C15)", async (t) => {
    const config = file(t, "config.yaml", "http: { timeout: 30s }\n");
    await using app = await loadApp({}, ["--config", config]);
    await app.start();
    const url = `http://${addressOf(app, "http")}/test/v1/echo/a`;
    const statuses = new Set<number>();
    let calls = 0;
    let reloading = true;
    const load = async (): Promise<void> => {
      while (reloading) {
        const response = await fetch(url);
        await response.arrayBuffer();
        statuses.add(response.status);
        calls++;
      }
    };
    const loads = Array.from({ length: 8 }, load);
    for (let i = 0; i < 100; i++) {
      writeFileSync(config, `http: { timeout: ${10 + i}s, cors: { origins: ["https://p${i}.example"] } }\n`);
      assert.equal((await app.reload()).result, "applied");
      const before = calls;
      while (calls < before + 4) await new Promise(setImmediate);
    }
    reloading = false;
    await Promise.all(loads);
    assert.deepEqual([...statuses], [200]);
    assert.ok(calls >= 400, String(calls));
  });
});
