import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { connect } from "node:http2";
import { test } from "node:test";
import { trace as otel } from "@opentelemetry/api";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { service } from "../../../src/core/call/service.ts";
import { dial } from "../../../src/core/dial.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { propagate } from "../../../src/core/metadata/propagate.ts";
import { startTracing } from "../../../src/core/telemetry/tracing/tracing.ts";
import type { TracingOptions } from "../../../src/core/telemetry/tracing/tracing-options.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { callingFace } from "../../support/calling-face.ts";
import { doorClients, through } from "../../support/door-clients.ts";
import { OtlpReceiver, type ReceivedSpan } from "../../support/otlp-receiver.ts";
import { echoFrame, post } from "../../support/running-grpc.ts";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const spanId = "b7ad6b7169203331";
const method = "tsms.test.v1.EchoService/Echo";

/** A gateway before a gRPC server, whose handlers call a second one; traces of all go to a receiver. */
async function start(options: Partial<TracingOptions> = {}, dialled: "in-process" | "network" = "network") {
  const receiver = await new OtlpReceiver().start();
  const tracing = await startTracing({
    endpoint: receiver.url,
    sampleRatio: 1,
    maxPerSecond: 1_000,
    service: "shop",
    ...options,
  });
  const observers = [tracing];
  const inner = new GrpcServer({ port: 0, observers, logger: false });
  const seen: Headers[] = [];
  inner.addService(
    service(EchoService, {
      echo(request, context) {
        seen.push(context.requestHeader);
        if (request.text === "fail") throw new ConnectError("no", Code.Internal);
        return { text: request.text };
      },
    }),
  );
  await inner.start();
  const upstream = createClient(EchoService, dial(`127.0.0.1:${inner.address?.port}`));
  const grpc = new GrpcServer({ port: 0, observers, logger: false });
  grpc.addService(
    service(EchoService, {
      async echo(request, context) {
        if (request.text === "alone") return {};
        if (request.text === "adding") {
          const span = otel.getActiveSpan();
          span?.setAttribute("app.kind", "added").addEvent("seen", { "app.n": 1 });
          otel.getTracer("app").startSpan("own work").end();
          return { text: String(span?.isRecording()) };
        }
        if (request.text === "missing") throw new ConnectError("no", Code.NotFound);
        await turn();
        const own = otel.getTracer("app").startSpan("own work");
        own.end();
        return {
          text: (await upstream.echo(request, request.text === "passed" ? propagate(context) : {})).text,
        };
      },
      async *repeat(request) {
        for (let i = 0; i < request.count; i++) {
          await turn();
          yield { text: (await upstream.echo({ text: request.text })).text };
        }
      },
      async *chat(requests) {
        for await (const request of requests) yield { text: request.text };
      },
    }),
  );
  const http = new HttpServer({
    port: 0,
    upstream: grpc,
    dial: dialled,
    observers,
    httpObservers: [tracing],
    faces: [callingFace],
    logger: false,
  });
  for (const added of grpc.services) if (added.typeName === EchoService.typeName) http.addService(added);
  await grpc.start();
  await http.start();
  return {
    tracing,
    receiver,
    seen,
    port: http.address?.port ?? 0,
    grpcPort: grpc.address?.port ?? 0,
    url: `http://127.0.0.1:${http.address?.port}`,
    /** All spans so far, once there are so many. */
    async spans(count: number): Promise<ReceivedSpan[]> {
      while (receiver.spans.length < count) {
        await tracing.flush();
        await turn();
      }
      return receiver.spans.splice(0);
    },
    async [Symbol.asyncDispose]() {
      await http.gracefulStop({ graceMs: 0 });
      await grpc.gracefulStop({ graceMs: 0 });
      await inner.gracefulStop({ graceMs: 0 });
      await tracing.stop();
      await receiver.stop();
    },
  };
}

/** Spans from the root on, each the parent of the next. */
function chainOf(spans: readonly ReceivedSpan[], root: string | undefined): ReceivedSpan[] {
  const chain: ReceivedSpan[] = [];
  for (let parent = root; ;) {
    const next = spans.find(
      ({ parentSpanId, name }) =>
        (parentSpanId === "" ? undefined : parentSpanId) === parent && name !== "own work",
    );
    if (next === undefined) return chain;
    chain.push(next);
    parent = next.spanId;
  }
}

