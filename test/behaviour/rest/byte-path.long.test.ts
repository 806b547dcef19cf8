import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import {
  create,
  createRegistry,
  type DescMethodUnary,
  type DescService,
  equals,
  fromBinary,
  type Message,
  ScalarType,
  toBinary,
  toJsonString,
} from "@bufbuild/protobuf";
import fc from "fast-check";
import {
  file_google_protobuf_test_messages_proto3,
  TestAllTypesProto3Schema,
  type TestAllTypesProto3,
} from "../../../gen/google/protobuf/test_messages_proto3_pb.ts";
import type { Invoker } from "../../../src/core/call/invoker.ts";
import { dialInvoker } from "../../../src/core/dial.ts";
import type { AnyService } from "../../../src/core/call/service.ts";
import { toTransport } from "../../../src/core/call/transport.ts";
import {
  Code,
  ConnectError,
  GrpcServer,
  HttpServer,
  type HttpServerOptions,
  metadataOnly,
  type PartialService,
} from "../../../src/index.ts";
import { messageArbitrary } from "../../arbitraries/message.ts";
import { mirrorService } from "../../support/mirror-service.ts";

const registry = createRegistry(file_google_protobuf_test_messages_proto3);
const mirror = mirrorService();
/** Every field that a path can set in a message of its own: all scalars and enums, free and in a oneof. */
const inPaths = TestAllTypesProto3Schema.fields.filter(
  (field) =>
    /^(optional|oneof)_/.test(field.name) && (field.fieldKind === "scalar" || field.fieldKind === "enum"),
);
const config = JSON.stringify({
  http: {
    rules: [
      {
        selector: "mirror.Mirror.Reflect",
        post: "/v1/mirror",
        body: "*",
        additionalBindings: [
          { get: "/v1/mirror" },
          ...inPaths.map(({ name }) => ({ get: `/v1/${name}/{${name}}` })),
          ...inPaths.map(({ name }) => ({ post: `/v1/${name}/{${name}}`, body: "*" })),
          { get: "/v1/two/{optional_string}/{oneof_uint32}" },
          { get: "/v1/nested/{recursive_message.optional_string}" },
          { post: "/v1/nested/{recursive_message.optional_string}", body: "*" },
          { post: "/v1/field/{optional_int64}", body: "recursive_message" },
          { post: "/v1/wrapper", body: "optional_int64_wrapper" },
          { post: "/v1/oneof", body: "oneof_nested_message" },
          { post: "/v1/reply", body: "*", responseBody: "recursive_message" },
          { patch: "/v1/field", body: "recursive_message" },
        ],
      },
    ],
  },
});

/** What the service got last, and fails with next. */
let arrived: Message | undefined;
let failure: ConnectError | undefined;
const grpc = new GrpcServer({ port: 0 });
const started: HttpServer[] = [];
const counts = { bytes: 0, encoded: 0, messages: 0 };

/** A way to the server that counts who takes which way. */
function counting(invoker: Invoker): Invoker {
  const unaryBytes = invoker.unaryBytes?.bind(invoker);
  assert.ok(unaryBytes);
  return {
    ...invoker,
    unary(method, request, context, write) {
      counts.messages++;
      return invoker.unary(method, request, context, write);
    },
    unaryBytes(method, request, context, read) {
      if (request instanceof Uint8Array) counts.encoded++;
      counts.bytes++;
      return unaryBytes(method, request, context, read);
    },
  };
}

const heard: string[] = [];
type Way = "bytes" | "messages";

async function gateway(
  options: Partial<HttpServerOptions> & Pick<HttpServerOptions, "upstream">,
): Promise<string> {
  const http = new HttpServer({
    port: 0,
    registry,
    rules: [{ file: "rules.json", text: config }],
    observers: [
      { finished: (_, error) => void heard.push(`call ${error === undefined ? "ok" : Code[error.code]}`) },
    ],
    httpObservers: [
      { ignoredUnknown: (route, kind, count, name) => void heard.push(`${route} ${kind} ${count} ${name}`) },
    ],
    ...options,
  });
  http.addService(mirror);
  await http.start();
  started.push(http);
  return `http://127.0.0.1:${http.address?.port}`;
}

