import assert from "node:assert/strict";
import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import { once } from "node:events";
import { after, before, suite, test } from "node:test";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { cors } from "@connectrpc/connect";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { envelope } from "../rpc-protocols/rpc-fixture.ts";
import { startGateway, type Gateway } from "../../support/gateway-fixture.ts";
import { Files } from "../../support/files-service.ts";

const page = "https://app.example.com";

/** A request as browsers make it; fetch would not let a test set its headers. */
async function ask(
  gateway: Gateway,
  method: string,
  path: string,
  headers: Record<string, string>,
  body: string | Uint8Array = "",
): Promise<{ status: number; headers: IncomingHttpHeaders; text: string }> {
  const request = httpRequest(gateway.url + path, { method, headers, agent: false });
  request.end(body);
  const [response] = (await once(request, "response")) as [IncomingMessage];
  const text = (await response.toArray()).join("");
  return { status: response.statusCode ?? 0, headers: response.headers, text };
}

/** What pages read by whatever protocol they call. */
const exposed = [
  "grpc-status",
  "grpc-message",
  "grpc-status-details-bin",
  "grpc-encoding",
  "connect-content-encoding",
  "content-encoding",
];

function corsNames(headers: IncomingHttpHeaders): string[] {
  return Object.keys(headers).filter((name) => name.startsWith("access-control-"));
}

suite("pages of other origins", () => {
  let gateway: Gateway;
  before(async () => {
    gateway = await startGateway({ corsOrigins: [page, "http://localhost:3000"], corsMaxAgeMs: 5000 }, [
      new Files(),
    ]);
  });
  after(() => gateway[Symbol.asyncDispose]());

  test("I10: an origin that is not listed gets nothing that lets its page read", async () => {
    for (const origin of [
      "https://evil.com",
      "null",
      `${page}.evil.com`,
      `${page}:443`,
      `${page}/`,
      "http://app.example.com",
      "https://App.example.com",
      "",
    ]) {
      const answer = await ask(gateway, "GET", "/test/v1/echo/a", { origin });
      assert.equal(answer.status, 200);
      assert.deepEqual(corsNames(answer.headers), [], origin);
      assert.equal(answer.headers.vary, "Origin", origin);
      const preflight = await ask(gateway, "OPTIONS", "/test/v1/echo/a", {
        origin,
        "access-control-request-method": "GET",
      });
      assert.deepEqual(corsNames(preflight.headers), [], origin);
    }
  });

  test("I10: a listed origin is named, in errors too, and caches keep answers apart", async () => {
    for (const path of [
      "/test/v1/echo/a",
      "/nowhere",
      "/test/v1/downloads/a?count=1&pieceBytes=1",
      "/livez",
    ]) {
      const { headers } = await ask(gateway, "GET", path, { origin: page });
      assert.equal(headers["access-control-allow-origin"], page, path);
      assert.equal(headers["access-control-allow-credentials"], undefined);
      assert.match(headers.vary ?? "", /\bOrigin\b/);
    }
    const none = await ask(gateway, "GET", "/test/v1/echo/a", {});
    assert.deepEqual(corsNames(none.headers), []);
    assert.equal(none.headers.vary, "Origin");
  });

  test("a preflight is answered from the routes, and no rpc is called", async () => {
    const { calls } = gateway.echo;
    const answer = await ask(gateway, "OPTIONS", "/test/v1/files/a", {
      origin: page,
      "access-control-request-method": "PUT",
      "access-control-request-headers": "content-type,x-request-id",
    });
    assert.equal(answer.status, 204);
    assert.equal(answer.headers["access-control-allow-origin"], page);
    assert.equal(answer.headers["access-control-allow-methods"], "GET, HEAD, OPTIONS, PUT");
    assert.equal(answer.headers["access-control-allow-headers"], "content-type,x-request-id");
    assert.equal(answer.headers["access-control-max-age"], "5");
    assert.equal(
      answer.headers.vary,
      "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
    );
    assert.equal(gateway.echo.calls, calls);
  });

  test("G26: pages may send what Connect and gRPC-Web send, and read what they answer with", async (t) => {
    const { echo } = EchoService.method;
    const { idempotency } = echo;
    t.after(() => Object.assign(echo, { idempotency }));
    for (const [level, allowed] of [
      [idempotency, "OPTIONS, POST"],
      [MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS, "GET, OPTIONS, POST"],
    ] as const) {
      Object.assign(echo, { idempotency: level });
      const { calls } = gateway.echo;
      for (const method of cors.allowedMethods) {
        const preflight = await ask(gateway, "OPTIONS", "/tsms.test.v1.EchoService/Echo?connect=v1", {
          origin: page,
          "access-control-request-method": method,
          "access-control-request-headers": cors.allowedHeaders.join(",").toLowerCase(),
        });
        assert.equal(preflight.status, 204);
        assert.equal(preflight.headers["access-control-allow-origin"], page);
        assert.equal(preflight.headers["access-control-allow-methods"], allowed);
        const headers = preflight.headers["access-control-allow-headers"]?.split(",");
        assert.deepEqual(
          headers,
          cors.allowedHeaders.map((name) => name.toLowerCase()),
        );
      }
      assert.equal(gateway.echo.calls, calls);
    }
    const failure = { behaviour: { failure: { code: 5, message: "m" }, trailers: { "x-last": "2" } } };
    for (const [type, body, more] of [
      ["application/json", JSON.stringify(failure), ["trailer-x-last"]],
      ["application/grpc-web+json", envelope(JSON.stringify(failure)), []],
      ["application/grpc-web-text+json", envelope(JSON.stringify(failure)).toString("base64"), []],
    ] as const) {
      const headers = { origin: page, "content-type": type, "connect-protocol-version": "1" };
      const answer = await ask(gateway, "POST", "/tsms.test.v1.EchoService/Echo", headers, body);
      assert.equal(answer.headers["access-control-allow-origin"], page, type);
      const names = answer.headers["access-control-expose-headers"]?.split(", ") ?? [];
      for (const name of [...cors.exposedHeaders, ...exposed, ...more]) {
        assert.ok(names.includes(name.toLowerCase()), `${type}: ${name} in ${names.join(", ")}`);
      }
    }
  });

  test("a preflight for no route is 404 and allows nothing", async () => {
    const answer = await ask(gateway, "OPTIONS", "/nowhere", {
      origin: page,
      "access-control-request-method": "GET",
    });
    assert.equal(answer.status, 404);
    assert.equal(answer.headers["access-control-allow-methods"], undefined);
  });

  test("headers of a service can be read by the page, and trailers that came as headers", async () => {
    const body = JSON.stringify({
      text: "a",
      behaviour: { headers: { "x-cost": "3" }, trailers: { "x-sum": "4" } },
    });
    const answer = await ask(
      gateway,
      "POST",
      "/tsms.test.v1.EchoService/Echo",
      { origin: page, "content-type": "application/json" },
      body,
    );
    assert.equal(answer.status, 200);
    assert.equal(answer.headers["access-control-expose-headers"], `${exposed.join(", ")}, x-cost, x-sum`);
  });

  test("a streamed answer says so, too", async () => {
    const answer = await ask(
      gateway,
      "POST",
      "/tsms.test.v1.EchoService/Repeat",
      { origin: page, "content-type": "application/json" },
      JSON.stringify({ text: "a", count: 1 }),
    );
    assert.equal(answer.status, 200);
    assert.equal(answer.headers["access-control-allow-origin"], page);
    assert.match(answer.headers.vary ?? "", /accept/i);
    assert.match(answer.headers.vary ?? "", /origin/i);
  });

  test("pages of strangers can not send files by a form; those of this server and of listed origins can", async () => {
    const own = gateway.url;
    for (const [origin, type, status] of [
      ["https://evil.com", "text/plain", 403],
      ["https://evil.com", "multipart/form-data; boundary=x", 403],
      ["null", "application/x-www-form-urlencoded", 403],
      ["https://evil.com", "image/png", 200], // A browser asks before it sends such a type.
      [page, "text/plain", 200],
      [own, "text/plain", 200],
    ] as const) {
      const headers = { origin, "content-type": type };
      const answer = await ask(gateway, "PUT", "/test/v1/files/a", headers, "x");
      assert.equal(answer.status, status, `${origin} ${type}`);
    }
  });
});

