/** Fault rows F05 and F06 of OpenAPI documents. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import {
  buildClientSchema,
  getIntrospectionQuery,
  type IntrospectionQuery,
  isEnumType,
  validateSchema,
} from "graphql";
import { docs } from "../../../src/entries/docs.ts";
import { graphql } from "../../../src/entries/graphql.ts";
import { mcp } from "../../../src/entries/mcp.ts";
import { builtContract } from "../../support/built-contract.ts";
import { elementsOf, membersOf } from "../../support/open-document.ts";
import { OpenapiHost } from "../../support/openapi-host.ts";

const oddProto = `
syntax = "proto3";
package odd.v1;
import "google/api/annotations.proto";
import "odd/v2/odd.proto";
service OddService {
  rpc Grow(Tree) returns (Tree) { option (google.api.http) = {post: "/v1/trees" body: "*"}; }
  rpc Same(Nothing) returns (odd.v2.Tree) { option (google.api.http) = {get: "/v1/same"}; }
  rpc Pick(Nothing) returns (Many) { option (google.api.http) = {get: "/v1/many"}; }
}
message Tree { Tree left = 1; repeated Tree others = 2; map<string, Tree> named = 3; string __x = 4; }
message Nothing {}
message Many { Hundreds value = 1; }
enum Hundreds { ${Array.from({ length: 600 }, (_, number) => `HUNDREDS_${number} = ${number};`).join(" ")} }
`;
const otherProto = `
syntax = "proto3";
package odd.v2;
message Tree { string name = 1; Hundreds value = 2; enum Hundreds { HUNDREDS_NONE = 0; } }
`;

test("F05 messages in themselves, equal names, empty messages and large enums are described", async () => {
  const { services } = builtContract({ "odd.proto": oddProto, "odd/v2/odd.proto": otherProto });
  await using host = await OpenapiHost.of(services.filter(({ typeName }) => typeName.startsWith("odd.")));
  const document = await host.document();
  const schemas = membersOf(document.components.schemas);
  const names = [...schemas.keys()].filter((name) => /Tree|Nothing|Many|Hundreds/.test(name));
  assert.deepEqual(names, ["Hundreds", "Many", "OddV1Tree", "OddV1TreeInput", "OddV2Tree", "TreeHundreds"]);
  assert.equal(elementsOf(membersOf(schemas.get("Hundreds") ?? assert.fail()).get("enum")).length, 600);
  const tree = membersOf((schemas.get("OddV1Tree") ?? assert.fail()).properties);
  assert.deepEqual([...tree.keys()], ["left", "others", "named", "X"]);
  const ajv = addFormats.default(new Ajv2020({ strict: false }));
  ajv.addSchema(document, "document");
  for (const [name, value, isValid] of [
    ["OddV1TreeInput", { left: { left: {}, named: { a: { others: [{}] } } } }, true],
    ["OddV1TreeInput", { left: { left: { left: 1 } } }, false],
    ["Many", { value: "HUNDREDS_599" }, true],
    ["Many", { value: "HUNDREDS_600" }, false],
  ] as const) {
    const validate = ajv.getSchema(`document#/components/schemas/${name}`) ?? assert.fail(name);
    assert.equal(validate(value), isValid, `${name} ${JSON.stringify(value)}`);
  }
});

test("F05 the same contract has a schema of GraphQL, tools and a model", async () => {
  const { services } = builtContract({ "odd.proto": oddProto, "odd/v2/odd.proto": otherProto });
  const odd = services.filter(({ typeName }) => typeName.startsWith("odd."));
  await using host = await OpenapiHost.of(odd, { faces: [graphql(), mcp({ expose: "all" }), docs()] });
  const ask = async (path: string, body: object): Promise<{ data: unknown; result: unknown }> => {
    const headers = { "content-type": "application/json", "mcp-protocol-version": "2025-11-25" };
    const init = { method: "POST", headers, body: JSON.stringify(body) };
    return (await (await fetch(host.origin + path, init)).json()) as { data: unknown; result: unknown }; // Of both.
  };
  const { data } = await ask("/graphql", { query: getIntrospectionQuery() });
  const schema = buildClientSchema(data as IntrospectionQuery);
  assert.deepEqual(validateSchema(schema), []);
  const names = Object.keys(schema.getTypeMap()).filter((name) => /Tree|Nothing|Many|Hundreds/.test(name));
  assert.deepEqual(names.toSorted(), [
    "Hundreds",
    "Many",
    "OddV1Tree",
    "OddV1TreeInput",
    "OddV1TreeNamedEntry",
    "OddV1TreeNamedEntryInput",
    "OddV2Tree",
    "TreeHundreds",
  ]);
  const hundreds = schema.getType("Hundreds");
  assert.ok(isEnumType(hundreds) && hundreds.getValues().length >= 600);
  const { result } = await ask("/mcp", { jsonrpc: "2.0", id: 1, method: "tools/list" });
  const { tools } = result as { tools: readonly { inputSchema: object; outputSchema?: object }[] }; // Of the list.
  assert.equal(tools.length, 3);
  const ajv = addFormats.default(new Ajv2020({ strict: false }));
  for (const { inputSchema, outputSchema } of tools) {
    ajv.compile(inputSchema);
    if (outputSchema !== undefined) ajv.compile(outputSchema);
  }
  assert.equal((await fetch(`${host.origin}/docs/model.json`)).status, 200);
});

test("F06 while a face refuses other services, no request fails and the document stays", async () => {
  const { services } = builtContract({
    "ids.proto": `
      syntax = "proto3";
      package ids.v1;
      import "google/api/annotations.proto";
      import "ts_ms/v1/faces.proto";
      service GoodService { rpc One(A) returns (A) { option (google.api.http) = {get: "/v1/one"}; } }
      service BadService {
        rpc Two(A) returns (A) { option (ts_ms.v1.faces) = {openapi: {operation_id: "same"}}; }
        rpc Three(A) returns (A) { option (ts_ms.v1.faces) = {openapi: {operation_id: "same"}}; }
      }
      message A { string name = 1; }`,
  });
  const good = services.find(({ name }) => name === "GoodService") ?? assert.fail();
  const bad = services.find(({ name }) => name === "BadService") ?? assert.fail();
  await using host = await OpenapiHost.of([good]);
  const before = await (await fetch(`${host.origin}/openapi.json`)).text();
  let isOver = false;
  let answered = 0;
  const client = async (): Promise<void> => {
    while (!isOver) {
      const response = await fetch(`${host.origin}/openapi.json`);
      assert.equal(response.status, 200);
      assert.equal(await response.text(), before);
      assert.equal((await fetch(`${host.origin}/v1/one`)).status, 501); // No service implements it.
      answered++;
    }
  };
  const clients = [client(), client(), client(), client()];
  for (let round = 0; round < 20; round++) {
    assert.throws(
      () => host.http.replaceServices([good, bad]),
      /the operation id same is that of ids\.v1\.BadService\/Two and ids\.v1\.BadService\/Three/,
    );
    await new Promise((resolve) => setImmediate(resolve));
  }
  isOver = true;
  await Promise.all(clients);
  assert.ok(answered >= 4);
});
