/** The official client in both of its modes: rules 45 to 49. */
import { strict as assert } from "node:assert";
import { after, before, describe, test } from "node:test";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { seedLibrary } from "../../../src/services/library/library-seed.ts";
import { LibraryService } from "../../../src/services/library/library-service.ts";
import { McpHost, validatorOf } from "./mcp-host.ts";

let host: McpHost;
before(async () => {
  const library = new LibraryService(seedLibrary());
  host = await McpHost.of([library], { expose: "all", name: "library", instructions: "Read first." });
});
after(() => host[Symbol.asyncDispose]());

const modes = {
  "2025-11-25": undefined,
  "2026-07-28": { mode: "auto" },
} as const;

for (const [version, versionNegotiation] of Object.entries(modes)) {
  describe(`a client of ${version}`, () => {
    let client: Client;
    before(async () => {
      client = new Client(
        { name: "test", version: "1" },
        { ...(versionNegotiation && { versionNegotiation }) },
      );
      await client.connect(new StreamableHTTPClientTransport(new URL(host.url)));
    });
    after(() => client.close());

    test("has negotiated this version, and knows the server", () => {
      assert.equal(client.getNegotiatedProtocolVersion(), version);
      assert.equal(client.getServerVersion()?.name, "library");
      assert.equal(client.getInstructions(), "Read first.");
    });

    test("lists tools, whose schemas are valid and closed", async () => {
      const { tools } = await client.listTools();
      assert.ok(tools.length > 5);
      for (const { name, inputSchema, outputSchema } of tools) {
        assert.equal(inputSchema.type, "object", name);
        assert.equal(inputSchema["additionalProperties"], false, name);
        validatorOf(inputSchema);
        if (outputSchema !== undefined) validatorOf(outputSchema);
      }
    });

    test("calls a tool, whose result fits its schema", async () => {
      const { tools } = await client.listTools();
      const list = tools.find(({ name }) => name === "list_books") ?? assert.fail();
      const result = await client.callTool({ name: "list_books", arguments: { parent: "shelves/1" } });
      assert.equal(result.isError, undefined);
      const fits = validatorOf(list.outputSchema ?? assert.fail());
      assert.ok(fits(result.structuredContent), JSON.stringify(fits.errors));
      const [content] = result.content;
      assert.ok(content?.type === "text");
      assert.deepEqual(JSON.parse(content.text), result.structuredContent);
    });

    test("gets the error of an rpc as a result", async () => {
      const result = await client.callTool({ name: "get_book", arguments: { name: "shelves/1/books/99" } });
      assert.equal(result.isError, true);
      assert.match(JSON.stringify(result.content), /NOT_FOUND: /);
    });

    test("gets an error for a tool that there is not", async () => {
      await assert.rejects(
        client.callTool({ name: "get_bok" }),
        /there is no tool "get_bok": did you mean get_book\?/,
      );
    });

    test("reads resources", async () => {
      const { resourceTemplates } = await client.listResourceTemplates();
      const uris = resourceTemplates.map(({ uriTemplate }) => uriTemplate);
      assert.ok(uris.includes("library://v1/shelves/{shelf}/books/{book}"), uris.join());
      const { contents } = await client.readResource({ uri: "library://v1/shelves/1/books/1" });
      const [book] = contents;
      assert.equal(book?.mimeType, "application/json");
      assert.ok(book !== undefined && "text" in book);
      assert.match(book.text, /"name":"shelves\/1\/books\/1"/);
      await assert.rejects(client.readResource({ uri: "library://v1/nothing" }), /there is no resource/);
    });
  });
}
