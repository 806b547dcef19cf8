import assert from "node:assert/strict";
import { once } from "node:events";
import { constants, type ServerHttp2Stream } from "node:http2";
import { createServer, type AddressInfo, type Server } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { test, type TestContext } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  ChatRequestSchema,
  ChatResponseSchema,
  EchoRequestSchema,
  EchoResponseSchema,
  EchoService,
} from "../../../gen/tsms/test/v1/echo_pb.ts";
import { createClient } from "../../../src/core/call/client.ts";
import { CallContext } from "../../../src/core/call/context.ts";
import type { ReadReplies, RequestBatch } from "../../../src/core/call/batches.ts";
import { dial, dialInvoker, type DialOptions } from "../../../src/core/dial.ts";
import { Code, type ConnectError } from "../../../src/core/errors/errors.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { Connection } from "../../../src/core/http2/http2-connection.ts";
import { service } from "../../../src/core/call/service.ts";
import { all, each, failure } from "../../support/failure.ts";
import { frame, grpcHeaders, RawGrpcServer } from "../../support/raw-grpc-server.ts";
import { stallingProxy } from "../../support/stalling-proxy.ts";
import { testEngine } from "../../support/test-engine.ts";

/** Generous, so that a slow machine does not fail; a hang does. */
const timeoutMs = 10_000;

type Answer = ConstructorParameters<typeof RawGrpcServer>[0];

async function against(t: TestContext, answer: Answer, options: Partial<DialOptions> = {}) {
  const server = await new RawGrpcServer(answer).listen();
  t.after(() => server[Symbol.asyncDispose]());
  return { server, ...dialed(t, server.target, options) };
}

function dialed(t: TestContext, target: string, options: Partial<DialOptions> = {}) {
  const transport = dial(target, { ...testEngine, ...options });
  t.after(() => transport.close());
  return { transport, client: createClient(EchoService, transport) };
}

