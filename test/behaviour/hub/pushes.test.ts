import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { LiveService } from "../../../gen/tsms/test/v1/live_pb.ts";
import type { Interceptor } from "../../../src/core/call/interceptors.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import type { HttpServerOptions } from "../../../src/gateway/http-server-options.ts";
import { Hub } from "../../../src/hub/hub.ts";
import type { RpcTopicInit } from "../../../src/hub/topic-options.ts";
import { SocketClient, within } from "../websocket/socket-client.ts";
import { members } from "./topic-servers.ts";

const target = "/test/v1/live/t/r";

/** Looks at each message, so that none is handed over. */
const looking: Interceptor = (next) => async (request) => {
  const response = await next(request);
  if (!response.stream) return response;
  const { message } = response;
  return {
    ...response,
    message: (async function* () {
      yield* message;
    })(),
  };
};

async function start(
  interceptors: readonly Interceptor[],
  init: RpcTopicInit<typeof LiveService.method.watchRoom> = {},
  more: Partial<HttpServerOptions> = {},
) {
  const hub = new Hub();
  const room = hub.topic(LiveService.method.watchRoom, init);
  const grpc = new GrpcServer({ listen: false, hub, logger: false, interceptors });
  grpc.addService({
    descriptor: LiveService,
    watchRoom: room.serve,
  });
  const http = new HttpServer({
    port: 0,
    host: "127.0.0.1",
    upstream: grpc,
    headerFlushMs: 0,
    logger: false,
    ...more,
  });
  http.addService(LiveService);
  await http.start();
  return {
    hub,
    room,
    port: http.address?.port ?? 0,
    async [Symbol.asyncDispose]() {
      await http.gracefulStop({ graceMs: 0 });
      await grpc.gracefulStop({ graceMs: 0 });
    },
  };
}

const accepts = {
  sse: "accept: text/event-stream\r\n",
  "sse of a client of HTTP/1.0": "accept: text/event-stream\r\n",
  "sse in gzip": "accept: text/event-stream\r\naccept-encoding: gzip\r\n",
  ndjson: "accept: application/x-ndjson\r\n",
  websocket:
    "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
} as const;

interface Reader {
  readonly socket: Socket;
  /** What has come behind the head, by chunks. */
  readonly chunks: Buffer[];
  bytes(): number;
}

/** A client that has joined. */
async function join(port: number, form: keyof typeof accepts): Promise<Reader> {
  const socket = connect(port, "127.0.0.1");
  const version = form.endsWith("1.0") ? "1.0" : "1.1";
  socket.write(`GET ${target} HTTP/${version}\r\nhost: a\r\n${accepts[form]}\r\n`);
  await once(socket, "data");
  const chunks: Buffer[] = [];
  socket.on("data", (data: Buffer) => chunks.push(data));
  return { socket, chunks, bytes: () => Buffer.concat(chunks).length };
}

/** What has come as soon as it ends so, as bytes. */
async function cameOf({ chunks, socket }: Reader, end: RegExp): Promise<string> {
  const came = (async () => {
    for (;;) {
      const text = Buffer.concat(chunks).toString("latin1");
      if (end.test(text.slice(-200))) return text;
      await wait(2);
    }
  })();
  const text = await within(came, `the end ${end}`);
  socket.destroy();
  return text;
}