test("a call by REST is one trace through the gateway, its hop, the handler and what the handler calls", async () => {
  await using servers = await start();
  await fetch(`${servers.url}/test/v1/echo/a?token=s3cret`);
  const spans = await servers.spans(6);
  const chain = chainOf(spans, undefined);
  const root = chain[0] ?? assert.fail();
  assert.deepEqual(
    chain.map(({ name, kind }) => `${kind} ${name}`),
    ["2 GET /test/v1/echo/{text}", `3 ${method}`, `2 ${method}`, `3 ${method}`, `2 ${method}`],
  );
  assert.equal(new Set(spans.map((span) => span.traceId)).size, 1);
  const own = spans.find(({ name }) => name === "own work");
  assert.equal(own?.parentSpanId, chain[2]?.spanId); // A span of the application is a child of the handler's.
  assert.equal(root.resource["service.name"], "shop");
  const { attributes } = root;
  assert.deepEqual(
    { ...attributes, "ts_ms.request_id": "", "server.port": 0, "user_agent.original": "" },
    {
      "rpc.method": method,
      "ts_ms.request_id": "",
      "ts_ms.door": "rest",
      "network.protocol.name": "http",
      "network.protocol.version": "1.1",
      "client.address": "127.0.0.1",
      "server.address": "127.0.0.1",
      "server.port": 0,
      "http.request.method": "GET",
      "http.route": "/test/v1/echo/{text}",
      "http.response.status_code": 200,
      "url.scheme": "http",
      "url.path": "/test/v1/echo/a",
      "url.query": "token=***",
      "user_agent.original": "",
    },
  );
  const hop = chain[3] ?? assert.fail();
  assert.equal(hop.attributes["rpc.system.name"], "grpc");
  assert.equal(hop.attributes["rpc.response.status_code"], "OK");
  assert.equal(hop.attributes["server.address"], "127.0.0.1");
  assert.ok(root.startMs <= hop.startMs && hop.endMs <= root.endMs + 1);
  assert.doesNotMatch(JSON.stringify(spans), /s3cret/);
});

test("a hop inside of the process has no span of its own", async () => {
  await using servers = await start({}, "in-process");
  await fetch(`${servers.url}/test/v1/echo/a`);
  const chain = chainOf(await servers.spans(4), undefined);
  assert.deepEqual(
    chain.map(({ name, kind }) => `${kind} ${name}`),
    ["2 GET /test/v1/echo/{text}", `3 ${method}`, `2 ${method}`],
  );
});

test("what a handler adds to the span of its call is in that span, beside what others send in the same request", async () => {
  await using servers = await start({}, "in-process");
  await fetch(`${servers.url}/test/v1/echo/alone`);
  const answer = await fetch(`${servers.url}/test/v1/echo/adding`);
  assert.equal(((await answer.json()) as { text: string }).text, "true");
  const spans = await servers.spans(3);
  assert.equal(servers.receiver.requests.length, 1);
  const own = spans.find(({ name }) => name === "own work");
  const adding = spans.find(({ attributes }) => attributes["app.kind"] === "added");
  const alone = spans.find((span) => span !== own && span !== adding);
  assert.equal(own?.parentSpanId, adding?.spanId);
  assert.equal(own?.traceId, adding?.traceId);
  assert.notEqual(adding?.traceId, alone?.traceId);
  assert.deepEqual([adding?.name, adding?.kind], [alone?.name, alone?.kind]);
  assert.deepEqual(
    adding?.events?.map(({ name }) => name),
    ["seen"],
  );
  const added = Object.keys(adding?.attributes ?? {}).filter((key) => key !== "app.kind");
  assert.deepEqual(added.sort(), Object.keys(alone?.attributes ?? {}).sort());
});

test("every door makes a span with the name of its rpc, never with a path of a client", async () => {
  await using servers = await start({}, "in-process");
  const { clients, close } = await doorClients(servers.port);
  clients.set("gRPC", through(dial(`127.0.0.1:${servers.grpcPort}`)));
  for (const [door, client] of clients) {
    const parent = { traceparent: `00-${traceId}-${spanId}-01`, tracestate: "a=1", baggage: "tenant=b,x=y" };
    await client({ rpc: "echo", requests: [{ text: "alone" }], headers: parent });
    const spans = await servers.spans(door === "gRPC" ? 2 : 1);
    const span = spans.find(({ kind }) => kind === 2) ?? assert.fail(door);
    assert.equal(span.traceId, traceId, door);
    if (door !== "gRPC") assert.equal(span.parentSpanId, spanId, door);
    const isRest = span.attributes["ts_ms.door"] === "rest";
    assert.equal(span.name, isRest ? `POST /${method}` : method, door);
    assert.equal(span.attributes["rpc.method"], method, door);
    if (!isRest) assert.equal(span.attributes["rpc.response.status_code"], "OK", door);
  }
  close();
});

