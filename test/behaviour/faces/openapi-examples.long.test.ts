/** Examples in OpenAPI documents: rule 10 of the faces. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import type { HttpServerOptions } from "../../../src/index.ts";
import { LibraryService } from "../../../src/services/library/library-service.ts";
import { builtContract } from "../../support/built-contract.ts";
import { kindsProto } from "../../support/kinds-contract.ts";
import { elementsOf, type Part, textOf } from "../../support/open-document.ts";
import { OpenapiHost } from "../../support/openapi-host.ts";
import { shopProto } from "../../support/shop-contract.ts";

const built = builtContract({ "shop.proto": shopProto });
const kinds = builtContract({ "kinds.proto": kindsProto });
const shop = built.services.find(({ typeName }) => typeName === "shop.v1.ShopService") ?? assert.fail();
const library = new LibraryService().descriptor;

suite("rule 10: examples of requests, replies and parameters fit their schemas", () => {
  const forms: Readonly<Record<string, readonly [Partial<HttpServerOptions>, query: string]>> = {
    "as usual": [{}, ""],
    "of everything that is taken": [{}, "?inputs=exact"],
    "closed, in 3.2": [{ unknownFields: "reject" }, "?version=3.2"],
    "other names and numbers": [{ fieldNames: "proto", enums: "number", int64: "number" }, ""],
    "without defaults": [{ defaults: "omit", int64: "safe-number" }, ""],
  };
  for (const [name, [options, query]] of Object.entries(forms)) {
    test(name, async () => {
      await using host = await OpenapiHost.of([shop, library, ...kinds.services], options);
      const document = await host.document(query);
      const ajv = new Ajv2020({ strict: false, allErrors: true, logger: false });
      addFormats.default(ajv);
      ajv.addSchema({ $id: "doc", ...document });
      let count = 0;
      for (const { schema, example } of withExamples(document)) {
        const fits = ajv.compile(absolute(schema));
        assert.ok(fits(example), `${JSON.stringify(example)}: ${JSON.stringify(fits.errors)}`);
        count++;
      }
      assert.ok(count > 60, `${count} examples`);
    });
  }

  test("they say what a field is about, by patterns of resources, and have nothing hidden", async () => {
    await using host = await OpenapiHost.of([library, shop]);
    const document = await host.document();
    const { get, patch } = document.paths["/v1/shelves/{shelf}/books/{book}"];
    const [shelf, book] = elementsOf(get.parameters);
    assert.deepEqual([shelf?.example, book?.example], ["1", "1"]);
    const { example } = get.responses["200"].content["application/json"];
    assert.equal(example.name, "shelves/1/books/1");
    const change = patch.requestBody.content["application/json"].example;
    assert.ok(textOf(change.title));
    assert.equal(change.name, undefined, "the path has it");
    for (const one of withExamples(document))
      assert.doesNotMatch(JSON.stringify(one.example), /"(?:dark|early)":/);
    await using other = await OpenapiHost.of([library, shop]);
    assert.deepEqual(await other.document(), document, "the same bytes");
  });
});

/** A service whose request has messages in one another, beside so many other types. */
function nested(others: number) {
  const levels = [1, 2, 3, 4, 5].map(
    (level) => `message L${level} { string text = 1; L${level + 1} in = 2; }`,
  );
  const more = Array.from({ length: others }, (_, at) => `message T${at} { string text = 1; }`);
  const fields = more.map((_, at) => `T${at} t${at} = ${at + 3};`);
  return builtContract({
    "nested.proto": `syntax = "proto3";
      package nested.v1;
      import "google/api/annotations.proto";
      service NestedService {
        rpc Put(L1) returns (L1) { option (google.api.http) = { post: "/other" body: "*" }; }
        rpc List(All) returns (All) { option (google.api.http) = { post: "/list" body: "*" }; }
      }
      message L6 { string text = 1; }
      message All { ${fields.join("\n")} }
      ${[...levels, ...more].join("\n")}`,
  }).services;
}

test("rule 10: examples have messages four deep, and three in a document of very many types", async () => {
  for (const [others, depth] of [
    [1, 4],
    [500, 3],
  ] as const) {
    await using host = await OpenapiHost.of(nested(others));
    const { paths } = await host.document();
    const { example } = paths["/other"].post.requestBody.content["application/json"];
    const found = JSON.stringify(example).split('"text":').length - 1;
    assert.equal(found, depth);
  }
});

/** Everything in a document that has a schema and an example of it. */
function* withExamples(value: unknown): Generator<{ readonly schema: Part; readonly example: unknown }> {
  if (typeof value !== "object" || value === null) return;
  if ("schema" in value && "example" in value) yield value as { schema: Part; example: unknown }; // As is asked.
  for (const inside of Object.values(value)) yield* withExamples(inside);
}

/** The schema with references that a compiler finds in the document of the id `doc`. */
function absolute(schema: Part): Part {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"doc#/')) as Part;
}
