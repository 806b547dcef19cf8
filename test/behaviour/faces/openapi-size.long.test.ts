/** Fault row F07 of OpenAPI documents, and contracts of thousands of types. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { create, type DescService, setExtension } from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
  FileDescriptorProtoSchema,
  MethodOptionsSchema,
} from "@bufbuild/protobuf/wkt";
import { http } from "../../../gen/google/api/annotations_pb.ts";
import { HttpRuleSchema } from "../../../gen/google/api/http_pb.ts";
import { Comments } from "../../../src/core/contract/comments.ts";
import { linkFiles } from "../../../src/core/schema/file-set.ts";
import { makeDocument } from "../../../src/gateway/faces/openapi/document.ts";
import { jsonText } from "../../../src/gateway/faces/openapi/document-text.ts";
import { foreignDocument } from "../../../src/gateway/faces/openapi/foreign-documents.ts";
import { openapiDefaults } from "../../../src/gateway/faces/openapi/openapi-options.ts";
import { documentSecurity } from "../../../src/gateway/faces/openapi/security-schemes.ts";
import { operationIds, Shown } from "../../../src/gateway/faces/openapi/shown-routes.ts";
import { givenToFaces, inSteps } from "../../support/faces-given.ts";
import { largeContract } from "../../support/large-contract.ts";
import { membersOf } from "../../support/open-document.ts";
import { OpenapiHost } from "../../support/openapi-host.ts";

test("F07 no step towards the document of 2,000 rpcs and 5,000 types takes the thread 50 ms", async () => {
  const { contract, host } = await givenToFaces([largeContract(2000, 5000)]);
  const shown = new Shown(contract, openapiDefaults);
  const document = makeDocument({
    ...{ shown, host, ids: operationIds(shown), comments: new Comments(), options: openapiDefaults },
    registry: undefined,
    foreign: foreignDocument(shown.services.map(({ file }) => file)),
    ...({ version: "3.1.1", inputs: "canonical", security: documentSecurity({}, []) } as const),
  });
  const made = inSteps(document);
  assert.ok(made.longestMs <= 50, `a step of the document takes ${made.longestMs} ms`);
  const text = inSteps(jsonText(made.value));
  assert.ok(text.longestMs <= 50, `a step of the text takes ${text.longestMs} ms`);
  assert.match(String(text.value), /"Large_Call1999"/);
});

/** A service whose message contains another, which contains another, and so on. */
function deepContract(depth: number): DescService {
  const options = create(MethodOptionsSchema);
  const pattern = { case: "post", value: "/v1/deep" } as const;
  setExtension(options, http, create(HttpRuleSchema, { pattern, body: "*" }));
  const next = (index: number): object => ({
    ...{ name: "next", number: 1, type: Type.MESSAGE, label: Label.OPTIONAL },
    typeName: `.deep.v1.T${index}`,
  });
  const file = create(FileDescriptorProtoSchema, {
    ...{ name: "deep/v1/deep.proto", package: "deep.v1", syntax: "proto3" },
    dependency: ["google/api/annotations.proto"],
    messageType: Array.from({ length: depth }, (_, index) => ({
      name: `T${index}`,
      field: index + 1 < depth ? [next(index + 1)] : [],
    })),
    service: [
      {
        name: "Deep",
        method: [{ name: "Call", inputType: ".deep.v1.T0", outputType: ".deep.v1.T0", options }],
      },
    ],
  });
  return linkFiles([file], "deep").getService("deep.v1.Deep") ?? assert.fail("no service");
}

test("types that contain one another 5,000 deep are served and described", async () => {
  await using host = await OpenapiHost.of([deepContract(5000)]);
  const { components } = await host.document();
  assert.ok(membersOf(components.schemas).has("T4999"));
  const response = await fetch(`${host.origin}/v1/deep`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: '{"next":{"next":{"wrong":1}}}',
  });
  assert.equal(response.status, 501); // The request was read; no service implements the rpc.
});