test("a stream is one span with counts of its messages, and what it calls are its children", async () => {
  await using servers = await start({}, "in-process");
  const client = through(dial(`127.0.0.1:${servers.grpcPort}`));
  await client({ rpc: "repeat", requests: [{ text: "r", count: 3 }] });
  const spans = await servers.spans(8);
  const stream = spans.find(({ name, kind }) => kind === 2 && name.endsWith("/Repeat")) ?? assert.fail();
  assert.equal(stream.attributes["ts_ms.messages.sent"], 3);
  assert.equal(stream.attributes["ts_ms.messages.received"], 1);
  assert.equal(
    spans.filter(({ parentSpanId, kind }) => kind === 3 && parentSpanId === stream.spanId).length,
    3,
  );
});

test("a request for what is not served is a span too, and no path of its client is the name", async () => {
  await using servers = await start();
  const headers = { traceparent: `00-${traceId}-${spanId}-01` };
  await fetch(`${servers.url}/nothing/here?token=s3cret`, { headers });
  const [http = assert.fail()] = await servers.spans(1);
  assert.deepEqual([http.name, http.kind, http.traceId, http.parentSpanId], ["GET", 2, traceId, spanId]);
  const { attributes } = http;
  assert.equal(attributes["http.response.status_code"], 404);
  assert.equal(attributes["url.path"], "/nothing/here");
  assert.equal(attributes["url.query"], "token=***");
  assert.equal(attributes["rpc.method"], undefined);
  assert.equal(http.status.code ?? 0, 0);

  const session = connect(`http://127.0.0.1:${servers.grpcPort}`);
  const reply = await post(session, { ":path": "/a.b.Service/Nothing", ...headers }, [echoFrame()]);
  session.destroy();
  assert.equal(reply.status, Code.Unimplemented);
  const [rpc = assert.fail()] = await servers.spans(1);
  assert.deepEqual([rpc.name, rpc.kind, rpc.traceId, rpc.parentSpanId], ["grpc", 2, traceId, spanId]);
  assert.equal(rpc.attributes["rpc.method"], "_OTHER");
  assert.equal(rpc.attributes["rpc.method_original"], "a.b.Service/Nothing");
  assert.equal(rpc.attributes["rpc.response.status_code"], "UNIMPLEMENTED");
  assert.equal(rpc.status.code, 2);
});

test("spans of servers are errors for faults of their own, those of clients for all but OK", async () => {
  await using servers = await start({}, "in-process");
  await fetch(`${servers.url}/test/v1/echo/missing`);
  const [missing = assert.fail()] = await servers.spans(1);
  assert.equal(missing.status.code ?? 0, 0);
  assert.equal(missing.attributes["http.response.status_code"], 404);
  assert.equal(missing.attributes["error.type"], undefined);
  await fetch(`${servers.url}/test/v1/echo/fail`);
  const failed = chainOf(await servers.spans(4), undefined);
  assert.deepEqual(
    failed.map(({ status, attributes }) => [status.code, attributes["error.type"]]),
    [
      [2, "500"],
      [2, "INTERNAL"],
      [2, "INTERNAL"],
    ],
  );
});

