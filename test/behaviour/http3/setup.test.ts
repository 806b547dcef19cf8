import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect } from "node:http2";
import { createServer, type AddressInfo } from "node:net";
import { suite, test } from "node:test";
import { http3 } from "../../../src/gateway/http3/http3-door.ts";
import type { Http3Options } from "../../../src/gateway/http3/http3-options.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import type { HttpServerOptions } from "../../../src/gateway/http-server-options.ts";
import { ConfigPlan } from "../../../src/app/config-plan.ts";
import type { ConfigInit } from "../../../src/core/config/loader/config-types.ts";
import { serverConnections } from "../../../src/core/net/connection-count.ts";
import { createCertificate } from "../../support/certificates.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";
import { loadConfig } from "../../../src/index.ts";
import { mistakesOf } from "../../core/config/config-files.ts";
import { addressOf, loadApp } from "../app/app-fixture.ts";
import { curl } from "../security/whoami.ts";
import { startHttp3 } from "./http3-fixture.ts";

const { cert, key } = createCertificate({ name: "localhost", hosts: ["localhost"] });
const tls = { cert, key };

suite("options of http3 (edge rules 47, 48):", () => {
  for (const [options, problem] of [
    [{ port: 65_536 }, /http3\.port must be a port from 0 to 65535/],
    [{ maxStreams: 0 }, /http3\.maxStreams must be a whole number above 0/],
    [{ keepAlivePeriodMs: 15_001 }, /http3\.keepAlivePeriodMs is 15001, more than half of maxIdleTimeoutMs/],
    [{ maxIdleTimeoutMs: 1000 }, /more than half of maxIdleTimeoutMs \(1000\)/],
    [{ runtime: "native" as "fast" }, /http3\.runtime must be auto, fast, portable or wasm, it is native/],
    [{ earlyData: "all" as "safe" }, /http3\.earlyData must be refuse or safe/],
    [{ maxStream: 1 } as object, /http3: there is no option "maxStream"; did you mean maxStreams\?/],
  ] as const satisfies readonly (readonly [Partial<Http3Options>, RegExp])[]) {
    test(`${JSON.stringify(options)} is refused`, () => {
      assert.throws(() => http3(options), problem);
    });
  }

  for (const [options, problem] of [
    [{}, /http3 needs the option tls/],
    [
      { tls: { ...tls, ca: cert, clientCertificates: "optional" } },
      /http3 cannot ask clients for certificates, and tls\.clientCertificates is "optional"/,
    ],
    [{ tls, port: 8443 }, /http3\.port 8443 is the port of the server too/],
    [{ tls, host: "unix:/tmp/x" }, /http3\.host must be a host name or an address/],
  ] as const satisfies readonly (readonly [Partial<HttpServerOptions>, RegExp])[]) {
    test(`a server with ${Object.keys(options).join(", ") || "nothing"} is refused`, () => {
      assert.throws(() => new HttpServer({ upstream: "127.0.0.1:1", http3: http3(), ...options }), problem);
    });
  }

  test("a port that is in use is an error of the start, for TCP and for UDP", async () => {
    const tcp = createServer().listen(0, "127.0.0.1");
    await once(tcp, "listening");
    const { port } = tcp.address() as AddressInfo; // It listens.
    const wanted = /HTTP\/3 cannot listen on 127\.0\.0\.1:\d+: UDP or TCP of that port is in use/;
    await assert.rejects(startHttp3({}, { port }), wanted);
    tcp.close();
    const udp = createSocket("udp4").bind(0, "127.0.0.1");
    await once(udp, "listening");
    await assert.rejects(startHttp3({}, { port: udp.address().port }), wanted);
    udp.close();
  });

  test("Alt-Svc follows from it, over TLS, and the start line says that it is experimental", async () => {
    await using gateway = await startHttp3();
    const { headers } = await curl("-k", `https://127.0.0.1:${gateway.port}/healthz`);
    assert.equal(headers.get("alt-svc"), `h3=":${gateway.udpPort}"; ma=3600`);
    const injected = await gateway.http.fastify.inject("/healthz");
    assert.equal(injected.headers["alt-svc"], undefined);
    const line = gateway.http.describe().find((text) => text.includes("HTTP/3"));
    assert.match(line ?? "", /^\[HTTP\] HTTP\/3 \(experimental, \w+\) on UDP 127\.0\.0\.1:\d+$/);
    gateway.http.drain();
    const after = await curl("-k", `https://127.0.0.1:${gateway.port}/healthz`);
    assert.equal(after.headers.get("alt-svc"), "clear");
  });

  test("`altSvc: false` keeps it off", async () => {
    await using gateway = await startHttp3({ altSvc: false });
    const { headers } = await curl("-k", `https://127.0.0.1:${gateway.port}/healthz`);
    assert.equal(headers.get("alt-svc"), undefined);
  });
});

