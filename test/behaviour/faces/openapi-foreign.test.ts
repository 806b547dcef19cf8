/** Rule 36 of the faces: options of other projects, by the names that their definitions have. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { leftOutOptions } from "../../../src/gateway/faces/openapi/foreign-documents.ts";
import { openapi } from "../../../src/entries/openapi.ts";
import { builtContract } from "../../support/built-contract.ts";
import { partAt } from "../../support/open-document.ts";
import { OpenapiHost } from "../../support/openapi-host.ts";

/** As much of grpc-gateway's options as the contract below uses. */
const swaggerOptions = `
syntax = "proto3";
package grpc.gateway.protoc_gen_openapiv2.options;
import "google/protobuf/descriptor.proto";
message Swagger {
  Info info = 2;
  string host = 3;
  string base_path = 4;
  repeated Scheme schemes = 5;
  repeated string consumes = 6;
  SecurityDefinitions security_definitions = 11;
  repeated Tag tags = 13;
  ExternalDocumentation external_docs = 14;
}
enum Scheme { UNKNOWN = 0; HTTP = 1; HTTPS = 2; }
message Info { string title = 1; string description = 2; Contact contact = 4; string version = 6; }
message Contact { string name = 1; string url = 2; string email = 3; }
message Tag { string name = 1; string description = 2; ExternalDocumentation external_docs = 3; }
message ExternalDocumentation { string description = 1; string url = 2; }
message SecurityDefinitions { map<string, SecurityScheme> security = 1; }
message SecurityScheme {
  enum Type { TYPE_INVALID = 0; TYPE_BASIC = 1; TYPE_API_KEY = 2; TYPE_OAUTH2 = 3; }
  enum In { IN_INVALID = 0; IN_QUERY = 1; IN_HEADER = 2; }
  enum Flow { FLOW_INVALID = 0; FLOW_IMPLICIT = 1; FLOW_PASSWORD = 2; FLOW_APPLICATION = 3; FLOW_ACCESS_CODE = 4; }
  Type type = 1;
  string description = 2;
  string name = 3;
  In in = 4;
  Flow flow = 5;
  string authorization_url = 6;
  string token_url = 7;
  Scopes scopes = 8;
}
message Scopes { map<string, string> scope = 1; }
message Operation {
  repeated string tags = 1;
  string summary = 2;
  string description = 3;
  string operation_id = 5;
  repeated string consumes = 6;
  map<string, Response> responses = 9;
  bool deprecated = 11;
  repeated SecurityRequirement security = 12;
}
message Response { string description = 1; }
message SecurityRequirement {
  message Value { repeated string scope = 1; }
  map<string, Value> security_requirement = 1;
}
message Schema { JSONSchema json_schema = 1; string example = 6; }
message EnumSchema { string description = 1; string title = 3; }
message JSONSchema {
  string title = 5;
  string description = 6;
  string example = 9;
  double maximum = 11;
  bool exclusive_maximum = 12;
  uint64 max_length = 15;
  string pattern = 17;
  repeated string array = 34;
  string format = 36;
}
extend google.protobuf.FileOptions { Swagger openapiv2_swagger = 1042; }
extend google.protobuf.MethodOptions { Operation openapiv2_operation = 1042; }
extend google.protobuf.MessageOptions { Schema openapiv2_schema = 1042; }
extend google.protobuf.EnumOptions { EnumSchema openapiv2_enum = 1042; }
extend google.protobuf.ServiceOptions { Tag openapiv2_tag = 1042; }
extend google.protobuf.FieldOptions { JSONSchema openapiv2_field = 1042; }
`;

/** As much of gnostic's. */
const gnosticOptions = `
syntax = "proto3";
package openapi.v3;
import "google/protobuf/descriptor.proto";
message Document { Info info = 2; repeated Server servers = 3; Components components = 5; }
message Info { string title = 1; string version = 6; }
message Server { string url = 1; string description = 2; }
message Components { Names schemas = 1; SecuritySchemesOrReferences security_schemes = 7; }
message Names { repeated string names = 1; }
message SecuritySchemesOrReferences { repeated Named additional_properties = 1; }
message Named { string name = 1; SecuritySchemeOrReference value = 2; }
message SecuritySchemeOrReference { SecurityScheme security_scheme = 1; Reference reference = 2; }
message Reference { string _ref = 1; }
message SecurityScheme { string type = 1; string scheme = 5; string bearer_format = 6; OauthFlows flows = 7; }
message OauthFlows { OauthFlow client_credentials = 3; OauthFlow authorization_code = 4; }
message OauthFlow { string authorization_url = 1; string token_url = 2; string refresh_url = 3; Strings scopes = 4; }
message Strings { repeated NamedString additional_properties = 1; }
message NamedString { string name = 1; string value = 2; }
message Operation { string summary = 2; bool deprecated = 10; repeated NamedAny specification_extension = 13; }
message NamedAny { string name = 1; Any value = 2; }
message Any { string yaml = 2; }
message Schema { string title = 7; bool nullable = 1; int64 max_length = 13; string description = 25; Any example = 6; }
extend google.protobuf.FileOptions { Document document = 1143; }
extend google.protobuf.MethodOptions { Operation operation = 1143; }
extend google.protobuf.FieldOptions { Schema property = 1143; }
`;