test("L03: what is no traceparent begins a new trace; tracestate and the named baggage go on", async () => {
  await using servers = await start({ baggageKeys: ["tenant"] }, "in-process");
  const call = async (headers: [string, string][]): Promise<ReceivedSpan> => {
    const socket = new (await import("node:http")).Agent({ keepAlive: false });
    const { request } = await import("node:http");
    await new Promise<void>((resolve) => {
      const sent = request(`${servers.url}/test/v1/echo/passed`, { agent: socket }, (answer) => {
        answer.resume().on("end", resolve);
      });
      for (const [name, value] of headers) sent.appendHeader(name, value);
      sent.end();
    });
    return chainOf(await servers.spans(4), undefined)[0] ?? (await servers.spans(0))[0] ?? assert.fail();
  };
  const good = `00-${traceId}-${spanId}-01`;
  const bad: [string, string][][] = [
    [
      ["traceparent", good],
      ["traceparent", good],
    ],
    [["traceparent", `ff-${traceId}-${spanId}-01`]],
    [["traceparent", `${good}0`]],
    [["traceparent", `00-${"0".repeat(32)}-${spanId}-01`]],
    [["traceparent", `00-${traceId}-${"0".repeat(16)}-01`]],
    [["traceparent", good.toUpperCase()]],
  ];
  for (const headers of bad) assert.notEqual((await call(headers)).traceId, traceId, JSON.stringify(headers));
  servers.seen.length = 0;
  const members = Array.from({ length: 40 }, (_, i) => `k${i}=v`);
  await fetch(`${servers.url}/test/v1/echo/passed`, {
    headers: {
      traceparent: `cc-${traceId}-${spanId}-01-extra`,
      tracestate: members.join(","),
      baggage: "other=1,tenant=a",
    },
  });
  const spans = await servers.spans(4);
  assert.deepEqual([...new Set(spans.map((span) => span.traceId))], [traceId]);
  const [headers = assert.fail()] = servers.seen;
  assert.equal(headers.get("tracestate"), members.slice(0, 32).join(","));
  assert.equal(headers.get("baggage"), "tenant=a");
  assert.match(headers.get("traceparent") ?? "", new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`));
});

test("what is not sampled makes no spans, and says so to those it calls", async () => {
  await using servers = await start({ sampleRatio: 0 });
  await fetch(`${servers.url}/test/v1/echo/a`);
  await fetch(`${servers.url}/test/v1/echo/passed`);
  await fetch(`${servers.url}/test/v1/echo/a`, { headers: { traceparent: `00-${traceId}-${spanId}-00` } });
  await servers.tracing.flush();
  assert.equal(servers.receiver.spans.length, 0);
  for (const headers of servers.seen)
    assert.match(headers.get("traceparent") ?? "", /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
  assert.equal(servers.seen[2]?.get("traceparent")?.slice(3, 35), traceId);
});

test("what untrusted callers force is bounded, and nothing of theirs counts where it is not accepted", async () => {
  {
    await using servers = await start({ sampleRatio: 0, maxPerSecond: 2 }, "in-process");
    const headers = { traceparent: `00-${traceId}-${spanId}-01` };
    for (let i = 0; i < 5; i++) await (await fetch(`${servers.url}/test/v1/echo/alone`, { headers })).text();
    await servers.tracing.flush();
    assert.ok(servers.receiver.spans.length >= 2 && servers.receiver.spans.length <= 4);
    servers.tracing.update({ accept: "none" });
    servers.receiver.spans.length = 0;
    await (await fetch(`${servers.url}/test/v1/echo/alone`, { headers })).text();
    servers.tracing.update({ accept: "trusted" });
    await (await fetch(`${servers.url}/test/v1/echo/alone`, { headers })).text();
    await servers.tracing.flush();
    assert.equal(servers.receiver.spans.length, 0);
  }
});

test("an option that cannot be used is named", async () => {
  await assert.rejects(startTracing({ endpoint: "no url" }), /endpoint/);
  await assert.rejects(startTracing({ endpoint: "http://localhost:1", sampleRatio: 2 }), /sampleRatio/);
});

test("each attempt of a call that is tried again is a span with the number of those before", async () => {
  await using servers = await start({}, "in-process");
  let calls = 0;
  const moody = new GrpcServer({ port: 0, logger: false });
  moody.addService(
    service(EchoService, {
      echo() {
        if (++calls < 3) throw new ConnectError("away", Code.Unavailable);
        return {};
      },
    }),
  );
  await moody.start();
  const policies = [
    {
      name: [{}],
      retryPolicy: {
        maxAttempts: 4,
        initialBackoff: "0.01s",
        maxBackoff: "0.01s",
        backoffMultiplier: 1,
        retryableStatusCodes: ["UNAVAILABLE"],
      },
    },
  ];
  await using transport = dial(`127.0.0.1:${moody.address?.port}`, {
    serviceConfig: { methodConfig: policies },
  });
  await createClient(EchoService, transport).echo({});
  const spans = await servers.spans(3);
  assert.deepEqual(
    spans.map(({ kind, attributes }) => [
      kind,
      attributes["rpc.response.status_code"],
      attributes["previous-rpc-attempts"],
    ]),
    [
      [3, "UNAVAILABLE", undefined],
      [3, "UNAVAILABLE", 1],
      [3, "OK", 2],
    ],
  );
  await moody.gracefulStop({ graceMs: 0 });
});
