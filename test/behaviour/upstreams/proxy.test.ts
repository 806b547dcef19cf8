import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:http2";
import { buffer } from "node:stream/consumers";
import { test, type TestContext } from "node:test";
import type { DescService } from "@bufbuild/protobuf";
import type { handleUnaryCall } from "@grpc/grpc-js";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { proxy } from "../../../src/core/call/proxy.ts";
import { dial } from "../../../src/core/dial.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { GrpcServer, type GrpcServerOptions } from "../../../src/core/grpc-server.ts";
import { metadataOnly } from "../../../src/core/metadata/metadata-only.ts";
import { reflectionSource } from "../../../src/core/schema/reflection-source.ts";
import { withPrefix } from "../../../src/core/wire/message-prefix.ts";
import { Echo } from "../../support/echo-service.ts";

/** A server that passes calls of the echo service on to another one. */
async function proxied(t: TestContext, options: Partial<GrpcServerOptions> = {}) {
  const echo = new Echo();
  const behind = new GrpcServer({ port: 0, logger: false }).addService(echo);
  await behind.start();
  const upstream = dial(behind, { network: true });
  const front = new GrpcServer({ port: 0, logger: false, ...options });
  front.addService(proxy(EchoService, upstream));
  await front.start();
  t.after(async () => {
    upstream.close();
    await front.gracefulStop({ graceMs: 0 });
    await behind.gracefulStop({ graceMs: 0 });
  });
  const url = `http://127.0.0.1:${front.address?.port}`;
  return { echo, behind, front, url };
}

/** A client of another library, which shares no code with either server. */
function foreignClient(url: string) {
  return createClient(EchoService, createGrpcTransport({ baseUrl: url }));
}

test("a foreign client gets headers, trailers and errors with their details as they were sent", async (t) => {
  const { url } = await proxied(t);
  const client = foreignClient(url);
  let header: Headers | undefined;
  let trailer: Headers | undefined;
  const reply = await client.echo(
    { text: "hello", behaviour: { headers: { "x-head": "1" }, trailers: { "x-tail": "2" } } },
    {
      headers: { "x-mine": "there" },
      timeoutMs: 20_000,
      onHeader: (headers) => (header = headers),
      onTrailer: (trailers) => (trailer = trailers),
    },
  );
  assert.equal(reply.text, "hello");
  assert.equal(reply.headers["x-mine"], "there");
  assert.ok((reply.timeoutMs ?? Infinity) <= 20_000);
  assert.equal(header?.get("x-head"), "1");
  assert.equal(trailer?.get("x-tail"), "2");
  assert.equal(trailer?.get("x-head"), null);

  const failure = { code: Code.NotFound, message: "gone", reasons: ["LOST"], metadata: { "x-why": "moved" } };
  const behaviour = { headers: { "x-head": "1" }, trailers: { "x-tail": "2" }, failure };
  const error = await client.echo({ behaviour }).then(
    () => assert.fail("the call should have failed"),
    (reason: unknown) => ConnectError.from(reason),
  );
  assert.equal(error.code, Code.NotFound);
  assert.equal(error.rawMessage, "gone");
  assert.deepEqual(
    error.findDetails(ErrorInfoSchema).map(({ reason }) => reason),
    ["LOST"],
  );
  // Once each: headers and trailers of the reply are not added to those of the error again.
  for (const [name, value] of [
    ["x-head", "1"],
    ["x-tail", "2"],
    ["x-why", "moved"],
  ] as const) {
    assert.equal(error.metadata.get(name), value, name);
  }
});

test("headers of a stream arrive before its first message", async (t) => {
  const { url } = await proxied(t);
  const client = foreignClient(url);
  const abort = new AbortController();
  const headed = Promise.withResolvers<Headers>();
  const requests = Promise.withResolvers<void>();
  async function* input() {
    yield { text: "first", behaviour: { headers: { "x-head": "1" } } };
    await requests.promise;
  }
  const replies = client.chat(input(), { signal: abort.signal, onHeader: headed.resolve });
  const iterator = replies[Symbol.asyncIterator]();
  const first = iterator.next();
  assert.equal((await headed.promise).get("x-head"), "1");
  const { value } = (await first) as IteratorYieldResult<{ text: string }>; // It has not ended.
  assert.equal(value.text, "first");
  requests.resolve();
  assert.equal((await iterator.next()).done, true);
});

