import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  type DescMessage,
  type DescMethod,
  type DescService,
  type Message,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { createValidator } from "@bufbuild/protovalidate";
import { Examples } from "../../../src/core/contract/examples.ts";
import { matches } from "../../../src/core/contract/example-texts.ts";
import { patternTexts } from "../../../src/core/contract/pattern-text.ts";
import { LibraryService } from "../../../gen/library/v1/library_pb.ts";
import { builtContract } from "../../support/built-contract.ts";
import { typeOf } from "../../support/contract.ts";
import { shopProto } from "../../support/shop-contract.ts";

const rulesProto = `
syntax = "proto3";
package rules.v1;
import "buf/validate/validate.proto";
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
enum Kind { KIND_UNSPECIFIED = 0; KIND_A = 1; KIND_B = 2; KIND_C = 3; }
message Texts {
  string same = 1 [(buf.validate.field).string.const = "same"];
  string listed = 2 [(buf.validate.field).string = {in: ["a", "b"]}];
  string long = 3 [(buf.validate.field).string.min_len = 200];
  string short = 4 [(buf.validate.field).string.max_len = 2];
  string exact = 5 [(buf.validate.field).string.len = 7];
  string bytes_long = 6 [(buf.validate.field).string = {min_bytes: 30, max_bytes: 31}];
  string framed = 7 [(buf.validate.field).string = {prefix: "pre-", suffix: ".txt", contains: "-x-", max_len: 20}];
  string code = 8 [(buf.validate.field).string.pattern = "^[A-Z]{3}-\\\\d{4}(?:-(?:x|y))?$"];
  string long_code = 9 [(buf.validate.field).string = {pattern: "^[a-z]+$", min_len: 20, max_len: 25}];
  string slug = 10 [(buf.validate.field).string.pattern = "^(?i)[^\\\\s/]+$"];
  string not_it = 11 [(buf.validate.field).string = {not_in: ["not it", "not it 2"]}];
  string without = 12 [(buf.validate.field).string.not_contains = "without"];
  string mail = 13 [(buf.validate.field).string.email = true];
  string host = 14 [(buf.validate.field).string.hostname = true];
  string ip = 15 [(buf.validate.field).string.ip = true];
  string ip6 = 16 [(buf.validate.field).string.ipv6 = true];
  string uri = 17 [(buf.validate.field).string.uri = true];
  string ref = 18 [(buf.validate.field).string.uri_ref = true];
  string address = 19 [(buf.validate.field).string.address = true];
  string uuid = 20 [(buf.validate.field).string.uuid = true];
  string tuuid = 21 [(buf.validate.field).string.tuuid = true];
  string net = 22 [(buf.validate.field).string.ip_with_prefixlen = true];
  string prefix = 23 [(buf.validate.field).string.ipv4_prefix = true];
  string pair = 24 [(buf.validate.field).string.host_and_port = true];
  string header = 25 [(buf.validate.field).string.well_known_regex = KNOWN_REGEX_HTTP_HEADER_NAME];
  string ulid = 26 [(buf.validate.field).string.ulid = true];
  string told = 27 [(buf.validate.field).string = {example: "no", example: "such as this", min_len: 5}];
  string skipped = 28 [(buf.validate.field) = {ignore: IGNORE_ALWAYS string: {const: "x"}}];
  string page_token = 29 [(buf.validate.field).string.min_len = 1];
  google.protobuf.StringValue wrapped = 30 [(buf.validate.field).string.len = 3];
  string fqn = 31 [(buf.validate.field).string.protobuf_fqn = true];
  string order_by = 32;
}
message Numbers {
  int32 low = 1 [(buf.validate.field).int32.gt = 1000];
  int32 high = 2 [(buf.validate.field).int32 = {lt: -5}];
  uint32 none = 3 [(buf.validate.field).uint32.lt = 1];
  int64 wide = 4 [(buf.validate.field).int64 = {gte: 9007199254740993, lte: 9007199254740993}];
  int32 outside = 5 [(buf.validate.field).int32 = {gt: 10, lt: -10}];
  uint64 listed = 6 [(buf.validate.field).uint64 = {in: [18446744073709551615]}];
  sint32 refused = 7 [(buf.validate.field).sint32 = {not_in: [1, 2, 0], gte: 0}];
  double tight = 8 [(buf.validate.field).double = {gt: 0.1, lt: 0.2}];
  float at = 9 [(buf.validate.field).float = {const: 0.5}];
  double apart = 10 [(buf.validate.field).double = {gt: 100, lt: -100, finite: true}];
  bool yes = 11 [(buf.validate.field).bool.const = false];
  Kind kind = 12 [(buf.validate.field).enum = {not_in: [0, 1], defined_only: true}];
  Kind one = 13 [(buf.validate.field).enum.const = 3];
  bytes raw = 14 [(buf.validate.field).bytes = {prefix: "ab", min_len: 20, max_len: 22}];
  bytes ip = 15 [(buf.validate.field).bytes.ip = true];
  bytes like = 16 [(buf.validate.field).bytes = {pattern: "^[0-9]{4}$", len: 4}];
  fixed64 longer = 17 [(buf.validate.field).fixed64.gte = 77];
}
message Others {
  google.protobuf.Timestamp then = 1 [(buf.validate.field).timestamp.lt_now = true];
  google.protobuf.Timestamp later = 2 [(buf.validate.field).timestamp.gt_now = true];
  google.protobuf.Timestamp near = 3 [(buf.validate.field).timestamp.within = {seconds: 60}];
  google.protobuf.Timestamp after = 4 [(buf.validate.field).timestamp.gt = {seconds: 1800000000}];
  google.protobuf.Duration brief = 5 [(buf.validate.field).duration = {gt: {}, lt: {seconds: 1}}];
  google.protobuf.Duration listed = 6 [(buf.validate.field).duration = {in: [{seconds: 3}]}];
  google.protobuf.Any any = 7 [(buf.validate.field).any = {in: ["type.googleapis.com/google.protobuf.Timestamp"]}];
  google.protobuf.FieldMask mask = 8 [(buf.validate.field).field_mask = {in: ["a_b"]}];
  repeated string tags = 9 [(buf.validate.field).repeated = {min_items: 3, unique: true, items: {string: {min_len: 2}}}];
  repeated Kind kinds = 10 [(buf.validate.field).repeated = {max_items: 1}];
  map<string, int32> sizes = 11 [(buf.validate.field).map = {
    min_pairs: 2, keys: {string: {pattern: "^k[0-9]$"}}, values: {int32: {gt: 40}}}];
  map<bool, string> flags = 12;
  oneof way { option (buf.validate.oneof).required = true; string left = 13; string right = 14; }
  Numbers required = 15 [(buf.validate.field).required = true];
  string a = 16;
  string b = 17;
  option (buf.validate.message).oneof = {fields: ["a", "b"], required: true};
}
`;

