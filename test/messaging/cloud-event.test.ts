import { strict as assert } from "node:assert";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { CloudEventSchema } from "../../gen/io/cloudevents/v1/cloudevents_pb.ts";
import { attributesOf, type CloudEvent, eventOf, type RawMessage } from "../../src/messaging/cloud-event.ts";
import { writeStructured } from "../../src/messaging/structured-event.ts";

const plain: CloudEvent = {
  id: "1",
  source: "/shop",
  type: "shop.v1.OrderPlaced",
  subject: undefined,
  timeMs: undefined,
  extensions: new Map(),
};
const full: CloudEvent = {
  ...plain,
  subject: "order/ü 7",
  timeMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
  extensions: new Map([
    ["partitionkey", "7"],
    ["expirytime", "2026-01-02T04:04:05Z"],
  ]),
};

const body = Buffer.from("body");

function raw(headers: readonly (readonly [string, unknown])[], rest: Partial<RawMessage> = {}): RawMessage {
  return { headers, contentType: "application/protobuf", contentEncoding: undefined, body, ...rest };
}

function marked(event: CloudEvent, prefix: string): [string, string][] {
  return attributesOf(event).map(([name, value]) => [prefix + name, value]);
}

test("attributes are written as texts, and empty ones not at all", () => {
  assert.deepEqual(attributesOf(plain), [
    ["specversion", "1.0"],
    ["id", "1"],
    ["source", "/shop"],
    ["type", "shop.v1.OrderPlaced"],
  ]);
  assert.deepEqual(attributesOf(full).slice(4), [
    ["subject", "order/ü 7"],
    ["time", "2026-01-02T03:04:05.678Z"],
    ["partitionkey", "7"],
    ["expirytime", "2026-01-02T04:04:05Z"],
  ]);
});

for (const prefix of ["ce_", "ce-", "CE_", "cloudEvents_", "cloudEvents:", "cloudevents:"]) {
  test(`attributes are read behind ${prefix}`, () => {
    const read = eventOf(raw([...marked(full, prefix), ["X-Note", "n"]]));
    assert.equal(read.kind, "event");
    assert.deepEqual(read.kind === "event" && read.event, full);
    assert.deepEqual([...read.headers], [["x-note", "n"]]);
    assert.deepEqual(read.kind === "event" && read.data, {
      contentType: "application/protobuf",
      contentEncoding: undefined,
      body,
    });
  });
}

test("values may be bytes, numbers, booleans and dates", () => {
  const read = eventOf(
    raw([
      ...marked({ ...plain, source: "" }, "ce_").filter(([name]) => name !== "ce_source"),
      ["ce_source", Buffer.from("/shöp")],
      ["ce_time", new Date(5)],
      ["ce_number", 7],
      ["ce_flag", true],
      ["tries", 3],
    ]),
  );
  assert.equal(read.kind, "event");
  if (read.kind !== "event") return;
  assert.equal(read.event.source, "/shöp");
  assert.equal(read.event.timeMs, 5);
  assert.deepEqual(
    [...read.event.extensions],
    [
      ["number", "7"],
      ["flag", "true"],
    ],
  );
  assert.deepEqual([...read.headers], [["tries", "3"]]);
});

test("escapes are those of HTTP and NATS alone, and a broken one is a text", () => {
  const of = (prefix: string, subject: string): string | undefined => {
    const read = eventOf(raw([...marked(plain, prefix), [`${prefix}subject`, subject]]));
    return read.kind === "event" ? read.event.subject : read.kind;
  };
  assert.equal(of("ce-", "a%20b%C3%BC"), "a bü");
  assert.equal(of("ce_", "a%20b"), "a%20b");
  assert.equal(of("ce-", "100%"), "100%");
});

test("a message without attributes is untyped", () => {
  const read = eventOf(
    raw([
      ["x-note", "n"],
      ["cell", "ce"],
      ["ce_", "x"],
    ]),
  );
  assert.equal(read.kind, "untyped");
  assert.deepEqual(
    [...read.headers],
    [
      ["x-note", "n"],
      ["cell", "ce"],
      ["ce_", "x"],
    ],
  );
});

const without = (...names: string[]): [string, string][] =>
  marked(plain, "ce_").filter(([name]) => !names.includes(name));

