import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { create, type Message, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  type GetItemRequest,
  GetItemRequestSchema,
  KindsSchema,
  type ResourceSchema,
  type SearchRequest,
  SearchRequestSchema,
  type UpdateResourceRequest,
  UpdateResourceRequestSchema,
} from "../../../gen/tsms/test/v1/binding_pb.ts";
import { compileBinder } from "../../../src/gateway/binding/bind.ts";
import type { BindOptions, BindRequest } from "../../../src/gateway/binding/bind-options.ts";
import { refusalOf, refusedFields, routeOf, violationsOf } from "./binding-fixture.ts";

type Rule = Parameters<typeof routeOf>;

const all: Rule = ["search", "POST /v1/kinds", "*"];
const none: Rule = ["search", "GET /v1/kinds"];
const update: Rule = ["updateResource", "PUT /v1/{data.name=resources/*}", "data"];

/** Binds a request; one with a JSON text as its body has to give the same where the body comes as bytes. */
function bind(rule: Rule, request: Partial<BindRequest>, options?: Partial<BindOptions>): Message {
  const whole = { captures: [], query: "", body: undefined, ...request };
  const { body } = whole;
  if (typeof body === "string" && body !== "") {
    const [text, bytes] = [body, Buffer.from(body)].map((form) =>
      outcomeOf(() =>
        compileBinder(routeOf(...rule), { ...options, onIgnored: undefined }).bind({ ...whole, body: form }),
      ),
    );
    assert.deepEqual(bytes, text);
  }
  return compileBinder(routeOf(...rule), options).bind(whole);
}

/** The message, or what the refusal of it says. */
function outcomeOf(run: () => Message): unknown {
  try {
    return run();
  } catch {
    return { message: refusalOf(run).message, violations: violationsOf(run) };
  }
}

function search(init: MessageInitShape<typeof SearchRequestSchema> = {}): SearchRequest {
  return create(SearchRequestSchema, init);
}

