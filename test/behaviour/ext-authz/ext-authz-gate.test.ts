import assert from "node:assert/strict";
import { suite, test, type TestContext } from "node:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import {
  authorizerMetadataKey,
  type AuthorizerOutcome,
  extAuthzGate,
  type ExtAuthzOptions,
} from "../../../src/entries/ext-authz.ts";
import { GrpcServer, type Interceptor } from "../../../src/index.ts";
import { Echo } from "../../support/echo-service.ts";
import { type Gateway, startGateway } from "../../support/gateway-fixture.ts";
import { allowed, type Authorizer, header, startAuthorizer } from "./authorizer.ts";

interface Site {
  readonly gateway: Gateway;
  readonly outcomes: AuthorizerOutcome[];
  readonly ignored: string[];
  /** Request headers and metadata of calls that have passed. */
  readonly seen: { headers: Headers; metadata: unknown }[];
}

async function start(
  t: TestContext,
  authorizer: Authorizer,
  options: Partial<ExtAuthzOptions> = {},
): Promise<Site> {
  const outcomes: AuthorizerOutcome[] = [];
  const ignored: string[] = [];
  const seen: Site["seen"] = [];
  const books = {
    asked: (outcome: AuthorizerOutcome) => void outcomes.push(outcome),
    ignored: (name: string) => void ignored.push(name),
  };
  const look: Interceptor = (next) => (request) => {
    seen.push({
      headers: new Headers(request.header),
      metadata: request.contextValues.get(authorizerMetadataKey),
    });
    return next(request);
  };
  const gate = extAuthzGate(authorizer.transport, { books, timeoutMs: 10_000, ...options });
  const gateway = await startGateway({ gates: [gate], interceptors: [look] });
  t.after(() => gateway[Symbol.asyncDispose]());
  return { gateway, outcomes, ignored, seen };
}

test("X1: an authorizer sees the call in Envoy's form", async (t) => {
  const authorizer = await startAuthorizer(t, () => allowed);
  const { gateway } = await start(t, authorizer, { extensions: { stage: "test" } });
  const response = await fetch(`${gateway.url}/test/v1/echo/a%2Fb?x=%2F&x=2`, {
    headers: { authorization: "Bearer t", "x-other": "no", "x-request-id": "r-1" },
  });
  await response.text();
  const { http, questions } = authorizer;
  const { id, method, path, host, scheme, protocol, size, headers } = http;
  assert.match(id, /^\d+$/);
  assert.deepEqual(
    { method, path, host, scheme, protocol, size, headers },
    {
      method: "GET",
      path: "/test/v1/echo/a%2Fb?x=%2F&x=2",
      host: `127.0.0.1:${gateway.port}`,
      scheme: "http",
      protocol: "HTTP/1.1",
      size: -1n,
      headers: { authorization: "Bearer t", "x-request-id": "r-1" },
    },
  );
  const attributes = questions[0]?.attributes;
  assert.deepEqual(attributes?.contextExtensions, {
    stage: "test",
    rpc: "tsms.test.v1.EchoService/Echo",
    door: "rest",
    route: "/test/v1/echo/{text}",
  });
  assert.equal(attributes.source?.address?.address.value?.address, "127.0.0.1");
  assert.deepEqual(attributes.destination?.address?.address.value?.portSpecifier.value, gateway.port);
  assert.ok(attributes.request?.time !== undefined);
});

test("X1: a gRPC server asks as gRFC A92 says", async (t) => {
  const authorizer = await startAuthorizer(t, () => allowed);
  const server = new GrpcServer({
    port: 0,
    gates: [extAuthzGate(authorizer.transport, { timeoutMs: 10_000 })],
  }).addService(new Echo());
  await server.start();
  t.after(() => server.gracefulStop({ graceMs: 0 }));
  const client = createClient(
    EchoService,
    createGrpcTransport({ baseUrl: `http://127.0.0.1:${server.address?.port}` }),
  );
  assert.equal((await client.echo({ text: "a" })).text, "a");
  const { method, path, protocol, size } = authorizer.http;
  assert.deepEqual([method, path, protocol, size], ["POST", "/tsms.test.v1.EchoService/Echo", "HTTP/2", -1n]);
});

