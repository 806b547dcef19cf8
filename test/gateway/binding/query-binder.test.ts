import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import fc from "fast-check";
import { StatusSchema } from "../../../gen/google/rpc/status_pb.ts";
import {
  KindsSchema,
  type SearchRequest,
  SearchRequestSchema,
} from "../../../gen/tsms/test/v1/binding_pb.ts";
import { toStatus } from "../../../src/core/errors/errors.ts";
import { compileBinder } from "../../../src/gateway/binding/bind.ts";
import type { BindOptions } from "../../../src/gateway/binding/bind-options.ts";
import { refusedFields, routeOf, violationsOf } from "./binding-fixture.ts";
import { codePoint } from "../../arbitraries/code-point.ts";
import { threadMs } from "../../support/thread-time.ts";

function bindQuery(query: string, options?: Partial<BindOptions>): SearchRequest {
  const binder = compileBinder(routeOf("search", "GET /v1/kinds"), options);
  return binder.bind({ captures: [], query, body: undefined }) as SearchRequest; // The rpc's input.
}

/** Query and the request it stands for. */
const bound: readonly [query: string, expected: MessageInitShape<typeof SearchRequestSchema>][] = [
  ["page_size=5", { pageSize: 5 }],
  ["pageSize=5", { pageSize: 5 }],
  ["renamed=x", { nameInProto: "x" }],
  ["name_in_proto=x", { nameInProto: "x" }],
  ["tags=a", { tags: ["a"] }],
  ["tags=a&tags=b&tags=a", { tags: ["a", "b", "a"] }],
  ["tags=a,b", { tags: ["a,b"] }],
  ["kinds.int64Value=9007199254740993", { kinds: { int64Value: 9007199254740993n } }],
  ["kinds.child.child.string_value=deep", { kinds: { child: { child: { stringValue: "deep" } } } }],
  ["kinds.child.int32Value=1&kinds.child.kind=KIND_LARGE", { kinds: { child: { int32Value: 1, kind: 2 } } }],
  ["kinds.kindList=KIND_SMALL&kinds.kind_list=2", { kinds: { kindList: [1, 2] } }],
  [
    "kinds.bytes_list=AQ&kinds.bytes_list=Ag",
    { kinds: { bytesList: [new Uint8Array([1]), new Uint8Array([2])] } },
  ],
  ["kinds.timestamp_list=1970-01-01T00:00:01Z", { kinds: { timestampList: [{ seconds: 1n }] } }],
  ["kinds.int64_wrapper_list=7", { kinds: { int64WrapperList: [{ value: 7n }] } }],
  ["counts[a]=1&counts[b]=2", { counts: { a: 1, b: 2 } }],
  ["counts[a.b]=1&counts[]=2", { counts: { "a.b": 1, "": 2 } }],
  ["counts%5Bk%5D=1", { counts: { k: 1 } }],
  ["kinds.int64_map[9007199254740993]=KIND_LARGE", { kinds: { int64Map: { "9007199254740993": 2 } } }],
  ["kinds.bool_map[true]=1.5", { kinds: { boolMap: { true: 1.5 } } }],
  ["kinds.bool_map[0]=1.5", { kinds: { boolMap: { false: 1.5 } } }],
  ["kinds.duration_map[1]=2s", { kinds: { durationMap: { 1: { seconds: 2n } } } }],
  ["kinds.wrapper_map[k]=v", { kinds: { wrapperMap: { k: { value: "v" } } } }],
  ["kinds.choice_string=a", { kinds: { choice: { case: "choiceString", value: "a" } } }],
  ["kinds.choice_int64=0", { kinds: { choice: { case: "choiceInt64", value: 0n } } }],
  [
    "kinds.choice_child.int32_value=1&kinds.choiceChild.bool_value=1",
    { kinds: { choice: { case: "choiceChild", value: { int32Value: 1, boolValue: true } } } },
  ],
  ["kinds.choice_wrapper=true", { kinds: { choice: { case: "choiceWrapper", value: { value: true } } } }],
  ["kinds.optional_int32=0", { kinds: { optionalInt32: 0 } }],
  ["kinds.optional_string", { kinds: { optionalString: "" } }],
  ["kinds.int32_wrapper=0", { kinds: { int32Wrapper: 0 } }],
  ["kinds.field_mask=a,bC", { kinds: { fieldMask: { paths: ["a", "b_c"] } } }],
  ["kinds.struct=%7B%22a%22%3A1%7D", { kinds: { struct: { a: 1 } } }],
  ["kinds.json_value=null", { kinds: { jsonValue: { kind: { case: "nullValue", value: 0 } } } }],
];