const kinds = {
  plain: {},
  strict: { unknownFields: "reject", unknownQuery: "reject", conflicts: "reject", unexpectedBody: "reject" },
  other: { fieldNames: "proto", enums: "number", defaults: "omit", int64: "number", systemParameters: true },
} satisfies Record<string, Partial<HttpServerOptions>>;
type Kind = keyof typeof kinds;
const urls = new Map<string, string>();
const upstreams: { close(): void }[] = [];

before(async () => {
  const reflect = (message: Message) => {
    arrived = message;
    if (failure !== undefined) throw failure;
    return message;
  };
  const service: AnyService = { descriptor: mirror, ...{ reflect } };
  grpc.addService(service as PartialService<DescService>); // Its rpcs are known at run time only.
  await grpc.start();
  const invoker = dialInvoker(grpc, { network: true });
  upstreams.push(invoker);
  const upstream = toTransport(counting(invoker));
  for (const [kind, options] of Object.entries(kinds)) {
    for (const transcoding of ["bytes", "messages"] as const) {
      urls.set(`${kind} ${transcoding}`, await gateway({ ...options, transcoding, upstream }));
    }
  }
});
after(async () => {
  for (const http of started) await http.gracefulStop({ graceMs: 0 });
  for (const upstream of upstreams) upstream.close();
  await grpc.gracefulStop({ graceMs: 0 });
});

interface Ask {
  readonly method: string;
  readonly path: string;
  readonly body?: string | Uint8Array | undefined;
  readonly type?: string;
  readonly accept?: string;
}

const [json, binary] = ["application/json", "application/proto"] as const;

