import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { create, type DescMessage, fromBinary, toBinary } from "@bufbuild/protobuf";
import { loadProtoSources } from "../../../../../src/core/schema/proto-sources.ts";
import { HttpServer } from "../../../../../src/gateway/http-server.ts";
import { compileEventId } from "../../../../../src/gateway/doors/rest/answers/event-id.ts";

/** A contract as a user writes it, loaded at run time. */
async function load(fields: string) {
  const folder = await mkdtemp(join(tmpdir(), "event-id-"));
  try {
    const file = join(folder, "feed.proto");
    await writeFile(
      file,
      `syntax = "proto3"; package p; import "ts_ms/v1/options.proto";
      message M { ${fields} message Sub {} enum E { ZERO = 0; } }
      service S { rpc Follow(M) returns (stream M); }`,
    );
    return loadProtoSources([file]);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function messageOf(fields: string): Promise<DescMessage> {
  return (await load(fields)).getMessage("p.M") ?? assert.fail("there is no message");
}

function isMessage(schema: DescMessage, bytes: Uint8Array): boolean {
  try {
    fromBinary(schema, bytes);
    return true;
  } catch {
    return false;
  }
}

const id = "[(ts_ms.v1.event_id) = true]";

for (const [fields, init, expected] of [
  [`string a = 1 ${id};`, { a: "x" }, "x"],
  [`string a = 1 ${id};`, {}, undefined],
  [`int64 a = 1 ${id};`, { a: -5n }, "-5"],
  [`uint32 a = 1 ${id};`, {}, "0"],
  [`optional uint32 a = 1 ${id};`, {}, undefined],
  [`optional uint32 a = 1 ${id};`, { a: 0 }, "0"],
  [`oneof o { string a = 1 ${id}; string b = 2; }`, { o: { case: "a", value: "x" } }, "x"],
  [`oneof o { string a = 1 ${id}; string b = 2; }`, { o: { case: "b", value: "x" } }, undefined],
] as const) {
  test(`${fields} with ${String(Object.keys(init))} gives the id ${expected}`, async () => {
    const schema = await messageOf(fields);
    const eventId = compileEventId(schema);
    const message = create(schema, init);
    assert.equal(eventId?.of(message), expected);
    assert.equal(eventId?.ofBytes(toBinary(schema, message)), expected);
  });
}

for (const type of [
  ...["string", "int32", "uint32", "sint32", "fixed32", "sfixed32"],
  ...["int64", "uint64", "sint64", "fixed64", "sfixed64"],
]) {
  test(`${type}: the id in bytes is the one of the message`, async () => {
    const schema = await messageOf(`string before = 1; ${type} a = 200 ${id}; repeated bytes c = 300;`);
    const eventId = compileEventId(schema) ?? assert.fail();
    const [small, large] = type.endsWith("64") ? [0n, 2n ** 63n - 1n] : [0, 2 ** 31 - 1];
    const negative = type.startsWith("s") || type.startsWith("i") ? [-large, -1, -300] : [];
    const values =
      type === "string" ? ["", "x", "é".repeat(100)] : [small, 1, 127, 128, 300, large, ...negative];
    const toValue = (one: string | number | bigint) =>
      typeof one === "string" ? one : typeof small === "bigint" ? BigInt(one) : Number(one);
    const earlier = toBinary(schema, create(schema, { a: toValue(type === "string" ? "9" : 9) }));
    for (const one of values) {
      const a = toValue(one);
      const message = create(schema, { before: "b", a, c: [Buffer.of(1), Buffer.of(2)] });
      const bytes = toBinary(schema, message);
      assert.equal(eventId.ofBytes(bytes), eventId.of(message));
      // The last of several counts; serializers omit defaults.
      const both = Buffer.concat([earlier, bytes]);
      assert.equal(eventId.ofBytes(both), eventId.of(fromBinary(schema, Uint8Array.from(both))));
      for (let cut = 1; cut < bytes.length; cut++) {
        const part = bytes.subarray(0, cut);
        // What is cut between two fields is a message.
        if (!isMessage(schema, part)) assert.throws(() => eventId.ofBytes(part));
      }
    }
  });
}

test("a contract without the option, or with false, has no ids of its own", async () => {
  assert.equal(compileEventId(await messageOf("string a = 1;")), undefined);
  assert.equal(compileEventId(await messageOf("string a = 1 [(ts_ms.v1.event_id) = false];")), undefined);
});

for (const [fields, message] of [
  [`string a = 1 ${id}; string b = 2 ${id};`, /p\.M: only one field .*"a" and "b"/],
  [`repeated string a = 1 ${id};`, /p\.M: the field "a" .*string or an integer/],
  [`map<string, string> a = 1 ${id};`, /p\.M: the field "a"/],
  [`bytes a = 1 ${id};`, /p\.M: the field "a"/],
  [`bool a = 1 ${id};`, /p\.M: the field "a"/],
  [`double a = 1 ${id};`, /p\.M: the field "a"/],
  [`Sub a = 1 ${id};`, /p\.M: the field "a"/],
  [`E a = 1 ${id};`, /p\.M: the field "a"/],
] as const) {
  test(`${fields} is refused when the service is registered`, async () => {
    const service = (await load(fields)).getService("p.S") ?? assert.fail("there is no service");
    assert.throws(() => new HttpServer({ upstream: "127.0.0.1:1", port: 0 }).addService(service), message);
  });
}
