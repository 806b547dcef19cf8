import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  createRegistry,
  type DescService,
  equals,
  fromBinary,
  type Message,
  toBinary,
  toJsonString,
} from "@bufbuild/protobuf";
import fc from "fast-check";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { FeedService } from "../../../gen/tsms/test/v1/feed_pb.ts";
import {
  file_google_protobuf_test_messages_proto3,
  type TestAllTypesProto3,
  TestAllTypesProto3Schema,
} from "../../../gen/google/protobuf/test_messages_proto3_pb.ts";
import type { Invoker } from "../../../src/core/call/invoker.ts";
import type { AnyService } from "../../../src/core/call/service.ts";
import { toTransport } from "../../../src/core/call/transport.ts";
import { dialInvoker } from "../../../src/core/dial.ts";
import {
  GrpcServer,
  HttpServer,
  type HttpServerOptions,
  metadataOnly,
  type PartialService,
} from "../../../src/index.ts";
import { messageArbitrary } from "../../arbitraries/message.ts";
import { Echo } from "../../support/echo-service.ts";
import { Feed } from "../../support/feed-service.ts";
import { mirrorService } from "../../support/mirror-service.ts";
import { eventsOf, openStream, readAll } from "./stream-client.ts";

const registry = createRegistry(file_google_protobuf_test_messages_proto3);
const mirror = mirrorService();
const grpc = new GrpcServer({ port: 0, logger: false });
const invoker = dialInvoker(grpc, { network: true });
const started: HttpServer[] = [];

/** Number of items of the feed. */
const feedCount = 60;

/** What the mirror got last. */
let arrived: Message[] = [];
/** How many streams went by bytes and by messages, and their requests and replies in binary form. */
const counts = { streams: 0, requests: 0, replies: 0, pieces: 0, messages: 0 };

/** The way to the server, counted. */
function counting(): Invoker {
  const streamBytes = invoker.streamBytes?.bind(invoker) ?? assert.fail();
  return {
    ...invoker,
    stream(method, requests, context, write) {
      counts.messages++;
      return invoker.stream(method, requests, context, write);
    },
    async *streamBytes(method, requests, context, read) {
      counts.streams++;
      const counted = async function* () {
        for await (const batch of requests) {
          counts.requests += batch.filter((request) => request instanceof Uint8Array).length;
          yield batch;
        }
      };
      const pieces = streamBytes(method, counted(), context, (batch) => {
        const before = batch.read;
        const piece = read(batch);
        counts.replies += batch.read - before;
        return piece;
      });
      for await (const piece of pieces) {
        counts.pieces++;
        yield piece;
      }
    },
  };
}

async function gateway(options: Partial<HttpServerOptions> = {}): Promise<string> {
  const upstream = toTransport(counting());
  const http = new HttpServer({ port: 0, registry, logger: false, upstream, ...options });
  http.addService(mirror).addService(EchoService).addService(FeedService);
  await http.start();
  started.push(http);
  return `http://127.0.0.1:${http.address?.port}`;
}

const kinds = {
  plain: {},
  strict: { unknownFields: "reject", conflicts: "reject" },
  other: { fieldNames: "proto", enums: "number", defaults: "omit", int64: "number", systemParameters: true },
} satisfies Record<string, Partial<HttpServerOptions>>;
type Kind = keyof typeof kinds;
const ways = ["bytes", "messages"] as const;
const urls = new Map<string, string>();

before(async () => {
  const service: AnyService = {
    descriptor: mirror,
    ...{
      reflect(request: Message) {
        arrived = [request];
        return request;
      },
      // Nothing comes back before everything is there, so that errors of requests are always first.
      async *pipe(requests: AsyncIterable<Message>) {
        arrived = [];
        for await (const request of requests) arrived.push(request);
        yield* arrived;
      },
    },
  };
  grpc.addService(service as PartialService<DescService>); // Its rpcs are known at run time only.
  grpc.addService(new Echo());
  const feed = new Feed(feedCount);
  for (let n = 1; n <= feedCount; n++) feed.publish(n % 7 === 0 ? `é ${n}` : n % 11 === 0 ? "" : `item ${n}`);
  grpc.addService(feed);
  await grpc.start();
  for (const [kind, options] of Object.entries(kinds)) {
    for (const transcoding of ways) {
      urls.set(`${kind} ${transcoding}`, await gateway({ ...options, transcoding }));
    }
  }
});
after(async () => {
  for (const http of started) await http.gracefulStop({ graceMs: 0 });
  invoker.close();
  await grpc.gracefulStop({ graceMs: 0 });
});

const accepts = ["application/x-ndjson", "text/event-stream", "application/json"] as const;
type Accept = (typeof accepts)[number];

/** The JSON values of an answer, and what stands around them. */
function parsed(accept: Accept, text: string): unknown {
  if (accept === "application/json") return JSON.parse(text);
  if (accept === "application/x-ndjson") {
    assert.ok(text === "" || text.endsWith("\n"));
    return text.split("\n").slice(0, -1).map(parse);
  }
  return eventsOf(text).map(({ data, ...event }) => ({ ...event, data: parse(data) }));
}