function answer(stream: ServerHttp2Stream, text: string): void {
  stream.respond(grpcHeaders, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.end(frame(toBinary(EchoResponseSchema, create(EchoResponseSchema, { text }))));
}

/** A TCP server that does with connections as told. */
async function tcpServer(t: TestContext, onConnection: Parameters<typeof createServer>[1]): Promise<Server> {
  const server = createServer(onConnection).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return server;
}

function targetOf(server: Server): string {
  return `127.0.0.1:${(server.address() as AddressInfo).port}`; // Listens on TCP.
}

test("S04: a server that vanishes without a word is found out by a ping", async (t) => {
  const server = await new RawGrpcServer(() => {}).listen();
  t.after(() => server[Symbol.asyncDispose]());
  await using proxy = await stallingProxy(server.port);
  const keepalive = { timeMs: 50, timeoutMs: 50 };
  const { client, transport } = dialed(t, `127.0.0.1:${proxy.port}`, { keepalive });
  await transport.ready();
  const calls = [failure(client.echo({}, { timeoutMs })), failure(all(client.repeat({}, { timeoutMs })))];
  proxy.stall();
  for (const error of await Promise.all(calls)) assert.equal(error.code, Code.Unavailable, String(error));
  assert.notEqual(transport.state, "ready");
});

test("a server that answers pings may take its time", async (t) => {
  const { client } = await against(t, (stream) => setTimeout(() => answer(stream, "late"), 300), {
    keepalive: { timeMs: 20, timeoutMs: 5_000 },
  });
  assert.equal((await client.echo({}, { timeoutMs })).text, "late");
});

test("G21: a server that retires its connection ends its calls, new ones go to the next connection", async (t) => {
  const streams: ServerHttp2Stream[] = [];
  const { client, server, transport } = await against(t, (stream, _headers, index) => {
    streams.push(stream);
    if (index === 0) stream.session?.goaway(constants.NGHTTP2_NO_ERROR, stream.id);
    else answer(stream, "new");
  });
  const first = client.echo({}, { timeoutMs });
  while (server.streams === 0) await pause(1);
  // On a busy machine the next connection may be ready before one has seen that the first is in use no more.
  while (transport.state === "ready" && server.sessions.size < 2) await pause(1);
  assert.equal((await client.echo({}, { timeoutMs })).text, "new");
  assert.equal(server.sessions.size, 2);
  answer(streams[0] ?? assert.fail(), "old");
  assert.equal((await first).text, "old");
});

for (const [name, code, data] of [
  ["INTERNAL_ERROR", constants.NGHTTP2_INTERNAL_ERROR, ""],
  ["too_many_pings", constants.NGHTTP2_ENHANCE_YOUR_CALM, "too_many_pings"],
] as const) {
  test(`G21: GOAWAY ${name} ends calls that were looked at, others are tried again`, async (t) => {
    const { client, server, transport } = await against(t, (stream, headers, index) => {
      if (index === 1) stream.session?.goaway(code, (stream.id ?? 0) - 2, Buffer.from(data));
      else if (index > 1) answer(stream, String(headers["x-call"]));
    });
    await transport.ready();
    const first = failure(client.echo({}, { timeoutMs }));
    const second = client.echo({}, { timeoutMs, headers: { "x-call": "second" } });
    assert.equal((await first).code, Code.Unavailable);
    assert.equal((await second).text, "second");
    assert.equal(server.streams, 3);
  });
}

test("calls beyond the server's streams wait for their turn, and hear of their end while they do", async (t) => {
  let running = 0;
  let most = 0;
  const gates: (() => void)[] = [];
  const server = new GrpcServer({ port: 0, maxConcurrentStreams: 2 }).addService(
    service(EchoService, {
      async echo({ text }) {
        most = Math.max(most, ++running);
        await new Promise<void>((resolve) => gates.push(resolve));
        running--;
        return { text };
      },
    }),
  );
  await server.start();
  t.after(() => server.gracefulStop({ graceMs: 0 }));
  const { client, transport } = dialed(t, `127.0.0.1:${server.address?.port}`);
  await transport.ready();
  const calls = Array.from({ length: 6 }, (_, index) => client.echo({ text: `${index}` }, { timeoutMs }));
  const controller = new AbortController();
  const cancelled = failure(client.echo({}, { signal: controller.signal }));
  const late = failure(client.echo({}, { timeoutMs: 20 }));
  controller.abort();
  assert.equal((await cancelled).code, Code.Canceled);
  assert.equal((await late).code, Code.DeadlineExceeded);
  let served = 0;
  while (served < calls.length) {
    await pause(1);
    for (const open of gates.splice(0)) {
      served++;
      open();
    }
  }
  assert.deepEqual(
    (await Promise.all(calls)).map(({ text }) => text),
    ["0", "1", "2", "3", "4", "5"],
  );
  assert.equal(most, 2);
});

test("a server that says nothing is UNAVAILABLE after the time to connect", async (t) => {
  const silent = await tcpServer(t, (socket) => t.after(() => socket.destroy()));
  const { client, transport } = dialed(t, targetOf(silent), { connectTimeoutMs: 30 });
  assert.equal((await failure(client.echo({}, { timeoutMs }))).code, Code.Unavailable);
  assert.equal(transport.state, "transient-failure");
});

test("a server of another protocol is UNAVAILABLE", async (t) => {
  const http1 = await tcpServer(t, (socket) =>
    socket.on("error", () => {}).end("HTTP/1.1 400 Bad Request\r\n\r\n"),
  );
  const { client } = dialed(t, targetOf(http1));
  assert.equal((await failure(client.echo({}, { timeoutMs }))).code, Code.Unavailable);
});

test("of several addresses, the first one where a server answers is taken", async (t) => {
  const closed = await tcpServer(t, () => {});
  const target = targetOf(closed);
  await new Promise((resolve) => closed.close(resolve));
  const server = await new RawGrpcServer((stream) => answer(stream, "here")).listen();
  t.after(() => server[Symbol.asyncDispose]());
  const { client } = dialed(t, `ipv4:${target},${server.target}`);
  assert.equal((await client.echo({}, { timeoutMs })).text, "here");
});

test("pauses between attempts grow up to the longest, and a call during one fails at once", async (t) => {
  const attempts: number[] = [];
  const enough = Promise.withResolvers<void>();
  const refusing = await tcpServer(t, (socket) => {
    socket.destroy();
    if (attempts.push(performance.now()) === 6) enough.resolve();
  });
  const backoff = { initialMs: 20, maxMs: 60 };
  const connection = new Connection(
    () => targetOf(refusing),
    { ...testEngine, backoff },
    () => 0,
  );
  t.after(() => connection.close());
  const ready = connection.ready(AbortSignal.timeout(timeoutMs));
  ready.catch(() => {});
  await enough.promise;
  const pauses = attempts.slice(1).map((at, index) => at - (attempts[index] ?? 0));
  // Random 0 takes a fifth off; timers may be early by less than a millisecond.
  for (const [index, least] of [16, 25.6, 40.96, 48, 48].entries()) {
    assert.ok((pauses[index] ?? 0) >= least - 2, `pause ${index}: ${pauses[index]} ms`);
  }
  while (connection.state !== "transient-failure") await pause(1);
  const refused = Promise.withResolvers<Code>();
  connection.begin({ open: () => assert.fail("opened"), refuse: ({ code }) => refused.resolve(code) });
  assert.equal(connection.state, "transient-failure");
  assert.equal(await refused.promise, Code.Unavailable);
  connection.close();
  assert.equal((await failure(ready)).code, Code.Unavailable);
});

/** A connection whose first attempt, to a server that lets none in, has just failed. */
async function failing(t: TestContext, pauseMs: number) {
  const attempts: number[] = [];
  const refusing = await tcpServer(t, (socket) => {
    socket.destroy();
    attempts.push(performance.now());
  });
  const backoff = { initialMs: pauseMs, maxMs: pauseMs };
  const connection = new Connection(
    () => targetOf(refusing),
    { ...testEngine, backoff },
    () => 0.5, // As long as it says.
  );
  t.after(() => connection.close());
  const call = (): Promise<ConnectError> =>
    new Promise((resolve) => connection.begin({ open: () => assert.fail("opened"), refuse: resolve }));
  assert.equal((await call()).code, Code.Unavailable);
  assert.equal(connection.state, "transient-failure");
  const attempt = async (count: number): Promise<number> => {
    while (attempts.length < count) await pause(1);
    return (attempts[count - 1] ?? 0) - (attempts[count - 2] ?? 0);
  };
  return { connection, call, attempt, attempts };
}

for (const [name, pauseMs, least, most] of [
  ["a long pause ends after 500 ms", 60_000, 490, 1500],
  ["a short pause stays as it is", 100, 90, 490],
] as const) {
  test(`Z12: callers make the next attempt come soon: ${name}`, async (t) => {
    const { connection, call, attempt, attempts } = await failing(t, pauseMs);
    // A call in the pause fails at once, with the error of the last attempt, and one attempt answers for all of them.
    for (let calls = 0; calls < 100; calls++) assert.equal((await call()).code, Code.Unavailable);
    assert.equal(attempts.length, 1);
    const soon = await attempt(2);
    assert.ok(soon >= least && soon <= most, `a call: after ${soon} ms`);
    const ready = connection.ready(AbortSignal.timeout(timeoutMs));
    ready.catch(() => {});
    for (const count of [3, 4]) {
      const again = await attempt(count);
      assert.ok(again >= least && again <= most, `ready(): after ${again} ms`);
    }
  });
}

test("Z12: a call that comes later than 500 ms after the last attempt is the next one", async (t) => {
  const { call, connection, attempts } = await failing(t, 60_000);
  for (const begun = performance.now(); performance.now() - begun < 550;) {
    await pause(1);
  }
  assert.equal(attempts.length, 1); // Without callers the pause is as long as it was said to be.
  const called = performance.now();
  const calls = [call(), call()];
  assert.equal(connection.state, "connecting");
  await Promise.all(calls);
  assert.equal(attempts.length, 2);
  assert.ok((attempts[1] ?? 0) - called < 490);
});

test("closing lets calls under way end, and refuses those that wait for a connection", async (t) => {
  const began = Promise.withResolvers<ServerHttp2Stream>();
  const { client, transport } = await against(t, (stream) => began.resolve(stream));
  const call = client.echo({}, { timeoutMs });
  const stream = await began.promise;
  transport.close();
  answer(stream, "whole");
  assert.equal((await call).text, "whole");

  const silent = await tcpServer(t, (socket) => t.after(() => socket.destroy()));
  const second = dialed(t, targetOf(silent));
  const waiting = failure(second.client.echo({}, { timeoutMs }));
  const ready = failure(second.transport.ready());
  second.transport.close();
  assert.equal((await waiting).code, Code.Unavailable);
  assert.equal((await ready).code, Code.Unavailable);
});

test("G15: the time left goes over the wire, less than the caller gave", async (t) => {
  const seen: unknown[] = [];
  const { client } = await against(t, (stream, headers) => {
    seen.push(headers["grpc-timeout"]);
    answer(stream, "");
  });
  await client.echo({}, { timeoutMs });
  await client.echo({}, { timeoutMs: 400_000_000 });
  await client.echo({}, { timeoutMs: 3e14 });
  await client.echo({});
  const [milliseconds, seconds, forever, none] = seen;
  assert.match(String(milliseconds), /^\d{4}m$/);
  assert.match(String(seconds), /^\d{6}S$/);
  assert.match(String(forever), /^\d{8}H$/);
  assert.equal(none, undefined);
});

test("message bytes go through as they are", async (t) => {
  const received: Buffer[] = [];
  const server = await new RawGrpcServer((stream) => {
    stream.on("data", (chunk: Buffer) => received.push(chunk));
    stream.on("end", () => answer(stream, "bytes"));
  }).listen();
  const invoker = dialInvoker(server.target, testEngine);
  t.after(async () => {
    invoker.close();
    await server[Symbol.asyncDispose]();
  });
  const method = EchoService.method.echo;
  const context = new CallContext({ method, protocolName: "test", requestHeader: undefined });
  const request = toBinary(EchoRequestSchema, create(EchoRequestSchema, { text: "in" }));
  const reply = await invoker.unaryBytes?.(method, request, context, (bytes) => bytes);
  context.end();
  assert.equal(fromBinary(EchoResponseSchema, reply ?? assert.fail()).text, "bytes");
  assert.deepEqual(Buffer.concat(received), frame(request));
});

const textBytes = (text: string): Uint8Array =>
  toBinary(ChatRequestSchema, create(ChatRequestSchema, { text }));

/** The results of `read` for the replies of one `chat` that sends `batches`. */
async function* chatInBytes<T>(
  t: TestContext,
  target: string,
  batches: readonly RequestBatch[],
  read: ReadReplies<T>,
): AsyncGenerator<T, void, undefined> {
  const invoker = dialInvoker(target);
  t.after(() => invoker.close());
  const method = EchoService.method.chat;
  const context = new CallContext({ method, protocolName: "test", requestHeader: undefined });
  try {
    yield* invoker.streamBytes?.(method, each(...batches), context, read) ?? assert.fail();
  } finally {
    context.end();
  }
}

test("messages of a stream go through as they are, those that came together in one piece", async (t) => {
  const received: Buffer[] = [];
  const server = await new RawGrpcServer((stream) => {
    stream.on("data", (chunk: Buffer) => received.push(chunk));
    stream.on("end", () => {
      stream.respond(grpcHeaders, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      const replies = ["a", "b", "c"].map((text) => frame(textBytes(text)));
      stream.end(Buffer.concat(replies));
    });
  }).listen();
  t.after(() => server[Symbol.asyncDispose]());
  const requests = [[textBytes("1"), create(ChatRequestSchema, { text: "2" })], [textBytes("3")]];
  const pieces = chatInBytes(t, server.target, requests, (batch) => {
    const first = batch.next();
    return [first, ...(first.at(-1) === 97 ? [] : [batch.next()])].map((bytes) => Buffer.from(bytes));
  });
  // The first reply is read by itself, the others, which are left of the batch, together.
  const texts = ["a", "b", "c"].map((text) => Buffer.from(textBytes(text)));
  assert.deepEqual(await all(pieces), [texts.slice(0, 1), texts.slice(1)]);
  const sent = ["1", "2", "3"].map((text) => frame(textBytes(text)));
  assert.deepEqual(Buffer.concat(received), Buffer.concat(sent));
});

test("a reply that cannot be read ends its stream behind those before it", async (t) => {
  const server = await new RawGrpcServer((stream) => {
    stream.respond(grpcHeaders);
    stream.write(Buffer.concat([frame(textBytes("a")), frame(Buffer.of(0xff)), frame(textBytes("b"))]));
  }).listen();
  t.after(() => server[Symbol.asyncDispose]());
  const seen: string[] = [];
  const pieces = chatInBytes(t, server.target, [], (batch) => {
    const bytes = batch.next();
    return fromBinary(ChatResponseSchema, bytes).text;
  });
  const error = await failure(
    (async () => {
      for await (const text of pieces) seen.push(text);
    })(),
  );
  assert.equal(error.code, Code.Internal);
  assert.match(error.message, /a reply of .*Chat is no tsms\.test\.v1\.ChatResponse/);
  assert.deepEqual(seen, ["a"]);
});