const outlinesProto = `
syntax = "proto3";
package outlines.v1;
import "google/api/annotations.proto";
import "google/api/field_behavior.proto";
import "google/api/resource.proto";
import "google/protobuf/field_mask.proto";
import "protoc-gen-openapiv2/options/annotations.proto";
option (google.api.resource_definition) = {type: "x.example/House" pattern: "houses/{house}"};
service Outlines {
  rpc Get(GetRequest) returns (Node) { option (google.api.http) = {get: "/v1/{city}/{name=rooms/*/doors/**}"}; }
  rpc Put(PutRequest) returns (Node) {
    option (google.api.http) = {patch: "/v1/{room.name=houses/*/rooms/*}" body: "room"};
  }
  rpc Watch(GetRequest) returns (stream Room);
}
message GetRequest { string name = 1; string city = 2; string filter = 3; string page_token = 4; }
message PutRequest { Room room = 1; google.protobuf.FieldMask update_mask = 2; }
message Room {
  option (google.api.resource) = {type: "x.example/Room" pattern: "houses/{house}/rooms/{room}"};
  string name = 1 [(google.api.field_behavior) = OUTPUT_ONLY];
  string made = 2 [(google.api.field_behavior) = OUTPUT_ONLY];
  string key = 3 [(google.api.field_behavior) = INPUT_ONLY];
  string title = 4;
  string house = 5 [(google.api.resource_reference).type = "x.example/House"];
  string home = 6 [(google.api.resource_reference).child_type = "x.example/Room"];
  string author = 7 [(grpc.gateway.protoc_gen_openapiv2.options.openapiv2_field) = {example: "\\"Frank Herbert\\""}];
  int32 year = 8 [(grpc.gateway.protoc_gen_openapiv2.options.openapiv2_field) = {example: "1965"}];
  string isbn = 9 [(grpc.gateway.protoc_gen_openapiv2.options.openapiv2_field) = {example: "978"}];
  int32 wrong = 10 [(grpc.gateway.protoc_gen_openapiv2.options.openapiv2_field) = {example: "\\"no number\\""}];
  string next_page_token = 11;
  string email = 12;
}
message Node {
  Node next = 1;
  repeated Node all = 2;
  oneof way { Node deeper = 3; string here = 4; }
  string label = 5;
}
`;
/** The part of grpc-gateway's options that gives examples. */
const swaggerProto = `
syntax = "proto3";
package grpc.gateway.protoc_gen_openapiv2.options;
import "google/protobuf/descriptor.proto";
extend google.protobuf.FieldOptions { JSONSchema openapiv2_field = 1042; }
message JSONSchema { string example = 27; }
`;

