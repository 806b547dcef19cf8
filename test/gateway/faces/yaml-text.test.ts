import assert from "node:assert/strict";
import { test } from "node:test";
import type { JsonValue } from "@bufbuild/protobuf";
import fc from "fast-check";
import { parse } from "yaml";
import { yamlText } from "../../../src/gateway/faces/openapi/yaml-text.ts";

test("YAML reads as the same JSON", () => {
  const texts = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.string(),
    fc
      .array(
        fc.constantFrom("a", " ", "\n", "\t", "-", ":", "#", "'", "yes", "1", "|", "é", "\ufeff", "\u2028"),
        { maxLength: 8 },
      )
      .map((parts) => parts.join("")),
    fc.constantFrom(
      "null",
      "~",
      "1e3",
      "0x1",
      "012",
      "=",
      "- a",
      "a: b",
      "a #b",
      "a\nb",
      " a\nb",
      "a\n b\n\nc",
      "2001-01-01",
    ),
  );
  const { tree } = fc.letrec<{ tree: JsonValue }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      texts,
      fc.boolean(),
      fc.constant(null),
      fc.double({ noNaN: true, noDefaultInfinity: true }).filter((one) => !Object.is(one, -0)),
      fc.array(tie("tree"), { maxLength: 4 }),
      fc.dictionary(texts, tie("tree"), { maxKeys: 4, noNullPrototype: true }),
    ) as fc.Arbitrary<JsonValue>,
  }));
  fc.assert(
    fc.property(fc.dictionary(texts, tree, { noNullPrototype: true }), (value) => {
      assert.deepEqual(parse(yamlText(value)), value, yamlText(value));
    }),
    { numRuns: 500 },
  );
});

test("YAML for people", () => {
  const value = {
    name: "x",
    list: [{ a: 1, b: ["y"] }, [], {}],
    text: "One.\n\nTwo.",
    paths: { "/v1/x": { get: true } },
  };
  const text = `name: x
list:
  - a: 1
    b:
      - "y"
  - []
  - {}
text: |-
  One.

  Two.
paths:
  "/v1/x":
    get: true
`;
  assert.equal(yamlText(value), text);
});
