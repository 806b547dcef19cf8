import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  create,
  type DescMessage,
  type DescService,
  type Message,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import {
  AnySchema,
  DurationSchema,
  StringValueSchema,
  StructSchema,
  TimestampSchema,
} from "@bufbuild/protobuf/wkt";
import { BadRequestSchema, ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../../gen/google/rpc/status_pb.ts";
import { Code, ConnectError, GrpcServer, HttpServer, type PartialService } from "../../../src/index.ts";
import type { AnyService } from "../../../src/core/call/service.ts";
import { contractOf, serviceOf, typeOf } from "../../support/contract.ts";

// Nothing in it imports error_details.proto, wrappers.proto or duration.proto, as in most contracts.
const contract = contractOf(`syntax = "proto3";
package b;
import "google/api/annotations.proto";
import "google/rpc/status.proto";
import "google/protobuf/any.proto";
service B {
  rpc Run(Req) returns (Res) { option (google.api.http) = {post: "/run" body: "*"}; }
  rpc Watch(Req) returns (stream Res) { option (google.api.http) = {post: "/watch" body: "*"}; }
}
message Req { google.protobuf.Any what = 1; repeated google.protobuf.Any more = 2; }
message Res { google.rpc.Status status = 1; google.protobuf.Any what = 2; }`);
const service = serviceOf(contract, "b.B");
const Res = typeOf(contract, "b.Res");

const grpc = new GrpcServer({ port: 0 });
const gateways: HttpServer[] = [];
const ports = new Map<string, number>();
let answer: Message;
let failure: ConnectError | undefined;
let arrived: Message | undefined;

before(async () => {
  const rpcs = {
    run(request: Message) {
      arrived = request;
      if (failure !== undefined) throw failure;
      return answer;
    },
    async *watch(request: Message) {
      arrived = request;
      yield answer;
      if (failure !== undefined) throw failure;
    },
  };
  const own: AnyService = { descriptor: service, ...rpcs };
  grpc.addService(own as PartialService<DescService>); // Its rpcs are known at run time only.
  await grpc.start();
  for (const [name, options] of [
    ["bytes", { dial: "network", transcoding: "bytes" }],
    ["messages", { dial: "network", transcoding: "messages" }],
    ["in process", { dial: "in-process" }],
    ["registry", { dial: "network", registry: contract }],
  ] as const) {
    const http = new HttpServer({ port: 0, upstream: grpc, ...options });
    http.addService(service);
    await http.start();
    gateways.push(http);
    ports.set(name, http.address?.port ?? 0);
  }
});
after(async () => {
  for (const http of gateways) await http.gracefulStop({ graceMs: 0 });
  await grpc.gracefulStop({ graceMs: 0 });
});

function pack<T extends DescMessage>(
  desc: T,
  value: MessageInitShape<T>,
): MessageInitShape<typeof AnySchema> {
  return { typeUrl: `type.googleapis.com/${desc.typeName}`, value: toBinary(desc, create(desc, value)) };
}

async function post(way: string, path: string, body: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(`http://127.0.0.1:${ports.get(way)}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  return { status: response.status, text: await response.text() };
}

const parse = (text: string): unknown => JSON.parse(text);
const connect = { "connect-protocol-version": "1" };
/** The JSON of the one reply, by every door that writes JSON. */
const doors: Record<string, (way: string) => Promise<unknown>> = {
  rest: async (way) => parse((await post(way, "/run", {})).text),
  lines: async (way) => parse((await post(way, "/watch", {})).text.split("\n")[0] ?? ""),
  events: async (way) => {
    const { text } = await post(way, "/watch", {}, { accept: "text/event-stream" });
    return parse(/^data: ?(.*)$/m.exec(text)?.[1] ?? "");
  },
  connect: async (way) => parse((await post(way, "/b.B/Run", {}, connect)).text),
};

const types: readonly [string, MessageInitShape<typeof AnySchema>, unknown][] = [
  ["StringValue", pack(StringValueSchema, { value: "hi" }), { value: "hi" }],
  ["Timestamp", pack(TimestampSchema, { seconds: 1_767_225_600n }), { value: "2026-01-01T00:00:00Z" }],
  ["Duration", pack(DurationSchema, { seconds: 1n, nanos: 500_000_000 }), { value: "1.500s" }],
  [
    "Struct",
    pack(StructSchema, { fields: { a: { kind: { case: "numberValue", value: 1 } } } }),
    { value: { a: 1 } },
  ],
  [
    "ErrorInfo",
    pack(ErrorInfoSchema, { reason: "R", domain: "d.example", metadata: { k: "v" } }),
    { reason: "R", domain: "d.example", metadata: { k: "v" } },
  ],
];

test("standard types in an Any and in a Status are known at every door, whatever the contract imports", async () => {
  failure = undefined;
  for (const way of ports.keys()) {
    for (const [door, call] of Object.entries(doors)) {
      for (const [name, any, members] of types) {
        const status = create(StatusSchema, { code: 5, message: "m", details: [any] });
        answer = create(Res, { what: create(AnySchema, any), status });
        const json = { "@type": any.typeUrl, ...(members as object) };
        assert.partialDeepStrictEqual(
          await call(way),
          { what: json, status: { details: [json] } },
          `${way} ${door} ${name}`,
        );
      }
    }
  }
});

test("an Any of an unknown type keeps the reply, as its type and its bytes in base64", async () => {
  failure = undefined;
  const typeUrl = "example.com/shop.v1.Refund";
  answer = create(Res, { what: create(AnySchema, { typeUrl, value: new Uint8Array([8, 1]) }) });
  for (const way of ports.keys()) {
    for (const [door, call] of Object.entries(doors)) {
      assert.partialDeepStrictEqual(
        await call(way),
        { what: { "@type": typeUrl, value: "CAE=" } },
        `${way} ${door}`,
      );
    }
  }
});

test("standard types come in, an unknown type is refused by its path", async () => {
  failure = undefined;
  answer = create(Res);
  const time = { "@type": "type.googleapis.com/google.protobuf.Timestamp", value: "2026-01-01T00:00:00Z" };
  const info = { "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "R" };
  const unknown = { "@type": "example.com/shop.v1.Refund", value: "CAE=" };
  for (const way of ports.keys()) {
    for (const [path, headers] of [
      ["/run", {}],
      ["/watch", {}],
      ["/b.B/Run", connect],
    ] as const) {
      const hint = `${way} ${path}`;
      const good = await post(way, path, { what: time, more: [info] }, headers);
      assert.equal(good.status, 200, `${hint}: ${good.text}`);
      assert.partialDeepStrictEqual(arrived, {
        what: { typeUrl: time["@type"] },
        more: [{ typeUrl: info["@type"] }],
      });
      const bad = await post(way, path, { more: [time, unknown] }, headers);
      assert.equal(bad.status, 400, hint);
      assert.match(bad.text, /more\[1\]: the type .*shop\.v1\.Refund.* is not known here/, hint);
    }
  }
});

test("T22: a detail of an unknown type stays beside readable ones, with an unknown type inside of a known one", async () => {
  const inner = create(AnySchema, { typeUrl: "example.com/shop.v1.Refund", value: new Uint8Array([8, 1]) });
  failure = new ConnectError("no", Code.NotFound, undefined, [
    { desc: BadRequestSchema, value: { fieldViolations: [{ field: "f", description: "d" }] } },
    { desc: StatusSchema, value: { code: 1, details: [inner] } },
  ]);
  failure.details.push({ type: "shop.v1.Refund", value: new Uint8Array([8, 1]) });
  answer = create(Res);
  const details = [
    {
      "@type": "type.googleapis.com/google.rpc.BadRequest",
      fieldViolations: [{ field: "f", description: "d" }],
    },
    {
      "@type": "type.googleapis.com/google.rpc.Status",
      code: 1,
      details: [{ "@type": "example.com/shop.v1.Refund", value: "CAE=" }],
    },
    { "@type": "type.googleapis.com/shop.v1.Refund", value: "CAE=" },
  ];
  for (const way of ports.keys()) {
    const { status, text } = await post(way, "/run", {});
    assert.equal(status, 404);
    assert.deepEqual(JSON.parse(text), { code: 5, message: "no", details }, way);
    const streamed = (await post(way, "/watch", {})).text.trim().split("\n").at(-1) ?? "";
    assert.deepEqual(JSON.parse(streamed), { error: { code: 5, message: "no", details } }, way);
    const { text: own } = await post(way, "/b.B/Run", {}, connect);
    assert.partialDeepStrictEqual(
      JSON.parse(own),
      {
        code: "not_found",
        details: [{ debug: { fieldViolations: [{ field: "f" }] } }, { debug: { code: 1 } }, {}],
      },
      way,
    );
  }
  failure = undefined;
});