test("any origin: a star, nothing to keep apart", async () => {
  await using gateway = await startGateway({ corsOrigins: ["*"] });
  const answer = await ask(gateway, "GET", "/test/v1/echo/a", { origin: "null" });
  assert.equal(answer.headers["access-control-allow-origin"], "*");
  assert.equal(answer.headers.vary, undefined);
});

test("I10: credentials are for listed origins only", async () => {
  await using gateway = await startGateway({ corsOrigins: [page], corsCredentials: true });
  const answer = await ask(gateway, "GET", "/test/v1/echo/a", { origin: page });
  assert.equal(answer.headers["access-control-allow-credentials"], "true");
  const other = await ask(gateway, "GET", "/test/v1/echo/a", { origin: "https://evil.com" });
  assert.deepEqual(corsNames(other.headers), []);
});

test("I10: credentials for every page are refused when the server is made, and so are origins that are none", async () => {
  for (const [corsOrigins, corsCredentials, message] of [
    [["*"], true, /corsOrigins: "\*" with corsCredentials/],
    [[page, "null"], true, /corsOrigins: "null" with corsCredentials/],
    [["app.example.com"], false, /corsOrigins: "app.example.com" is no origin/],
    [[`${page}/`], false, /is no origin/],
    [["https://*.example.com/x"], false, /is no origin/],
  ] as const) {
    await assert.rejects(startGateway({ corsOrigins, corsCredentials }), message);
  }
});

test("without the option no page of another origin can read anything", async () => {
  await using gateway = await startGateway();
  const answer = await ask(gateway, "GET", "/test/v1/echo/a", { origin: page });
  assert.deepEqual(corsNames(answer.headers), []);
  assert.equal(answer.headers.vary, undefined);
});