test("X2: the first bytes of the body of unary calls, at every door that reads it whole", async (t) => {
  const bodies: { door: string; body: string; partial: string }[] = [];
  const authorizer = await startAuthorizer(t, ({ attributes }) => {
    const { rawBody, headers } = attributes?.request?.http ?? assert.fail("no request");
    bodies.push({
      door: attributes?.contextExtensions["door"] ?? "",
      body: Buffer.from(rawBody).toString("latin1"),
      partial: headers["x-envoy-auth-partial-body"] ?? "none",
    });
    return Buffer.from(rawBody).includes("evil") ? { status: { code: 7 } } : allowed;
  });
  const options = { includeBodyBytes: 16, timeoutMs: 10_000 };
  const { gateway } = await start(t, authorizer, options);
  const post = async (text: string) => {
    const response = await fetch(`${gateway.url}/tsms.test.v1.EchoService/Echo`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ text }),
    });
    await response.text();
    return response.status;
  };
  assert.equal(await post("good and rather long"), 200);
  assert.deepEqual(bodies.pop(), { door: "rest", body: '{"text":"good an', partial: "true" });
  assert.equal(await post("evil"), 403);
  assert.deepEqual(bodies.pop(), { door: "rest", body: '{"text":"evil"}', partial: "false" });
  const get = await fetch(`${gateway.url}/test/v1/echo/a`);
  assert.deepEqual([get.status, bodies.pop()], [200, { door: "rest", body: "", partial: "false" }]);
  const server = new GrpcServer({ port: 0, gates: [extAuthzGate(authorizer.transport, options)] }).addService(
    new Echo(),
  );
  await server.start();
  t.after(() => server.gracefulStop({ graceMs: 0 }));
  const grpc = `http://127.0.0.1:${server.address?.port}`;
  for (const [door, transport] of [
    ["connect", createConnectTransport({ baseUrl: gateway.url, httpVersion: "1.1", useBinaryFormat: true })],
    ["grpc-web", createGrpcWebTransport({ baseUrl: gateway.url, httpVersion: "1.1" })],
    ["grpc", createGrpcTransport({ baseUrl: gateway.url })],
    ["grpc", createGrpcTransport({ baseUrl: grpc })],
  ] as const) {
    const client = createClient(EchoService, transport);
    assert.equal((await client.echo({ text: "ok" })).text, "ok");
    const prefix = door === "connect" ? "" : "\0\0\0\0\x04";
    assert.deepEqual(bodies.pop(), { door, body: `${prefix}\n\x02ok`, partial: "false" });
    await assert.rejects(client.echo({ text: "evil" }), { code: Code.PermissionDenied });
    bodies.pop();
    for await (const { text } of client.repeat({ text: "evil", count: 1 })) assert.equal(text, "evil");
    assert.equal(bodies.pop()?.partial, "none");
  }
});

suite("X3: OK lets pass, a denial beside it does not", () => {
  for (const [name, answer, status] of [
    ["OK alone", allowed, 200],
    ["OK with ok_response", { ...allowed, httpResponse: { case: "okResponse", value: {} } }, 200],
    ["no status", {}, 403],
    ["another status", { status: { code: 16 } }, 403],
  ] as const) {
    test(name, async (t) => {
      const authorizer = await startAuthorizer(t, () => answer);
      const { gateway } = await start(t, authorizer);
      const response = await fetch(`${gateway.url}/test/v1/echo/a`);
      await response.text();
      assert.equal(response.status, status);
    });
  }
  test("I24: OK with denied_response is a denial", async (t) => {
    const authorizer = await startAuthorizer(t, () => ({
      ...allowed,
      httpResponse: { case: "deniedResponse", value: {} },
    }));
    const { gateway } = await start(t, authorizer);
    const response = await fetch(`${gateway.url}/test/v1/echo/a`);
    await response.text();
    assert.equal(response.status, 403);
  });
});

test("X4: an answer changes headers, query and context values", async (t) => {
  const authorizer = await startAuthorizer(t, () => ({
    ...allowed,
    dynamicMetadata: { tier: "gold" },
    httpResponse: {
      case: "okResponse",
      value: {
        headers: [
          header("x-request-id", "more", 0),
          header("accept-language", "de", 1),
          header("x-user-id", "u1", 2),
          header("x-none", "no", 3),
        ],
        headersToRemove: ["authorization"],
        responseHeadersToAdd: [header("x-decided", "yes")],
        queryParametersToSet: [{ key: "count", value: "3" }],
        queryParametersToRemove: ["text"],
      },
    },
  }));
  const { gateway, seen, ignored } = await start(t, authorizer);
  const response = await fetch(`${gateway.url}/test/v1/echo/a?count=1&text=b`, {
    headers: { authorization: "Bearer t", "x-request-id": "r-1", "accept-language": "en" },
  });
  await response.text();
  assert.equal(response.headers.get("x-decided"), "yes");
  const [call] = seen;
  assert.equal(call?.headers.get("x-request-id"), "r-1, more");
  assert.equal(call.headers.get("accept-language"), "en");
  assert.equal(call.headers.get("x-user-id"), "u1");
  assert.equal(call.headers.has("x-none"), false);
  assert.equal(call.headers.has("authorization"), false);
  assert.deepEqual(call.metadata, { tier: "gold" });
  assert.deepEqual(ignored, []);
});

test("I24: an answer cannot set :path, host, content-length", async (t) => {
  const names = [
    ":path",
    "host",
    "content-length",
    "transfer-encoding",
    "grpc-timeout",
    "connection",
    "bad name",
  ];
  const authorizer = await startAuthorizer(t, () => ({
    ...allowed,
    httpResponse: {
      case: "okResponse",
      value: {
        headers: names.map((name) => header(name, "1", 2)),
        headersToRemove: ["host"],
        responseHeadersToAdd: [header("content-length", "1"), header("grpc-status", "0")],
      },
    },
  }));
  const { gateway, ignored } = await start(t, authorizer);
  const response = await fetch(`${gateway.url}/test/v1/echo/a`);
  assert.equal(response.status, 200);
  assert.equal(((await response.json()) as { text: string }).text, "a");
  assert.equal(ignored.length, names.length + 3);
});

