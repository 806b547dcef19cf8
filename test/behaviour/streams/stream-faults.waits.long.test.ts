import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import { test } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  EchoService,
  type RepeatRequest,
  type RepeatResponseSchema,
} from "../../../gen/tsms/test/v1/echo_pb.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { service } from "../../../src/core/call/service.ts";
import type { HandlerContext } from "../../../src/core/call/context.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { Echo } from "../../support/echo-service.ts";
import { Feed } from "../../support/feed-service.ts";
import { within } from "../../support/running-grpc.ts";
import { connectTo, readUntil, startGateway } from "../../support/gateway-fixture.ts";
import { eventsOf, openStream, readAll, type StreamReply } from "./stream-client.ts";

const mebibyte = 1024 * 1024;

const accepts = ["application/x-ndjson", "text/event-stream", "application/json"] as const;

/** A gateway before a handler that gives `messages` payloads of `bytes` each, and says what became of it. */
async function startFlood(bytes: number, messages: number, options: Parameters<typeof startGateway>[0] = {}) {
  const state = {
    produced: 0,
    returned: Promise.withResolvers<void>(),
    aborted: Promise.withResolvers<void>(),
  };
  const flood = service(EchoService, {
    async *repeat(
      _request: RepeatRequest,
      { signal }: HandlerContext,
    ): AsyncGenerator<MessageInitShape<typeof RepeatResponseSchema>> {
      signal.addEventListener("abort", () => state.aborted.resolve(), { once: true });
      try {
        for (; state.produced < messages; state.produced++) yield { payload: Buffer.alloc(bytes, 1) };
      } finally {
        state.returned.resolve();
      }
    },
  });
  const grpc = new GrpcServer({ port: 0 }).addService(flood);
  const http = new HttpServer({ upstream: grpc, port: 0, ...options });
  http.addService(flood);
  await grpc.start();
  await http.start();
  return {
    ...state,
    state,
    port: http.address?.port ?? 0,
    url: `http://127.0.0.1:${http.address?.port}/test/v1/repeat/a`,
    async [Symbol.asyncDispose]() {
      await http.gracefulStop({ graceMs: 0 });
      await grpc.gracefulStop({ graceMs: 0 });
    },
  };
}

/** Resolves when `count` has not changed for a while, with its last value. */
async function settled(count: () => number): Promise<number> {
  const end = Date.now() + 20_000;
  let last = count();
  let since = Date.now();
  while (Date.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    if (count() !== last) [last, since] = [count(), Date.now()];
    else if (last > 0 && Date.now() - since > 300) return last;
  }
  throw new Error(`it still changes, ${count()} now`);
}

for (const [accept, dial] of accepts.flatMap((one) => [
  [one, "in-process"] as const,
  [one, "network"] as const,
])) {
  test(`S01 S02: a reader of ${accept} that stalls stops the producer and is closed after the write-idle limit (${dial})`, async () => {
    // The kernel's buffers on both sides take a few MiB; what is sent is far more.
    await using flood = await startFlood(64 * 1024, 480 * 16, { writeIdleMs: 1500, dial });
    const before = process.memoryUsage().rss;
    const reply = await openStream(flood.url, { headers: { accept }, read: false });
    const produced = await settled(() => flood.state.produced);
    assert.ok(produced < 480 * 16 * 0.1, `${produced} messages were produced for a reader that takes none`);
    assert.ok(process.memoryUsage().rss - before < 64 * mebibyte, "the stalled reader costs too much memory");
    await within(20_000, "the cancellation", Promise.all([flood.returned.promise, flood.aborted.promise]));
    reply.response.resume();
    assert.equal(await reply.over, "cut");
  });
}

test("S02: a reader that takes a little again and again is not closed", async () => {
  await using flood = await startFlood(64 * 1024, 400, { writeIdleMs: 1000 });
  const reply = await openStream(flood.url, { read: false });
  let length = 0;
  // The socket's buffers are full all the time, for longer than the limit.
  const timer = setInterval(() => {
    length += ((reply.response.read() as string | null) ?? "").length;
  }, 10);
  try {
    assert.equal(await within(60_000, "the stream", reply.over), "complete");
    assert.ok(length > 400 * 64 * 1024);
  } finally {
    clearInterval(timer);
  }
});

