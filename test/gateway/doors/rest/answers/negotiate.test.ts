import assert from "node:assert/strict";
import { test } from "node:test";
import { negotiate } from "../../../../../src/gateway/doors/rest/answers/negotiate.ts";
import { startGateway } from "../../../../support/gateway-fixture.ts";
import { openStream, readAll } from "../../../../behaviour/streams/stream-client.ts";

const lines = "application/x-ndjson";
const events = "text/event-stream";
const array = "application/json";

test("the Accept header chooses the encoding", async (t) => {
  await using gateway = await startGateway();
  const table: readonly [accept: string | undefined, type: string | undefined][] = [
    [undefined, lines],
    ["", lines],
    ["*/*", lines],
    ["application/x-ndjson", lines],
    ["application/jsonl", "application/jsonl"],
    ["application/ndjson", "application/ndjson"],
    ["APPLICATION/X-NDJSON", lines],
    ["application/x-ndjson;charset=utf-8", lines],
    ["application/*", lines],
    ["text/event-stream", events],
    ["text/event-stream; charset=utf-8", events],
    ["text/*", events],
    ["application/json", array],
    ["application/json, text/plain, */*", array],
    ["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", lines],
    ["application/json;q=0.5, text/event-stream", events],
    ["application/json;q=0.5, text/event-stream;q=0.4", array],
    ["application/json, text/event-stream", array],
    ["text/event-stream, application/json", events],
    ["*/*, application/x-ndjson;q=0", "application/jsonl"],
    ["application/json;q=0, application/*", lines],
    ["text/*;q=0.5, application/json;q=0.5", array],
    ["image/png", undefined],
    ["text/html", undefined],
    ["application/proto", undefined],
    ["*/*;q=0", undefined],
    ["application/json;q=0", undefined],
    ["application/json;q=x", undefined],
  ];
  for (const [accept, type] of table) {
    await t.test(`Accept: ${accept} gets ${type ?? "406"}`, async () => {
      const headers = accept === undefined ? {} : { accept };
      const reply = await openStream(`${gateway.url}/test/v1/repeat/a?count=1`, { headers });
      const { text } = await readAll(reply);
      if (type === undefined) {
        assert.equal(reply.response.statusCode, 406);
        assert.match(text, /"code":3,.*application\/x-ndjson, .*text\/event-stream/);
      } else {
        assert.equal(reply.response.statusCode, 200);
        assert.equal(reply.response.headers["content-type"], type);
        assert.match(reply.response.headers.vary ?? "", /\baccept\b/i);
      }
    });
  }
  await t.test("a call whose answer nobody wants is not made", () => {
    assert.equal(gateway.echo.calls, table.filter(([, type]) => type !== undefined).length);
  });
});

test("one message is JSON unless an event is preferred", async (t) => {
  await using gateway = await startGateway();
  const table: readonly [accept: string, type: string][] = [
    ["text/event-stream", events],
    ["text/event-stream, */*;q=0.1", events],
    ["application/json;q=0.1, text/event-stream", events],
    ["text/event-stream;q=0.1, application/json", array],
    ["application/json, text/event-stream", array],
    ["text/event-stream;q=0, */*", array],
    ["text/*", array],
    ["*/*", array],
    ["text/event-stream;q=0", array],
  ];
  for (const [accept, type] of table) {
    await t.test(`Accept: ${accept} gets ${type}`, async () => {
      for (const init of [
        { method: "GET", path: "/test/v1/echo/a" },
        { method: "POST", path: "/test/v1/collect", body: "[]", "content-type": "application/json" },
      ]) {
        const headers = { accept, "content-type": "application/json" };
        const body = "body" in init ? { body: init.body } : {};
        const reply = await openStream(gateway.url + init.path, { method: init.method, headers, ...body });
        const { text } = await readAll(reply);
        assert.equal(reply.response.statusCode, 200);
        assert.equal(reply.response.headers["content-type"], type);
        if (type === array) JSON.parse(text);
        else {
          assert.match(text, /\nid: 1\ndata: \{.*\}\n\nevent: end\ndata: \{"trailers":\{\}\}\n\n$/);
        }
      }
    });
  }
});

test("equal offers go to the one that is offered first", () => {
  const offers = ["a/x", "a/y", "b/x"].map((contentType) => ({ contentType }));
  assert.equal(negotiate(undefined, offers), offers[0]);
  assert.equal(negotiate("a/*", offers), offers[0]);
  assert.equal(negotiate("a/*;q=0.5, b/*;q=0.5", offers), offers[0]);
  assert.equal(negotiate("b/*, a/*", offers), offers[2]);
  assert.equal(negotiate("*/*, a/x;q=0", offers), offers[1]);
  assert.equal(negotiate("c/x", offers), undefined);
});
