import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { BindingService } from "../../../gen/tsms/test/v1/binding_pb.ts";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { GoMs } from "../../../gen/go/micro/service/goms/goms_pb.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { service } from "../../../src/core/call/service.ts";
import {
  bodyOf,
  exchangeBytes,
  type Gateway,
  startGateway,
  statusOf,
} from "../../support/gateway-fixture.ts";

const goms = service(GoMs, { get: ({ id }) => ({ message: `got ${id}` }), list: () => ({ message: "all" }) });

/** The answer to a request whose target is sent byte for byte. */
function raw(gateway: Gateway, method: string, target: string, ...lines: string[]): Promise<string> {
  return exchangeBytes(
    gateway.port,
    [`${method} ${target} HTTP/1.1`, "Host: ok", "Connection: close", ...lines, "", ""].join("\r\n"),
  );
}

suite("routes", () => {
  let gateway: Gateway;
  before(async () => {
    gateway = await startGateway({}, [goms, service(BindingService, {})]);
  });
  after(() => gateway[Symbol.asyncDispose]());

  test("T01: an unknown route is 404 with a status that names it", async () => {
    const response = await fetch(`${gateway.url}/nowhere?a=1`);
    assert.equal(response.status, 404);
    assert.deepEqual(await response.json(), { code: 5, message: "no route for GET /nowhere", details: [] });
    await gateway.stillServes();
  });

  test("H20: a known path with a wrong method is 405 with Allow", async () => {
    for (const method of ["PUT", "DELETE", "PROPFIND", "QUERY"]) {
      const answer = await raw(gateway, method, "/test/v1/echo", "Content-Type: application/json");
      assert.equal(statusOf(answer), 405, method);
      assert.match(answer, /\r\nallow: OPTIONS, POST\r\n/i);
      assert.equal((JSON.parse(bodyOf(answer)) as { code: number }).code, 12);
    }
    const get = await raw(gateway, "POST", "/goms/1");
    assert.match(get, /\r\nallow: DELETE, GET, HEAD, OPTIONS, PATCH\r\n/i);
    await gateway.stillServes();
  });

  test("OPTIONS of a known path is 204 with Allow, of an unknown one 404", async () => {
    const known = await fetch(`${gateway.url}/test/v1/echo/a`, { method: "OPTIONS" });
    assert.equal(known.status, 204);
    assert.equal(known.headers.get("allow"), "GET, HEAD, OPTIONS");
    assert.equal(await known.text(), "");
    assert.equal((await raw(gateway, "OPTIONS", "/nowhere")).slice(0, 12), "HTTP/1.1 404");
  });

  test("HEAD runs GET and keeps its Content-Length", async () => {
    const { calls } = gateway.echo;
    const get = await fetch(`${gateway.url}/goms/7`);
    const text = await get.text();
    const head = await raw(gateway, "HEAD", "/goms/7");
    assert.equal(statusOf(head), 200);
    assert.equal(bodyOf(head), "");
    assert.match(head, new RegExp(`content-length: ${text.length}\r\n`, "i"));
    await raw(gateway, "HEAD", "/test/v1/echo/a");
    assert.equal(gateway.echo.calls, calls + 1);
    assert.equal(bodyOf(await raw(gateway, "HEAD", "/nowhere")), "");
  });

  test("every rpc has the path of its name", async () => {
    const response = await fetch(`${gateway.url}/go.micro.service.goms.GoMs/Get`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"id":"3"}',
    });
    assert.deepEqual(await response.json(), { message: "got 3" });
  });

  test("an rpc that is not implemented is 501", async () => {
    const response = await fetch(`${gateway.url}/goms/1`, { method: "DELETE" });
    assert.equal(response.status, 501);
    assert.equal(((await response.json()) as { code: number }).code, 12);
  });

  for (const [target, ...due] of [
    ["/test/v1/echo/%zz", 400],
    ["/test/v1/echo/%c0%af", 400],
    ["/test/v1/echo/%ff", 400],
    ["/%zz", 400],
    ["/test/v1/echo/a?number=%zz", 400],
  ] as const) {
    test(`H21: ${target} is ${due.join()}`, async () => {
      const { calls } = gateway.echo;
      const answer = await raw(gateway, "GET", target);
      assert.ok((due as readonly number[]).includes(statusOf(answer)), answer);
      assert.equal((JSON.parse(bodyOf(answer)) as { code: number }).code, 3);
      assert.equal(gateway.echo.calls, calls);
      await gateway.stillServes();
    });
  }

  for (const [target, status] of [
    ["/test/v1/../../goms", 404],
    ["/test/v1/echo/..", 400],
    ["/test/v1/echo/.", 400],
    ["/test/v1/echo/%2e%2e", 400],
    ["/test/v1/echo/%2e%2e%2fadmin", 400],
    ["/test/v1/echo/..%5cadmin", 400],
    ["//goms", 404],
    ["/GOMS", 404],
    ["/goms/", 404],
    ["/./goms", 404],
  ] as const) {
    test(`H23: ${target} never reaches another route`, async () => {
      const { calls } = gateway.echo;
      const answer = await raw(gateway, "GET", target);
      assert.equal(statusOf(answer), status, answer);
      assert.equal(gateway.echo.calls, calls);
      await gateway.stillServes();
    });
  }

  test("T15: %2F in a segment is a slash of the value", async () => {
    const answer = await raw(gateway, "GET", "/test/v1/echo/a%2Fb%252F");
    assert.equal((JSON.parse(bodyOf(answer)) as { text: string }).text, "a/b%2F");
  });

  test("T14: a path variable of a wrong type is 400, an empty one 404", async () => {
    const wrong = await raw(gateway, "GET", "/v1/items/abc");
    assert.equal(statusOf(wrong), 400);
    assert.match(
      bodyOf(wrong),
      /"@type":"type.googleapis.com\/google.rpc.BadRequest","fieldViolations":\[\{"field":"id"/,
    );
    assert.equal(statusOf(await raw(gateway, "GET", "/v1/items/")), 404);
    await gateway.stillServes();
  });

  test("T13: an Any of an unknown type is 400, and so are 1,000 nested ones, fast", async () => {
    const unknown = '{"@type":"type.googleapis.com/no.such.Type"}';
    const any = "type.googleapis.com/google.protobuf.Any";
    const nested = `${`{"@type":"${any}","value":`.repeat(1000)}${unknown}${"}".repeat(1000)}`;
    for (const value of [unknown, nested]) {
      const began = process.cpuUsage();
      const response = await fetch(`${gateway.url}/v1/kinds`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: `{"kinds":{"any":${value}}}`,
      });
      assert.equal(response.status, 400);
      await response.arrayBuffer();
      const { user } = process.cpuUsage(began);
      assert.ok(user < 1_000_000, `${user} µs`); // The whole exchange, client included, on a slow machine.
    }
    await gateway.stillServes();
  });

  test("T19: 1,001 query parameters are 400, 1,000 are not", async () => {
    const many = (count: number): string => `/test/v1/echo/a?${Array(count).fill("x").join("&")}`;
    assert.equal(statusOf(await raw(gateway, "GET", many(1000))), 200);
    assert.equal(statusOf(await raw(gateway, "GET", many(1001))), 400);
    await gateway.stillServes();
  });

  const echo = "/tsms.test.v1.EchoService/Echo";
  for (const [method, target, line] of [
    ["POST", echo, "content-type: application/grpc"],
    ["POST", echo, "content-type: Application/gRPC+proto"],
  ] as const) {
    test(`${method} ${target} with ${line.replace("\r\n", ", ")} is 501`, async () => {
      const { calls } = gateway.echo;
      const answer = await raw(gateway, method, target, line, "content-length: 0");
      assert.equal(statusOf(answer), 501, answer);
      assert.match((JSON.parse(bodyOf(answer)) as { message: string }).message, /Connect|gRPC/);
      assert.equal(gateway.echo.calls, calls);
      await gateway.stillServes();
    });
  }
});