/** Query of what no single value is, and what is said of it: nothing that would be refused in its turn. */
const hints: readonly [query: string, hint: string][] = [
  ["kinds.any=x", "kinds.any: a google.protobuf.Any can not be written in a query"],
  ["kinds.any.type_url=x", "kinds.any: a google.protobuf.Any can not be written in a query"],
  ["kinds.empty=x", "kinds.empty: a google.protobuf.Empty can not be written in a query"],
  [
    "kinds.child=x",
    "kinds.child: a message can not be written as one value: name one of its fields, such as kinds.child.double_value",
  ],
  [
    "kinds=x",
    "kinds: a message can not be written as one value: name one of its fields, such as kinds.double_value",
  ],
];

for (const [query, hint] of hints) {
  test(`the hint for ?${query}`, () => {
    assert.throws(
      () => bindQuery(query),
      (error) => error instanceof ConnectError && error.rawMessage === hint,
    );
  });
}

/** Query and the fields that are refused. */
const refused: readonly [query: string, fields: string[]][] = [
  ["page_size=x", ["page_size"]],
  ["pageSize=+5", ["page_size"]],
  ["pageSize=1&page_size=2", ["page_size"]],
  ["page_token=a&page_token=a", ["page_token"]],
  ["tags.x=1", ["tags"]],
  ["tags[]=1", ["tags"]],
  ["tags[0]=1", ["tags"]],
  ["page_size[a]=1", ["page_size"]],
  ["parts=1", ["parts"]],
  ["parts.int32_value=1", ["parts"]],
  ["kinds=1", ["kinds"]],
  ["kinds.child={}", ["kinds.child"]],
  ["kinds.any=1", ["kinds.any"]],
  ["kinds.any.type_url=x", ["kinds.any"]],
  ["counts=1", ["counts"]],
  ["counts.a=1", ["counts"]],
  ["counts[a=1", ["counts"]],
  ["counts[a][b]=1", ["counts"]],
  ["counts[a].b=1", ["counts"]],
  ["counts[a]=x", ['counts["a"]']],
  ["counts[a]=1&counts[a]=2", ['counts["a"]']],
  ["kinds.int64_map[x]=1", ['kinds.int64_map["x"]']],
  ["kinds.int64_map[1]=NOPE", ['kinds.int64_map["1"]']],
  ["kinds.bool_map[true]=1&kinds.bool_map[1]=1", ['kinds.bool_map["1"]']],
  ["kinds.child_map[a]=1", ["kinds.child_map"]],
  ["kinds.choice_string=a&kinds.choice_int64=1", ["kinds.choice_int64"]],
  ["kinds.choice_string=a&kinds.choice_child.bool_value=1", ["kinds.choice_child.bool_value"]],
  ["kinds.timestamp.seconds=1", ["kinds.timestamp"]],
  ["kinds.struct.fields=1", ["kinds.struct"]],
  ["kinds.int32_wrapper.value=1", ["kinds.int32_wrapper"]],
  ["kinds.kind=NOPE", ["kinds.kind"]],
  ["kinds.bytes_value=%21", ["kinds.bytes_value"]],
  [
    "kinds.int64_value=1.5&kinds.bool_value=maybe&page_size=x",
    ["kinds.int64_value", "kinds.bool_value", "page_size"],
  ],
];

