/** The schema of a contract as a text, and what changes of it break. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { buildSchema } from "graphql";
import { LibraryService } from "../../gen/library/v1/library_pb.ts";
import { Comments } from "../../src/core/contract/comments.ts";
import { annotatedBindings } from "../../src/core/http-rule/http-rule.ts";
import { compileRoute } from "../../src/core/http-rule/route.ts";
import { schemaChanges, schemaText } from "../../src/gateway/faces/graphql/schema-text.ts";

const contract = {
  services: [LibraryService],
  registry: undefined,
  routes: LibraryService.methods.flatMap((method) => annotatedBindings(method).map(compileRoute)),
  comments: () => Promise.resolve(new Comments()),
};

test("the text of a schema is one that GraphQL reads, the same every time", async () => {
  const text = await schemaText(contract);
  assert.ok(buildSchema(text).getQueryType()?.getFields()["listBooks"]);
  assert.equal(await schemaText(contract), text);
});

test("changes that break operations are named", async () => {
  assert.deepEqual(await schemaChanges(contract, contract), []);
  const changes = await schemaChanges(contract, { ...contract, services: [] });
  assert.ok(
    changes.some(({ type, description }) => type === "FIELD_REMOVED" && description.includes("listBooks")),
  );
});