test("X5: a denial is as the authorizer says on REST, a code with its text elsewhere", async (t) => {
  const body = `go away${"!".repeat(2000)}`;
  const authorizer = await startAuthorizer(t, () => ({
    status: { code: 7 },
    httpResponse: {
      case: "deniedResponse",
      value: {
        status: { code: 401 as 403 },
        headers: [
          header("www-authenticate", "Token"),
          header("content-type", "text/html"),
          header("content-length", "3"),
        ],
        body,
      },
    },
  }));
  const { gateway, outcomes } = await start(t, authorizer);
  const response = await fetch(`${gateway.url}/test/v1/echo/a`);
  assert.equal(response.status, 401);
  assert.equal(response.headers.get("www-authenticate"), "Token");
  assert.equal(response.headers.get("content-type"), "text/html");
  assert.equal(await response.text(), body);
  const client = createClient(
    EchoService,
    createConnectTransport({ baseUrl: gateway.url, httpVersion: "1.1" }),
  );
  const error = await client.echo({ text: "a" }).then(
    () => assert.fail("it passed"),
    (reason: unknown) => ConnectError.from(reason),
  );
  assert.equal(error.code, Code.Unauthenticated);
  assert.equal(error.rawMessage, body.slice(0, 1024));
  assert.equal(error.findDetails(ErrorInfoSchema)[0]?.reason, "AUTHORIZER_DENIED");
  assert.deepEqual(outcomes, ["denied", "denied"]);
});

suite("X6: no answer", () => {
  const silent = () => new Promise<never>(() => {});
  test("denies by default, in time", async (t) => {
    const authorizer = await startAuthorizer(t, silent);
    const { gateway, outcomes } = await start(t, authorizer, { timeoutMs: 100 });
    const response = await fetch(`${gateway.url}/test/v1/echo/a`);
    const { code, details } = (await response.json()) as { code: number; details: { reason?: string }[] };
    assert.deepEqual([response.status, code, details[0]?.reason], [503, 14, "AUTHORIZER_UNAVAILABLE"]);
    assert.equal(response.headers.get("retry-after"), "1");
    assert.deepEqual(outcomes, ["failed"]);
  });
  test("lets pass with onFailure: allow, counted and logged, without a trace for the service", async (t) => {
    const authorizer = await startAuthorizer(t, silent);
    const logged: string[] = [];
    const logger = { warn: (_: unknown, text: string) => void logged.push(text) };
    const { gateway, outcomes, seen } = await start(t, authorizer, {
      timeoutMs: 50,
      onFailure: "allow",
      logger,
    });
    const response = await fetch(`${gateway.url}/test/v1/echo/a`);
    await response.text();
    assert.deepEqual([response.status, outcomes, logged.length], [200, ["failed_open"], 1]);
    assert.deepEqual(
      [...(seen[0]?.headers.keys() ?? [])].filter((name) => /auth|envoy/.test(name)),
      [],
    );
  });
  test("is what error_response says", async (t) => {
    const authorizer = await startAuthorizer(t, () => ({
      status: { code: 0 },
      httpResponse: {
        case: "errorResponse",
        value: { status: { code: 500 as 503 }, headers: [header("retry-after", "9")], body: "broken" },
      },
    }));
    const { gateway, outcomes } = await start(t, authorizer);
    const response = await fetch(`${gateway.url}/test/v1/echo/a`);
    assert.deepEqual(
      [response.status, response.headers.get("retry-after"), await response.text()],
      [500, "9", "broken"],
    );
    assert.deepEqual(outcomes, ["failed"]);
  });
});

test("X7: answers are remembered by all that was sent, but for time and id", async (t) => {
  const authorizer = await startAuthorizer(t, () => allowed);
  const { gateway, outcomes } = await start(t, authorizer, { cacheTtlMs: 60_000 });
  const get = async (path: string, token: string) =>
    (await fetch(gateway.url + path, { headers: { authorization: token } })).text();
  for (let i = 0; i < 3; i++) await get("/test/v1/echo/a", "one");
  assert.equal(authorizer.questions.length, 1);
  await get("/test/v1/echo/a", "two");
  await get("/test/v1/echo/b", "one");
  assert.equal(authorizer.questions.length, 3);
  assert.deepEqual(outcomes, ["allowed", "remembered", "remembered", "allowed", "allowed"]);
});

test("only the selected rpcs are asked about", async (t) => {
  const authorizer = await startAuthorizer(t, () => ({ status: { code: 7 } }));
  const { gateway } = await start(t, authorizer, { rpc: ["tsms.test.v1.EchoService/Repeat"] });
  assert.equal((await fetch(`${gateway.url}/test/v1/echo/a`)).status, 200);
  assert.throws(
    () => extAuthzGate(authorizer.transport, { onFailure: "open" as "deny" }),
    /onFailure must be "deny" or "allow"/,
  );
});