test("E19: HTTP/2 over TCP at the port of HTTP/3 is closed before a handler, and counted", async () => {
  await using gateway = await startHttp3();
  const counted = (): number => serverConnections.get("http3")?.refused.get("http2") ?? 0;
  const before = counted();
  const session = connect(`https://127.0.0.1:${gateway.udpPort}`, { rejectUnauthorized: false });
  session.on("error", () => {});
  const request = session.request({ ":path": "/test/v1/echo/x" });
  const statuses: unknown[] = [];
  request.on("response", ({ ":status": status }) => statuses.push(status));
  request.on("error", () => {});
  await once(session, "close");
  assert.deepEqual([statuses, counted() - before, gateway.echo.calls], [[], 1, 0]);
});

suite("quic of a configuration:", () => {
  const off = { telemetry: { metrics: { port: "off" }, log: { level: "silent" } } };
  const secure = async (files: TemporaryFiles): Promise<{ cert: string; key: string }> => ({
    cert: await files.write("cert.pem", cert),
    key: await files.write("key.pem", key),
  });

  for (const [overrides, isSecure, problem] of [
    [{ quic: { port: 8443 } }, false, /quic\.enabled: needs tls/],
    [{ quic: {}, http: { enabled: false } }, false, /quic\.enabled: needs http\.enabled/],
    [{ quic: { port: 8080 } }, true, /quic\.port: 8080 is the port of http\.port too/],
    [
      { quic: { keepAlivePeriod: 20_000 } },
      true,
      /quic\.keep_alive_period: is more than half of quic\.max_idle_timeout/,
    ],
  ] as const satisfies readonly (readonly [ConfigInit, boolean, RegExp])[]) {
    test(`${JSON.stringify(overrides)} is refused`, async () => {
      await using files = await TemporaryFiles.create();
      const all = { ...off, ...overrides, ...(isSecure ? { tls: await secure(files) } : {}) };
      const loaded = await loadConfig({ argv: [], env: {}, overrides: all });
      assert.match((await mistakesOf(ConfigPlan.of(loaded, {}).then(() => loaded))).join("\n"), problem);
    });
  }

  test("the section, its variables of seed 001 and --http3-port serve HTTP/3", async () => {
    await using files = await TemporaryFiles.create();
    const { cert: certFile, key: keyFile } = await secure(files);
    const line = ["--http3-port", "0", "--tls-cert", certFile, "--tls-key", keyFile];
    const app = await loadApp({}, line);
    await app.start();
    const answer = await curl("-k", `https://${addressOf(app, "http")}/test/v1/echo/x`);
    await app.stop();
    assert.match(answer.headers.get("alt-svc") ?? "", /^h3=":\d+"; ma=3600$/);
    const env = { QUIC_HOST: "0.0.0.0", QUIC_PORT: "8444", QUIC_MAX_STREAMS: "7" };
    const times = { QUIC_MAX_IDLE_TIMEOUT: "40s", QUIC_KEEP_ALIVE_PERIOD: "9s" };
    const { config } = await loadConfig({ argv: [], env: { ...env, ...times } });
    const { enabled, host, port, maxStreams, maxIdleTimeout, keepAlivePeriod } = config.quic ?? {};
    assert.deepEqual(
      [enabled, host, port, maxStreams, maxIdleTimeout, keepAlivePeriod],
      [true, "0.0.0.0", 8444, 7, 40_000, 9_000],
    );
  });

  test("without the section, and with --http3-port off, there is none", async () => {
    const without = await loadConfig({ argv: [], env: {} });
    assert.equal(without.config.quic, undefined);
    const off = await loadConfig({ argv: ["--http3-port", "off"], env: {} });
    assert.equal(off.config.quic?.enabled, false);
  });
});