const parse = (text: string): unknown => JSON.parse(text);

async function send(url: string, accept: Accept, body: string) {
  arrived = [];
  const headers = { accept, "content-type": "application/json" };
  const reply = await openStream(url, { method: "POST", headers, body });
  const { text, end } = await readAll(reply);
  const status = reply.response.statusCode;
  const { date: _, ...head } = reply.response.headers;
  const answer = status === 200 ? parsed(accept, text) : parse(text);
  return { status, head: status === 200 ? head : {}, end, answer, arrived };
}

const messages = messageArbitrary(TestAllTypesProto3Schema, {
  anyTypes: [TestAllTypesProto3Schema],
}) as fc.Arbitrary<TestAllTypesProto3>; // The type that its schema describes.

const texts = fc.array(
  fc.oneof(
    {
      weight: 12,
      arbitrary: messages.map((one) => toJsonString(TestAllTypesProto3Schema, one, { registry })),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        "{}",
        '{"optionalInt32":"x"}',
        '{"nothing":1}',
        '{"optionalInt32":1,"optional_int32":2}',
        "null",
        "[]",
        '{"a":}',
        "}",
      ),
    },
  ),
  { maxLength: 8 },
);

test("random streams are the same by bytes and by messages", async () => {
  const someKind = fc.constantFrom(...(Object.keys(kinds) as Kind[]));
  const join = fc.constantFrom<(all: string[]) => string>(
    (all) => all.join("\n"),
    (all) => `[${all.join(",")}]`,
  );
  const property = fc.asyncProperty(someKind, fc.constantFrom(...accepts), texts, join, async (...input) => {
    const [kind, accept, all, joined] = input;
    const a = await send(`${urls.get(`${kind} bytes`)}/mirror.Mirror/Pipe`, accept, joined(all));
    const b = await send(`${urls.get(`${kind} messages`)}/mirror.Mirror/Pipe`, accept, joined(all));
    const hint = `${kind} ${accept} ${joined(all)}`;
    // How much of a request has arrived when its fault is found is a matter of time.
    const whole = (length: number): number => (a.status === 200 ? length : 0);
    const [left, right] = [a, b].map((one) => ({ ...one, arrived: whole(one.arrived.length) }));
    assert.deepEqual(left, right, hint);
    if (a.status !== 200) return;
    for (const [index, message] of a.arrived.entries()) assertSame(message, b.arrived[index], hint);
  });
  await fc.assert(property, { numRuns: 300 });
});

/** The answer to envelopes that are sent by a protocol of rpcs. */
async function call(way: (typeof ways)[number], rpc: string, type: string, body: Uint8Array) {
  arrived = [];
  const response = await fetch(`${urls.get(`plain ${way}`)}/mirror.Mirror/${rpc}`, {
    method: "POST",
    headers: { "content-type": type },
    body: Uint8Array.from(body),
  });
  const bytes = Buffer.from(await response.arrayBuffer());
  return { status: response.status, type: response.headers.get("content-type"), bytes, arrived };
}