const ruled = builtContract({ "rules.proto": rulesProto });
const outlined = builtContract({
  "outlines.proto": outlinesProto,
  "protoc-gen-openapiv2/options/annotations.proto": swaggerProto,
});
const outlines = serviceOf(outlined.services);

describe("examples of a contract", () => {
  test("are within its rules, whatever the seed, by the judgement of protovalidate", () => {
    const validator = createValidator({ registry: ruled.registry });
    for (const type of ["Texts", "Numbers", "Others"]) {
      const desc = typeOf(ruled.registry, `rules.v1.${type}`);
      for (const seed of [0, 1, 2, 77]) {
        for (const turn of [0, 1, 4]) {
          const message = new Examples({ seed }).message(desc, "request", turn);
          const { kind, violations } = validator.validate(desc, message);
          const found = violations?.map(({ field, message: text }) => `${field.map(String).join()} ${text}`);
          assert.equal(kind, "valid", `${type}, seed ${seed}, turn ${turn}: ${found?.join("; ")}`);
        }
      }
    }
  });

  test("take the examples that rules give, and what requests leave out where a rule wants it", () => {
    const desc = typeOf(ruled.registry, "rules.v1.Texts");
    const message = json(desc, new Examples().message(desc, "request"));
    assert.equal(message["told"], "such as this");
    assert.ok("pageToken" in message);
    assert.ok(!("orderBy" in message));
  });

  test("have names that fit the path and the patterns of resources", () => {
    const examples = new Examples();
    const [get, put] = [methodOf(outlines, "Get"), methodOf(outlines, "Put")];
    assert.deepEqual(json(get.input, examples.request(get)), { name: "rooms/1/doors/1", city: "Berlin" });
    const request = json(put.input, examples.request(put));
    assert.equal((request["room"] as { name: string }).name, "houses/1/rooms/1");
    assert.equal(request["updateMask"], "title");
    const create = methodOf(LibraryService, "CreateBook");
    const book = json(create.input, examples.request(create));
    assert.equal(book["parent"], "shelves/1");
    const reply = json(create.output, examples.reply(create));
    assert.equal((reply["book"] as { name: string }).name, "shelves/1/books/1");
  });

  test("leave out what the other direction has, and a page that is not there", () => {
    const desc = typeOf(outlined.registry, "outlines.v1.Room");
    const examples = new Examples();
    const request = json(desc, examples.message(desc, "request"));
    const reply = json(desc, examples.message(desc, "reply"));
    assert.deepEqual(
      ["name", "made", "key", "nextPageToken"].map((name) => [name in request, name in reply]),
      [
        [false, true],
        [false, true],
        [true, false],
        [true, false],
      ],
    );
    assert.deepEqual(
      ["house", "home", "author", "year", "isbn", "wrong", "email"].map((name) => reply[name]),
      ["houses/1", "houses/1", "Frank Herbert", 1965, "978", 1, "ada@example.com"],
    );
  });

  test("end at depth 4, have lists of 1, and leave out what is not shown", () => {
    const desc = typeOf(outlined.registry, "outlines.v1.Node");
    const deep = (value: unknown): number =>
      typeof value === "object" && value !== null
        ? 1 +
          Math.max(0, ...Object.values(value).map((one) => (Array.isArray(one) ? deep(one[0]) : deep(one))))
        : 0;
    const whole = json(desc, new Examples().message(desc, "reply"));
    assert.equal(deep(whole), 4);
    assert.equal((whole["all"] as unknown[]).length, 1);
    assert.equal(whole["here"], "here");
    const flat = new Examples({ depth: 1, isVisible: ({ name }) => name !== "here" }).message(desc, "reply");
    assert.deepEqual(json(desc, flat), { label: "label" });
  });

  test("are the same bytes for the same seed, and others for another", () => {
    const { services } = builtContract({ "shop.proto": shopProto });
    const bytes = (seed: number): string[] =>
      services.flatMap(({ methods }) =>
        methods.map((method) => {
          const examples = new Examples({ seed });
          const request = toBinary(method.input, examples.request(method));
          return Buffer.concat([request, toBinary(method.output, examples.reply(method))]).toString("hex");
        }),
      );
    assert.deepEqual(bytes(7), bytes(7));
    assert.notDeepEqual(bytes(7), bytes(8));
  });

  test("differ among the messages of a stream", () => {
    const watch = methodOf(outlines, "Watch");
    const names = [0, 1, 2].map((turn) => json(watch.output, new Examples().reply(watch, turn))["name"]);
    assert.deepEqual(names, ["houses/1/rooms/1", "houses/1/rooms/2", "houses/1/rooms/3"]);
  });
});