suite("order of binding (transcoding B6)", () => {
  test("body, query and path meet in one message", () => {
    const message = bind(["search", "POST /v1/kinds/{kinds.int64_value}", "parts"], {
      captures: ["9007199254740993"],
      query: "page_size=5&kinds.bool_value=true",
      body: '[{"int32Value":1}]',
    });
    assert.deepEqual(
      message,
      search({
        kinds: { int64Value: 9007199254740993n, boolValue: true },
        pageSize: 5,
        parts: [{ int32Value: 1 }],
      }),
    );
  });
  test("the path wins over the body", () => {
    const rule: Rule = ["search", "POST /v1/{page_token}", "*"];
    assert.deepEqual(
      bind(rule, { captures: ["p"], body: '{"pageToken":"b","pageSize":1}' }),
      search({ pageToken: "p", pageSize: 1 }),
    );
  });
  test("a path below the body's field wins, and creates what is missing", () => {
    const named = { captures: ["resources/1"] };
    const expected = (data: MessageInitShape<typeof ResourceSchema>): UpdateResourceRequest =>
      create(UpdateResourceRequestSchema, { data });
    assert.deepEqual(
      bind(update, { ...named, body: '{"name":"other","a":1}' }),
      expected({ name: "resources/1", a: 1 }),
    );
    assert.deepEqual(bind(update, { ...named }), expected({ name: "resources/1" }));
    assert.deepEqual(bind(update, { ...named, body: "null" }), expected({ name: "resources/1" }));
  });
  test("a path through a member of a oneof replaces another one of the body", () => {
    const rule: Rule = ["search", "POST /v1/{kinds.choice_string}", "*"];
    const message = bind(rule, { captures: ["p"], body: '{"kinds":{"choiceInt64":"1"}}' });
    assert.deepEqual(message, search({ kinds: { choice: { case: "choiceString", value: "p" } } }));
  });

  for (const query of ["name_in_proto=q", "renamed=q", "renamed=q&renamed=r"]) {
    test(`T18: ?${query} for a field of the path counts as unknown`, () => {
      const rule: Rule = ["search", "GET /v1/{name_in_proto}"];
      assert.deepEqual(bind(rule, { captures: ["p"], query }), search({ nameInProto: "p" }));
      const [name = ""] = query.split("=");
      assert.deepEqual(
        refusedFields(() => bind(rule, { captures: ["p"], query }, { unknownQuery: "reject" })),
        [name],
      );
    });
  }
  for (const query of [
    "data.name=q",
    "data.a=5",
    "data.sub.x=1",
    "data.list=1",
    "data.list.x=1",
    "data=1",
    "data.m[k]=v",
  ]) {
    test(`T18: ?${query} for the body's field, its parent or child counts as unknown`, () => {
      const request = { captures: ["resources/1"], body: "{}", query };
      const expected = create(UpdateResourceRequestSchema, { data: { name: "resources/1" } });
      assert.deepEqual(bind(update, request), expected);
      const [name = ""] = query.split("=");
      assert.deepEqual(
        refusedFields(() => bind(update, request, { unknownQuery: "reject" })),
        [name],
      );
    });
  }
  test("T18: a parent of a path variable is bound, its siblings are free", () => {
    const rule: Rule = ["search", "GET /v1/{kinds.child.string_value}"];
    const request = {
      captures: ["p"],
      query: "kinds=1&kinds.child=1&kinds.child.int32_value=3&kinds.bool_value=1",
    };
    assert.deepEqual(
      bind(rule, request),
      search({ kinds: { boolValue: true, child: { stringValue: "p", int32Value: 3 } } }),
    );
  });
  test("T18: another member of a path variable's oneof counts as unknown", () => {
    const rule: Rule = ["search", "GET /v1/{kinds.choice_string}"];
    const request = { captures: ["p"], query: "kinds.choice_int64=1&kinds.choice_child.bool_value=true" };
    assert.deepEqual(
      bind(rule, request),
      search({ kinds: { choice: { case: "choiceString", value: "p" } } }),
    );
  });
  test("T18: with the whole request as body every parameter counts as unknown", () => {
    const ignored: string[] = [];
    const onIgnored = (place: string, name: string): void => void ignored.push(`${place} ${name}`);
    assert.deepEqual(bind(all, { query: "page_size=5&nope=1", body: "{}" }, { onIgnored }), search());
    assert.deepEqual(ignored, ["query page_size", "query nope"]);
    assert.deepEqual(
      refusedFields(() => bind(all, { query: "page_size=5" }, { unknownQuery: "reject" })),
      ["page_size"],
    );
  });

  const conflict = (
    captures: string[],
    rule: Rule,
    body: string | Uint8Array,
    format: "json" | "binary" = "json",
  ): (() => Message) => {
    return () => bind(rule, { captures, body, format }, { conflicts: "reject" });
  };
  const longPath: Rule = ["search", "POST /v1/{kinds.int64_value}", "*"];
  const zeroPath: Rule = ["search", "POST /v1/{page_size}", "*"];
  const timePath: Rule = ["getItem", "POST /v1/{read_time}", "*"];
  const bytesPath: Rule = ["search", "POST /v1/{body_bytes}", "*"];
  const namePath: Rule = ["search", "POST /v1/{name_in_proto}", "*"];
  for (const [what, run] of [
    [
      "a 64-bit value",
      conflict(["9007199254740993"], longPath, '{"kinds":{"int64_value":"9007199254740992"}}'),
    ],
    ["the JSON name", conflict(["p"], namePath, '{"renamed":"b"}')],
    ["the proto name", conflict(["p"], namePath, '{"name_in_proto":"b"}')],
    ["an explicit default", conflict(["5"], zeroPath, '{"page_size":0}')],
    ["a timestamp", conflict(["2020-01-01T00:00:00Z"], timePath, '{"readTime":"2020-01-01T00:00:01Z"}')],
    ["bytes", conflict(["AQ"], bytesPath, '{"bodyBytes":"Ag"}')],
    ["a child of the body's field", conflict(["resources/1"], update, '{"name":"resources/2"}')],
    [
      "a binary body",
      conflict(["p"], namePath, toBinary(SearchRequestSchema, search({ nameInProto: "b" })), "binary"),
    ],
  ] as const) {
    test(`conflicts "reject" refuses ${what}`, () => assert.equal(refusedFields(run).length, 1));
  }
  for (const [what, run] of [
    ["the same value", conflict(["9007199254740993"], longPath, '{"kinds":{"int64Value":9007199254740993}}')],
    ["no value", conflict(["5"], zeroPath, '{"pageToken":"x"}')],
    ["null", conflict(["5"], zeroPath, '{"pageSize":null}')],
    ["no parent", conflict(["5"], longPath, "{}")],
    [
      "the same timestamp",
      conflict(["2020-01-01T00:00:00Z"], timePath, '{"readTime":"2020-01-01T01:00:00+01:00"}'),
    ],
    ["the same bytes", conflict(["AQ"], bytesPath, '{"bodyBytes":"AQ=="}')],
    ["no body", conflict(["5"], zeroPath, "")],
    ["a body without the field", conflict(["resources/1"], update, "{}")],
  ] as const) {
    test(`conflicts "reject" takes ${what}`, () => assert.doesNotThrow(run));
  }
});