const unknown = [
  "nope=1",
  "utm_source=x",
  "kinds.nope=1",
  "page_token.x=1",
  "__proto__=1",
  "__proto__.polluted=1",
  "constructor.prototype.polluted=1",
  "kinds.__proto__.polluted=1",
  "a[__proto__][x]=1",
  "toString=1",
  "=1",
  ".=1",
  "kinds.=1",
  "PAGE_SIZE=1",
];

suite("query parameters (transcoding B7)", () => {
  for (const [query, expected] of bound) {
    test(`T18: ${query}`, () => {
      assert.deepEqual(bindQuery(query), create(SearchRequestSchema, expected));
    });
  }
  for (const [query, fields] of refused) {
    test(`T18: ${query} is refused`, () =>
      assert.deepEqual(
        refusedFields(() => bindQuery(query)),
        fields,
      ));
  }
  for (const query of unknown) {
    test(`T18: ${query} is unknown`, () => {
      const ignored: string[] = [];
      const message = bindQuery(query, { onIgnored: (place, name) => ignored.push(`${place} ${name}`) });
      assert.deepEqual(message, create(SearchRequestSchema));
      const name = query.slice(0, query.lastIndexOf("="));
      assert.deepEqual(ignored, [`query ${name}`]);
      assert.deepEqual(
        refusedFields(() => bindQuery(query, { unknownQuery: "reject" })),
        [name],
      );
      assert.equal(({} as { polluted?: unknown }).polluted, undefined);
    });
  }
  test("T18: every unknown name has one violation, with the name that was meant", () => {
    const query = "pagesize=1&kinds.boolvalue=1&utm=x&pagesize=2&page_size=3";
    assert.deepEqual(
      violationsOf(() => bindQuery(query, { unknownQuery: "reject" })),
      [
        'pagesize: the request has no such field; did you mean "pageSize"?',
        'kinds.boolvalue: the request has no such field; did you mean "kinds.boolValue"?',
        "utm: the request has no such field",
      ],
    );
  });
  test("T12: the key __proto__ of a map is a key of its own", () => {
    const message = bindQuery("counts[__proto__]=1&kinds.string_map[__proto__]=x");
    assert.deepEqual(Object.keys(message.counts), ["__proto__"]);
    assert.deepEqual(Object.keys(message.kinds?.stringMap ?? {}), ["__proto__"]);
    assert.equal(Object.getPrototypeOf(message.counts), Object.prototype);
  });
  test("names have a limit of depth", () => {
    const deep = (depth: number): string => `kinds.${"child.".repeat(depth - 2)}bool_value=1`;
    assert.ok(bindQuery(deep(32)).kinds);
    assert.equal(refusedFields(() => bindQuery(deep(33))).length, 1);
    assert.equal(refusedFields(() => bindQuery(deep(4), { maxFieldDepth: 3 })).length, 1);
    assert.equal(refusedFields(() => bindQuery(`${"a.".repeat(100_000)}=1`)).length, 1);
  });
  test("T19: names without end do not fill the memory, nor values the list of errors", () => {
    const binder = compileBinder(routeOf("search", "GET /v1/kinds"));
    const started = threadMs();
    for (let round = 0; round < 20; round++) {
      const names = Array.from({ length: 1000 }, (_, i) => `kinds.child.string_map[k${round * 1000 + i}]=v`);
      binder.bind({ captures: [], query: names.join("&"), body: undefined });
    }
    assert.ok(threadMs() - started < 5000);
  });
});