test("texts of an expression match it", () => {
  for (const pattern of [
    "^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$",
    String.raw`^\+?[1-9]\d{1,14}$`,
    String.raw`^(?P<year>\d{4})-(0[1-9]|1[0-2])$`,
    "^[^a-z]+$",
    String.raw`^\p{Lu}\PL[[:digit:]][[:^digit:]]$`,
    String.raw`\A[\w.-]+@\Qx.y\E\z`,
    "^(a|b|)*c{2,}d{3}e??$",
    "",
    String.raw`^[\]\-\x41-\x{43}]+$`,
  ]) {
    const texts = [...patternTexts(pattern, 0), ...patternTexts(pattern, 3)];
    assert.ok(texts.length > 10, pattern);
    const readable = pattern.replace("[[:^digit:]]", String.raw`\D`).replace("[[:digit:]]", String.raw`\d`);
    const plain = readable
      .replace(String.raw`\Qx.y\E`, String.raw`x\.y`)
      .replace(String.raw`\PL`, String.raw`\P{L}`);
    const simple = plain.replace(String.raw`\x{43}`, String.raw`\x43`);
    const unfit = texts.filter((text) => text.length < 60 && !matches(text, simple));
    assert.deepEqual(unfit, [], pattern);
  }
  for (const pattern of ["(", "[a", "(?=x)", String.raw`\p{Zyzz}`, "a{1", "((a+)+)+"]) {
    for (const text of patternTexts(pattern, 0)) assert.ok(text.length < 20_000);
  }
});

function serviceOf(services: readonly DescService[]): DescService {
  return services[0] ?? assert.fail("no service");
}

function json(desc: DescMessage, message: Message): Record<string, unknown> {
  return toJson(desc, message) as Record<string, unknown>; // None of them has a form of its own.
}

function methodOf({ methods, typeName }: DescService, name: string): DescMethod {
  return methods.find((method) => method.name === name) ?? assert.fail(`no ${typeName}.${name}`);
}
