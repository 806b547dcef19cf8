/** `ts-ms openapi` and `ts-ms graphql`: the documents of contracts without a server. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { buildSchema } from "graphql";
import { partAt, partOf } from "../support/open-document.ts";
import { tsMs } from "../support/ts-ms.ts";

const folder = mkdtempSync(join(tmpdir(), "ts-ms-documents-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const library = ["--proto-path", "proto", "--proto", "library/v1/library.proto"];

suite("ts-ms openapi", () => {
  test("prints the document of a contract, with its comments, and writes it into a file", async () => {
    const { code, stdout, stderr } = await tsMs("openapi", ...library, "--title", "Books");
    assert.deepEqual([code, stderr], [0, ""]);
    const document = partOf(stdout);
    assert.equal(document.openapi, "3.1.1");
    assert.deepEqual(document.info.title, "Books");
    assert.ok(partAt(document.paths, "/v1/shelves").get.summary);
    assert.match(stdout, /"description"/);
    const file = join(folder, "openapi.json");
    const written = await tsMs("openapi", ...library, "--title", "Books", "-o", file);
    assert.deepEqual([written.code, written.stdout], [0, ""]);
    assert.equal(readFileSync(file, "utf8"), stdout);
  });

  test("as YAML, in another version, of everything that is taken", async () => {
    const args = ["--yaml", "--openapi-version", "3.2", "--inputs", "exact"];
    const { code, stdout } = await tsMs("openapi", ...library, ...args);
    assert.equal(code, 0);
    assert.match(stdout, /^openapi: "?3\.2\.0"?$/m);
    assert.match(stdout, /itemSchema:/); // Of 3.2 alone.
    assert.match(stdout, /- "?null"?$/m); // What is taken, and is not what clients should send.
  });
});

suite("ts-ms graphql", () => {
  test("prints a schema that GraphQL reads, and writes it into a file", async () => {
    const { code, stdout, stderr } = await tsMs("graphql", ...library);
    assert.deepEqual([code, stderr], [0, ""]);
    const fields = buildSchema(stdout).getQueryType()?.getFields() ?? {};
    assert.ok(fields["listBooks"]?.description);
    const file = join(folder, "schema.graphql");
    const written = await tsMs("graphql", ...library, "--output", file);
    assert.deepEqual([written.code, written.stdout], [0, ""]);
    assert.equal(readFileSync(file, "utf8"), stdout);
    const named = await tsMs("graphql", ...library, "--names", "service");
    assert.equal(buildSchema(named.stdout).getQueryType()?.getFields()["listBooks"], undefined);
  });
});

for (const command of ["openapi", "graphql"]) {
  test(`ts-ms ${command} has the comments of a descriptor set`, async () => {
    const { code, stdout, stderr } = await tsMs(command, "--descriptors", "gen/contract.binpb");
    assert.equal(code, 0, stderr);
    assert.match(stdout, /Title as on the cover\./);
  });

  test(`ts-ms ${command} names a file that cannot be written, and what it needs`, async () => {
    const file = join(folder, "nowhere", "document");
    const unwritable = await tsMs(command, ...library, "-o", file);
    assert.deepEqual([unwritable.code, unwritable.stdout], [1, ""]);
    assert.ok(unwritable.stderr.includes(`${file} cannot be written`), unwritable.stderr);
    const nothing = await tsMs(command);
    assert.deepEqual([nothing.code, nothing.stdout], [2, ""]);
    assert.match(nothing.stderr, /give --proto FILE, --descriptors FILE, or a TARGET/);
  });
}
