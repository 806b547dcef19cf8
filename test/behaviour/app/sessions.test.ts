import assert from "node:assert/strict";
import { test } from "node:test";
import type { HandlerContext } from "../../../src/core/call/context.ts";
import { App } from "../../../src/app/app.ts";
import { principal } from "../../../src/core/security/principal.ts";
import { login } from "../../../src/gateway/session/session.ts";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
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
