import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { SearchRequestSchema } from "../../../gen/tsms/test/v1/binding_pb.ts";
import { compileBinder } from "../../../src/gateway/binding/bind.ts";
import { textFormDefaults, type TextForms } from "../../../src/gateway/binding/text-forms.ts";
import { refusedFields, routeOf } from "./binding-fixture.ts";

type Form = keyof TextForms;

function bindQuery(query: string, form?: Form): unknown {
  const forms = form === undefined ? textFormDefaults : { ...textFormDefaults, [form]: true };
  const binder = compileBinder(routeOf("search", "GET /v1/kinds"), { forms });
  return binder.bind({ captures: [], query, body: undefined });
}

/** A form, a query that it allows, what comes out, and the field that is refused without the form. */
const allowed: readonly [
  form: Form,
  query: string,
  expected: MessageInitShape<typeof SearchRequestSchema>,
  field: string,
][] = [
  ["enumAnyCase", "kinds.kind=kind_Large", { kinds: { kind: 2 } }, "kinds.kind"],
  ["enumShortNames", "kinds.kind=LARGE", { kinds: { kind: 2 } }, "kinds.kind"],
  ["goDurations", "kinds.duration=1h2m3s", { kinds: { duration: { seconds: 3723n } } }, "kinds.duration"],
  ["jsonMessages", "kinds={%22int32Value%22:1}", { kinds: { int32Value: 1 } }, "kinds"],
  ["jsonMessages", "parts={%22int32Value%22:1}&parts={}", { parts: [{ int32Value: 1 }, {}] }, "parts"],
  [
    "jsonMessages",
    "kinds.child_map[a]={%22int32Value%22:1}",
    { kinds: { childMap: { a: { int32Value: 1 } } } },
    "kinds.child_map",
  ],
  ["dottedMapKeys", "counts.a=1&counts[b]=2&counts.c.d=3", { counts: { a: 1, b: 2, "c.d": 3 } }, "counts"],
  ["bracketLists", "tags[]=a&tags=b&tags%5B%5D=c", { tags: ["a", "b", "c"] }, "tags"],
  [
    "commaLists",
    "kinds.int32_list=1,2&kinds.int32_list=3",
    { kinds: { int32List: [1, 2, 3] } },
    "kinds.int32_list",
  ],
];

/** A form, and a query that is refused all the same. */
const refused: readonly [form: Form, query: string, field: string][] = [
  ["enumAnyCase", "kinds.kind=large", "kinds.kind"],
  ["enumShortNames", "kinds.kind=large", "kinds.kind"],
  ["goDurations", "kinds.duration=1x", "kinds.duration"],
  ["jsonMessages", "kinds={", "kinds"],
  ["jsonMessages", "kinds.any={}", "kinds.any"],
  ["dottedMapKeys", "counts.a=x", 'counts["a"]'],
  ["dottedMapKeys", "counts.a=1&counts[a]=2", 'counts["a"]'],
  ["dottedMapKeys", "counts.a[b]=1", "counts"],
  ["bracketLists", "tags[0]=a", "tags"],
  ["bracketLists", "page_size[]=1", "page_size"],
  ["commaLists", "kinds.int32_list=1,,2", "kinds.int32_list"],
];

suite("optional spellings (transcoding B7)", () => {
  for (const [form, query, expected, field] of allowed) {
    test(`${form}: ${query}`, () => {
      assert.deepEqual(bindQuery(query, form), create(SearchRequestSchema, expected));
      assert.ok(refusedFields(() => bindQuery(query)).includes(field));
    });
  }
  for (const [form, query, field] of refused) {
    test(`${form}: ${query} is refused`, () =>
      assert.deepEqual(
        refusedFields(() => bindQuery(query, form)),
        [field],
      ));
  }
  test("dottedMapKeys: __proto__ is a key of its own", () => {
    const message = bindQuery("counts.__proto__=1", "dottedMapKeys") as { counts: object }; // As the contract says.
    assert.deepEqual(Object.keys(message.counts), ["__proto__"]);
  });
  test("enum forms hold for path variables too", () => {
    const forms = { ...textFormDefaults, enumAnyCase: true, enumShortNames: true };
    const binder = compileBinder(routeOf("getItem", "GET /v1/{kind}"), { forms });
    const message = binder.bind({ captures: ["large"], query: "", body: undefined });
    assert.equal((message as { kind?: number }).kind, 2);
  });
  test("allowed names are skipped in silence", () => {
    const ignored: string[] = [];
    const binder = compileBinder(routeOf("search", "GET /v1/kinds"), {
      unknownQuery: "reject",
      allowedQuery: ["utm_source"],
      onIgnored: (_place, name) => ignored.push(name),
    });
    const bind = (query: string): unknown => binder.bind({ captures: [], query, body: undefined });
    bind("utm_source=x");
    assert.deepEqual(ignored, []);
    assert.deepEqual(
      refusedFields(() => bind("utm_source=x&utm_medium=y")),
      ["utm_medium"],
    );
  });
});
