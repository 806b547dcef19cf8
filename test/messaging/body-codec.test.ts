import { strict as assert } from "node:assert";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { create, equals, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type OrderPlaced, OrderPlacedSchema } from "../../gen/tsms/test/v1/messages_pb.ts";
import {
  bodyReader,
  decodeBody,
  decodeBodyBytes,
  type BodyOptions,
  encodeBody,
} from "../../src/messaging/body-codec.ts";
import type { EventData } from "../../src/messaging/cloud-event.ts";

const order = create(OrderPlacedSchema, { orderId: "7", totalCents: 9_007_199_254_740_993n });
const empty = create(OrderPlacedSchema);
const binary = toBinary(OrderPlacedSchema, order);
const json = Buffer.from('{"orderId":"7","totalCents":9007199254740993}');
const reader = bodyReader(OrderPlacedSchema);
const limits: BodyOptions = { maxMessageBytes: 1000, framing: "none" };

function data(
  contentType: string | undefined,
  body: Uint8Array | undefined,
  contentEncoding?: string,
): EventData {
  return { contentType, contentEncoding, body };
}

const framed = (frame: readonly number[], body: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from(frame), body]);

const good: readonly [
  name: string,
  data: EventData,
  message: OrderPlaced,
  framing?: BodyOptions["framing"],
][] = [
  ...[
    "application/protobuf",
    "application/x-protobuf",
    "application/vnd.google.protobuf",
    "application/proto",
    "Application/Protobuf; type=x",
  ].map((type): [string, EventData, OrderPlaced] => [type, data(type, binary), order]),
  ...["application/json", "application/json;charset=utf-8", "application/vnd.shop+json", "text/x+json"].map(
    (type): [string, EventData, OrderPlaced] => [type, data(type, json), order],
  ),
  ["no type and protobuf", data(undefined, binary), order],
  ["no type and JSON", data(undefined, json), order],
  ["length 0", data("application/protobuf", new Uint8Array(0)), empty],
  ["no body", data("application/protobuf", undefined), empty],
  ["gzip of protobuf", data("application/protobuf", gzipSync(binary), "gzip"), order],
  ["gzip of JSON", data("application/json", gzipSync(json), "GZIP"), order],
  ["identity", data("application/json", json, "identity"), order],
  ["confluent, first message", data(undefined, framed([0, 0, 0, 0, 9, 0], binary)), order, "confluent"],
  [
    "confluent, a nested message",
    data(undefined, framed([0, 0, 0, 0, 9, 4, 2, 0xac, 2], binary)),
    order,
    "confluent",
  ],
  ["confluent, JSON", data(undefined, framed([0, 0, 0, 0, 9], json)), order, "confluent"],
  ["confluent, message of defaults", data(undefined, Buffer.from([0, 0, 0, 0, 9, 0])), empty, "confluent"],
  [
    "confluent in gzip",
    data(undefined, gzipSync(framed([0, 0, 0, 0, 9, 0], binary)), "gzip"),
    order,
    "confluent",
  ],
];

for (const [name, body, message, framing = "none"] of good) {
  test(`a body is read: ${name}`, async () => {
    const read = await decodeBody(reader, body, { ...limits, framing });
    assert.ok(read.kind === "message", "why" in read ? read.why : "");
    assert.ok(equals(OrderPlacedSchema, read.value as OrderPlaced, message)); // Of this reader's type.
    const bytes = await decodeBodyBytes(reader, body, { ...limits, framing });
    assert.ok(bytes.kind === "message");
    assert.ok(equals(OrderPlacedSchema, fromBinary(OrderPlacedSchema, bytes.value), message));
  });
}

const bomb = gzipSync(Buffer.alloc(100_000));

const bad: readonly [
  name: string,
  data: EventData,
  kind: "undecodable" | "too-large",
  why: RegExp,
  framing?: BodyOptions["framing"],
][] = [
  ["no protobuf", data("application/protobuf", Buffer.from([0xff])), "undecodable", /its body is no message/],
  ["a type of its own", data("text/plain", json), "undecodable", /content type is "text\/plain"/],
  [
    "too large",
    data("application/protobuf", Buffer.alloc(1001)),
    "too-large",
    /1001 bytes: 1000 are allowed/,
  ],
  ["a gzip bomb", data("application/protobuf", bomb, "gzip"), "too-large", /more than 1000 bytes when/],
  ["no gzip", data("application/protobuf", binary, "gzip"), "undecodable", /no gzip/],
  ["half a gzip", data("application/json", gzipSync(json).subarray(0, 20), "gzip"), "undecodable", /no gzip/],
  ["brotli", data("application/json", json, "br"), "undecodable", /content encoding is "br"/],
  [
    "a member twice",
    data("application/json", Buffer.from('{"orderId":"1","order_id":"2"}')),
    "undecodable",
    /order_id/,
  ],
  ["bad UTF-8 in JSON", data("application/json", Buffer.from([0x7b, 0xff, 0x7d])), "undecodable", /UTF-8/],
  [
    "a rounded number",
    data("application/json", Buffer.from('{"totalCents":1.5}')),
    "undecodable",
    /total_cents/,
  ],
  [
    "confluent, other byte",
    data(undefined, binary),
    "undecodable",
    /first byte is 10: the magic byte/,
    "confluent",
  ],
  [
    "confluent, empty",
    data(undefined, new Uint8Array(0)),
    "undecodable",
    /first byte is missing/,
    "confluent",
  ],
  ["confluent, short", data(undefined, Buffer.from([0, 0, 0])), "undecodable", /schema id/, "confluent"],
  ["confluent, no index", data(undefined, Buffer.from([0, 0, 0, 0, 1])), "undecodable", /index/, "confluent"],
  [
    "confluent, endless index",
    data(undefined, Buffer.from([0, 0, 0, 0, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f])),
    "undecodable",
    /index/,
    "confluent",
  ],
];

for (const [name, body, kind, why, framing = "none"] of bad) {
  test(`M20: a body is refused: ${name}`, async () => {
    for (const decode of [decodeBody, decodeBodyBytes]) {
      const read = await decode(reader, body, { ...limits, framing });
      assert.equal(read.kind, kind);
      assert.match("why" in read ? read.why : "", why);
    }
  });
}

test("a body is written in either encoding", async () => {
  for (const encoding of ["protobuf", "json"] as const) {
    const { contentType, body } = encodeBody(OrderPlacedSchema, order, encoding);
    assert.equal(contentType, `application/${encoding}`);
    const read = await decodeBody(reader, data(contentType, body), limits);
    assert.ok(read.kind === "message" && equals(OrderPlacedSchema, read.value as OrderPlaced, order));
  }
  assert.equal(encodeBody(OrderPlacedSchema, empty, "protobuf").body.length, 0);
});