function envelope(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** The messages of an answer, and what its last envelope says. */
function opened(isJson: boolean, body: Buffer): { readonly replies: unknown[]; readonly last: string } {
  const replies: unknown[] = [];
  let at = 0;
  while (at < body.length) {
    const [flags, length] = [body.readUInt8(at), body.readUInt32BE(at + 1)];
    const data = body.subarray(at + 5, (at += 5 + length));
    if (flags !== 0) return { replies, last: data.toString() };
    replies.push(isJson ? parse(data.toString()) : data.toString("hex"));
  }
  assert.fail("the answer has no end");
}

test("random calls by Connect and gRPC-Web are the same by bytes and by messages", async () => {
  const types = fc.constantFrom(
    "application/connect+proto",
    "application/connect+json",
    "application/grpc-web+proto",
    "application/proto",
    "application/json",
  );
  const faults = fc.option(fc.constantFrom(Buffer.of(0x08), Buffer.of(0x72, 1, 0xff), Buffer.from("}")), {
    nil: undefined,
    freq: 8,
  });
  const property = fc.asyncProperty(
    types,
    fc.array(messages, { minLength: 1, maxLength: 6 }),
    faults,
    async (type, all, fault) => {
      const isJson = type.endsWith("json");
      const isUnary = !type.includes("+");
      const bytes = all.map((one) =>
        isJson
          ? Buffer.from(toJsonString(TestAllTypesProto3Schema, one, { registry }))
          : toBinary(TestAllTypesProto3Schema, one),
      );
      if (fault !== undefined) bytes.splice(isUnary ? 0 : bytes.length, 0, fault);
      const [first] = bytes;
      const body = isUnary ? (first ?? assert.fail()) : Buffer.concat(bytes.map(envelope));
      const rpc = isUnary ? "Reflect" : "Pipe";
      const a = await call("bytes", rpc, type, body);
      const b = await call("messages", rpc, type, body);
      assert.deepEqual([a.status, a.type], [b.status, b.type]);
      if (!isUnary) assert.deepEqual(opened(isJson, a.bytes), opened(isJson, b.bytes));
      else if (isJson || a.status !== 200) assert.deepEqual(parse(String(a.bytes)), parse(String(b.bytes)));
      else assert.deepEqual(a.bytes, b.bytes);
      if (fault !== undefined) return;
      for (const [index, message] of a.arrived.entries()) assertSame(message, b.arrived[index], type);
    },
  );
  await fc.assert(property, { numRuns: 200 });
});

function assertSame(a: Message, b: Message | undefined, hint: string): void {
  const [left, right] = [a, b].map((message) =>
    toBinary(TestAllTypesProto3Schema, message as TestAllTypesProto3),
  ) as [Uint8Array, Uint8Array]; // As many as went in.
  const [one, other] = [left, right].map((bytes) => fromBinary(TestAllTypesProto3Schema, bytes)) as [
    TestAllTypesProto3,
    TestAllTypesProto3,
  ];
  // NaN is equal in bytes only.
  if (!equals(TestAllTypesProto3Schema, one, other, { registry })) assert.deepEqual(left, right, hint);
}

async function counted(work: () => Promise<unknown>): Promise<typeof counts> {
  Object.assign(counts, { streams: 0, requests: 0, replies: 0, pieces: 0, messages: 0 });
  await work();
  return { ...counts };
}

test("streams of the plain kind take no messages, and those that come together become one piece", async () => {
  const base = urls.get("plain bytes") ?? assert.fail();
  for (const accept of accepts) {
    const body = '{"optionalInt32":1}\n'.repeat(100);
    const { requests, replies, pieces, ...rest } = await counted(() =>
      send(`${base}/mirror.Mirror/Pipe`, accept, body),
    );
    assert.deepEqual([requests, replies], [100, 100]);
    assert.ok(pieces < 50, `${pieces} pieces`);
    assert.deepEqual(rest, { streams: 1, messages: 0 });
  }
});

test("ids of events, bodies that are one field, and system parameters take no messages either", async () => {
  const targets = [`/test/v1/feed?count=${feedCount}`, `/test/v1/feed/items?count=${feedCount}`];
  const read = async (base: string, accept: Accept) => {
    const { text } = await readAll(await openStream(base, { headers: { accept } }));
    return parsed(accept, text);
  };
  for (const kind of Object.keys(kinds) as Kind[]) {
    const numbers = kind === "other" ? ["", "&%24alt=json%3Benum-encoding%3Dint"] : [""];
    for (const target of targets.flatMap((one) => numbers.map((more) => one + more))) {
      for (const accept of accepts) {
        let byBytes: unknown;
        const { replies, pieces, ...rest } = await counted(async () => {
          byBytes = await read(`${urls.get(`${kind} bytes`)}${target}`, accept);
        });
        assert.deepEqual(byBytes, await read(`${urls.get(`${kind} messages`)}${target}`, accept));
        const all = byBytes as readonly unknown[]; // As `parsed` gives.
        assert.equal(all.length, accept === "text/event-stream" ? feedCount + 1 : feedCount);
        assert.equal(replies, feedCount);
        assert.ok(pieces < feedCount / 2, `${pieces} pieces`);
        assert.partialDeepStrictEqual(rest, { streams: 1, messages: 0 });
      }
    }
  }
});

test("a stream that one message out of the ordinary interrupts goes on in order", async () => {
  const base = urls.get("plain bytes") ?? assert.fail();
  // Values without a type of their own in the registry have no JSON text by bytes alone.
  const odd =
    '{"optionalDuration":"1.5s","repeatedAny":[{"@type":"type.googleapis.com/google.protobuf.Value","value":1}]}';
  const lines = ["1", odd, "2", odd, odd, "3"].map((one) =>
    one.length > 1 ? one : `{"optionalInt32":${one}}`,
  );
  for (const accept of accepts) {
    const byBytes = await send(`${base}/mirror.Mirror/Pipe`, accept, lines.join("\n"));
    const byMessages = await send(
      `${urls.get("plain messages")}/mirror.Mirror/Pipe`,
      accept,
      lines.join("\n"),
    );
    assert.equal(byBytes.status, 200);
    assert.deepEqual(byBytes.answer, byMessages.answer);
  }
});

test("interceptors that look at no message leave the bytes of streams alone, others get messages", async () => {
  const seen: string[] = [];
  const only = metadataOnly((next) => async (request) => {
    request.header.set("x-seen", "1");
    const response = await next({ ...request });
    assert.throws(() => response.message, /metadataOnly cannot see messages/);
    seen.push(request.method.name);
    return { ...response };
  });
  const ask = (base: string) => async () => {
    const reply = await openStream(`${base}/test/v1/repeat/a?count=3`);
    const { text } = await readAll(reply);
    assert.equal(text.split("\n").length, 4);
  };
  const marked = await gateway({ interceptors: [only, only] });
  const mixed = await gateway({ interceptors: [only, (next) => (request) => next(request)] });
  assert.partialDeepStrictEqual(await counted(ask(marked)), { streams: 1, replies: 3, messages: 0 });
  assert.partialDeepStrictEqual(await counted(ask(mixed)), { streams: 0, messages: 1 });
  assert.deepEqual(seen, ["Repeat", "Repeat", "Repeat"]);
});
