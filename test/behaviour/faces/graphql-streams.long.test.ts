/** Subscriptions of GraphQL over sockets and events: rules 18, 24 to 26 of the faces. */
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, suite, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { createClient as createEventClient } from "graphql-sse";
import { type Client, createClient } from "graphql-ws";
import WebSocket from "ws";
import type { Gate } from "../../../src/core/admission/gate.ts";
import { Metrics } from "../../../src/entries/telemetry.ts";
import { builtContract } from "../../support/built-contract.ts";
import { GraphqlHost, type GraphqlResult } from "../../support/graphql-host.ts";
import { kindsProto } from "../../support/kinds-contract.ts";
import { KindsCalls, kindsServices } from "../../support/kinds-service.ts";

const built = builtContract({ "kinds.proto": kindsProto });

suite("streams of GraphQL", () => {
  let calls: KindsCalls;
  let host: GraphqlHost;
  const clients: Client[] = [];
  before(async () => {
    calls = new KindsCalls();
    host = await GraphqlHost.of(kindsServices(built, calls));
  });
  beforeEach(() => void (calls.rpcs.length = 0));
  after(async () => {
    for (const client of clients) await client.dispose();
    await host[Symbol.asyncDispose]();
  });

  function socketClient(at: GraphqlHost = host, connectionParams?: Record<string, unknown>): Client {
    const url = at.url.replace("http", "ws");
    const client = createClient({
      url,
      webSocketImpl: WebSocket,
      retryAttempts: 0,
      ...(connectionParams && { connectionParams }),
    });
    clients.push(client);
    return client;
  }

  describe("sockets", () => {
    test("rule 24: subscriptions, queries and mutations of one socket", async () => {
      const client = socketClient();
      const numbers = (name: string) =>
        results(client, `subscription ${name} { follow(count: 3) { number } }`);
      const [one, two, three] = await Promise.all([
        numbers("A"),
        numbers("B"),
        results(client, "mutation { setKinds(kinds: {int: 4}) { kinds { int } } }"),
      ]);
      const expected = [1, 2, 3].map((number) => ({ data: { follow: { number } } }));
      assert.deepEqual([one, two], [expected, expected]);
      assert.deepEqual(three, [{ data: { setKinds: { kinds: { int: 4 } } } }]);
    });

    test("rule 24: another subprotocol, or none, is 400 and named; a foreign origin is 403", async () => {
      const url = host.url.replace("http", "ws");
      for (const [protocols, headers, status] of [
        [[], {}, 400],
        [["graphql-ws"], {}, 400],
        [["graphql-transport-ws"], { origin: "https://evil.example" }, 403],
      ] as const) {
        const socket = new WebSocket(url, [...protocols], { headers });
        const text = await new Promise<string>((resolve, reject) => {
          socket.on("unexpected-response", (_request, response) => {
            assert.equal(response.statusCode, status);
            response.on("data", (data: Buffer) => resolve(data.toString()));
          });
          socket.on("open", () => reject(new Error("it is open")));
        });
        assert.match(text, status === 400 ? /graphql-transport-ws/ : /origin/i);
      }
    });

    test("rule 24: connection_init adds headers that the server forwards, and no others", async () => {
      const seen: (string | null)[] = [];
      const [kinds, ...others] = kindsServices(built, new KindsCalls());
      const echo = (request: unknown, { requestHeader }: { readonly requestHeader: Headers }): unknown => {
        seen.push(requestHeader.get("authorization"), requestHeader.get("x-other"));
        return request;
      };
      await using other = await GraphqlHost.of([{ ...kinds, echo } as never, ...others]);
      const client = socketClient(other, { headers: { Authorization: "Bearer a", "x-other": "b" } });
      await results(client, "{ echo { text } }");
      assert.deepEqual(seen, ["Bearer a", null]);
      await client.dispose();
    });

    test("rule 24: a socket that does not say who it is closes after initTimeoutMs", async () => {
      await using other = await GraphqlHost.of(kindsServices(built, calls), { initTimeoutMs: 20 });
      const socket = new WebSocket(other.url.replace("http", "ws"), "graphql-transport-ws");
      const code = await new Promise((resolve) => socket.once("close", resolve));
      assert.equal(code, 4408);
    });

    test("F13: where only known documents are taken, a socket refuses all others, and stays", async () => {
      await using other = await GraphqlHost.of(kindsServices(built, calls), {
        persisted: { only: true, documents: new Map([["one", "{ __typename }"]]) },
      });
      const client = socketClient(other);
      for (const query of ["{ a: __typename }", "subscription { follow(count: 1) { number } }"]) {
        assert.match(JSON.stringify(await problemOf(client, query)), /PERSISTED_QUERY_REQUIRED/, query);
      }
      assert.deepEqual(calls.rpcs, []);
      assert.deepEqual(await results(client, "{ __typename }"), [{ data: { __typename: "Query" } }]);
      await client.dispose();
    });

    test("rule 24: at most maxSocketCalls operations", async () => {
      await using other = await GraphqlHost.of(kindsServices(built, calls), {}, { maxSocketCalls: 1 });
      const client = socketClient(other);
      const first = client.iterate({ query: 'subscription { follow(count: 1, fail: "never") { number } }' });
      await first.next();
      assert.match(JSON.stringify(await problemOf(client, "{ __typename }")), /RESOURCE_EXHAUSTED/);
      await first.return?.();
      await client.dispose();
    });

    test("rule 26: an error ends its operation with a last result, and no other", async () => {
      const client = socketClient();
      const other = client.iterate({ query: 'subscription { follow(count: 1, fail: "never") { number } }' });
      await other.next();
      const last = await results(client, 'subscription { follow(count: 1, fail: "last") { number } }');
      assert.deepEqual(
        last.map(({ data }) => data),
        [{ follow: { number: 1 } }, null],
      );
      assert.deepEqual(
        last[1]?.errors?.map(({ message, extensions }) => [message, extensions]),
        [["no more", { code: "UNAVAILABLE", rpc: "kinds.v1.KindsService/Follow" }]],
      );
      const first = await results(client, 'subscription { follow(count: 1, fail: "first") { number } }');
      assert.deepEqual(
        first.map(({ data, errors }) => [data, errors?.[0]?.extensions["code"]]),
        [[null, "FAILED_PRECONDITION"]],
      );
      for (const wrong of [
        "subscription { none }",
        "{",
        "subscription($a: Int) { follow(count: $a) { number } }",
      ]) {
        const problem = await problemOf(client, wrong, { a: "x" });
        assert.match(JSON.stringify(problem), /INVALID_ARGUMENT/, wrong);
      }
      assert.deepEqual(await results(client, "{ __typename }"), [{ data: { __typename: "Query" } }]);
      await other.return?.();
    });

    test("F03: the upstream dies in the middle of many subscriptions: each ends, and sockets stay", async () => {
      const faulty = new KindsCalls();
      await using other = await GraphqlHost.of(kindsServices(built, faulty));
      const sockets = Array.from({ length: 10 }, () => socketClient(other));
      const all = sockets.flatMap((client) =>
        Array.from({ length: 20 }, () =>
          results(client, 'subscription { follow(count: 1, fail: "never") { number } }'),
        ),
      );
      await until(() => faulty.open === 200);
      faulty.fault.abort();
      for (const ended of await Promise.all(all)) {
        const last = ended.at(-1);
        assert.deepEqual([last?.data, last?.errors?.[0]?.extensions["code"]], [null, "UNAVAILABLE"]);
      }
      assert.deepEqual(await results(sockets[0] ?? assert.fail(), "{ __typename }"), [
        { data: { __typename: "Query" } },
      ]);
      for (const client of sockets) await client.dispose();
    });

    test("F04: a client that completes before the first event ends the calls of its subscriptions", async () => {
      const begun = calls.ended;
      const client = socketClient();
      for (let at = 0; at < 500; at += 50) {
        const all = Array.from({ length: 50 }, () =>
          client.iterate({ query: "subscription { follow(count: 1, pauseMs: 1000000) { number } }" }),
        );
        const pending = all.map((one) => one.next());
        await until(() => calls.open === 50);
        for (const one of all) await one.return?.();
        await Promise.all(pending);
        await until(() => calls.open === 0);
      }
      assert.equal(calls.ended - begun, 500);
    });

    test("F04: a subscriber that stops reading stops the rpc", async () => {
      const socket = new WebSocket(host.url.replace("http", "ws"), "graphql-transport-ws");
      await new Promise((resolve) => socket.once("open", resolve));
      socket.send('{"type":"connection_init"}');
      await new Promise((resolve) => socket.once("message", resolve));
      const query = "subscription { follow(count: 1000000) { number text } }";
      socket.send(JSON.stringify({ id: "1", type: "subscribe", payload: { query } }));
      await new Promise((resolve) => socket.once("message", resolve));
      socket.pause();
      const ended = calls.ended;
      await until(() => calls.open === 1);
      socket.terminate();
      await until(() => calls.ended === ended + 1);
    });

    test("F16: at a stop, subscriptions complete and sockets close with 1001", async () => {
      const stopping = await GraphqlHost.of(kindsServices(built, calls));
      let code: unknown;
      const client = createClient({
        url: stopping.url.replace("http", "ws"),
        webSocketImpl: WebSocket,
        retryAttempts: 0,
        on: { closed: (event) => (code = (event as { readonly code: number }).code) },
      });
      const ended = results(client, 'subscription { follow(count: 1, fail: "never") { number } }');
      const events = eventsOf(stopping, 'subscription { follow(count: 1, fail: "never") { number } }');
      await until(() => calls.open >= 2);
      const report = await stopping.http.gracefulStop({ graceMs: 2_000 });
      assert.deepEqual(report.cut, []);
      for (const last of [(await ended).at(-1), (await events).at(-1)]) {
        assert.deepEqual([last?.data, last?.errors?.[0]?.extensions["code"]], [null, "UNAVAILABLE"]);
      }
      await until(() => code !== undefined);
      assert.equal(code, 1001);
      await stopping[Symbol.asyncDispose]();
    });

    test("subscriptions: without websocket there are no sockets, without sse no events", async () => {
      await using other = await GraphqlHost.of(kindsServices(built, calls), { subscriptions: [] });
      const socket = new WebSocket(other.url.replace("http", "ws"), "graphql-transport-ws");
      const status = await new Promise((resolve) => {
        socket.on("unexpected-response", (_request, response) => resolve(response.statusCode));
      });
      assert.equal(status, 400); // A GET without a query.
      const { status: refused, errors } = await other.send(
        { query: "subscription { follow { number } }" },
        { accept: "text/event-stream" },
      );
      assert.deepEqual([refused, errors?.[0]?.message], [400, "subscriptions are not served"]);
    });
  });

  describe("events", () => {
    test("rule 25: results are events for graphql-sse's client, also of queries", async () => {
      const expected = [1, 2, 3].map((number) => ({ data: { follow: { number } } }));
      assert.deepEqual(await eventsOf(host, "subscription { follow(count: 3) { number } }"), expected);
      assert.deepEqual(await eventsOf(host, "{ __typename }"), [{ data: { __typename: "Query" } }]);
      const last = await eventsOf(host, 'subscription { follow(count: 1, fail: "last") { number } }');
      assert.deepEqual(
        last.map(({ data }) => data),
        [{ follow: { number: 1 } }, null],
      );
      await assert.rejects(eventsOf(host, "subscription { none }"));
    });

    test("rule 25: what is wrong with the request is a plain answer", async () => {
      const { status, type } = await host.send({ query: "{ none }" }, { accept: "text/event-stream" });
      assert.deepEqual([status, type], [400, "application/json; charset=utf-8"]);
    });

    test("rule 25: a comment where no event comes", async () => {
      const server = { heartbeatMs: 10 };
      await using other = await GraphqlHost.of(kindsServices(built, calls), {}, server);
      const controller = new AbortController();
      const response = await fetch(other.url, {
        method: "POST",
        signal: controller.signal,
        headers: { "content-type": "application/json", accept: "text/event-stream" },
        body: JSON.stringify({ query: "subscription { follow(count: 1, pauseMs: 1000000) { number } }" }),
      });
      const first = await response.body?.pipeThrough(new TextDecoderStream()).getReader().read();
      assert.equal(first?.value, ":\n\n");
      controller.abort();
    });

    test("F08: a client that leaves its events cancels the call", async () => {
      const controller = new AbortController();
      const response = await fetch(host.url, {
        method: "POST",
        signal: controller.signal,
        headers: { "content-type": "application/json", accept: "text/event-stream" },
        body: JSON.stringify({ query: 'subscription { follow(count: 1, fail: "never") { number } }' }),
      });
      await response.body?.getReader().read();
      const { ended } = calls;
      controller.abort();
      await until(() => calls.ended === ended + 1);
    });
  });

  describe("references", () => {
    const query = (size: number, keys: number, missing = "") =>
      `{ listCopies(pageSize: ${size}, keys: ${keys}, missing: "${missing}") { copies { book bookResource { name title } } } }`;

    test("F02: 1,000 references to 300 keys are 3 calls, also where one is missing", async () => {
      const data = await host.data(query(1_000, 300));
      assert.deepEqual(calls.rpcs, ["ListCopies", "BatchGetBooks", "BatchGetBooks", "BatchGetBooks"]);
      const { copies } = data["listCopies"] as {
        copies: readonly { book: string; bookResource: { name: string } | null }[];
      };
      assert.ok(copies.every(({ book, bookResource }) => bookResource?.name === book));
      calls.rpcs.length = 0;
      const { data: rest, errors } = await host.ask(query(1_000, 300, "books/missing"));
      assert.ok(calls.rpcs.length <= 1 + 3 + 14, String(calls.rpcs.length));
      assert.deepEqual(
        errors?.map(({ extensions }) => extensions["code"]),
        ["NOT_FOUND"],
      );
      const found = copiesIn(rest);
      assert.ok(
        found.every(({ book, bookResource }) => (bookResource === null) === (book === "books/missing")),
      );
    });

    test("rule 18: names of fields, chains, lists, empty keys, and results for one operation alone", async () => {
      calls.rpcs.length = 0;
      const text =
        '{ a: getBook(name: "books/1") { author { name } } b: getBook(name: "books/2") { author { name } } }';
      assert.deepEqual(await host.data(text), {
        a: { author: { name: "authors/1" } },
        b: { author: { name: "authors/1" } },
      });
      assert.deepEqual(calls.rpcs, ["GetBook", "GetBook", "GetAuthor"]);
      await host.data(text);
      assert.equal(calls.rpcs.filter((rpc) => rpc === "GetAuthor").length, 2);
      const { listCopies } = await host.data(
        "{ listCopies(pageSize: 1, keys: 1) { copies { otherIds other { name } } } }",
      );
      assert.deepEqual(listCopies, { copies: [{ otherIds: [], other: [] }] });
      const events = await eventsOf(host, "subscription { follow(count: 2) { bookResource { title } } }");
      assert.deepEqual(
        events.map(({ data }) => data),
        [1, 2].map((at) => ({ follow: { bookResource: { title: `Title of books/${at}` } } })),
      );
    });

    test("batchMs: keys of several turns are one call", async () => {
      const [kinds, books] = kindsServices(built, calls);
      const { listCopies } = books as unknown as { listCopies: (request: { keys: number }) => unknown }; // It is there.
      const later = async (request: { keys: number }): Promise<unknown> => {
        for (let turn = 0; turn < request.keys * 5; turn++) await nextTurn();
        return listCopies(request);
      };
      const asked = `{ a: listCopies(pageSize: 1, keys: 1) { copies { bookResource { title } } }
        b: listCopies(pageSize: 3, keys: 3) { copies { bookResource { title } } } }`;
      for (const [batchMs, batches] of [
        [0, 2],
        [100, 1],
      ] as const) {
        const services = [kinds ?? assert.fail(), { ...books, listCopies: later } as never];
        await using other = await GraphqlHost.of(services, { batchMs });
        calls.rpcs.length = 0;
        await other.data(asked);
        assert.equal(calls.rpcs.filter((rpc) => rpc === "BatchGetBooks").length, batches, `${batchMs} ms`);
      }
    });

    test("maxCalls, maxBatch: an operation calls no more rpcs than it may", async () => {
      await using other = await GraphqlHost.of(kindsServices(built, calls), { maxBatch: 10, maxCalls: 5 });
      calls.rpcs.length = 0;
      const { data, errors } = await other.ask(query(60, 60));
      assert.equal(calls.rpcs.length, 5);
      assert.deepEqual(
        [...new Set(errors?.map(({ extensions }) => extensions["code"]))],
        ["RESOURCE_EXHAUSTED"],
      );
      const copies = copiesIn(data);
      assert.equal(copies.filter(({ bookResource }) => bookResource !== null).length, 40);
    });
  });

  test("metrics: operations, refusals and keys of batches are counted", async () => {
    const metrics = new Metrics({ processMetrics: false });
    await using other = await GraphqlHost.of(
      kindsServices(built, calls),
      { maxCalls: 2, maxRootFields: 2 },
      { httpObservers: [metrics] },
    );
    await other.data("{ listCopies(pageSize: 3, keys: 3) { copies { bookResource { title } } } }");
    await other.ask('{ getBook(name: "missing") { name } __typename }');
    await other.ask("{ listCopies(pageSize: 3, keys: 3) { copies { bookResource { author { name } } } } }");
    await other.data("mutation { setKinds(kinds: {}) { updateMask } }");
    await eventsOf(other, "subscription { follow(count: 2) { number } }");
    await eventsOf(other, 'subscription { follow(fail: "first") { number } }');
    for (const wrong of ["{", "{ none }", "{ a: __typename b: __typename c: __typename }"])
      await other.ask(wrong);
    const lines = (await metrics.page()).split("\n");
    const values = (name: string): readonly string[] =>
      lines
        .filter((line) => line.startsWith(`ts_ms_graphql_${name}`))
        .map((line) => line.slice(14))
        .toSorted();
    assert.deepEqual(values("operations_total"), [
      'operations_total{type="mutation",outcome="ok"} 1',
      'operations_total{type="query",outcome="ok"} 1',
      'operations_total{type="query",outcome="partial"} 2',
      'operations_total{type="subscription",outcome="failed"} 1',
      'operations_total{type="subscription",outcome="ok"} 1',
    ]);
    assert.deepEqual(values("refused_total"), [
      'refused_total{reason="calls"} 1',
      'refused_total{reason="invalid"} 1',
      'refused_total{reason="root_fields"} 1',
      'refused_total{reason="syntax"} 1',
    ]);
    assert.deepEqual(values("operation_duration_seconds_count"), [
      'operation_duration_seconds_count{type="mutation"} 1',
      'operation_duration_seconds_count{type="query"} 3',
      'operation_duration_seconds_count{type="subscription"} 2',
    ]);
    assert.deepEqual(values("batched_keys_sum"), ["batched_keys_sum 6"]);
    assert.deepEqual(values("batched_keys_count"), ["batched_keys_count 2"]);
  });
});

