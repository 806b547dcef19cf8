/** Links between the pages of faces. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { docs } from "../../../src/entries/docs.ts";
import { graphql } from "../../../src/entries/graphql.ts";
import { relativeLink } from "../../../src/gateway/faces/face-pages.ts";
import { ConsoleHost } from "../../support/console-host.ts";

test("links are relative, for a prefix in front of all paths may be unknown", () => {
  for (const [from, to, link] of [
    ["/docs", "/graphql", "./graphql"],
    ["/a/docs", "/graphql", "../graphql"],
    ["/docs", "/b/graphql", "./b/graphql"],
  ] as const) {
    assert.equal(relativeLink(from, to), link);
    assert.equal(new URL(link, `http://x/p${from}`).pathname, `/p${to}`);
  }
});

test("console and GraphQL page link each other, a page alone links none", async () => {
  await using host = await ConsoleHost.start({}, { faces: [docs({ path: "/a/docs" }), graphql()] });
  const model = (await (await fetch(`${host.origin}/a/docs/model.json`)).json()) as { links: unknown };
  assert.deepEqual(model.links, [{ text: "GraphQL", url: "../graphql" }]);
  const headers = { accept: "text/html" };
  assert.match(
    await (await fetch(`${host.origin}/graphql`, { headers })).text(),
    /<a href="\.\/a\/docs">Console</,
  );
  await using alone = await ConsoleHost.start({}, { faces: [graphql()] });
  assert.doesNotMatch(await (await fetch(`${alone.origin}/graphql`, { headers })).text(), /<a |LINKS/);
});