test("messages are passed on as they are, also those that cannot be decoded", async (t) => {
  const path = "/tsms.test.v1.EchoService/Echo";
  const behind = new GrpcServer({ port: 0, logger: false, engine: "grpc-js" });
  const itself = (bytes: Buffer): Buffer => bytes;
  const echo: handleUnaryCall<Buffer, Buffer> = ({ request }, done) => done(null, request);
  behind.engine.register(path, echo, itself, itself, "unary");
  await behind.start();
  const upstream = dial(behind, { network: true });
  const front = new GrpcServer({ port: 0, logger: false }).addService(proxy(EchoService, upstream));
  await front.start();
  const http2 = connect(`http://127.0.0.1:${front.address?.port}`);
  t.after(async () => {
    http2.close();
    upstream.close();
    await front.gracefulStop({ graceMs: 0 });
    await behind.gracefulStop({ graceMs: 0 });
  });
  const text = Uint8Array.from([0x0a, 0x02, 0xff, 0xfe]); // Field 1, a string that is no UTF-8.
  const call = http2.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
  });
  call.end(withPrefix(text));
  const [reply] = await Promise.all([buffer(call), once(call, "trailers")]);
  assert.deepEqual([...reply.subarray(5)], [...text]);
});

test("interceptors that read messages get them, those of metadata alone leave the bytes", async (t) => {
  const texts: unknown[] = [];
  const reading = await proxied(t, {
    interceptors: [
      (next) => (request) => {
        if (!request.stream) texts.push((request.message as { text?: string }).text);
        return next(request);
      },
    ],
  });
  assert.equal((await foreignClient(reading.url).echo({ text: "seen" })).text, "seen");
  assert.deepEqual(texts, ["seen"]);
  const methods: string[] = [];
  const { front, url } = await proxied(t, {
    interceptors: [
      metadataOnly((next) => (request) => {
        methods.push(request.method.name);
        return next(request);
      }),
    ],
  });
  assert.ok(front.dispatcher.handler("tsms.test.v1.EchoService/Chat")?.bytes);
  assert.equal((await foreignClient(url).echo({ text: "unread" })).text, "unread");
  assert.deepEqual(methods, ["Echo"]);
});

test("a cancelled call is cancelled behind the proxy, for every kind", async (t) => {
  const { echo, url } = await proxied(t);
  const client = foreignClient(url);
  const behaviour = { sleepMs: 60_000 };
  const calls = [
    (signal: AbortSignal) => client.echo({ behaviour }, { signal }),
    async (signal: AbortSignal) => {
      for await (const reply of client.repeat({ count: 1, behaviour }, { signal })) assert.fail(reply.text);
    },
    (signal: AbortSignal) => client.collect(only({ behaviour }), { signal }),
    async (signal: AbortSignal) => {
      for await (const reply of client.chat(only({ behaviour }), { signal })) assert.fail(reply.text);
    },
  ];
  for (const [index, call] of calls.entries()) {
    const abort = new AbortController();
    const ended = call(abort.signal).catch((reason: unknown) => ConnectError.from(reason).code);
    await echo.until(({ calls }) => calls === index + 1);
    abort.abort();
    assert.equal(await ended, Code.Canceled);
    await echo.until(({ aborted }) => aborted === index + 1);
  }
});

test("a service that was removed is UNIMPLEMENTED, its calls in flight are completed", async (t) => {
  const { echo, front, url } = await proxied(t);
  const client = foreignClient(url);
  const running = client.echo({ text: "late", behaviour: { sleepMs: 300 } });
  await echo.until(({ calls }) => calls === 1);
  assert.equal(front.removeService(EchoService), true);
  assert.equal(front.removeService(EchoService), false);
  const refused = await client.echo({}).catch((reason: unknown) => ConnectError.from(reason).code);
  assert.equal(refused, Code.Unimplemented);
  assert.equal((await running).text, "late");
  const transport = dial(url.slice("http://".length));
  t.after(() => transport.close());
  const names = await reflectionSource(transport)
    .load(AbortSignal.timeout(10_000))
    .then(
      ({ services }) => services.map(({ typeName }) => typeName),
      () => [],
    );
  assert.deepEqual(names, []);
  front.addService(new Echo());
  assert.equal((await client.echo({ text: "again" })).text, "again");
});

test("a proxy over a transport of another library works with messages", async (t) => {
  const { url } = await proxied(t);
  const transport = createGrpcTransport({ baseUrl: url });
  const server = new GrpcServer({ port: 0, logger: false }).addService(proxy(EchoService, transport));
  await server.start();
  t.after(() => server.gracefulStop({ graceMs: 0 }));
  assert.equal(server.dispatcher.handler("tsms.test.v1.EchoService/Echo")?.bytes, undefined);
  const client = foreignClient(`http://127.0.0.1:${server.address?.port}`);
  assert.equal((await client.echo({ text: "twice" })).text, "twice");
  assert.deepEqual((await client.collect(only({ text: "a" }))).texts, ["a"]);
});

test("a value that is no descriptor is refused", () => {
  const transport = createGrpcTransport({ baseUrl: "http://127.0.0.1:1" });
  assert.throws(() => proxy({} as DescService, transport), /is no descriptor of a service/);
});

async function* only<T>(message: T): AsyncGenerator<T> {
  yield message;
}
