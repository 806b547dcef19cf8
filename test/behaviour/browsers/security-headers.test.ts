import assert from "node:assert/strict";
import { request } from "node:https";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { suite, test } from "node:test";
import Fastify from "fastify";
import { createApiKey } from "../../../src/core/security/api-keys.ts";
import { apiKeys } from "../../../src/core/security/auth-schemes.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { createCertificate } from "../../support/certificates.ts";
import { startGateway } from "../../support/gateway-fixture.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";
import { curl, Guarded } from "../security/whoami.ts";

const strictNames = [
  "content-security-policy",
  "cross-origin-embedder-policy",
  "cross-origin-opener-policy",
  "cross-origin-resource-policy",
  "referrer-policy",
  "x-frame-options",
];

suite("S9 security headers:", () => {
  for (const version of ["--http1.1", "--http2-prior-knowledge"]) {
    test(`${version}: basic has nosniff everywhere and no-store on errors`, async () => {
      await using gateway = await startGateway({ securityHeaders: "basic" });
      const good = await curl(version, `${gateway.url}/test/v1/echo/x`);
      assert.equal(good.status, 200);
      assert.equal(good.headers.get("x-content-type-options"), "nosniff");
      assert.equal(good.headers.get("cache-control"), undefined);
      assert.equal(good.headers.get("x-frame-options"), undefined);
      const noJson = ["-H", "content-type: application/json", "--data", "{", "/test/v1/echo"];
      for (const args of [["/nowhere"], noJson]) {
        const bad = await curl(version, ...args.slice(0, -1), gateway.url + args.at(-1));
        assert.ok(bad.status >= 400, args.join(" "));
        assert.equal(bad.headers.get("x-content-type-options"), "nosniff");
        assert.equal(bad.headers.get("cache-control"), "no-store");
      }
    });

    test(`${version}: strict has those of a site, without HSTS in plain text`, async () => {
      await using gateway = await startGateway({ securityHeaders: "strict" });
      const { headers } = await curl(version, `${gateway.url}/test/v1/echo/x`);
      assert.deepEqual(
        strictNames.filter((name) => !headers.has(name)),
        [],
      );
      assert.equal(headers.get("content-security-policy"), "default-src 'none'; frame-ancestors 'none'");
      assert.equal(headers.get("strict-transport-security"), undefined);
    });

    test(`${version}: off, the default without a configuration, has none`, async () => {
      await using gateway = await startGateway();
      const { headers } = await curl(version, `${gateway.url}/nowhere`);
      for (const name of ["x-content-type-options", "cache-control", ...strictNames]) {
        assert.equal(headers.get(name), undefined, name);
      }
    });
  }

  test("an answer to a principal must not be stored", async () => {
    await using files = await TemporaryFiles.create();
    const partner = createApiKey("partner");
    const keysFile = await files.write("keys.json", [{ id: "partner", hash: partner.hash }]);
    await using guarded = await Guarded.start(
      { providers: { partners: apiKeys({ keysFile }) } },
      { securityHeaders: "basic" },
    );
    const url = `http://${guarded.authority}/test/v1/echo/x`;
    const { status, headers } = await curl("-H", `x-api-key: ${partner.key}`, url);
    assert.deepEqual([status, headers.get("cache-control")], [200, "no-store"]);
  });

  test("own routes have them too, and what they set themselves stays", async () => {
    await using gateway = await startGateway({ securityHeaders: "strict" }, [], ({ fastify }) => {
      fastify.get("/own", (_, reply) => reply.header("x-frame-options", "SAMEORIGIN").send("own"));
    });
    const { headers } = await curl(`${gateway.url}/own`);
    assert.equal(headers.get("x-frame-options"), "SAMEORIGIN");
    assert.equal(headers.get("x-content-type-options"), "nosniff");
    const rpc = await curl(`${gateway.url}/test/v1/echo/x`);
    assert.equal(rpc.headers.get("x-frame-options"), "DENY");
  });

  test("the plugin in a Fastify of others has them on its answers", async () => {
    await using gateway = await startGateway();
    const app = Fastify();
    const guest = new HttpServer({ upstream: "127.0.0.1:1", securityHeaders: "strict", logger: false });
    await app.register(guest.addService(gateway.echo).plugin);
    const { headers } = await app.inject("/test/v1/echo/x");
    assert.equal(headers["x-frame-options"], "DENY");
    await app.close();
  });

  test("strict over TLS has HSTS", async () => {
    const { cert, key } = createCertificate({ name: "localhost", hosts: ["localhost"] });
    const tls = { cert, key };
    await using gateway = await startGateway({ securityHeaders: "strict", tls });
    const asked = request({
      port: gateway.port,
      host: "127.0.0.1",
      path: "/test/v1/echo/x",
      rejectUnauthorized: false,
      agent: false,
    }).end();
    const [response] = (await once(asked, "response")) as [IncomingMessage];
    response.resume();
    assert.equal(response.headers["strict-transport-security"], "max-age=31536000; includeSubDomains");
  });

  test("another word is an error of the start", () => {
    // Callers without TypeScript can pass anything.
    const options = { upstream: "127.0.0.1:1", securityHeaders: "loose" as "off" };
    assert.throws(() => new HttpServer(options), /securityHeaders must be off, basic or strict/);
  });
});