suite("path variables", () => {
  const item: Rule = ["getItem", "GET /v1/items/{id}/kinds/{kind}"];
  test("values of their types", () => {
    assert.deepEqual(
      bind(item, { captures: ["-7", "KIND_LARGE"] }),
      create(GetItemRequestSchema, { id: -7, kind: 2 }),
    );
    assert.equal((bind(item, { captures: ["7", "2"] }) as GetItemRequest).kind, 2);
  });
  for (const capture of ["abc", "", "+5", " 1", "0x10", "1.5", "2147483648"]) {
    test(`T14: ${JSON.stringify(capture)} for an int32`, () => {
      assert.deepEqual(
        refusedFields(() => bind(item, { captures: [capture, "1"] })),
        ["id"],
      );
    });
  }
  test("T14: all that is wrong is said at once", () => {
    const request = { captures: ["abc", "NOPE"], query: "read_time=never&view=x" };
    assert.deepEqual(
      violationsOf(() => bind(item, request)),
      [
        'read_time: expected an RFC 3339 timestamp such as 2020-01-31T12:00:00Z, found "never"',
        'id: expected an integer from -2147483648 to 2147483647, found "abc"',
        'kind: expected one of KIND_UNSPECIFIED, KIND_SMALL, KIND_LARGE, KIND_BELOW, found "NOPE"',
      ],
    );
  });
  test("T07: 64-bit values are exact", () => {
    const message = bind(["search", "GET /v1/{kinds.uint64_value}"], { captures: ["18446744073709551615"] });
    assert.equal((message as SearchRequest).kinds?.uint64Value, 18446744073709551615n);
  });
});

