import assert from "node:assert/strict";
import { suite, test } from "node:test";
import Fastify from "fastify";
import { readCommandLine } from "../../../src/core/config/flags.ts";
import { httpFlags, httpOptions } from "../../../src/gateway/flags/http-flags.ts";
import type { AltSvcChoice } from "../../../src/gateway/http/alt-svc.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { startGateway } from "../../support/gateway-fixture.ts";
import { ConfigFiles } from "../../core/config/config-files.ts";
import { curl } from "../security/whoami.ts";

const altSvc = { port: 443, maxAgeSeconds: 86_400 };
const offered = 'h3=":443"; ma=86400';

suite("Alt-Svc (edge rule 45):", () => {
  for (const version of ["--http1.1", "--http2-prior-knowledge"]) {
    test(`${version}: it is on every answer, errors too, where it is asked for by name`, async () => {
      await using gateway = await startGateway({ altSvc });
      for (const path of ["/test/v1/echo/x", "/nowhere", "/healthz"]) {
        const { headers } = await curl(version, gateway.url + path);
        assert.equal(headers.get("alt-svc"), offered, path);
      }
    });

    test(`${version}: it is on answers of Fastify`, async () => {
      await using gateway = await startGateway({ altSvc }, [], ({ fastify }) => {
        fastify.get("/own", (_, reply) => reply.send("own"));
      });
      const { headers } = await curl(version, `${gateway.url}/own`);
      assert.equal(headers.get("alt-svc"), offered);
    });

    test(`${version}: it is clear while the server drains`, async () => {
      await using gateway = await startGateway({ altSvc });
      gateway.http.drain();
      const { status, headers } = await curl(version, `${gateway.url}/test/v1/echo/x`);
      assert.deepEqual([status, headers.get("alt-svc")], [200, "clear"]);
    });
  }

  for (const choice of [undefined, false] as const) {
    test(`${choice}: no answer has it, not while the server drains either`, async () => {
      await using gateway = await startGateway({ altSvc: choice });
      const before = await curl(`${gateway.url}/test/v1/echo/x`);
      gateway.http.drain();
      const after = await curl(`${gateway.url}/test/v1/echo/x`);
      assert.deepEqual([before.headers.get("alt-svc"), after.headers.get("alt-svc")], [undefined, undefined]);
    });
  }

  test("it stays when options are reloaded", async () => {
    await using gateway = await startGateway({ altSvc, securityHeaders: "off" });
    gateway.http.reload({ securityHeaders: "strict" });
    const { headers } = await curl(`${gateway.url}/test/v1/echo/x`);
    assert.deepEqual([headers.get("alt-svc"), headers.get("x-frame-options")], [offered, "DENY"]);
  });

  test("the plugin in a Fastify of others has it", async () => {
    const app = Fastify();
    const guest = new HttpServer({ upstream: "127.0.0.1:1", altSvc, logger: false });
    await app.register(guest.plugin);
    const { headers } = await app.inject("/healthz");
    assert.equal(headers["alt-svc"], offered);
    await app.close();
  });

  for (const [choice, value] of [
    [{ port: 8443 }, 'h3=":8443"; ma=3600'],
    [{ port: 1, maxAgeSeconds: 0, persist: true }, 'h3=":1"; ma=0; persist=1'],
  ] as const satisfies readonly (readonly [AltSvcChoice, string])[]) {
    test(`${JSON.stringify(choice)} is ${value}`, async () => {
      await using gateway = await startGateway({ altSvc: choice });
      const { headers } = await curl(`${gateway.url}/healthz`);
      assert.equal(headers.get("alt-svc"), value);
    });
  }

  for (const [choice, problem] of [
    [{ port: 0 }, /altSvc\.port must be a port from 1 to 65535, it is 0/],
    [{ port: 443.5 }, /altSvc\.port/],
    [{ port: 443, maxAgeSeconds: -1 }, /altSvc\.maxAgeSeconds must be a whole number of seconds, it is -1/],
  ] as const satisfies readonly (readonly [AltSvcChoice, RegExp])[]) {
    test(`${JSON.stringify(choice)} is refused`, () => {
      assert.throws(() => new HttpServer({ upstream: "127.0.0.1:1", altSvc: choice }), problem);
    });
  }
});

suite("--alt-svc and http.alt_svc:", () => {
  const read = (...argv: string[]) => readCommandLine("p", httpFlags, ["--http-port=0", ...argv]);

  for (const [argv, wanted] of [
    [[], undefined],
    [["--alt-svc", "443"], { port: 443, maxAgeSeconds: 3600 }],
    [["--alt-svc=443,86400"], { port: 443, maxAgeSeconds: 86_400 }],
  ] as const) {
    test(`${argv.join(" ") || "nothing"} is read`, () => {
      const line = read(...argv);
      assert.equal(line.kind, "run");
      if (line.kind === "run") assert.deepEqual(httpOptions(line.flags).altSvc, wanted);
    });
  }

  for (const text of ["0", "65536", "443,", "443,1h", "443;60", "off"]) {
    test(`--alt-svc ${text} is refused`, () => {
      const line = read("--alt-svc", text);
      assert.equal(line.kind, "refuse");
    });
  }

  for (const [name, text, argv, wanted] of [
    [
      "a section",
      "http: { alt_svc: { port: 443, max_age: 86400s, persist: true } }",
      [],
      [443, 86_400_000, true],
    ],
    ["a port alone", "http: { alt_svc: 443 }", [], [443, 3_600_000, false]],
    ["a flag", "", ["--alt-svc", "443,60"], [443, 60_000, false]],
    ["a flag with a port alone", "", ["--alt-svc", "8443"], [8443, 3_600_000, false]],
  ] as const) {
    test(`${name} of a configuration is read`, async () => {
      using files = new ConfigFiles({ "config.yaml": text });
      const { config } = await files.load({ argv: [...argv] });
      const { port, maxAge, persist } = config.http.altSvc ?? {};
      assert.deepEqual([port, maxAge, persist], wanted);
    });
  }
});
