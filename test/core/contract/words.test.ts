import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { DescMethod } from "@bufbuild/protobuf";
import { Comments, toComment } from "../../../src/core/contract/comments.ts";
import { foreignOption } from "../../../src/core/contract/foreign-options.ts";
import { rolesOf } from "../../../src/core/contract/field-roles.ts";
import { resourceOf } from "../../../src/core/contract/resource-names.ts";
import { Namer } from "../../../src/core/contract/namer.ts";
import { traitsOf } from "../../../src/core/contract/traits.ts";
import { builtContract } from "../../support/built-contract.ts";
import { typeOf } from "../../support/contract.ts";

const shop = `
syntax = "proto3";
package shop.v1;
import "buf/validate/validate.proto";
import "google/api/field_behavior.proto";
import "google/api/resource.proto";
// Sells things.
//
// All day long.
service ShopService {
  // Gives one.
  // buf:lint:ignore RPC_REQUEST_STANDARD_NAME
  //
  // Deprecated: ask for
  // all of them.
  rpc Get(Thing) returns (Thing) { option idempotency_level = NO_SIDE_EFFECTS; }
  rpc Put(Thing) returns (Thing) { option idempotency_level = IDEMPOTENT; }
  rpc Add(Thing) returns (Thing);
}
message Thing { // What is sold.
  // Its name.
  string name = 1 [(google.api.field_behavior) = REQUIRED, (google.api.field_behavior) = IMMUTABLE];
  string shelf = 2 [(google.api.resource_reference).type = "shop.example/Shelf"];
  string etag = 3 [(google.api.field_behavior) = OUTPUT_ONLY];
  string secret = 4 [(google.api.field_behavior) = INPUT_ONLY];
  string code = 5 [(buf.validate.field).required = true, (buf.validate.field).string.min_len = 3];
  // Either of two.
  oneof way { string left = 6; string right = 7; }
  enum Color { // How it looks.
    // Not known.
    COLOR_UNSPECIFIED = 0;
    RED = 1; // Like blood.
  }
  message Part { Color color = 1; }
}
`;
const other = `
syntax = "proto3";
package shop.v2;
service ShopService { rpc Get(Thing) returns (Thing); }
service GoMs { rpc Get(Thing) returns (Thing); rpc HTTPPing(Thing) returns (Thing); }
message Thing {}
message Only {}
`;

