import assert from "node:assert/strict";

/** Paths, media types and statuses that tests look up. */
type Key =
  | "/left/{name}"
  | "/other"
  | "/shop.v1.ShopService/GetItem"
  | "/shop.v1.ShopService/Unbound"
  | "/v1/anyway/{name}"
  | "/v1/files/{name}"
  | "/v1/items/{name}"
  | "/v1/items:send"
  | "/v1/items:talk"
  | "/v1/locks/{name}"
  | "/v1/pick/{left}"
  | "/v1/preview/{name}"
  | "/v1/quiet/{name}"
  | "/v1/shelves"
  | "/v1/shelves/{shelf}/books/{book}"
  | "/v1/shelves/{shelf}/items"
  | "/v1/shelves/{shelf}/items/{item}"
  | "/v1/shelves/{shelf}/items:follow"
  | "/v1/shelves/{shelf}/items:search"
  | "/v1/uploads"
  | "200"
  | "201"
  | "202"
  | "204"
  | "Retry-After"
  | "application/json"
  | "application/problem+json"
  | "application/proto"
  | "application/x-ndjson"
  | "text/event-stream"
  | "x-audience"
  | "x-ts-ms-methods"
  | "x-ts-ms-multi-segment"
  | "x-ts-ms-unknown-query"
  | "x-ts-ms-websocket";

/** Names of members that tests look at. */
type Name =
  | "$ref"
  | "additionalOperations"
  | "additionalProperties"
  | "anyOf"
  | "cents"
  | "components"
  | "content"
  | "contentSchema"
  | "dark"
  | "data"
  | "delete"
  | "deprecated"
  | "description"
  | "early"
  | "Error"
  | "Error429"
  | "ErrorDetail"
  | "example"
  | "externalDocs"
  | "get"
  | "headers"
  | "info"
  | "Item"
  | "items"
  | "Kind"
  | "length"
  | "Location"
  | "LOCK"
  | "message"
  | "name"
  | "openapi"
  | "operationId"
  | "parameters"
  | "patch"
  | "paths"
  | "post"
  | "properties"
  | "put"
  | "requestBody"
  | "required"
  | "responses"
  | "schema"
  | "schemas"
  | "secret"
  | "security"
  | "securitySchemes"
  | "servers"
  | "style"
  | "summary"
  | "tags"
  | "title"
  | "type";

/**
 * A part of a document, any member of which a test may look at: what is not there is undefined, and what is above it
 * fails the test.
 */
export type Part = { readonly [K in Key | Name | 0 | 1]: Part };

/** A document from its text. */
export function partOf(text: string): Part {
  return JSON.parse(text) as Part; // Tests say what is in it.
}

/** A part that is a text. */
export function textOf(part: unknown): string {
  return typeof part === "string" ? part : assert.fail(`${JSON.stringify(part)} is no text`);
}

/** The members of a part. */
export function membersOf(part: Part): ReadonlyMap<string, Part> {
  return new Map(Object.entries(part));
}

/** The elements of a part. */
export function elementsOf(part: Part | undefined): readonly Part[] {
  return part === undefined ? [] : Object.values(part);
}

/** The part at names, one below the other. */
export function partAt(part: Part, ...names: readonly string[]): Part {
  const step = (above: Part, name: string): Part =>
    membersOf(above).get(name) ??
    assert.fail(`there is no ${name} in ${[...membersOf(above).keys()].join(", ")}`);
  return names.reduce(step, part);
}

/** What a reference in a document is to. */
export function referredIn(document: Part, { $ref }: Part): Part {
  return partAt(document, ...textOf($ref).split("/").slice(1));
}