for (const form of ["sse", "sse of a client of HTTP/1.0", "ndjson", "websocket"] as const) {
  test(`rule 27: members that have messages handed over get the bytes of those that ask for them: ${form}`, async () => {
    const got: string[] = [];
    for (const interceptors of [[], [looking]]) {
      await using node = await start(interceptors);
      const reader = await join(node.port, form);
      await members(node.hub, 1);
      await node.room.publish("t.r", { text: "a", numbers: [1] }, { id: "one" });
      await new Promise(setImmediate);
      await node.room.publish("t.r", { text: "é".repeat(90) }, { id: "two", headers: { lang: "de" } });
      await new Promise(setImmediate);
      await node.room.publish("t.r", { text: "x".repeat(70_000) }, { id: "three" });
      got.push(await cameOf(reader, /xx","numbers":\[\]\}\s*$/));
    }
    assert.equal(got[0], got[1]);
    assert.ok((got[0]?.length ?? 0) > 70_000);
  });
}

test("rule 27: answers that are compressed have the same text", async () => {
  const texts: number[] = [];
  for (const interceptors of [[], [looking]]) {
    await using node = await start(interceptors);
    const response = await fetch(`http://127.0.0.1:${node.port}${target}`, {
      headers: { accept: "text/event-stream", "accept-encoding": "gzip" },
    });
    await members(node.hub, 1);
    await node.room.publish("t.r", { text: "a" }, { id: "one" });
    let text = "";
    for await (const chunk of response.body ?? []) {
      text += Buffer.from(chunk).toString();
      if (text.includes('"a"')) break;
    }
    texts.push(text.indexOf('id: one\ndata: {"id":"one","headers":{},"text":"a","numbers":[]}\n\n'));
  }
  assert.ok(texts.every((place) => place >= 0));
});

test("sockets that compress have the same messages beside others that do not, which share their bytes", async () => {
  await using node = await start([], {}, { socketCompression: true });
  const url = `ws://127.0.0.1:${node.port}${target}`;
  const open = (perMessageDeflate: boolean) => new SocketClient(url, [], { perMessageDeflate }).open();
  const clients = [await open(true), await open(false), await open(true), await open(false)];
  assert.deepEqual(
    clients.map(({ ws }) => ws.extensions !== ""),
    [true, false, true, false],
  );
  const plain = await join(node.port, "websocket");
  await members(node.hub, 5);
  const written = encodingsOf(node.hub);
  const texts = ["a", "é".repeat(900), "x".repeat(3_000), "y".repeat(70_000), "last"];
  for (const [place, text] of texts.entries()) {
    void node.room.publish("t.r", { text }, { id: `${place}` });
    if (place % 2 === 0) await new Promise(setImmediate);
  }
  const got = await Promise.all(
    clients.map(async (client) => {
      const all: unknown[] = [];
      for (const _ of texts) all.push(await client.json());
      client.ws.terminate();
      return all;
    }),
  );
  const expected = texts.map((text, place) => ({ id: `${place}`, headers: {}, text, numbers: [] }));
  for (const all of got) assert.deepEqual(all, expected);
  const bytes = await cameOf(plain, /"text":"last","numbers":\[\]\}$/);
  const sent = texts.map((text, place) => frameText(JSON.stringify(expected[place]), text)).join("");
  assert.equal(bytes, sent, "the frames of a socket that does not compress");
  assert.deepEqual(written(), { json: texts.length }, "each message is written once, whoever gets it");
});

/** How often a message of a hub was written, by forms. */
function encodingsOf(hub: Hub): () => Readonly<Record<string, number>> {
  let read = (): Readonly<Record<string, number>> => ({});
  hub.watch({
    watch(metric, values) {
      if (metric !== "hubEncodings") return () => {};
      read = () => {
        const counts: Record<string, number> = {};
        for (const { labels, value } of values()) counts[labels["form"] ?? ""] = Number(value);
        return counts;
      };
      return () => {};
    },
  });
  return () => read();
}

/** A text frame of a server, as text of a character for each byte. */
function frameText(json: string, why: string): string {
  const payload = Buffer.from(json);
  const head = Buffer.alloc(payload.length > 65_535 ? 10 : payload.length > 125 ? 4 : 2);
  head.writeUInt8(0x81, 0);
  if (head.length === 10) {
    head.writeUInt8(127, 1);
    head.writeBigUInt64BE(BigInt(payload.length), 2);
  } else if (head.length === 4) {
    head.writeUInt8(126, 1);
    head.writeUInt16BE(payload.length, 2);
  } else head.writeUInt8(payload.length, 1);
  assert.ok(payload.includes(why.slice(0, 10)));
  return Buffer.concat([head, payload]).toString("latin1");
}

for (const [form, parts] of [
  ["sse", /^[0-9a-f]+\r\n(?:id: (\d)\ndata: [^\n]*\n\n){9}\r\n$/],
  ["websocket", /^(?:\x81[^\x81]*"id":"\d"[^\x81]*){9}$/],
] as const) {
  test(`rule 34: what one turn publishes leaves as one write, still one message each: ${form}`, async () => {
    await using node = await start([]);
    const [first, second] = [await join(node.port, form), await join(node.port, form)];
    await members(node.hub, 2);
    await node.room.publish("t.r", { text: "before" }, { id: "0" }); // Node writes the first part with the head.
    await new Promise(setImmediate);
    while (second.bytes() === 0) await wait(1);
    second.chunks.length = 0;
    for (let id = 1; id <= 9; id++) void node.room.publish("t.r", { text: "a" }, { id: String(id) });
    const text = await cameOf(second, /"9"[^}]*\}[^}]*\}\s*$/);
    assert.match(text, parts);
    assert.equal([...text.matchAll(/"text":"a"/g)].length, 9);
    first.socket.destroy();
  });
}

test("R03: a member that does not read lags, and others have everything at once", async () => {
  await using node = await start([], { ring: { size: 64, bytes: 64 * 1024 * 1024 } });
  const stalled = await join(node.port, "sse");
  const other = await join(node.port, "sse");
  await members(node.hub, 2);
  stalled.socket.pause();
  const text = "x".repeat(32 * 1024);
  let [published, both] = [0, 0];
  for (;;) {
    published++;
    const { sent, lagging } = await node.room.publish("t.r", { text });
    assert.equal(sent + lagging, 2);
    if (sent === 2) both++;
    if (lagging > 0 && published - both > 100) break;
    await new Promise(setImmediate);
    while (other.bytes() < published * 32 * 1024) await wait(1);
  }
  const [lagging] = (await node.hub.connections()).connections;
  assert.ok((lagging?.lagMs ?? 0) > 0);
  stalled.socket.resume();
  const got = await cameOf(stalled, /\r\n0\r\n\r\n$/);
  const came = [...got.matchAll(/^data: \{"id"/gm)].length;
  const [, missed] = /"missed":"(\d+)"/.exec(got) ?? [];
  const dropped = Number(missed ?? Number.NaN);
  assert.equal(came + dropped + 64, published, "what the ring has is behind the position of the reset");
});