test("H14: one message of 50 MiB that nobody reads is closed at the write-idle limit", async () => {
  await using flood = await startFlood(50 * mebibyte, 1, { writeIdleMs: 500 });
  const reply = await openStream(flood.url, { read: false });
  const began = performance.now();
  await within(20_000, "the cancellation", flood.returned.promise);
  assert.ok(performance.now() - began < 15_000);
  reply.response.resume();
  assert.equal(await reply.over, "cut");
});

const leaves: readonly [name: string, leave: (socket: Socket) => void][] = [
  ["FIN", (socket) => socket.destroy()],
  ["RST", (socket) => socket.resetAndDestroy()],
];
for (const accept of accepts) {
  for (const [name, leave] of leaves) {
    test(`S04: a ${name} of a client of ${accept} cancels the upstream within a second`, async () => {
      await using gateway = await startGateway({ headerFlushMs: 10 });
      const socket = await connectTo(gateway.port);
      socket.on("error", () => {});
      socket.write(
        `GET /test/v1/repeat/a?count=9&intervalMs=100000 HTTP/1.1\r\nhost: x\r\naccept: ${accept}\r\n\r\n`,
      );
      await once(socket, "data");
      const began = performance.now();
      leave(socket);
      await within(
        10_000,
        "the cancellation",
        gateway.echo.until(({ aborted }) => aborted === 1),
      );
      const ms = performance.now() - began;
      assert.ok(ms < 1000, `it took ${ms} ms`);
      await gateway.stillServes();
    });
  }
}

test("S04: a client that leaves during its upload cancels the upstream", async () => {
  await using gateway = await startGateway();
  for (const [index, path] of ["/test/v1/collect", "/test/v1/chat"].entries()) {
    const socket = await connectTo(gateway.port);
    socket.on("error", () => {});
    socket.write(
      `POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{"text":"a"}`,
    );
    await gateway.echo.until(({ received }) => received === index + 1);
    socket.destroy();
    await within(
      5000,
      "the cancellation",
      gateway.echo.until(({ aborted }) => aborted === index + 1),
    );
  }
  await gateway.stillServes();
});

test("S06: a stream that ends well says so, and its connection goes on", async () => {
  await using gateway = await startGateway();
  for (const accept of accepts) {
    const reply = await openStream(`${gateway.url}/test/v1/repeat/a?count=1`, { headers: { accept } });
    const { text, end } = await readAll(reply);
    assert.equal(end, "complete");
    if (accept === "text/event-stream") assert.equal(eventsOf(text).at(-1)?.event, "end");
    if (accept === "application/json") assert.ok(text.endsWith("]"));
  }
});

test("S09: a reader that comes again gets what it has missed, once, in order", async () => {
  const feed = new Feed(100);
  await using gateway = await startGateway({}, [feed]);
  const open = (last?: string): Promise<StreamReply> =>
    openStream(`${gateway.url}/test/v1/feed`, {
      headers: { accept: "text/event-stream", ...(last === undefined ? {} : { "last-event-id": last }) },
    });
  const texts: string[] = [];
  let last: string | undefined;
  for (let round = 0; round < 4; round++) {
    feed.publish(`${round}-while-away`);
    const reply = await open(last);
    await reply.until((text) => text.includes(`${round}-while-away`));
    feed.publish(`${round}-while-here`);
    const text = await reply.until((sofar) => sofar.includes(`${round}-while-here`));
    reply.request.destroy();
    for (const { data, id } of eventsOf(text)) {
      const message = JSON.parse(data) as { text: string; reset: boolean };
      assert.equal(message.reset, false);
      texts.push(message.text);
      last = id;
    }
  }
  const rounds = [0, 1, 2, 3];
  assert.deepEqual(
    texts,
    rounds.flatMap((round) => [`${round}-while-away`, `${round}-while-here`]),
  );
});

