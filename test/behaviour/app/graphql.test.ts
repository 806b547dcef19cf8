/** The section `graphql`, through the front door. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { WebSocket } from "ws";
import type { App } from "../../../src/app/app.ts";
import { builtContract } from "../../support/built-contract.ts";
import { kindsProto } from "../../support/kinds-contract.ts";
import { KindsCalls, kindsServices } from "../../support/kinds-service.ts";
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

/** The answer to a document by its hash, with or without its text. */
async function byHash(app: App, query: string, isSent: boolean): Promise<string> {
  const sha256Hash = createHash("sha256").update(query).digest("hex");
  const extensions = { persistedQuery: { version: 1, sha256Hash } };
  const response = await fetch(`http://${addressOf(app, "http")}/graphql`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(isSent ? { query, extensions } : { extensions }),
  });
  return response.text();
}

test("graphql.document_cache: as many documents are kept, those that were used last", async () => {
  for (const [flags, isKept] of [
    [[], true],
    [["--set", "graphql.document_cache.entries=1"], false],
    [["--set", "graphql.document_cache.bytes=1"], false],
  ] as const) {
    const app = await loadApp({}, ["--graphql", ...flags]);
    await app.start();
    try {
      assert.match(await byHash(app, "{ a: __typename }", true), /"a":"Query"/);
      assert.match(await byHash(app, "{ b: __typename }", true), /"b":"Query"/);
      const again = await byHash(app, "{ a: __typename }", false);
      assert.match(again, isKept ? /"a":"Query"/ : /PERSISTED_QUERY_NOT_FOUND/, flags.join(" "));
    } finally {
      await app.stop();
    }
  }
});

test("graphql.init_timeout: a socket that does not say who it is closes after it", async () => {
  const app = await loadApp({}, ["--set", "graphql.init_timeout=20ms"]);
  await app.start();
  try {
    const socket = new WebSocket(`ws://${addressOf(app, "http")}/graphql`, "graphql-transport-ws");
    assert.equal((await once(socket, "close"))[0], 4408);
  } finally {
    await app.stop();
  }
});

test("graphql.batch_time: keys that come within it are one call", async () => {
  const query = `{ a: listCopies(pageSize: 1, keys: 1) { copies { bookResource { title } } }
    b: listCopies(pageSize: 3, keys: 3) { copies { bookResource { title } } } }`;
  for (const [time, batches] of [
    ["0s", 2],
    ["100ms", 1],
  ] as const) {
    const calls = new KindsCalls();
    const [kinds, books] = kindsServices(builtContract({ "kinds.proto": kindsProto }), calls);
    const { listCopies } = books as unknown as { listCopies: (request: { keys: number }) => unknown }; // It is there.
    const later = async (request: { keys: number }): Promise<unknown> => {
      for (let turn = 0; turn < request.keys * 5; turn++) await nextTurn();
      return listCopies(request);
    };
    const app = await loadApp({}, ["--set", `graphql.batch_time=${time}`]);
    app.addService(kinds ?? assert.fail()).addService({ ...books, listCopies: later } as never);
    await app.start();
    try {
      assert.match(await byHash(app, query, true), /"title"/);
      assert.equal(calls.rpcs.filter((rpc) => rpc === "BatchGetBooks").length, batches, time);
    } finally {
      await app.stop();
    }
  }
});
