/** The TCP half of edge rule 50: what proxies say of early data. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import Fastify from "fastify";
import type { HandlerContext } from "../../../src/core/call/context.ts";
import { http3Counts } from "../../../src/core/net/http3-counts.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { StockService } from "../../../gen/tsms/test/v1/messages_pb.ts";
import { startGateway } from "../../support/gateway-fixture.ts";
import { curl } from "../security/whoami.ts";

const early = ["-H", "early-data: 1"];
const trustedProxies = ["127.0.0.1"];
const json = ["-H", "content-type: application/json", "--data", "{}"];
const metadataOf = (body: string): unknown =>
  (JSON.parse(body) as { headers?: Record<string, unknown> }).headers?.["early-data"]; // The echo's reply.

for (const version of ["--http1.1", "--http2-prior-knowledge"]) {
  suite(`${version}: Early-Data of a trusted proxy (RFC 8470):`, () => {
    test("refuse, the default, answers 425 to every method, before any handler", async () => {
      await using gateway = await startGateway({ trustedProxies });
      const before = http3Counts.earlyRefused;
      for (const args of [["/test/v1/echo/x"], [...json, "/test/v1/echo"], ["/healthz"]]) {
        const answer = await curl(version, ...early, ...args.slice(0, -1), gateway.url + args.at(-1));
        assert.equal(answer.status, 425, args.join(" "));
      }
      assert.deepEqual([gateway.echo.calls, http3Counts.earlyRefused - before], [0, 3]);
      assert.equal((await curl(version, ...json, `${gateway.url}/test/v1/echo`)).status, 200);
    });

    test("safe serves what has no side effects by the contract, with metadata, and no more", async () => {
      const seen: (string | null)[] = [];
      const stock = {
        descriptor: StockService,
        count(_request: object, context: HandlerContext) {
          seen.push(context.requestHeader.get("early-data"));
          return {};
        },
      };
      await using gateway = await startGateway({ trustedProxies, earlyData: "safe" }, [stock]);
      const count = `${gateway.url}/tsms.test.v1.StockService/Count`;
      const asGet = `${count}?connect=v1&encoding=json&message=%7B%7D`;
      const connect = ["-H", "connect-protocol-version: 1", ...json];
      const statuses = [
        await curl(version, ...early, asGet),
        await curl(version, asGet),
        await curl(version, ...early, ...connect, count),
        await curl(version, ...connect, count),
        await curl(version, ...early, `${gateway.url}/test/v1/echo/x`),
        await curl(version, ...early, `${gateway.url}/nowhere`),
      ].map(({ status }) => status);
      assert.deepEqual(statuses, [200, 200, 425, 200, 425, 425]);
      assert.deepEqual([seen, gateway.echo.calls], [["1", null, null], 0]);
    });

    test("from anybody else the header is taken away", async () => {
      await using gateway = await startGateway();
      const { status, body } = await curl(version, ...early, ...json, `${gateway.url}/test/v1/echo`);
      assert.deepEqual([status, metadataOf(body)], [200, undefined]);
    });

    test("own routes of Fastify are refused as well", async () => {
      let ran = 0;
      await using gateway = await startGateway({ trustedProxies }, [], ({ fastify }) => {
        fastify.post("/own", () => ({ ran: ++ran }));
      });
      assert.equal((await curl(version, ...early, ...json, `${gateway.url}/own`)).status, 425);
      assert.equal(ran, 0);
    });
  });
}

test("the plugin in a Fastify of others refuses it too", async () => {
  await using gateway = await startGateway();
  const app = Fastify();
  const guest = new HttpServer({ upstream: "127.0.0.1:1", trustedProxies, logger: false });
  await app.register(guest.addService(gateway.echo).plugin);
  const { statusCode } = await app.inject({ url: "/test/v1/echo/x", headers: { "early-data": "1" } });
  assert.equal(statusCode, 425);
  await app.close();
});
