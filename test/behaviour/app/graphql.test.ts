/** The section `graphql`, through the front door. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { addressOf, freePort, loadApp } from "./app-fixture.ts";

/** The status and the text of an answer to an operation; status 0 where nothing listens. */
async function asked(
  query: string,
  argv: readonly string[],
  { path = "/graphql", server = "http" }: { path?: string; server?: string } = {},
): Promise<readonly [number, string]> {
  const app = await loadApp({}, argv);
  await app.start();
  try {
    const response = await fetch(`http://${addressOf(app, server)}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ query }),
    });
    return [response.status, await response.text()];
  } finally {
    await app.stop();
  }
}

const ok = [200, '{"data":{"__typename":"Query"}}'] as const;

test("GraphQL is served by --graphql, or where the section is there, and not by itself", async () => {
  assert.equal((await asked("{ __typename }", []))[0], 404);
  assert.deepEqual(await asked("{ __typename }", ["--graphql"]), ok);
  assert.deepEqual(await asked("{ __typename }", ["--set", "graphql.path=/api"], { path: "/api" }), ok);
  assert.equal(
    (await asked("{ __typename }", ["--set", "graphql.path=/api", "--no-graphql"], { path: "/api" }))[0],
    404,
  );
  assert.match(
    (await asked("{ __schema { queryType { name } } }", ["--graphql", "--no-introspection"]))[1],
    /does not show/,
  );
  const [status, text] = await asked("{ a: __typename }", [
    "--set",
    "graphql.max_aliases=1",
    "--set",
    "graphql.max_tokens=4",
  ]);
  assert.deepEqual([status, text.includes("more than 4 tokens")], [400, true]);
});

test("GraphQL has a port of its own where the section names one", async () => {
  const port = await freePort();
  const argv = ["--set", `graphql.port=${port}`];
  assert.deepEqual(await asked("{ __typename }", argv, { server: "graphql" }), ok);
  assert.equal((await asked("{ __typename }", argv))[0], 404);
});
