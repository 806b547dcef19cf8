import assert from "node:assert/strict";
import { test } from "node:test";
import { TestAllTypesProto3Schema as AllTypes } from "../../../gen/google/protobuf/test_messages_proto3_pb.ts";
import { jsonReader } from "../../../src/core/codec/json-to-message.ts";
import { jsonToBinary } from "../../../src/core/codec/json-to-binary.ts";
import type { JsonReadOptions } from "../../../src/core/codec/json-trace.ts";
import { Code, ConnectError } from "../../../src/index.ts";
import { createRegistry } from "@bufbuild/protobuf";

const registry = createRegistry(AllTypes);

/** Every way that a text is read. */
const ways: Record<string, (text: string, options: Partial<JsonReadOptions>) => unknown> = {
  text: (text, options) => jsonReader(AllTypes, options).read(text),
  bytes: (text, options) => jsonReader(AllTypes, options).readBytes(Buffer.from(text)),
  binary: (text, options) => jsonToBinary(AllTypes, options).convert(Buffer.from(text)),
};

const any = `"@type":"type.googleapis.com/${AllTypes.typeName}"`;

// How many entries each text has.
const texts: readonly [number, string][] = [
  [0, '{"optionalInt32":1,"repeatedInt32":[1,2,3],"repeatedNestedMessage":[{"a":1},{},{}]}'],
  [3, '{"mapStringString":{"a":"","b":"","c":""}}'],
  [4, '{"mapInt32Int32":{"1":1,"2":2},"mapStringNestedMessage":{"a":{"a":1},"b":{}}}'],
  [3, '{"mapBoolBool":{"true":true},"recursiveMessage":{"mapBoolBool":{"true":true,"false":true}}}'],
  [4, '{"optionalStruct":{"a":1,"b":{"c":[5]}}}'],
  [5, '{"optionalValue":[[1,2],{"a":null}]}'],
  [4, '{"repeatedStruct":[{},{"a":1},{}]}'],
  [2, '{"repeatedListValue":[[],[]]}'],
  [2, '{"unknown":1,"other":2}'],
  [5, '{"unknown":{"a":{"b":[1,2]}},"other":[{"c":1}]}'],
  [2, `{"optionalAny":{${any},"optionalInt32":1}}`],
  [5, `{"repeatedAny":[{${any},"mapBoolBool":{"true":true,"false":true}},{}]}`],
];

for (const [count, text] of texts) {
  test(`${count} entries: ${text.slice(0, 60)}`, () => {
    for (const [way, read] of Object.entries(ways)) {
      // 0 is for any number.
      read(text, { maxEntries: count, registry });
      read(text, { maxEntries: 0, registry });
      if (count < 2) continue;
      assert.throws(
        () => read(text, { maxEntries: count - 1, registry }),
        (error) =>
          error instanceof ConnectError &&
          error.code === Code.InvalidArgument &&
          error.rawMessage.endsWith(
            `: the text has more than ${count - 1} entries of maps, free-form objects and unknown members`,
          ),
        way,
      );
    }
  });
}

test("T19: a hundred thousand names that look like indexes are read within a second of work", () => {
  const names = Array.from({ length: 100_000 }, (_, index) => `"${index}":"v"`).join(",");
  for (const text of [`{"mapStringString":{${names}}}`, `{"optionalStruct":{${names}}}`, `{${names}}`]) {
    for (const [way, read] of Object.entries(ways)) {
      const before = process.cpuUsage();
      read(text, {});
      const { user, system } = process.cpuUsage(before);
      assert.ok(user + system < 1_000_000, `${way} ${text.slice(0, 20)}: ${user + system} µs`);
      assert.throws(() => read(text.replace("{", '{"more":1,'), {}), /more than 100000 entries/);
    }
  }
});