test("S09: a reader whose place is forgotten is told so", async () => {
  const feed = new Feed(2);
  await using gateway = await startGateway({}, [feed]);
  for (const text of ["a", "b", "c", "d", "e"]) feed.publish(text);
  const reply = await openStream(`${gateway.url}/test/v1/feed?count=2`, {
    headers: { accept: "text/event-stream", "last-event-id": "1" },
  });
  const { text } = await readAll(reply);
  assert.deepEqual(
    eventsOf(text)
      .slice(0, 3)
      .map(({ data, id }) => ({ ...(JSON.parse(data) as object), id })),
    [
      { position: "3", text: "", reset: true, id: "3" },
      { position: "4", text: "d", reset: false, id: "4" },
      { position: "5", text: "e", reset: false, id: "5" },
    ],
  );
});

test("S10: an event stream has its headers at once and a comment now and then", async () => {
  const feed = new Feed(2);
  await using gateway = await startGateway({ headerFlushMs: 50, heartbeatMs: 100 }, [feed]);
  const reply = await openStream(`${gateway.url}/test/v1/feed`, { headers: { accept: "text/event-stream" } });
  const { headers } = reply.response;
  assert.equal(headers["content-type"], "text/event-stream");
  assert.equal(headers["cache-control"], "no-cache");
  assert.equal(headers["x-accel-buffering"], "no");
  await reply.until((text) => text.split(": ping\n\n").length > 3);
  feed.publish("x");
  await reply.until((text) => text.includes('"text":"x"'));
  reply.request.destroy();
  await gateway.stillServes();
});

test("S10: the heartbeat's default is 15 seconds", async () => {
  const { httpServerDefaults } = await import("../../../src/gateway/http-server-options.ts");
  assert.ok(httpServerDefaults.heartbeatMs <= 15_000);
  assert.equal(httpServerDefaults.writeIdleMs, 60_000);
  assert.equal(httpServerDefaults.bodyIdleMs, 60_000);
});