const ordersProto = `
syntax = "proto3";
package orders.v1;
import "google/api/annotations.proto";
import "options/swagger.proto";
import "ts_ms/v1/faces.proto";
option (grpc.gateway.protoc_gen_openapiv2.options.openapiv2_swagger) = {
  info: {title: "Orders" version: "2.1" contact: {name: "Ada"}}
  host: "api.example.com" base_path: "/shop" schemes: [HTTPS]
  consumes: "application/json"
  security_definitions: {security: [
    {key: "key" value: {type: TYPE_API_KEY in: IN_HEADER name: "x-key"}},
    {key: "basic" value: {type: TYPE_BASIC}},
    {key: "oauth" value: {type: TYPE_OAUTH2 flow: FLOW_APPLICATION token_url: "https://a/t" scopes: {scope: [{key: "read" value: "Reads"}]}}}
  ]}
  external_docs: {url: "https://example.com/docs"}
};
service OrderService {
  option (grpc.gateway.protoc_gen_openapiv2.options.openapiv2_tag) = {name: "orders" description: "All of them."};
  // A comment.
  rpc Place(Order) returns (Order) {
    option (google.api.http) = {post: "/v1/orders" body: "*"};
    option (grpc.gateway.protoc_gen_openapiv2.options.openapiv2_operation) = {
      tags: "placing" summary: "Places" description: "Places an order." operation_id: "place" deprecated: true
      consumes: "application/xml"
      responses: [{key: "200" value: {description: "It is placed."}}, {key: "409" value: {description: "It is there."}}]
      security: {security_requirement: [{key: "oauth" value: {scope: "read"}}]}
    };
  }
  rpc Move(Order) returns (Order) {
    option (google.api.http) = {post: "/v1/orders:move" body: "*"};
    option (ts_ms.v1.faces) = {openapi: {operation_id: "ours" tags: "own" summary: "Ours"}};
    option (grpc.gateway.protoc_gen_openapiv2.options.openapiv2_operation) = {summary: "Theirs" operation_id: "x" tags: "y"};
  }
}
message Order {
  option (grpc.gateway.protoc_gen_openapiv2.options.openapiv2_schema) = {json_schema: {title: "An order"} example: '{"name": "a"}'};
  // A comment.
  string name = 1 [(grpc.gateway.protoc_gen_openapiv2.options.openapiv2_field) = {
    title: "Name" description: "Theirs." example: '"a"' max_length: 9 pattern: "^a" array: "x" format: "slug"
  }];
  int32 count = 2 [(grpc.gateway.protoc_gen_openapiv2.options.openapiv2_field) = {maximum: 7 exclusive_maximum: true}];
  Size size = 3;
}
enum Size {
  option (grpc.gateway.protoc_gen_openapiv2.options.openapiv2_enum) = {title: "How large"};
  SIZE_UNSPECIFIED = 0;
}
`;

const notesProto = `
syntax = "proto3";
package notes.v1;
import "google/api/annotations.proto";
import "options/gnostic.proto";
option (openapi.v3.document) = {
  info: {title: "Notes" version: "3"}
  servers: {url: "https://notes.example.com" description: "Production"}
  components: {
    schemas: {names: "Unsaid"}
    security_schemes: {additional_properties: [
      {name: "bearer" value: {security_scheme: {type: "http" scheme: "bearer" bearer_format: "JWT"}}},
      {name: "oauth" value: {security_scheme: {type: "oauth2" flows: {
        client_credentials: {token_url: "https://a/t"}
        authorization_code: {
          authorization_url: "https://a/a" token_url: "https://a/t" refresh_url: "https://a/r"
          scopes: {additional_properties: [{name: "read" value: "Reads"}, {name: "write" value: "Writes"}]}
        }
      }}}},
      {name: "elsewhere" value: {reference: {_ref: "https://example.com/schemes#one"}}}
    ]}
  }
};
service NoteService {
  rpc Take(Note) returns (Note) {
    option (google.api.http) = {post: "/v1/notes" body: "*"};
    option (openapi.v3.operation) = {summary: "Takes" deprecated: true specification_extension: {name: "x-cost" value: {yaml: "5"}}};
  }
}
message Note {
  string text = 1 [(openapi.v3.property) = {title: "Text" max_length: 100 nullable: true example: {yaml: "hello"}}];
}
`;