test("metrics: what a gate or the server refuses on the way to GraphQL has its protocol", async () => {
  const metrics = new Metrics({ processMetrics: false });
  const gate: Gate = {
    name: "closed",
    concerns: ({ name }) => name === "GetBook",
    admit() {
      throw new ConnectError("not you", Code.PermissionDenied);
    },
  };
  await using host = await GraphqlHost.of(
    kindsServices(built, new KindsCalls()),
    {},
    { gates: [gate], observers: [metrics], httpObservers: [metrics], maxBodyBytes: 1_000 },
  );
  const { extensions } = await host.problem('{ getBook(name: "books/1") { title } }');
  assert.equal(extensions?.code, "PERMISSION_DENIED");
  const large = await fetch(host.url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query: `{ __typename }${" ".repeat(2_000)}` }),
  });
  assert.equal(large.status, 413);
  const refused = (await metrics.page()).split("\n").filter((line) => line.startsWith("ts_ms_calls_refused"));
  const rpc = String.raw`service="[\w.]+",method="GetBook"`;
  assert.equal(refused.length, 2, refused.join("\n"));
  assert.match(refused.join("\n"), new RegExp(String.raw`\{${rpc},protocol="graphql",reason="denied"\} 1`));
  assert.match(
    refused.join("\n"),
    /service="\(none\)",method="\(none\)",protocol="graphql",reason="malformed"\} 1/,
  );
});