test("T26: a message of the upstream above the limit is 500", async () => {
  const echo = new Echo();
  const grpc = new GrpcServer({ port: 0, maxMessageBytes: 64 * mebibyte }).addService(echo);
  await grpc.start();
  const http = new HttpServer({
    upstream: grpc,
    dial: "network",
    dialOptions: { maxMessageBytes: 1024 },
    port: 0,
  });
  http.addService(echo);
  await http.start();
  try {
    const url = `http://127.0.0.1:${http.address?.port}/test/v1/repeat`;
    const first = await openStream(`${url}/${"x".repeat(2000)}?count=3`);
    assert.equal(first.response.statusCode, 500);
    assert.match((await readAll(first)).text, /^\{"code":13,/);
  } finally {
    await http.gracefulStop({ graceMs: 0 });
    await grpc.gracefulStop({ graceMs: 0 });
  }
});

test("Z05: an event stream that does not end by itself says when to come again shortly before the end of the grace", async () => {
  const feed = new Feed(10);
  await using gateway = await startGateway({}, [feed]);
  feed.publish("x");
  const reply = await openStream(`${gateway.url}/test/v1/feed`, { headers: { accept: "text/event-stream" } });
  await reply.until((text) => text.includes('"text":"x"'));
  const report = await within(10_000, "the stop", gateway.http.gracefulStop({ graceMs: 500 }));
  assert.deepEqual(report, { finished: 0, notified: ["tsms.test.v1.FeedService/Follow"], cut: [] });
  const { text, end } = await readAll(reply);
  assert.equal(end, "complete");
  assert.match(text, /\nretry: 1000\nevent: error\ndata: \{"code":14,[^\n]*\}\n\n$/);
});

test("Z05: an event stream that has not begun is told so, too", async () => {
  await using gateway = await startGateway({ headerFlushMs: 600_000 }, [new Feed(1)]);
  const opened = openStream(`${gateway.url}/test/v1/repeat/a?count=1&intervalMs=100000`, {
    headers: { accept: "text/event-stream" },
  });
  await gateway.echo.until(({ calls }) => calls === 1);
  await within(10_000, "the stop", gateway.http.gracefulStop({ graceMs: 500 }));
  const reply = await opened;
  assert.equal(reply.response.statusCode, 200);
  assert.match((await readAll(reply)).text, /\nretry: 1000\nevent: error\ndata: \{"code":14,[^\n]*\}\n\n$/);
});

const late: readonly [name: string, method: string, body: string][] = [
  ["whose connection was open by then", "GET", ""],
  ["whose request was still coming", "POST", "{}"],
];
for (const [name, method, body] of late) {
  test(`Z05: an event stream ${name} is told so and ends at once`, async () => {
    await using gateway = await startGateway({}, [new Feed(1)]);
    const socket = await connectTo(gateway.port);
    const held = await openStream(`${gateway.url}/test/v1/repeat/a?count=2&intervalMs=2000`);
    const path = method === "GET" ? "/test/v1/feed" : "/tsms.test.v1.FeedService/Follow";
    const head = `${method} ${path} HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n`;
    const type = `content-type: application/json\r\ncontent-length: ${body.length}\r\n`;
    // A connection without any bytes is closed; this one is about to bring a request, or to complete it.
    const before = method === "GET" ? head : `${head}${type}\r\n`;
    const after = method === "GET" ? "\r\n" : body;
    socket.write(before);
    await gateway.stillServes();
    const stopped = gateway.http.gracefulStop({ graceMs: 60_000 });
    await new Promise((resolve) => setTimeout(resolve, 100));
    socket.write(after);
    const answer = await readUntil(socket, () => false);
    assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(answer, /\r\nconnection: close\r\n/i);
    assert.match(answer, /\nretry: 1000\nevent: error\ndata: \{"code":14,/);
    assert.equal(await held.over, "complete"); // It had not waited for the grace.
    await within(10_000, "the stop", stopped);
  });
}

test("Z05: streams of every form go on; those that run on are ended shortly before the end of the grace", async () => {
  await using gateway = await startGateway({ arrayError: "element" });
  const open = (accept: string, ms: number): Promise<StreamReply> =>
    openStream(`${gateway.url}/test/v1/repeat/a?count=2&intervalMs=${ms}`, { headers: { accept } });
  const forms = ["application/x-ndjson", "text/event-stream", "application/json"];
  const short = await Promise.all(forms.map((accept) => open(accept, 1000)));
  const endless = await Promise.all(forms.map((accept) => open(accept, 100_000)));
  const began = performance.now();
  const report = await within(20_000, "the stop", gateway.http.gracefulStop({ graceMs: 3000 }));
  assert.ok(performance.now() - began >= 2600, "the grace was not given");
  const name = "tsms.test.v1.EchoService/Repeat";
  assert.deepEqual(report, { finished: 3, notified: [name, name, name], cut: [] });
  const ends = [/^\{"text[^]*\}\n$/, /\nevent: end\n/, /^\[\{[^]*\}\]$/];
  for (const [index, reply] of short.entries()) {
    const { text, end } = await readAll(reply);
    assert.equal(end, "complete");
    assert.match(text, ends[index] ?? /$/);
    assert.equal(text.split('"text":"a"').length, 3, text);
  }
  const lastWords = [
    /\{"error":\{"code":14,.*\}\n$/,
    /\nretry: 1000\nevent: error\ndata: \{"code":14,/,
    /\{"error":\{"code":14,.*\}\]$/,
  ];
  for (const [index, reply] of endless.entries())
    assert.match((await readAll(reply)).text, lastWords[index] ?? /$/);
});

test("Z05: an array that only a cut connection can end runs until the grace is over, and is cut", async () => {
  await using gateway = await startGateway();
  const array = await openStream(`${gateway.url}/test/v1/repeat/a?count=2&intervalMs=100000`, {
    headers: { accept: "application/json" },
  });
  const report = await within(20_000, "the stop", gateway.http.gracefulStop({ graceMs: 300 }));
  assert.deepEqual(report, { finished: 0, notified: [], cut: ["tsms.test.v1.EchoService/Repeat"] });
  assert.equal((await readAll(array)).end, "cut");
});
