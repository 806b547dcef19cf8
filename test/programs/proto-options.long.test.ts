import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { protoSource } from "../../src/entries/schema.ts";
import { Program, programFile, run } from "../support/program.ts";

const folder = mkdtempSync(join(tmpdir(), "ts-ms-proto-options-"));
after(() => rmSync(folder, { recursive: true }));

const listen = ["--grpc-port=1", "--http-port=0", "--exporter-port=off"];
let count = 0;

/** Writes a source to a file of its own. */
function write(text: string): string {
  const path = join(folder, `o${count++}.proto`);
  writeFileSync(path, text);
  return path;
}

const withOption = (option: string): string => `
  syntax = "proto3";
  package o;
  import "google/api/annotations.proto";
  import "google/protobuf/descriptor.proto";
  import "google/protobuf/duration.proto";
  import "google/protobuf/struct.proto";
  import "google/protobuf/wrappers.proto";
  message Answer { string text = 1; }
  message Rule {
    google.protobuf.Duration max = 1;
    map<string, Answer> answers = 2;
    repeated Answer list = 3;
    google.protobuf.Int32Value n = 4;
    google.protobuf.Value any = 5;
    map<string, string> texts = 6;
    int64 big = 7;
    bytes raw = 8;
  }
  extend google.protobuf.FieldOptions { Rule rule = 50001; google.protobuf.Int32Value wrapped = 50002; }
  service O { rpc Get(Req) returns (Req) { option (google.api.http) = {get: "/o/{id}"}; } }
  message Req { string id = 1; google.protobuf.Duration wait = 2 [${option}]; }`;

describe("options of other tools are text format", () => {
  const options = [
    "(rule).max.seconds = 5",
    '(rule) = {answers: {key: "404" value: {text: "x"}}}',
    '(rule) = {texts: {key: "a" value: "b"} texts {key: "c"}}',
    "(rule) = {n: {value: 3} any: {number_value: 1.5}}",
    "(wrapped) = {value: 7}",
    '(rule) = {list: [{text: "a"}, {text: "b" "c"}] list < text: \'}\' > /* a comment } */ }',
    '(rule) = {big: -9007199254740993, raw: "\\xff\\001"; }',
  ];
  for (const option of options) {
    test(option, async () => {
      const path = write(withOption(option));
      const load = await protoSource([path]).load(new AbortController().signal);
      assert.deepEqual(load.warnings, []);
      assert.equal(load.services[0]?.methods.length, 1);
      assert.ok(load.registry.getMessage("o.Req")?.fields[1]?.proto.options?.$unknown?.length === 1);
    });
  }
});

test("an option that cannot be read is a warning, and the program serves", async () => {
  const path = write(withOption("(rule).nope = 5, (nowhere.option) = {a: [{b: 1}]}"));
  await using gateway = new Program("examples/http-only.ts", ...listen, "--proto", path);
  await gateway.line(/^\[HTTP\] GET \/o\/\{id\} → o\.O\/Get$/);
  await gateway.error(/o\.Req\.wait: option \(rule\): o\.Rule has no field nope; this option is left out/);
  await gateway.error(/option \(nowhere\.option\): no file defines this option/);
  assert.doesNotMatch(gateway.errors, /\n\s+at /);
});

test("additional bindings may stand in a list", async () => {
  const path = write(`
    syntax = "proto3"; package l; import "google/api/annotations.proto"; message M { string id = 1; }
    service L { rpc Get(M) returns (M) { option (google.api.http) = {
      get: "/a/{id}", additional_bindings: [{get: "/b/{id}"}, {get: "/c/{id}"}] }; } }`);
  await using gateway = new Program("examples/http-only.ts", ...listen, "--proto", path);
  await gateway.line(/^Try: /);
  assert.equal(gateway.lines.filter((line) => line.includes("→ l.L/Get")).length, 3);
});

test("edition 2024 is read", async () => {
  const path = write(`
    edition = "2024";
    package e;
    import option "google/api/annotations.proto";
    local message Hidden { int32 n = 1; }
    export message M { string id = 1; Hidden hidden = 2; export enum Kind { ZERO = 0; } Kind kind = 3; }
    service E { rpc Get(M) returns (M) { option (google.api.http) = {get: "/e/{id}"}; } }`);
  await using gateway = new Program("examples/http-only.ts", ...listen, "--proto", path);
  await gateway.line(/^\[HTTP\] GET \/e\/\{id\} → e\.E\/Get$/);
});

test("what the parser does not take is one line with the file and the way out", async () => {
  const good = Array.from({ length: 5 }, (_, i) => write(`syntax = "proto3"; package g${i}; message M {}`));
  const bad = [
    [
      'syntax = "proto2"; message R { extensions 100; } extend R { optional group X = 100 { optional int32 n = 1; } }',
      "",
    ],
    ['syntax = "proto3"; message M { Missing m = 1; }', "Missing"],
    ['syntax = "proto3";\nmessage M { string = 1; }', "line 2"],
  ] as const;
  for (const [text, cause] of bad) {
    const path = write(text);
    const name = path.slice(folder.length + 1);
    const args = [...good, path].flatMap((file) => ["--proto", file]);
    const { code, stderr } = await run(
      process.execPath,
      programFile("examples/http-only.ts"),
      ...listen,
      ...args,
    );
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`${name}: .*${cause}.*buf build -o x\\.binpb`));
    assert.equal(stderr.trim().split("\n").length, 1);
    assert.doesNotMatch(stderr, /o0\.proto/);
  }
});