async function results(client: Client, query: string): Promise<readonly GraphqlResult[]> {
  const found: GraphqlResult[] = [];
  for await (const result of client.iterate({ query })) found.push(result as unknown as GraphqlResult); // The same object.
  return found;
}

/** What the client is told of a request that is wrong. */
function problemOf(client: Client, query: string, variables?: Record<string, unknown>): Promise<unknown> {
  return new Promise((resolve, reject) => {
    client.subscribe(
      { query, ...(variables && { variables }) },
      {
        next: (result) => reject(new Error(JSON.stringify(result))),
        error: resolve,
        complete: () => reject(new Error("it is complete")),
      },
    );
  });
}

async function eventsOf({ url }: GraphqlHost, query: string): Promise<readonly GraphqlResult[]> {
  const client = createEventClient({ url, retryAttempts: 0 });
  const found: GraphqlResult[] = [];
  for await (const result of client.iterate({ query })) found.push(result as unknown as GraphqlResult); // The same object.
  client.dispose();
  return found;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Resolves when a condition holds. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** What a list of copies has. */
function copiesIn(
  data: GraphqlResult["data"],
): readonly { readonly book: string; readonly bookResource: unknown }[] {
  const list = data?.["listCopies"] as { readonly copies: ReturnType<typeof copiesIn> } | undefined; // Of the contract.
  return list?.copies ?? assert.fail("no list");
}