test("trailing slashes can be ignored", async () => {
  await using gateway = await startGateway({ trailingSlash: "ignore" }, [goms]);
  assert.equal((await fetch(`${gateway.url}/goms/`)).status, 200);
});

test("unknown parameters and fields are told to observers, or refused", async () => {
  const told: string[] = [];
  const observer = {
    ignoredUnknown: (route: string, kind: string, count: number, name: string) =>
      void told.push(`${route} ${kind} ${count} ${name}`),
  };
  const headers = { "content-type": "application/json" };
  await using lax = await startGateway({ httpObservers: [observer] });
  await fetch(`${lax.url}/test/v1/echo/a?nope=1`);
  await fetch(`${lax.url}/test/v1/echo`, { method: "POST", headers, body: '{"nope":{"x":1}}' });
  assert.deepEqual(told, ["/test/v1/echo/{text} query 1 nope", "/test/v1/echo field 1 nope"]);
  await using strict = await startGateway({ unknownQuery: "reject", unknownFields: "reject" });
  assert.equal((await fetch(`${strict.url}/test/v1/echo/a?nope=1`)).status, 400);
  assert.equal(
    (await fetch(`${strict.url}/test/v1/echo`, { method: "POST", headers, body: '{"nope":1}' })).status,
    400,
  );
});

test("JSON options shape replies", async () => {
  await using gateway = await startGateway({
    fieldNames: "proto",
    defaults: "omit",
    int64: "number",
    indent: 2,
  });
  const response = await fetch(`${gateway.url}/test/v1/echo/a?number=5`);
  const text = await response.text();
  assert.match(text, /^\{\n {2}"text": "a",\n {2}"number": 5,\n/);
  assert.match(text, /"timeout_ms": /);
  assert.doesNotMatch(text, /payload/);
});

test("system parameters of Google's APIs, by option", async () => {
  await using gateway = await startGateway({ systemParameters: true, unknownQuery: "reject" });
  const pretty = await fetch(`${gateway.url}/test/v1/echo/a?prettyPrint=true&$alt=json`);
  assert.match(await pretty.text(), /^\{\n {2}"text": "a"/);
  assert.equal((await fetch(`${gateway.url}/test/v1/echo/a?$alt=xml`)).status, 400);
  await gateway.stillServes();
});

test("routes that clash are refused when they are added", () => {
  const http = new HttpServer({ upstream: "127.0.0.1:1" }).addService(EchoService);
  assert.throws(() => http.addService(EchoService), /tsms\.test\.v1\.EchoService is registered twice/);
  const rules = `http: { rules: [ { selector: ${GoMs.typeName}.List, get: "/healthz" } ] }`;
  const clash = new HttpServer({ upstream: "127.0.0.1:1", rules: [{ file: "r.yaml", text: rules }] });
  clash.addService(GoMs);
  assert.throws(() => clash.describe(), /\/healthz.*go\.micro\.service\.goms\.GoMs/);
  const off = new HttpServer({
    upstream: "127.0.0.1:1",
    healthPaths: false,
    rules: [{ file: "r.yaml", text: rules }],
  }).addService(GoMs);
  assert.ok(off.describe().includes("[HTTP] GET /healthz → go.micro.service.goms.GoMs/List"));
});