suite("messages written as queries and read back", () => {
  const bytes = fc.uint8Array().map((value) => new Uint8Array(value));
  const base64 = (value: Uint8Array): string => Buffer.from(value).toString("base64url");
  const text = fc.string({ unit: codePoint });
  const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });

  type Init = MessageInitShape<typeof KindsSchema>; // Numbers stand for enums, which TypeScript does not take.

  test("any values of any fields", () => {
    const kinds = fc.record(
      {
        doubleValue: fc.double().filter((value) => !Object.is(value, -0)),
        floatValue: fc.float().filter((value) => !Object.is(value, -0)),
        int64Value: int64,
        fixed64Value: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        boolValue: fc.boolean(),
        stringValue: text,
        bytesValue: bytes,
        kind: fc.integer(),
        optionalString: text,
        int64Wrapper: int64,
        stringList: fc.array(text),
        kindList: fc.array(fc.integer()),
        bytesList: fc.array(bytes),
        stringMap: fc.dictionary(
          text.filter((key) => !/]\.|]\[/.test(key)),
          text,
          { noNullPrototype: true },
        ),
      },
      { requiredKeys: [] },
    );
    const print = (value: unknown): string => (value instanceof Uint8Array ? base64(value) : String(value));
    fc.assert(
      fc.property(kinds, (init) => {
        const query: string[] = [];
        const add = (name: string, value: unknown): void => {
          query.push(`${encodeURIComponent(`kinds.${name}`)}=${encodeURIComponent(print(value))}`);
        };
        for (const [name, value] of Object.entries(init)) {
          if (Array.isArray(value)) for (const element of value) add(name, element);
          else if (name !== "stringMap") add(name, value);
          else for (const [key, entry] of Object.entries(value)) add(`${name}[${key}]`, entry);
        }
        assert.deepEqual(
          bindQuery(query.join("&")).kinds ?? create(KindsSchema),
          create(KindsSchema, init as Init),
        );
      }),
    );
  });
  test("any text is bound or refused, and nothing else happens", () => {
    const name = fc.oneof(
      text,
      fc.constantFrom("kinds", "kinds.child", "counts[", "tags", "kinds.choice_string", "counts[a]"),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(name, text)), (parameters) => {
        const query = parameters.map(
          ([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(value)}`,
        );
        try {
          toBinary(SearchRequestSchema, bindQuery(query.join("&")));
        } catch (error) {
          assert.ok(error instanceof ConnectError && error.code === Code.InvalidArgument, String(error));
          toBinary(StatusSchema, toStatus(error));
        }
      }),
    );
  });
});

suite("system parameters (transcoding B7)", () => {
  const binder = compileBinder(routeOf("search", "GET /v1/kinds"), {
    systemParameters: true,
    unknownQuery: "reject",
  });
  const bindSystem = (query: string): unknown => binder.bind({ captures: [], query, body: undefined });

  for (const [query, enumsAsNumbers, sse, prettyPrint] of [
    ["", false, false, undefined],
    ["page_size=1", false, false, undefined],
    ["$alt=json", false, false, undefined],
    ["alt=json", false, false, undefined],
    ["$alt=json;enum-encoding=int", true, false, undefined],
    ["%24alt=json%3Benum-encoding%3Dint", true, false, undefined],
    ["alt=sse", false, true, undefined],
    ["$alt=sse;enum-encoding=int&prettyPrint=true", true, true, true],
    ["prettyPrint=false&key=k&access_token=t&fields=a&quotaUser=u&$.xgafv=2", false, false, false],
  ] as const) {
    test(`"${query}"`, () => {
      assert.deepEqual(binder.systemParameters(query), { enumsAsNumbers, sse, prettyPrint });
      assert.doesNotThrow(() => bindSystem(query));
    });
  }
  for (const query of [
    "$alt=",
    "$alt=media",
    "alt=json;enum-encoding=string",
    "alt=json;x=1;y=2",
    "prettyPrint=2",
  ]) {
    test(`"${query}" is refused`, () =>
      assert.equal(refusedFields(() => binder.systemParameters(query)).length, 1));
  }
  test("they are unknown unless asked for", () => {
    const plain = compileBinder(routeOf("search", "GET /v1/kinds"), { unknownQuery: "reject" });
    assert.deepEqual(
      refusedFields(() => plain.bind({ captures: [], query: "$alt=json", body: undefined })),
      ["$alt"],
    );
    assert.equal(plain.systemParameters("$alt=json;enum-encoding=int").enumsAsNumbers, false);
  });
});
