/** Fault rows F05 and F06 of OpenAPI documents. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
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