describe("words of a contract", () => {
  const contract = builtContract({ "shop/v1/shop.proto": shop, "shop/v2/shop.proto": other });
  const thing = typeOf(contract.registry, "shop.v1.Thing");
  const field = (name: string) => thing.fields.find((one) => one.name === name) ?? assert.fail(name);
  const [first] = contract.services;
  assert.ok(first);

  test("traits of an rpc", () => {
    const rows: [string, string | undefined, boolean, boolean, boolean | undefined][] = [
      ["get", undefined, true, true, false],
      ["get", "POST", true, true, false],
      ["put", "POST", false, true, undefined],
      ["put", "GET", false, true, undefined],
      ["add", undefined, false, false, undefined],
      ["add", "GET", true, true, false],
      ["add", "POST", false, false, undefined],
      ["add", "PUT", false, true, true],
      ["add", "DELETE", false, true, true],
      ["add", "PATCH", false, false, true],
    ];
    for (const [rpc, httpMethod, safe, idempotent, destructive] of rows) {
      const method: DescMethod = first.method[rpc] ?? assert.fail(rpc);
      assert.deepEqual(
        traitsOf(method, httpMethod),
        { safe, idempotent, destructive },
        `${rpc} ${httpMethod}`,
      );
    }
  });

  test("roles of fields, by options of two projects", () => {
    const is = (name: string) =>
      Object.entries(rolesOf(field(name))).flatMap(([role, on]) => (on ? [role] : []));
    assert.deepEqual(is("name"), ["required", "immutable"]);
    assert.deepEqual(is("etag"), ["outputOnly"]);
    assert.deepEqual(is("secret"), ["inputOnly"]);
    assert.deepEqual(is("code"), ["required"]);
    assert.deepEqual(is("shelf"), []);
    assert.equal(resourceOf(field("shelf")), "shop.example/Shelf");
    assert.equal(resourceOf(field("name")), undefined);
    assert.deepEqual(foreignOption(field("code"), "buf.validate.field"), {
      required: true,
      string: { minLen: "3" },
    });
    assert.equal(foreignOption(field("name"), "buf.validate.field"), undefined);
    assert.equal(foreignOption(field("name"), "buf.validate.message"), undefined);
    assert.equal(
      foreignOption(typeOf(contract.registry, "shop.v2.Thing"), "buf.validate.message"),
      undefined,
    );
  });

  test("comments of every kind of element", () => {
    const comments = new Comments([contract.image]);
    const none = new Comments();
    assert.deepEqual(comments.of(first), {
      summary: "Sells things.",
      text: "Sells things.\n\nAll day long.",
      deprecation: undefined,
    });
    const get = first.methods[0] ?? assert.fail();
    assert.equal(comments.of(get).summary, "Gives one.");
    assert.equal(comments.of(get).deprecation, "ask for all of them.");
    assert.equal(comments.of(thing).summary, "What is sold.");
    assert.equal(comments.of(field("name")).text, "Its name.");
    assert.equal(comments.of(field("code")).text, "");
    assert.equal(comments.of(thing.oneofs[0] ?? assert.fail()).text, "Either of two.");
    const color = thing.nestedEnums[0] ?? assert.fail();
    assert.equal(comments.of(color).text, "How it looks.");
    assert.deepEqual(
      color.values.map((value) => comments.of(value).text),
      ["Not known.", "Like blood."],
    );
    assert.equal(none.of(first).text, "");
    assert.throws(() => new Comments([Buffer.from("no set")]), /comments: expected a descriptor set/);
  });

  test("a comment without its lines for tools", () => {
    assert.deepEqual(toComment(" One,\n two.\n buf:lint:ignore X\n @ignore-comment y\n\n   code\n"), {
      summary: "One, two.",
      text: "One,\ntwo.\n\n  code",
      deprecation: undefined,
    });
    assert.equal(toComment(" buf:lint:ignore X\n").summary, "");
  });

  test("names: short where they are alone, with the package where not, in any order", () => {
    const rows: Record<string, string> = {
      "shop.v1.Thing": "ShopV1Thing",
      "shop.v2.Thing": "ShopV2Thing",
      "shop.v2.Only": "Only",
      "shop.v1.Thing.Color": "ThingColor",
      "shop.v1.Thing.Part": "ThingPart",
    };
    for (const reversed of [false, true]) {
      const services = reversed ? contract.services.toReversed() : contract.services;
      const namer = new Namer(services, reversed ? contract.types.toReversed() : contract.types);
      const names = Object.fromEntries(contract.types.map((type) => [type.typeName, namer.type(type)]));
      assert.deepEqual(names, rows);
      const rpcs = contract.services.flatMap(({ methods }) => methods);
      assert.deepEqual(
        rpcs.map((rpc) => [namer.camel(rpc), namer.snake(rpc), namer.operation(rpc)]),
        [
          ["shopV1ShopGet", "shop_v1_shop_get", "ShopV1ShopService_Get"],
          ["put", "put", "ShopV1ShopService_Put"],
          ["add", "add", "ShopV1ShopService_Add"],
          ["shopV2ShopGet", "shop_v2_shop_get", "ShopV2ShopService_Get"],
          ["goMsGet", "go_ms_get", "GoMs_Get"],
          ["hTTPPing", "http_ping", "GoMs_HTTPPing"],
        ],
      );
    }
  });

  test("names that the package does not tell apart", () => {
    const one = builtContract({
      "a.proto": `syntax = "proto3"; package a.b; message C {} message D { message E {} }`,
      "b.proto": `syntax = "proto3"; package a; message B { message C {} }  message C {} message DE {}`,
    });
    const namer = new Namer([], one.types);
    const names = one.types.map((type) => [type.typeName, namer.type(type)]);
    assert.equal(new Set(names.map(([, name]) => name)).size, names.length, JSON.stringify(names));
  });
});
