import assert from "node:assert/strict";
import { suite, test } from "node:test";
import {
  Health,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../../gen/grpc/health/v1/health_pb.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { service, type AnyService } from "../../../src/core/call/service.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { type Gateway, startGateway } from "../../support/gateway-fixture.ts";

/** A health service that answers for the names it knows. */
function health(statuses: Record<string, ServingStatus>): AnyService {
  return service(Health, {
    check({ service: name }) {
      const status = statuses[name];
      if (status === undefined) throw new ConnectError(`unknown service ${name}`, Code.NotFound);
      return { status };
    },
  });
}

async function check(gateway: Pick<Gateway, "url">, path: string, method = "GET"): Promise<[number, string]> {
  const response = await fetch(gateway.url + path, { method });
  return [response.status, await response.text()];
}

const serving: [number, string] = [200, '{"status":"SERVING"}'];
const notServing: [number, string] = [503, '{"status":"NOT_SERVING"}'];

suite("health endpoints", () => {
  test("an upstream without a health service counts as serving", async () => {
    await using gateway = await startGateway();
    for (const path of ["/healthz", "/livez", "/readyz", "/readyz?service=any"]) {
      assert.deepEqual(await check(gateway, path), serving, path);
    }
  });

  test("?scope=process asks no upstream", async () => {
    await using gateway = await startGateway({}, [health({ "": ServingStatus.NOT_SERVING })]);
    assert.deepEqual(await check(gateway, "/readyz"), notServing);
    assert.deepEqual(await check(gateway, "/readyz?scope=process"), serving);
    assert.deepEqual(await check(gateway, "/readyz?scope=all"), notServing);
    assert.deepEqual(await check(gateway, "/readyz?scope=process&x=%zz"), notServing);
  });

  test("statuses of services", async () => {
    const statuses = {
      "": ServingStatus.SERVING,
      off: ServingStatus.NOT_SERVING,
      odd: ServingStatus.UNKNOWN,
    };
    await using gateway = await startGateway({}, [health(statuses)]);
    for (const path of ["/healthz", "/readyz"]) {
      assert.deepEqual(await check(gateway, path), serving);
      assert.deepEqual(await check(gateway, `${path}?service=off`), notServing);
      assert.deepEqual(await check(gateway, `${path}?service=odd`), notServing);
      assert.deepEqual(await check(gateway, `${path}?service=no.such`), [
        404,
        '{"status":"SERVICE_UNKNOWN"}',
      ]);
      assert.deepEqual(await check(gateway, path, "HEAD"), [200, ""]);
      assert.deepEqual(await check(gateway, `${path}?service=off`, "HEAD"), [503, ""]);
    }
  });

  test("other methods are 405, OPTIONS is 204", async () => {
    await using gateway = await startGateway();
    const response = await fetch(`${gateway.url}/readyz`, { method: "DELETE" });
    assert.equal(response.status, 405);
    assert.equal(response.headers.get("allow"), "GET, HEAD, OPTIONS");
    assert.equal(((await response.json()) as { code: number }).code, 12);
    assert.equal((await fetch(`${gateway.url}/readyz`, { method: "OPTIONS" })).status, 204);
  });

  test("an upstream that is not serving, hangs or is gone: not ready, but alive", async () => {
    await using gateway = await startGateway({}, [health({ "": ServingStatus.NOT_SERVING })]);
    assert.deepEqual(await check(gateway, "/readyz"), notServing);
    assert.deepEqual(await check(gateway, "/livez"), serving);
    const hanging = service(Health, { check: () => new Promise(() => {}) });
    await using slow = await startGateway({ healthTimeoutMs: 100 }, [hanging]);
    assert.deepEqual(await check(slow, "/readyz"), notServing);
    const http = new HttpServer({ upstream: "127.0.0.1:1", port: 0, healthTimeoutMs: 2000 }).addService(
      EchoService,
    );
    await http.start();
    const url = `http://127.0.0.1:${http.address?.port}`;
    assert.deepEqual(await check({ url }, "/readyz"), notServing);
    assert.deepEqual(await check({ url }, "/livez"), serving);
    const routes = await fetch(`${url}/test/v1/echo/a`);
    assert.equal(routes.status, 503);
    assert.equal(((await routes.json()) as { code: number }).code, 14);
    await http.gracefulStop({ graceMs: 0 });
  });

  test("draining is not ready, while everything is still served and every answer closes its connection", async () => {
    await using gateway = await startGateway();
    gateway.http.drain();
    const ready = await fetch(`${gateway.url}/readyz`);
    assert.equal(ready.status, 503);
    assert.equal(ready.headers.get("connection"), "close");
    assert.deepEqual(await check(gateway, "/livez"), serving);
    const call = await fetch(`${gateway.url}/test/v1/echo/a`);
    assert.equal(call.status, 200);
    assert.equal(call.headers.get("connection"), "close");
    await call.arrayBuffer();
  });

  test("before services are loaded: not ready, 503 on every route", async () => {
    const grpc = new GrpcServer({ port: 0 });
    const http = new HttpServer({ upstream: grpc, port: 0, awaitServices: true });
    await http.start();
    const url = `http://127.0.0.1:${http.address?.port}`;
    assert.deepEqual(await check({ url }, "/readyz"), notServing);
    const early = await fetch(`${url}/test/v1/echo/a`);
    assert.equal(early.status, 503);
    assert.equal(((await early.json()) as { code: number }).code, 14);
    http.replaceServices([EchoService]);
    assert.deepEqual(await check({ url }, "/readyz"), serving);
    assert.equal((await fetch(`${url}/test/v1/echo/a`)).status, 501);
    await http.gracefulStop({ graceMs: 0 });
  });

  test("switched off, the paths belong to nobody", async () => {
    await using gateway = await startGateway({ healthPaths: false });
    assert.equal((await check(gateway, "/readyz"))[0], 404);
  });
});