const built = builtContract({
  "options/swagger.proto": swaggerOptions,
  "options/gnostic.proto": gnosticOptions,
  "orders.proto": ordersProto,
  "notes.proto": notesProto,
});
const orders = built.services.filter(({ name }) => name === "OrderService");
const notes = built.services.filter(({ name }) => name === "NoteService");

test("rule 36: options of OpenAPI 2 are said, moved where OpenAPI 3 has moved them", async () => {
  await using host = await OpenapiHost.of(orders, { comments: built.image });
  const document = await host.document();
  assert.deepEqual(document.info, { title: "Orders", version: "2.1", contact: { name: "Ada" } });
  assert.deepEqual(document.servers, [{ url: "https://api.example.com/shop" }]);
  assert.deepEqual(document.externalDocs, { url: "https://example.com/docs" });
  assert.deepEqual(document.tags, [
    { name: "orders", description: "All of them." },
    { name: "placing" },
    { name: "own" },
  ]);
  assert.deepEqual(document.components.securitySchemes, {
    basic: { type: "http", scheme: "basic" },
    key: { type: "apiKey", in: "header", name: "x-key" },
    oauth: {
      type: "oauth2",
      flows: { clientCredentials: { tokenUrl: "https://a/t", scopes: { read: "Reads" } } },
    },
  });
  const { post } = partAt(document.paths, "/v1/orders");
  assert.partialDeepStrictEqual(post, {
    operationId: "place",
    tags: ["placing"],
    summary: "Places",
    description: "Places an order.",
    deprecated: true,
    security: [{ oauth: ["read"] }],
  });
  assert.equal(post.responses["200"].description, "It is placed.");
  assert.equal(post.responses["200"].content["application/json"].schema.$ref, "#/components/schemas/Order");
  assert.deepEqual(partAt(post.responses, "409"), { description: "It is there." });
  // Options of ours have precedence.
  assert.partialDeepStrictEqual(partAt(document.paths, "/v1/orders:move").post, {
    operationId: "ours",
    tags: ["own"],
    summary: "Ours",
  });
  const order = partAt(document.components.schemas, "Order");
  assert.equal(order.title, "An order");
  assert.partialDeepStrictEqual(partAt(order.properties, "name"), {
    title: "Name",
    description: "Theirs.",
    examples: ["a"],
    maxLength: 9,
    pattern: "^a",
    format: "slug",
  });
  assert.partialDeepStrictEqual(partAt(order.properties, "count"), { exclusiveMaximum: 7 });
  assert.equal(partAt(document.components.schemas, "Size").title, "How large");
});

test("rule 36: options of gnostic; those of openapi() and what is laid over the document win", async () => {
  await using host = await OpenapiHost.of(notes);
  const document = await host.document();
  assert.deepEqual(document.info, { title: "Notes", version: "3" });
  assert.deepEqual(document.servers, [{ url: "https://notes.example.com", description: "Production" }]);
  assert.deepEqual(document.components.securitySchemes, {
    bearer: { type: "http", scheme: "bearer", bearerFormat: "JWT" },
    oauth: {
      type: "oauth2",
      flows: {
        clientCredentials: { tokenUrl: "https://a/t", scopes: {} },
        authorizationCode: {
          authorizationUrl: "https://a/a",
          tokenUrl: "https://a/t",
          refreshUrl: "https://a/r",
          scopes: { read: "Reads", write: "Writes" },
        },
      },
    },
  });
  const { post } = partAt(document.paths, "/v1/notes");
  assert.partialDeepStrictEqual(post, { summary: "Takes", deprecated: true, "x-cost": 5 });
  assert.partialDeepStrictEqual(partAt(partAt(document.components.schemas, "Note").properties, "text"), {
    title: "Text",
    maxLength: 100,
    examples: ["hello"],
  });
  const face = openapi({
    title: "Ours",
    version: "4",
    servers: [{ url: "https://ours" }],
    security: { key: { type: "apiKey", in: "header", name: "k" } },
    base: { info: { version: "5" } },
  });
  await using other = await OpenapiHost.of(notes, { faces: [face] });
  const ours = await other.document();
  assert.deepEqual(ours.info, { title: "Ours", version: "5" });
  assert.deepEqual(ours.servers, [{ url: "https://ours" }]);
  assert.deepEqual(Object.keys(ours.components.securitySchemes), ["key"]);
});

test("rule 36: what cannot be said is named", () => {
  const found = leftOutOptions([...orders, ...notes]).map(({ element, option }) => ({ element, option }));
  assert.deepEqual(found, [
    { element: "orders.proto", option: "openapiv2_swagger.consumes" },
    { element: "notes.proto", option: "document.components.schemas" },
    { element: "notes.proto", option: "document.components.security_schemes.elsewhere" },
    { element: "orders.v1.OrderService.Place", option: "openapiv2_operation.consumes" },
    { element: "orders.v1.Order.name", option: "openapiv2_field.array" },
    { element: "notes.v1.Note.text", option: "property.nullable" },
  ]);
});
