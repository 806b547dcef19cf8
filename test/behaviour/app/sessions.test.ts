import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import type { HandlerContext } from "../../../src/core/call/context.ts";
import { App } from "../../../src/app/app.ts";
import { principal } from "../../../src/core/security/principal.ts";
import { login } from "../../../src/gateway/session/session.ts";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";
import { curl } from "../security/whoami.ts";
import type { PartialService } from "../../../src/core/call/service.ts";
import { addressOf } from "./app-fixture.ts";

test("S1 S3 S6 S9 an app has sessions, checks of requests and headers by its configuration", async () => {
  const app = await App.load({
    argv: [],
    env: {},
    overrides: {
      http: { port: 0, securityHeaders: "strict" },
      grpc: { port: 0 },
      telemetry: { metrics: { port: "off" }, log: { level: "silent" } },
      session: { ttl: "1h" },
      csrf: { trustedOrigins: ["https://app.example.com"] },
      access: { default: "optional" },
      overload: { enabled: false },
    },
  });
  const service: PartialService<typeof EchoService> = {
    descriptor: EchoService,
    async echo({ text }: { text: string }, context: HandlerContext) {
      if (text === "login") await login(context, { id: "ada" });
      return { text: principal(context)?.id ?? "anonymous" };
    },
  };
  app.addService(service);
  await app.start();
  try {
    const url = `http://${addressOf(app, "http")}/test/v1/echo`;
    const logged = await curl(`${url}/login`);
    assert.equal(logged.headers.get("x-frame-options"), "DENY");
    const [cookie = "", ...attributes] = (logged.headers.get("set-cookie") ?? "").split("; ");
    assert.ok(attributes.includes("Max-Age=3600"), logged.body);
    const who = await curl("-H", `Cookie: ${cookie}`, `${url}/x`);
    assert.match(who.body, /"ada"/);
    assert.equal(who.headers.get("cache-control"), "no-store");
    const post = ["-H", `Cookie: ${cookie}`, "-H", "content-type: application/json", "--data", "{}", url];
    assert.equal((await curl(...post)).status, 403);
    assert.equal((await curl("-H", "Origin: https://app.example.com", ...post)).status, 200);
  } finally {
    await app.stop();
  }
});

test("S6 S9 C12 a reload takes trusted origins and security headers", async () => {
  await using files = await TemporaryFiles.create();
  const config = await files.write("config.yaml", "");
  const write = (origin: string, headers: string): Promise<void> =>
    writeFile(
      config,
      `session: {}\ncsrf: { trusted_origins: ["${origin}"] }\nhttp: { security_headers: ${headers} }\naccess: { default: optional }\n`,
    );
  const [one, two] = ["https://one.example", "https://two.example"];
  await write(one, "basic");
  const app = await App.load({
    argv: ["--config", config],
    env: {},
    overrides: {
      http: { port: 0 },
      grpc: { port: 0 },
      telemetry: { metrics: { port: "off" }, log: { level: "silent" } },
    },
  });
  const service: PartialService<typeof EchoService> = {
    descriptor: EchoService,
    async echo({ text }: { text: string }, context: HandlerContext) {
      if (text === "login") await login(context, { id: "ada" });
      return { text };
    },
  };
  app.addService(service);
  await app.start();
  try {
    const url = `http://${addressOf(app, "http")}/test/v1/echo`;
    const logged = await curl(`${url}/login`);
    assert.equal(logged.headers.get("x-frame-options"), undefined);
    const [cookie = ""] = (logged.headers.get("set-cookie") ?? "").split("; ");
    const post = async (origin: string): Promise<number> => {
      const sent = [
        "-H",
        `Cookie: ${cookie}`,
        "-H",
        `Origin: ${origin}`,
        "-H",
        "content-type: application/json",
      ];
      return (await curl(...sent, "--data", "{}", url)).status;
    };
    assert.deepEqual([await post(one), await post(two)], [200, 403]);
    await write(two, "strict");
    const report = await app.reload();
    assert.deepEqual(
      [report.result, report.changed.toSorted(), report.restartNeeded],
      ["applied", ["csrf.trusted_origins", "http.security_headers"], []],
    );
    assert.deepEqual([await post(one), await post(two)], [403, 200]);
    for (const version of ["--http1.1", "--http2-prior-knowledge"]) {
      assert.equal((await curl(version, `${url}/x`)).headers.get("x-frame-options"), "DENY", version);
    }
    await write("no origin", "off");
    const rejected = await app.reload();
    assert.equal(rejected.result, "rejected");
    assert.match(rejected.problems.join(), /csrf\.trusted_origins/);
    assert.deepEqual([await post(one), await post(two)], [403, 200]);
    assert.equal((await curl(`${url}/x`)).headers.get("x-frame-options"), "DENY");
  } finally {
    await app.stop();
  }
});