/** M20: what is no event, and why. */
const broken: readonly [name: string, message: RawMessage, why: RegExp][] = [
  ["one attribute alone", raw([["ce_id", "1"]]), /but not specversion, source, type$/],
  ["no type", raw(without("ce_type")), /but not type$/],
  ["an empty id", raw([...without("ce_id"), ["ce_id", ""]]), /but not id$/],
  ["an id that is a table", raw([...without("ce_id"), ["ce_id", { a: 1 }]]), /but not id$/],
  [
    "another version",
    raw([...without("ce_specversion"), ["ce_specversion", "0.3"]]),
    /"0\.3": 1\.0 can be read$/,
  ],
  ["an attribute twice", raw([...marked(plain, "ce_"), ["CE_ID", "2"]]), /attribute id is there twice/],
  [
    "an attribute by two separators",
    raw([...marked(plain, "ce_"), ["ce-id", "1"]]),
    /attribute id is there twice/,
  ],
  ["a batch", raw([], { contentType: "application/cloudevents-batch+json" }), /only single events/],
  ["an unknown format", raw([], { contentType: "application/cloudevents+avro" }), /only single events/],
  [
    "structured without a body",
    raw([], { contentType: "application/cloudevents+json", body: undefined }),
    /missing/,
  ],
  ["structured and no JSON", structured("{"), /its body is no event: .*line 1/],
  ["structured and no object", structured("[]"), /an object/],
  ["structured and bad UTF-8", structured(Buffer.from([0x7b, 0xff])), /UTF-8/],
  ["structured and a member twice", structured('{"id":"1","id":"2"}'), /id is there twice/],
  ["structured without a source", structured('{"specversion":"1.0","id":"1","type":"a"}'), /but not source$/],
  ["structured with two kinds of data", structured('{"data":1,"data_base64":""}'), /both there/],
  ["structured with an object as id", structured('{"id":{}}'), /id is no single value/],
  ["structured and broken base64", structured('{"data_base64":"?"}'), /no base64/],
  [
    "no protobuf",
    raw([], { contentType: "application/cloudevents+protobuf", body: Buffer.from([0xff]) }),
    /its body is no event/,
  ],
];

for (const [name, message, why] of broken) {
  test(`M20: undecodable is ${name}`, () => {
    const read = eventOf(message);
    assert.equal(read.kind, "undecodable");
    assert.match(read.kind === "undecodable" ? read.why : "", why);
  });
}

function structured(text: string | Uint8Array): RawMessage {
  const bytes = typeof text === "string" ? Buffer.from(text) : text;
  return raw([["x-note", "n"]], { contentType: "application/cloudevents+json; charset=utf-8", body: bytes });
}

const head = '"specversion":"1.0","id":"1","source":"/shop","type":"shop.v1.OrderPlaced"';

const bodies: readonly [json: string, contentType: string, body: string | undefined][] = [
  [
    `{${head},"data": {"n": 9007199254740993, "a":"ü"} }`,
    "application/json",
    '{"n": 9007199254740993, "a":"ü"}',
  ],
  [
    `{${head},"datacontenttype":"application/protobuf","data_base64":"AP8="}`,
    "application/protobuf",
    "\0\xff",
  ],
  [`{${head},"datacontenttype":"text/plain","data":"a\\nb"}`, "text/plain", "a\nb"],
  [`{${head},"datacontenttype":"application/x+json","data":"a"}`, "application/x+json", '"a"'],
  [`{${head}}`, "application/json", undefined],
  [`{${head},"data":null}`, "application/json", "null"],
];

for (const [json, contentType, text] of bodies) {
  test(`structured: ${json.slice(head.length + 1)}`, () => {
    const read = eventOf(structured(json));
    assert.equal(read.kind, "event");
    if (read.kind !== "event") return;
    assert.deepEqual(read.event, plain);
    assert.equal(read.data.contentType, contentType);
    const encoding = contentType === "application/protobuf" ? "latin1" : "utf8";
    assert.equal(read.data.body && Buffer.from(read.data.body).toString(encoding), text);
    assert.deepEqual([...read.headers], [["x-note", "n"]]);
  });
}

for (const [contentType, text] of [
  ["application/protobuf", "\0\x01"],
  ["application/json", '{"n":18446744073709551615}'],
] as const) {
  test(`what is written structured with ${contentType} is read again`, () => {
    const data = { contentType, contentEncoding: undefined, body: Buffer.from(text) };
    const read = eventOf(structured(writeStructured(full, data)));
    assert.ok(read.kind === "event");
    assert.deepEqual(read.event, full);
    assert.deepEqual({ ...read.data, body: Buffer.from(read.data.body ?? []) }, data);
  });
}

test("the protobuf format is read", () => {
  const event = create(CloudEventSchema, {
    id: "1",
    source: "/shop",
    type: "shop.v1.OrderPlaced",
    specVersion: "1.0",
    attributes: {
      subject: { attr: { case: "ceString", value: "s" } },
      time: { attr: { case: "ceTimestamp", value: { seconds: 5n, nanos: 6_000_000 } } },
      number: { attr: { case: "ceInteger", value: -7 } },
      flag: { attr: { case: "ceBoolean", value: true } },
      link: { attr: { case: "ceUri", value: "https://a.example/" } },
      bytes: { attr: { case: "ceBytes", value: new Uint8Array([255]) } },
    },
    data: { case: "protoData", value: { typeUrl: "type.googleapis.com/shop.v1.OrderPlaced", value: body } },
  });
  const contentType = "application/cloudevents+protobuf";
  const read = eventOf(raw([], { contentType, body: toBinary(CloudEventSchema, event) }));
  assert.equal(read.kind, "event");
  if (read.kind !== "event") return;
  assert.deepEqual(read.event, {
    ...plain,
    subject: "s",
    timeMs: 5006,
    extensions: new Map([
      ["number", "-7"],
      ["flag", "true"],
      ["link", "https://a.example/"],
      ["bytes", "/w=="],
    ]),
  });
  assert.equal(read.data.contentType, "application/protobuf");
  assert.deepEqual(Buffer.from(read.data.body ?? []), body);
});

test("a time that cannot be read is none", () => {
  const read = eventOf(raw([...marked(plain, "ce_"), ["ce_time", "yesterday"]]));
  assert.equal(read.kind === "event" && read.event.timeMs, undefined);
});
