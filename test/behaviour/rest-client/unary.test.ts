import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { createRegistry, type JsonValue } from "@bufbuild/protobuf";
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { ErrorInfoSchema, RetryInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { BenchService } from "../../../gen/tsms/test/v1/bench_pb.ts";
import { EchoService, EchoRequestSchema, file_tsms_test_v1_echo } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { restTransport, type RestTransportOptions } from "../../../src/entries/rest.ts";
import { createClient } from "../../../src/index.ts";
import { codeOfHttpStatus } from "../../../src/core/errors/http-status.ts";
import { everyWay, type Gateway } from "../../support/gateway-fixture.ts";
import { startScriptedHttp, type ScriptedHttp } from "../../support/scripted-http.ts";

function clientOf(baseUrl: string, options: Partial<RestTransportOptions> = {}) {
  return createClient(EchoService, restTransport({ baseUrl, ...options }));
}

/** The error of a call that has to fail. */
async function failure(call: Promise<unknown>): Promise<ConnectError> {
  return call.then(
    () => assert.fail("the call succeeds"),
    (error: unknown) => (error instanceof ConnectError ? error : assert.fail(String(error))),
  );
}

for (const [way, start] of everyWay) {
  describe(`through our gateway, ${way}`, () => {
    let gateway: Gateway;
    before(async () => {
      gateway = await start();
    });
    after(() => gateway[Symbol.asyncDispose]());

    test("a call has its reply, with headers, and trailers as headers", async () => {
      let header: Headers | undefined;
      const { text, number } = await clientOf(gateway.url).echo(
        {
          text: "käse/😀",
          number: 9007199254740993n,
          behaviour: { headers: { "x-head": "1" }, trailers: { "x-trail": "2" } },
        },
        { onHeader: (headers) => (header = headers) },
      );
      assert.deepEqual({ text, number }, { text: "käse/😀", number: 9007199254740993n });
      assert.equal(header?.get("x-head"), "1");
      assert.equal(header?.get("x-trail"), "2");
    });

    test("an error has its code, its text, its details and its metadata", async () => {
      const error = await failure(
        clientOf(gateway.url).echo({
          behaviour: {
            failure: {
              code: Code.Aborted,
              message: "no, käse",
              reasons: ["A", "B"],
              metadata: { "x-m": "1" },
            },
          },
        }),
      );
      assert.equal(error.code, Code.Aborted);
      assert.equal(error.rawMessage, "no, käse");
      assert.deepEqual(
        error.findDetails(ErrorInfoSchema).map(({ reason }) => reason),
        ["A", "B"],
      );
      assert.equal(error.metadata.get("x-m"), "1");
    });

    for (const deadlineHeader of ["none", "grpc-timeout", "connect-timeout-ms"] as const) {
      test(`a deadline ends the call, deadlineHeader ${deadlineHeader}`, async () => {
        const client = clientOf(gateway.url, { deadlineHeader, timeoutMs: 60_000 });
        const error = await failure(client.echo({ behaviour: { sleepMs: 60_000 } }, { timeoutMs: 30 }));
        assert.equal(error.code, Code.DeadlineExceeded);
        const { timeoutMs = 0 } = await client.echo({});
        if (deadlineHeader === "none") assert.ok(timeoutMs === 0 || timeoutMs <= 30_000, String(timeoutMs));
        else assert.ok(timeoutMs > 30_000 && timeoutMs <= 60_000, String(timeoutMs));
      });
    }

    test("a signal cancels the call in the server", async () => {
      const controller = new AbortController();
      const { calls: callsBefore, aborted: abortedBefore } = gateway.echo;
      const call = failure(
        clientOf(gateway.url).echo({ behaviour: { sleepMs: 60_000 } }, { signal: controller.signal }),
      );
      await gateway.echo.until(({ calls }) => calls > callsBefore);
      controller.abort();
      assert.equal((await call).code, Code.Canceled);
      await gateway.echo.until(({ aborted }) => aborted > abortedBefore);
    });
  });
}

describe("options", () => {
  let server: ScriptedHttp;
  before(async () => {
    server = await startScriptedHttp();
  });
  after(() => server[Symbol.asyncDispose]());
  beforeEach(() => {
    server.requests.length = 0;
    server.answer = (response) => response.setHeader("content-type", "application/json").end('{"text":"ok"}');
  });
  const sent = () => {
    const { method, url, headers } = server.requests.at(-1)?.head ?? assert.fail("no request");
    return { method, url, headers, body: server.requests.at(-1)?.body };
  };

  test("headers: of the transport, of the call, and of an async function; a call's own win", async () => {
    await clientOf(server.url, { headers: { "x-a": "1", "x-b": "1" } }).echo({}, { headers: { "x-b": "2" } });
    assert.equal(sent().headers["x-a"], "1");
    assert.equal(sent().headers["x-b"], "2");
    await clientOf(server.url, { headers: async () => ({ authorization: "Bearer t" }) }).echo({});
    assert.equal(sent().headers.authorization, "Bearer t");
    const never = clientOf(server.url, { headers: () => new Promise(() => {}) });
    assert.equal((await failure(never.echo({}, { timeoutMs: 5 }))).code, Code.DeadlineExceeded);
  });

  test("baseUrl: with a path, slashes at its end do not count", async () => {
    await clientOf(`${server.url}/api/v2//`).echo({ text: "a" });
    assert.equal(sent().url, "/api/v2/test/v1/echo");
    assert.equal(sent().body, '{"text":"a"}');
    assert.equal(sent().headers.accept, "application/json");
    assert.equal(sent().headers["content-type"], "application/json");
  });

  test("rules: the last that selects an rpc counts, and stands in place of the annotation", async () => {
    const rules = [
      { selector: "tsms.test.v1.*", get: "/first/{text}" },
      {
        selector: "tsms.test.v1.EchoService/Echo",
        get: "/second/{text}",
        additional_bindings: [{ get: "/third" }],
      },
      { selector: "other.Service/*", get: "/other" },
    ];
    await clientOf(server.url, { rules }).echo({ text: "x y" });
    assert.equal(sent().url, "/second/x%20y");
    await clientOf(server.url, { rules }).echo({ number: 3n });
    assert.equal(sent().url, "/third?number=3");
    const wrong = clientOf(server.url, { rules: [{ selector: "*", get: "/{nothing}" }] });
    await assert.rejects(
      wrong.echo({}),
      /variable "nothing": tsms\.test\.v1\.EchoRequest has no field "nothing"/,
    );
  });

  test("policies: the timeout is default and most, by selector", async () => {
    server.answer = () => {};
    const policies = [
      { selector: "*", timeoutMs: 60_000 },
      { selector: "tsms.test.v1.EchoService/*", timeoutMs: 20 },
    ];
    const client = clientOf(server.url, { policies });
    for (const own of [{}, { timeoutMs: 60_000 }]) {
      assert.equal((await failure(client.echo({}, own))).code, Code.DeadlineExceeded);
    }
    const stream = client.repeat({ text: "a" })[Symbol.asyncIterator]();
    await assert.rejects(stream.next(), { code: Code.DeadlineExceeded });
  });

  test("interceptors see the rpc, may change the message, and may call again", async () => {
    const seen: string[] = [];
    const again: Interceptor = (next) => async (req) => {
      seen.push(`${req.requestMethod} ${req.url}`);
      req.header.set("x-seen", "1");
      if (!req.stream)
        await next({ ...req, message: { ...req.message, text: "first" } as typeof req.message });
      return next(req);
    };
    await clientOf(server.url, { interceptors: [again] }).echo({ text: "second" });
    assert.deepEqual(seen, [`POST ${server.url}/tsms.test.v1.EchoService/Echo`]);
    // A call of the test before that ended at its deadline may come this late.
    const own = server.requests.filter(({ body }) => body !== "");
    assert.deepEqual(
      own.map(({ head, body }) => [body, head.headers["x-seen"]]),
      [
        ['{"text":"first"}', "1"],
        ['{"text":"second"}', "1"],
      ],
    );
  });

  test("fetch and credentials are used as given", async () => {
    const inits: (RequestInit | undefined)[] = [];
    const own: typeof fetch = async (_, init) => {
      inits.push(init);
      return Response.json({ text: "own" });
    };
    const client = clientOf("/api", { fetch: own, credentials: "include" });
    assert.equal((await client.echo({})).text, "own");
    assert.equal(inits[0]?.credentials, "include");
    assert.equal(inits[0]?.redirect, "manual");
  });

  test("maxMessageBytes: a larger reply is RESOURCE_EXHAUSTED, compressed or not", async () => {
    const client = clientOf(server.url, { maxMessageBytes: 1000 });
    server.answer = (response) => response.end(JSON.stringify({ text: "x".repeat(985) }));
    await client.echo({});
    server.answer = (response) => response.end(JSON.stringify({ text: "x".repeat(990) }));
    assert.equal((await failure(client.echo({}))).code, Code.ResourceExhausted);
  });

  test("compat grpc-gateway: names of metadata both ways", async () => {
    server.answer = (response) =>
      response.writeHead(200, { "grpc-metadata-x-a": "1", "grpc-trailer-x-b": "2" }).end("{}");
    let header: Headers | undefined;
    let trailer: Headers | undefined;
    await clientOf(server.url, { compat: "grpc-gateway" }).echo(
      {},
      {
        headers: { "x-tenant": "t", authorization: "a" },
        onHeader: (headers) => (header = headers),
        onTrailer: (headers) => (trailer = headers),
      },
    );
    assert.equal(sent().headers["grpc-metadata-x-tenant"], "t");
    assert.equal(sent().headers["x-tenant"], undefined);
    assert.equal(sent().headers.authorization, "a");
    assert.equal(header?.get("x-a"), "1");
    assert.equal(trailer?.get("x-b"), "2");
  });

  test("wrong ones are refused by name", () => {
    const make = restTransport as (options: object) => unknown;
    for (const [options, name] of [
      [{}, /baseUrl/],
      [{ baseUrl: "http://a/?b" }, /baseUrl/],
      [{ baseUrl: "", timeoutMS: 1 }, /no option "timeoutMS"/],
      [{ baseUrl: "", timeoutMs: "1" }, /"timeoutMs"/],
      [{ baseUrl: "", rules: {} }, /"rules"/],
      [{ baseUrl: "", fallback: "rpc" }, /"fallback"/],
      [{ baseUrl: "", compat: "envoy" }, /"compat"/],
    ] as const) {
      assert.throws(() => make(options), { name: "TypeError", message: name });
    }
  });
});

describe("replies of other servers", () => {
  let server: ScriptedHttp;
  before(async () => {
    server = await startScriptedHttp();
  });
  after(() => server[Symbol.asyncDispose]());
  const info = {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    reason: "R",
    domain: "d",
    metadata: { a: "1" },
  };
  const retry = { "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "1.5s" };

  const bodies: Readonly<Record<string, readonly [status: number, body: object, code: Code, text: string]>> =
    {
      Status: [404, { code: 7, message: "m", details: [info, retry] }, Code.PermissionDenied, "m"],
      "Google's": [
        404,
        { error: { code: 404, message: "m", status: "ABORTED", details: [info, retry] } },
        Code.Aborted,
        "m",
      ],
      "Google's without a name": [
        403,
        { error: { code: 403, message: "m", details: [info, retry] } },
        Code.PermissionDenied,
        "m",
      ],
      "a problem of ours": [
        409,
        { type: "about:blank", title: "Conflict", status: 409, detail: "m", code: 6, details: [info, retry] },
        Code.AlreadyExists,
        "m",
      ],
      "Connect's": [
        400,
        { code: "out_of_range", message: "m", details: [info, retry] },
        Code.OutOfRange,
        "m",
      ],
    };
  for (const [kind, [status, body, code, text]] of Object.entries(bodies)) {
    test(`an error body: ${kind}`, async () => {
      server.answer = (response) => response.writeHead(status, { "x-m": "1" }).end(JSON.stringify(body));
      const error = await failure(clientOf(server.url).echo({}));
      assert.equal(error.code, code);
      assert.equal(error.rawMessage, text);
      assert.equal(error.metadata.get("x-m"), "1");
      assert.equal(error.findDetails(ErrorInfoSchema)[0]?.reason, "R");
      assert.equal(error.findDetails(RetryInfoSchema)[0]?.retryDelay?.nanos, 500_000_000);
    });
  }

  test("a problem without a code has that of the status, and its own text", async () => {
    server.answer = (response) => response.writeHead(429).end('{"title":"Too many","status":429}');
    const error = await failure(clientOf(server.url).echo({}));
    assert.deepEqual([error.code, error.rawMessage], [Code.ResourceExhausted, "Too many"]);
  });

  test("details of types that the registry has, that nothing knows, and in base64", async () => {
    const type = "type.googleapis.com/tsms.test.v1.EchoRequest";
    const known = { "@type": type, text: "t" };
    const unknown = { "@type": "x/unknown.Type", a: 1 };
    const bytes = { "@type": "x/other.Type", value: "CgF0" };
    const details: JsonValue[] = [known, unknown, bytes, { "@type": "x/google.rpc.ErrorInfo", reason: 5 }, 3];
    server.answer = (response) =>
      response.writeHead(400).end(JSON.stringify({ code: 3, message: "", details }));
    const registry = createRegistry(file_tsms_test_v1_echo);
    const error = await failure(clientOf(server.url, { registry }).echo({}));
    assert.equal(error.findDetails(EchoRequestSchema)[0]?.text, "t");
    assert.deepEqual(
      error.details.map((detail) => ("type" in detail ? detail.type : "")),
      ["tsms.test.v1.EchoRequest", "other.Type"],
    );
    assert.deepEqual(error.cause, [unknown, details[3]]);
  });

  test("K19: without an error body the code is the one for the status, and the text says nothing of the body", async () => {
    for (const status of [
      300, 304, 400, 401, 403, 404, 405, 409, 412, 413, 416, 418, 429, 500, 501, 502, 503, 504,
    ]) {
      for (const body of ["<html>secret</html>", '"secret"', '{"secret":1}', ""]) {
        server.answer = (response) => response.writeHead(status).end(status === 304 ? "" : body);
        const error = await failure(clientOf(server.url).echo({}));
        assert.equal(error.code, codeOfHttpStatus(status), String(status));
        assert.equal(error.rawMessage, `HTTP status ${status}`);
      }
    }
  });

  test("K19: a redirect is not followed", async () => {
    server.requests.length = 0;
    server.answer = (response) => response.writeHead(302, { location: "/elsewhere" }).end();
    const error = await failure(clientOf(server.url).echo({}));
    assert.equal(error.code, Code.Unknown);
    assert.equal(server.requests.length, 1);
  });

  test("K19: a 200 that is no JSON, or no reply, is INTERNAL", async () => {
    for (const body of [
      "<html>secret</html>",
      '{"text":',
      '{"text":5}',
      "[]",
      Buffer.from('{"text":"\xff"}', "latin1"),
    ]) {
      server.answer = (response) => response.end(body);
      const error = await failure(clientOf(server.url).echo({}));
      assert.equal(error.code, Code.Internal);
      assert.doesNotMatch(error.message, /secret/);
    }
  });

  test("K19: 204 and an empty 200 are the empty message; unknown fields are ignored", async () => {
    server.answer = (response) => response.writeHead(204).end();
    assert.equal((await clientOf(server.url).echo({})).text, "");
    server.answer = (response) => response.end();
    assert.equal((await clientOf(server.url).echo({})).text, "");
    server.answer = (response) => response.writeHead(201).end('{"text":"a","more":{"b":[1]}}');
    assert.equal((await clientOf(server.url).echo({})).text, "a");
  });

  test("what the network does is UNAVAILABLE", async () => {
    server.answer = (response) => response.destroy();
    assert.equal((await failure(clientOf(server.url).echo({}))).code, Code.Unavailable);
    server.answer = (response) => {
      response.writeHead(200, { "content-length": "100" }).write('{"text":');
      setImmediate(() => response.destroy());
    };
    assert.equal((await failure(clientOf(server.url).echo({}))).code, Code.Unavailable);
    const gone = await startScriptedHttp();
    await gone[Symbol.asyncDispose]();
    assert.equal((await failure(clientOf(gone.url).echo({}))).code, Code.Unavailable);
  });

  test("what may be sent twice is sent once more where the network fails, anything else is not", async () => {
    const client = createClient(BenchService, restTransport({ baseUrl: server.url }));
    const sent = async (call: () => Promise<unknown>): Promise<number> => {
      const before = server.requests.length;
      await call();
      return server.requests.length - before;
    };
    let losses = 1;
    server.answer = (response) => (losses-- > 0 ? response.destroy() : response.end("{}"));
    assert.equal(await sent(() => client.find({ name: "a" })), 2);
    losses = 2;
    const lost = (call: () => Promise<unknown>) => async () =>
      assert.equal((await failure(call())).code, Code.Unavailable);
    assert.equal(await sent(lost(() => client.find({ name: "a" }))), 2);
    losses = 1;
    assert.equal(await sent(lost(() => client.send({}))), 1, "a POST");
    losses = 1;
    const rules = [{ selector: "tsms.test.v1.BenchService/Send", put: "/parcels", body: "*" }];
    const putting = createClient(BenchService, restTransport({ baseUrl: server.url, rules }));
    assert.equal(await sent(() => putting.send({})), 2, "a PUT");
    // Not when a response has begun, and not for its status.
    server.answer = (response) => {
      response.writeHead(200, { "content-length": "100" }).write("{");
      setImmediate(() => response.destroy());
    };
    assert.equal(await sent(lost(() => client.find({ name: "a" }))), 1);
    server.answer = (response) => response.writeHead(503).end();
    assert.equal(await sent(lost(() => client.find({ name: "a" }))), 1);
  });

  test("H31: a server that closes idle connections as they are used again costs no idempotent call", async () => {
    // No other test uses its connections.
    await using closing = await startScriptedHttp();
    const client = createClient(BenchService, restTransport({ baseUrl: closing.url }));
    let closes = 0;
    let isClosing = false;
    closing.answer = (response) => {
      const { socket } = response;
      response.end("{}");
      if (isClosing) return; // `fetch` may have two connections, of which a call may meet only one that is closed.
      isClosing = true;
      const close = (): void => {
        socket?.destroy();
        isClosing = false;
      };
      setTimeout(close, closes++ % 4);
    };
    for (let call = 0; call < 300; call++) await client.find({ name: `${call}` });
    assert.equal(closing.requests.length >= 300, true);
  });

  test("a GET has no body, a rule for any method is GET or POST", async () => {
    server.answer = (response) => response.end("{}");
    const rules = (rule: object) => [{ selector: "tsms.test.v1.BenchService/Find", ...rule }];
    const find = (rule: object, name: string) =>
      createClient(BenchService, restTransport({ baseUrl: server.url, rules: rules(rule) })).find({ name });
    await find({ custom: { kind: "*", path: "/any" } }, "a");
    assert.equal(server.requests.at(-1)?.head.method, "GET");
    await find({ custom: { kind: "*", path: "/any" }, body: "*" }, "a");
    assert.equal(server.requests.at(-1)?.head.method, "POST");
    await find({ get: "/g", body: "*" }, "");
    assert.equal(server.requests.at(-1)?.head.method, "GET");
    assert.equal((await failure(find({ get: "/g", body: "*" }, "a"))).code, Code.InvalidArgument);
  });
});
