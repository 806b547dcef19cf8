import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { createFileRegistry, create, type DescMessage, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type DescriptorProto,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { binaryToJson } from "../../../src/core/codec/binary-to-json.ts";
import { codeIsAllowed, generateFunction, literal } from "../../../src/core/codec/generated-code.ts";
import { jsonReader } from "../../../src/core/codec/json-to-message.ts";
import { jsonToBinary } from "../../../src/core/codec/json-to-binary.ts";
import { binaryWriter } from "../../../src/core/codec/message-to-binary.ts";
import { jsonWriter } from "../../../src/core/codec/message-to-json.ts";

test("any text is a literal of itself, in ASCII", () => {
  for (const text of [
    "",
    '"',
    "\\",
    "'`$" + "{1}",
    "\n\r\u0000",
    "\u2028\u2029",
    "é",
    "😀",
    "\ud800",
    "*/",
    "</script>",
  ]) {
    assert.equal(generateFunction({}, `return ${literal(text)}`), text);
    assert.match(literal(text), /^[ -~]*$/);
  }
});

/** Names that would do harm as code, as properties, or as JSON. */
const hostile = [
  "__proto__",
  "constructor",
  "toString",
  'a"];process.exit(9);//',
  "a'b`c$" + "{d}",
  "back\\slash",
  "line\nbreak",
  "\u2028",
  "é",
  "😀",
  "$typeName",
  "$0",
  "s",
  "p",
  "irregular",
  "default",
  "a b",
  "x:y",
  "[z]",
];

function hostileMessage(name: (index: number) => string, jsonName: (index: number) => string): DescMessage {
  const fields = hostile.map((_, index) => ({
    name: name(index),
    jsonName: jsonName(index),
    number: index + 1,
    label: index % 5 === 4 ? Label.REPEATED : Label.OPTIONAL,
    type: index % 3 === 0 ? Type.STRING : Type.INT32,
    ...(index % 7 === 3 ? { oneofIndex: 0 } : {}),
  }));
  const message: Partial<DescriptorProto> = { name: "Hostile", oneofDecl: [{ name: "choice" } as never] };
  const file = {
    name: "hostile.proto",
    package: "test",
    syntax: "proto3",
    messageType: [{ ...message, field: fields }],
  };
  const set = create(FileDescriptorSetSchema, { file: [file] } as never); // The parts above are plain initial values.
  const desc = createFileRegistry(set).getMessage("test.Hostile");
  assert.ok(desc !== undefined);
  return desc;
}

test("field names are data in generated code, whatever they are", () => {
  const plain = (index: number): string => `f${index}`;
  const odd = (index: number): string => hostile[index] ?? "";
  // Only these can be names in a contract; what JSON calls them is free.
  const word = (index: number): string => (/^[A-Za-z_]\w*$/.test(odd(index)) ? odd(index) : plain(index));
  for (const desc of [hostileMessage(plain, odd), hostileMessage(word, plain), hostileMessage(word, odd)]) {
    const members = desc.fields.map((field) => {
      const one = field.scalar === 9 ? "text" : 7;
      return [field.jsonName, field.fieldKind === "list" ? [one, one] : one];
    });
    const text = `{${members.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(",")}}`;
    // One member of the oneof at a time, and all others.
    const inOneof = desc.fields.filter((field) => field.oneof !== undefined).map((field) => field.jsonName);
    for (const kept of inOneof) {
      const chosen = members.filter(([key]) => !inOneof.includes(String(key)) || key === kept);
      const json = `{${chosen.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(",")}}`;
      checkAllWays(desc, json);
    }
    assert.throws(() => jsonReader(desc).readBytes(Buffer.from(text)), /oneof/);
  }
});

function checkAllWays(desc: DescMessage, json: string): void {
  const expected = jsonReader(desc).read(json);
  const bytes = jsonToBinary(desc).convertDirectly(Buffer.from(json));
  assert.ok(bytes !== undefined, json);
  assert.deepEqual(jsonReader(desc).readBytes(Buffer.from(json)), expected);
  assert.deepEqual(fromBinary(desc, Uint8Array.from(bytes)), expected);
  const written = binaryWriter(desc)(expected);
  assert.ok(Buffer.isBuffer(written) && written.equals(toBinary(desc, expected)));
  const printed = binaryToJson(desc).convertDirectly(toBinary(desc, expected));
  assert.ok(printed !== undefined);
  const text = jsonWriter(desc, {}).write(expected);
  assert.equal(printed.toString(), text);
  assert.equal(jsonWriter(desc).writeBytes(expected).toString(), text);
  assert.equal(jsonReader(desc).read(text).$typeName, "test.Hostile");
}

test("without leave to generate code, everything works as with it", async () => {
  assert.ok(codeIsAllowed);
  const script = `
    const { codeIsAllowed } = await import("./src/core/codec/generated-code.ts");
    const { binaryToJson } = await import("./src/core/codec/binary-to-json.ts");
    const { jsonToBinary } = await import("./src/core/codec/json-to-binary.ts");
    const { jsonReader } = await import("./src/core/codec/json-to-message.ts");
    const { jsonWriter } = await import("./src/core/codec/message-to-json.ts");
    const { ShelfSchema } = await import("./gen/library/v1/library_pb.ts");
    const json = Buffer.from('{"name":"shelves/1"}');
    const bytes = jsonToBinary(ShelfSchema).convert(json);
    const message = jsonReader(ShelfSchema).readBytes(json);
    const direct = [jsonToBinary(ShelfSchema).convertDirectly(json), binaryToJson(ShelfSchema).convertDirectly(bytes)];
    console.log(JSON.stringify({
      codeIsAllowed,
      direct: direct.filter((one) => one !== undefined).length,
      printed: binaryToJson(ShelfSchema, { defaults: "omit" }).convert(bytes).toString(),
      written: jsonWriter(ShelfSchema, { defaults: "omit" }).writeBytes(message).toString(),
    }));`;
  const run = promisify(execFile);
  for (const [flags, expected] of [
    [["--disallow-code-generation-from-strings"], { codeIsAllowed: false, direct: 0 }],
    [[], { codeIsAllowed: true, direct: 2 }],
  ] as const) {
    const args = [...flags, "--input-type=module", "-e", script];
    const { stdout } = await run(process.execPath, args, { cwd: join(import.meta.dirname, "../../..") });
    const text = '{"name":"shelves/1"}';
    assert.deepEqual(JSON.parse(stdout), { ...expected, printed: text, written: text });
  }
});
