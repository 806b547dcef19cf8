import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { create, type DescMessage } from "@bufbuild/protobuf";
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
    assert.equal(compileEventId(schema)?.(create(schema, init)), expected);
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