suite("bodies (transcoding B8)", () => {
  /** What `body` names, the body, and the request that comes out. */
  const bodies: readonly [
    field: string,
    body: string,
    expected: MessageInitShape<typeof SearchRequestSchema>,
  ][] = [
    ["*", '{"pageSize":5,"tags":["a"]}', { pageSize: 5, tags: ["a"] }],
    ["*", "{}", {}],
    ["*", "", {}],
    ["*", '\ufeff{"pageSize":5}', { pageSize: 5 }],
    ["*", '{"kinds":{"int64Value":9007199254740993}}', { kinds: { int64Value: 9007199254740993n } }],
    ["kinds", '{"int32Value":1}', { kinds: { int32Value: 1 } }],
    ["kinds", "{}", { kinds: {} }],
    ["kinds", "", {}],
    ["kinds", "null", {}],
    ["tags", '["a","b"]', { tags: ["a", "b"] }],
    ["parts", '[{"int32Value":1},{}]', { parts: [{ int32Value: 1 }, {}] }],
    ["counts", '{"a":1}', { counts: { a: 1 } }],
    ["page_token", '"x"', { pageToken: "x" }],
    ["page_size", "5", { pageSize: 5 }],
    ["body_bytes", '"AQI="', { bodyBytes: new Uint8Array([1, 2]) }],
    ["name_in_proto", '"x"', { nameInProto: "x" }],
    ["kinds.child", '{"int32Value":1}', { kinds: { child: { int32Value: 1 } } }],
    ["kinds.child", "{}", { kinds: { child: {} } }],
    ["kinds.child", "", {}],
    ["kinds.child", "null", {}],
    ["kinds.timestamp", '"1970-01-01T00:00:01Z"', { kinds: { timestamp: { seconds: 1n } } }],
    ["kinds.int64_wrapper", '"7"', { kinds: { int64Wrapper: 7n } }],
    ["kinds.struct", '{"a":[1]}', { kinds: { struct: { a: [1] } } }],
    ["kinds.json_value", "null", { kinds: { jsonValue: { kind: { case: "nullValue", value: 0 } } } }],
    ["kinds.choice_string", '"x"', { kinds: { choice: { case: "choiceString", value: "x" } } }],
    ["", '{"pageSize":5}', {}],
    ["", "not JSON", {}],
  ];
  for (const [field, body, expected] of bodies) {
    for (const form of ["text", "bytes"]) {
      test(`${body === "" ? "T03: " : ""}body "${field}" from ${form} ${JSON.stringify(body)}`, () => {
        const content = form === "text" ? body : Buffer.from(body);
        assert.deepEqual(bind(["search", "POST /v1/kinds", field], { body: content }), search(expected));
      });
    }
  }

  /** What `body` names, the body, and the fields that are refused. */
  const refused: readonly [id: string, field: string, body: string | Uint8Array, fields: string[]][] = [
    ["T04", "*", '{"pageSize":"x"}', ["page_size"]],
    ["T04", "*", '{"pageSize":1.5}', ["page_size"]],
    ["T04", "*", '{"kinds":{"kind":"NOPE"}}', ["kinds.kind"]],
    ["T04", "*", '{"kinds":{"int64Value":"9223372036854775808"}}', ["kinds.int64_value"]],
    ["T04", "body_bytes", '"!"', ["body_bytes"]],
    ["T04", "kinds", '{"child":{"boolValue":1}}', ["kinds.child.bool_value"]],
    ["T04", "kinds.child", '{"boolValue":1}', ["kinds.child.bool_value"]],
    ["T04", "tags", '["a",1]', ["tags[1]"]],
    ["T02", "kinds.child", "[]", ["kinds.child"]],
    ["T02", "tags", "{}", ["tags"]],
    ["T08", "*", Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), []],
  ];
  for (const [id, field, body, fields] of refused) {
    test(`${id}: body "${field}" refuses ${String(body)}`, () => {
      assert.deepEqual(
        refusedFields(() => bind(["search", "POST /v1/kinds", field], { body })),
        fields,
      );
    });
  }
  for (const body of ["{", "{} x", " ", "5 5"]) {
    test(`T02: ${JSON.stringify(body)} is no JSON`, () => {
      refusalOf(() => bind(all, { body }));
      refusalOf(() => bind(["search", "POST /v1/kinds", "kinds"], { body }));
    });
  }

  test("T12: members named like prototypes are unknown, or keys of their own", () => {
    const ignored: string[] = [];
    const body =
      '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"counts":{"__proto__":3}}';
    const message = bind(
      all,
      { body },
      { onIgnored: (place, name) => ignored.push(`${place} ${name}`) },
    ) as SearchRequest;
    assert.deepEqual(ignored, ["body __proto__", "body constructor"]);
    assert.deepEqual(Object.entries(message.counts), [["__proto__", 3]]);
    assert.equal(({} as { polluted?: unknown }).polluted, undefined);
    assert.deepEqual(
      refusedFields(() => bind(all, { body }, { unknownFields: "reject" })),
      ["__proto__", "constructor"],
    );
  });
  test("unknown members have the path they have in the request", () => {
    for (const field of ["kinds", "kinds.child"]) {
      const ignored: string[] = [];
      const rule: Rule = ["search", "POST /v1/kinds", field];
      bind(rule, { body: '{"nope":1}' }, { onIgnored: (_place, name) => ignored.push(name) });
      assert.deepEqual(ignored, [`${field}.nope`]);
      assert.deepEqual(
        refusedFields(() => bind(rule, { body: '{"nope":1}' }, { unknownFields: "reject" })),
        [`${field}.nope`],
      );
    }
  });
  test("a body where the rule has none can be refused", () => {
    refusalOf(() => bind(none, { body: "{}" }, { unexpectedBody: "reject" }));
    assert.deepEqual(bind(none, { body: "" }, { unexpectedBody: "reject" }), search());
  });
  test("a JSON body has a limit of depth", () => {
    const deep = (levels: number): string => `${'{"child":'.repeat(levels)}{}${"}".repeat(levels)}`;
    refusalOf(() => bind(["search", "POST /v1/kinds", "kinds"], { body: deep(100) }));
    assert.ok(bind(["search", "POST /v1/kinds", "kinds"], { body: deep(99) }));
    refusalOf(() => bind(["search", "POST /v1/kinds", "kinds"], { body: deep(3) }, { maxJsonDepth: 3 }));
  });
  test("a JSON body can be a message anywhere in the request", () => {
    for (const [field, expected] of [
      ["kinds", { kinds: { int32Value: 1 } }],
      ["kinds.child", { kinds: { child: { int32Value: 1 } } }],
      ["kinds.choice_child", { kinds: { choice: { case: "choiceChild", value: { int32Value: 1 } } } }],
    ] as const) {
      const rule: Rule = ["search", "POST /v1/kinds", field];
      assert.deepEqual(bind(rule, { body: '{"int32Value":1}' }), search(expected as never), field);
      assert.deepEqual(
        refusedFields(() => bind(rule, { body: '{"int32Value":1.5}' })),
        [`${field}.int32_value`],
      );
    }
  });
  test("binary bodies", () => {
    const binary = "binary" as const;
    const whole = search({ pageSize: 5, kinds: { int64Value: 7n } });
    assert.deepEqual(bind(all, { format: binary, body: toBinary(SearchRequestSchema, whole) }), whole);
    const kinds = toBinary(KindsSchema, create(KindsSchema, { int32Value: 1 }));
    for (const [field, expected] of [
      ["kinds", { kinds: { int32Value: 1 } }],
      ["kinds.child", { kinds: { child: { int32Value: 1 } } }],
      ["kinds.choice_child", { kinds: { choice: { case: "choiceChild", value: { int32Value: 1 } } } }],
      ["kinds.int64_wrapper", { kinds: { int64Wrapper: 7n } }],
    ] as const) {
      const body = field === "kinds.int64_wrapper" ? new Uint8Array([8, 7]) : kinds;
      const rule: Rule = ["search", "POST /v1/kinds", field];
      assert.deepEqual(bind(rule, { format: binary, body }), search(expected as never), field);
    }
    refusalOf(() => bind(all, { format: binary, body: new Uint8Array([0xff]) }));
    refusalOf(() =>
      bind(["search", "POST /v1/kinds", "tags"], { format: binary, body: new Uint8Array([1]) }),
    );
    assert.deepEqual(bind(all, { format: binary, body: new Uint8Array(0) }), search());
  });
  test("one binder serves many requests without mixing them", () => {
    const binder = compileBinder(routeOf(...all));
    const bound = [1, 2].map((size) =>
      binder.bind({ captures: [], query: "", body: `{"tags":["${size}"]}` }),
    );
    assert.deepEqual(bound, [search({ tags: ["1"] }), search({ tags: ["2"] })]);
  });
});