async function send(kind: Kind, way: Way, { method, path, body, type = json, accept = json }: Ask) {
  arrived = undefined;
  heard.length = 0;
  const headers = { accept, ...(body === undefined ? {} : { "content-type": type }) };
  const response = await fetch(`${urls.get(`${kind} ${way}`)}${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : Uint8Array.from(body) }),
  });
  const bytes = new Uint8Array(await response.arrayBuffer());
  const head = [...response.headers].filter(([name]) => name !== "date");
  return { status: response.status, head, bytes, arrived, heard: [...heard] };
}

/** Fails unless both ways hand the same to the service and answer the same. */
async function assertAlike(kind: Kind, ask: Ask): Promise<number> {
  const a = await send(kind, "bytes", ask);
  const b = await send(kind, "messages", ask);
  const hint = `${kind} ${ask.method} ${ask.path} ${String(ask.body)}`;
  assert.equal(a.status, b.status, `${hint}: ${textOf(a.bytes)} ${textOf(b.bytes)}`);
  assert.deepEqual(a.heard, b.heard, hint);
  assertSame(a.arrived, b.arrived, hint);
  const type = a.head.find(([name]) => name === "content-type")?.[1];
  if (type === binary) {
    const [left, right] = [a, b].map(({ bytes }) => fromBinary(TestAllTypesProto3Schema, bytes));
    assertSame(left, right, hint);
    const free = ([name]: [string, string]) => name !== "content-length"; // Either may say defaults.
    assert.deepEqual(a.head.filter(free), b.head.filter(free), hint);
  } else {
    assert.deepEqual(a.head, b.head, hint);
    assert.deepEqual(JSON.parse(textOf(a.bytes)), JSON.parse(textOf(b.bytes)), hint);
  }
  return a.status;
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}

function assertSame(a: Message | undefined, b: Message | undefined, hint: string): void {
  if (a === undefined || b === undefined) return assert.equal(a, b, hint);
  const [left, right] = [wire(a), wire(b)];
  if (equals(TestAllTypesProto3Schema, left, right, { registry })) return;
  // NaN is equal in bytes only.
  const [leftBytes, rightBytes] = [left, right].map((message) => toBinary(TestAllTypesProto3Schema, message));
  assert.deepEqual(leftBytes, rightBytes, hint);
}

/** A message as it looks after the wire, where `float` fields have 32 bits. */
function wire(message: Message): TestAllTypesProto3 {
  return fromBinary(
    TestAllTypesProto3Schema,
    toBinary(TestAllTypesProto3Schema, message as TestAllTypesProto3),
  );
}

const messages = messageArbitrary(TestAllTypesProto3Schema, {
  anyTypes: [TestAllTypesProto3Schema],
}) as fc.Arbitrary<TestAllTypesProto3>; // The type that its schema describes.
const someKind = fc.constantFrom<Kind>("plain", "strict", "other");
const toText = (message: TestAllTypesProto3) => toJsonString(TestAllTypesProto3Schema, message, { registry });

test("random bodies get the same reply by bytes and by messages", async () => {
  const paths = fc.constantFrom("/v1/mirror", "/v1/field/7", "/v1/reply", "/v1/optional_string/x");
  const property = fc.asyncProperty(someKind, paths, messages, async (kind, path, message) => {
    await assertAlike(kind, { method: "POST", path, body: toText(message) });
  });
  await fc.assert(property, { numRuns: 200 });
});

test("random binary bodies and replies are the same by bytes and by messages", async () => {
  const types = fc.constantFrom(json, binary);
  const property = fc.asyncProperty(someKind, types, types, messages, async (kind, type, accept, message) => {
    const body = type === json ? toText(message) : toBinary(TestAllTypesProto3Schema, message);
    assert.equal(await assertAlike(kind, { method: "POST", path: "/v1/mirror", body, type, accept }), 200);
    if (type === json) return;
    const cut = body.slice(0, Math.floor(body.length * 0.7));
    await assertAlike(kind, { method: "POST", path: "/v1/mirror", body: cut, type, accept });
  });
  await fc.assert(property, { numRuns: 100 });
});

test("broken JSON bodies are refused alike", async () => {
  const edits = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    cut: fc.nat(3),
    put: fc.string({ maxLength: 2 }),
  });
  const property = fc.asyncProperty(someKind, messages, edits, async (kind, message, { at, cut, put }) => {
    const text = toText(message);
    const index = Math.floor(at * text.length);
    const body = text.slice(0, index) + put + text.slice(index + cut);
    await assertAlike(kind, { method: "POST", path: "/v1/mirror", body: body || " " });
  });
  await fc.assert(property, { numRuns: 200 });
});

test("random values in paths, beside bodies and alone, bind alike", async () => {
  const values = fc.oneof(
    fc.constantFrom(
      "0",
      "-1",
      "1",
      "true",
      "FOO",
      "2",
      "1.5",
      "NaN",
      "AAE=",
      "%F0%9F%98%80",
      "18446744073709551615",
    ),
    fc.integer().map(String),
    fc.string({ minLength: 1, maxLength: 8 }).map(encodeURIComponent),
  );
  const bodies = fc.option(messages, { nil: undefined });
  const property = fc.asyncProperty(
    someKind,
    fc.constantFrom(...inPaths),
    values,
    bodies,
    async (kind, { name }, value, body) => {
      const path = `/v1/${name}/${value === "." || value === ".." ? "x" : value}`;
      if (body === undefined) await assertAlike(kind, { method: "GET", path });
      else await assertAlike(kind, { method: "POST", path, body: toText(body) });
    },
  );
  await fc.assert(property, { numRuns: 400 });
});

test("each kind of scalar in a path wins over the body, zero too", async () => {
  for (const field of inPaths) {
    const value =
      field.scalar === ScalarType.BYTES ? "AAE=" : field.scalar === ScalarType.BOOL ? "false" : "0";
    const body = JSON.stringify({
      [field.jsonName]: field.scalar === ScalarType.BOOL ? true : field.enum ? 1 : "1234",
    });
    const path = `/v1/${field.name}/${value}`;
    assert.equal(await assertAlike("plain", { method: "POST", path, body }), 200, path);
    assert.equal(await assertAlike("plain", { method: "GET", path }), 200, path);
  }
});

const asks: readonly Ask[] = [
  { method: "GET", path: "/v1/mirror" },
  {
    method: "GET",
    path: "/v1/mirror?optionalInt32=5&repeatedString=a&repeatedString=b&optional_nested_message.a=3",
  },
  { method: "GET", path: "/v1/mirror?optionalInt32=x&nothing=1" },
  { method: "GET", path: "/v1/mirror?nothing=1" },
  {
    method: "GET",
    path: "/v1/mirror?%24alt=json%3Benum-encoding%3Dint&prettyPrint=true&optionalNestedEnum=BAR",
  },
  { method: "GET", path: "/v1/mirror?prettyPrint=perhaps" },
  { method: "GET", path: "/v1/two/a/7" },
  { method: "GET", path: "/v1/two/a/-7" },
  { method: "GET", path: "/v1/nested/a?optionalInt32=1" },
  { method: "POST", path: "/v1/nested/a", body: '{"recursiveMessage":{"optionalInt32":1}}' },
  { method: "POST", path: "/v1/mirror", body: "" },
  { method: "POST", path: "/v1/mirror", body: "{}" },
  { method: "POST", path: "/v1/mirror", body: "null" },
  { method: "POST", path: "/v1/mirror", body: "[]" },
  { method: "POST", path: "/v1/mirror", body: '\ufeff{"optionalInt32":1}' },
  { method: "POST", path: "/v1/mirror", body: '{"optionalInt32":1,"optional_int32":2}' },
  { method: "POST", path: "/v1/mirror", body: '{"oneofUint32":1,"oneofString":"a"}' },
  { method: "POST", path: "/v1/mirror", body: '{"nothing":{"a":1},"optionalInt32":1,"other":2}' },
  { method: "POST", path: "/v1/mirror?optionalInt32=5", body: '{"optionalInt64":"1"}' },
  { method: "POST", path: "/v1/mirror", body: `${'{"recursiveMessage":'.repeat(101)}{}${"}".repeat(101)}` },
  { method: "POST", path: "/v1/mirror", body: Uint8Array.of(0x22, 0xff, 0x22) },
  { method: "POST", path: "/v1/mirror", body: "x", type: "text/plain" },
  { method: "POST", path: "/v1/mirror", body: Uint8Array.of(0x08), type: binary },
  { method: "POST", path: "/v1/mirror", body: Uint8Array.of(0x08, 1, 0x08, 2), type: binary },
  {
    method: "POST",
    path: "/v1/mirror",
    body: Uint8Array.of(0xaa, 0xf5, 0xff, 0x07, 1, 5),
    type: binary,
    accept: binary,
  },
  { method: "POST", path: "/v1/mirror", body: Uint8Array.of(0x72, 1, 0xff), type: binary },
  { method: "POST", path: "/v1/field/8", body: '{"optionalString":"a"}' },
  { method: "POST", path: "/v1/field/8", body: "null" },
  { method: "POST", path: "/v1/field/8", body: "{}" },
  { method: "POST", path: "/v1/field/8", body: '{"nothing":1}' },
  { method: "POST", path: "/v1/field/8", body: '{"optionalInt32":"x"}' },
  { method: "POST", path: "/v1/field/8", body: `${'{"recursiveMessage":'.repeat(99)}{}${"}".repeat(99)}` },
  { method: "POST", path: "/v1/field/8", body: `${'{"recursiveMessage":'.repeat(100)}{}${"}".repeat(100)}` },
  { method: "POST", path: "/v1/field/8?optionalInt32=4", body: '{"optionalString":"a"}' },
  { method: "POST", path: "/v1/field/8", body: Uint8Array.of(0x08, 1), type: binary },
  { method: "POST", path: "/v1/wrapper", body: '"12"' },
  { method: "POST", path: "/v1/oneof", body: '{"a":1}' },
  { method: "POST", path: "/v1/reply", body: '{"recursiveMessage":{"optionalInt32":1}}', accept: binary },
  { method: "PATCH", path: "/v1/field", body: '{"optionalInt32":1,"optionalNestedMessage":{"a":2}}' },
  { method: "PATCH", path: "/v1/field?optionalFieldMask=a.b", body: '{"optionalInt32":1}' },
  { method: "PATCH", path: "/v1/field", body: '{"nothing":1}' },
];

test("chosen requests, good and bad, are answered alike", async () => {
  for (const kind of Object.keys(kinds) as Kind[]) for (const ask of asks) await assertAlike(kind, ask);
});

test("errors of the service are answered alike", async () => {
  failure = new ConnectError("not there", Code.NotFound, { "x-why": "gone" });
  try {
    for (const ask of asks.slice(0, 2)) assert.equal(await assertAlike("plain", ask), 404);
  } finally {
    failure = undefined;
  }
});

test("bodies, paths and queries of the plain kind take no messages", async () => {
  const taken = async (ask: Ask): Promise<typeof counts> => {
    Object.assign(counts, { bytes: 0, encoded: 0, messages: 0 });
    const { status } = await send("plain", "bytes", ask);
    assert.equal(status, 200, ask.path);
    return { ...counts };
  };
  const encoded = { bytes: 1, encoded: 1, messages: 0 };
  const body = '{"optionalInt32":1}';
  assert.deepEqual(await taken({ method: "POST", path: "/v1/mirror", body }), encoded);
  assert.deepEqual(await taken({ method: "POST", path: "/v1/optional_string/a", body }), encoded);
  assert.deepEqual(await taken({ method: "POST", path: "/v1/field/1", body }), encoded);
  assert.deepEqual(await taken({ method: "GET", path: "/v1/optional_string/a" }), encoded);
  const query = await taken({ method: "GET", path: "/v1/mirror?optionalInt32=1" });
  assert.deepEqual(query, { bytes: 1, encoded: 0, messages: 0 });
});

test("interceptors that look at no message leave the bytes alone, others get messages", async () => {
  const seen: string[] = [];
  const only = metadataOnly((next) => async (request) => {
    request.header.set("x-seen", "1");
    assert.throws(() => request.message, /metadataOnly cannot see messages/);
    const response = await next({ ...request });
    assert.throws(() => response.message, /metadataOnly cannot see messages/);
    seen.push(request.method.name);
    return { ...response };
  });
  const invoker = dialInvoker(grpc, { network: true });
  upstreams.push(invoker);
  const upstream = toTransport(counting(invoker));
  const ask = async (base: string): Promise<unknown> => {
    const response = await fetch(`${base}/v1/optional_string/a`);
    const body = (await response.json()) as { optionalString?: string }; // The mirror's reply.
    assert.equal(body.optionalString, "a");
    return { ...counts };
  };
  Object.assign(counts, { bytes: 0, encoded: 0, messages: 0 });
  const marked = await gateway({ upstream, interceptors: [only, only] });
  assert.deepEqual(await ask(marked), { bytes: 1, encoded: 1, messages: 0 });
  const mixed = await gateway({ upstream, interceptors: [only, (next) => (request) => next(request)] });
  assert.deepEqual(await ask(mixed), { bytes: 1, encoded: 1, messages: 1 });
  const inProcess = await gateway({ upstream: grpc, interceptors: [only] });
  assert.deepEqual(await ask(inProcess), { bytes: 1, encoded: 1, messages: 1 });
  assert.deepEqual(seen, ["Reflect", "Reflect", "Reflect", "Reflect"]);
});

test("a metadataOnly interceptor that makes a response of its own is told so", async () => {
  const own = metadataOnly(() => async (request) => ({
    ...{ stream: false, service: request.service, method: request.method as DescMethodUnary },
    ...{ header: new Headers(), trailer: new Headers(), message: create(TestAllTypesProto3Schema) },
    stream: false,
  }));
  const base = await gateway({ upstream: grpc, dial: "network", interceptors: [own] });
  const response = await fetch(`${base}/v1/mirror`);
  assert.equal(response.status, 500);
});

test("a reply that is no message is the same error to clients and observers on both ways", async () => {
  const broken: Http2Server = createServer();
  const sessions = new Set<ServerHttp2Session>();
  broken.on("session", (session) => void sessions.add(session));
  broken.on("stream", (stream: ServerHttp2Stream) => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(Uint8Array.of(0, 0, 0, 0, 2, 0x08, 0x80));
  });
  broken.listen(0, "127.0.0.1");
  await once(broken, "listening");
  const upstream = `127.0.0.1:${(broken.address() as AddressInfo).port}`; // It listens on TCP.
  const replies: unknown[] = [];
  for (const accept of [json, binary]) {
    for (const transcoding of ["bytes", "messages"] as const) {
      heard.length = 0;
      const response = await fetch(`${await gateway({ upstream, transcoding })}/v1/mirror`, {
        headers: { accept },
      });
      assert.equal(response.status, 500);
      assert.deepEqual(heard, ["call Internal"]);
      replies.push(await response.json());
    }
  }
  for (const reply of replies) assert.deepEqual(reply, replies[0]);
  assert.match(JSON.stringify(replies[0]), /is no protobuf_test_messages.proto3.TestAllTypesProto3/);
  for (const session of sessions) session.destroy();
  broken.close();
});
