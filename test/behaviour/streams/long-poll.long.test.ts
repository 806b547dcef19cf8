import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { get } from "node:http";
import { test } from "node:test";
import { promisify } from "node:util";
import type { HttpServerOptions } from "../../../src/gateway/http-server-options.ts";
import { Feed } from "../../support/feed-service.ts";
import { everyWay, startGateway, type Gateway } from "../../support/gateway-fixture.ts";

const run = promisify(execFile);

/** An answer to one poll. */
interface Poll {
  readonly status: number;
  readonly texts: string[];
  readonly body: unknown;
  readonly token: string | null;
  readonly headers: Headers;
}

async function poll(
  url: string,
  wait: number,
  token?: string | null,
  headers: Record<string, string> = {},
): Promise<Poll> {
  const response = await fetch(url, {
    headers: { prefer: `wait=${wait}`, ...(token ? { "x-resume-token": token } : {}), ...headers },
  });
  const text = await response.text();
  const body: unknown = text === "" ? undefined : JSON.parse(text);
  const texts = Array.isArray(body) ? (body as { text: string }[]).map((message) => message.text) : [];
  return {
    status: response.status,
    texts,
    body,
    token: response.headers.get("x-resume-token"),
    headers: response.headers,
  };
}

interface FeedGateway extends AsyncDisposable {
  readonly feed: Feed;
  readonly gateway: Gateway;
  readonly url: string;
}

async function startFeed(
  start: (typeof everyWay)[number][1],
  options: Partial<HttpServerOptions> = {},
): Promise<FeedGateway> {
  const feed = new Feed(1000);
  const gateway = await start(options, [feed]);
  return {
    feed,
    gateway,
    url: `${gateway.url}/test/v1/feed`,
    [Symbol.asyncDispose]: () => gateway[Symbol.asyncDispose](),
  };
}

function onEveryWay(name: string, body: (start: (typeof everyWay)[number][1]) => Promise<void>): void {
  for (const [way, start] of everyWay) test(`${name} (${way})`, () => body(start));
}

onEveryWay("messages come as soon as they are there, in order, exactly once", async (startGateway) => {
  await using server = await startFeed(startGateway);
  server.feed.publish("1");
  server.feed.publish("2");
  const first = await poll(server.url, 30);
  assert.equal(first.status, 200);
  assert.deepEqual(first.texts, ["1", "2"]);
  assert.equal(first.headers.get("content-type"), "application/json");
  assert.equal(first.headers.get("preference-applied"), "wait=30");
  assert.equal(first.headers.get("cache-control"), "no-store");
  server.feed.publish("3"); // Between two polls.
  const second = await poll(server.url, 30, first.token);
  assert.deepEqual(second.texts, ["3"]);
  const waiting = poll(server.url, 30, second.token);
  server.feed.publish("4");
  assert.deepEqual((await waiting).texts, ["4"]);
});

onEveryWay("nothing within the wait is 204 with a token that goes on", async (startGateway) => {
  await using server = await startFeed(startGateway);
  const empty = await poll(server.url, 0);
  assert.equal(empty.status, 204);
  assert.equal(empty.headers.get("preference-applied"), "wait=0");
  const again = await poll(server.url, 1, empty.token);
  assert.equal(again.status, 204);
  server.feed.publish("1");
  assert.deepEqual((await poll(server.url, 30, again.token)).texts, ["1"]);
});

test("an answer that was lost can be had again, also the first after an empty one and the last", async () => {
  await using server = await startFeed(startGateway);
  const empty = await poll(`${server.url}?count=3`, 0);
  server.feed.publish("1");
  const lost = await poll(server.url, 30, empty.token);
  assert.deepEqual(lost.texts, ["1"]);
  const again = await poll(server.url, 30, empty.token);
  assert.deepEqual([again.texts, again.token], [["1"], lost.token]);
  server.feed.publish("2");
  server.feed.publish("3");
  const last = await poll(server.url, 30, again.token);
  assert.deepEqual([last.texts, last.token], [["2", "3"], null]);
  assert.deepEqual((await poll(server.url, 30, again.token)).texts, ["2", "3"]);
  assert.equal((await poll(server.url, 0, empty.token)).status, 410);
});

onEveryWay("the end is an answer without a token, with the trailers", async (startGateway) => {
  await using gateway = await startGateway();
  const url = `${gateway.url}/test/v1/repeat/a?count=2&behaviour.trailers[x-sum]=7`;
  const only = await poll(url, 30);
  assert.deepEqual([only.status, only.texts, only.token], [200, ["a", "a"], null]);
  assert.equal(only.headers.get("x-sum"), "7");
  const none = await poll(`${gateway.url}/test/v1/repeat/a?count=0`, 30);
  assert.deepEqual([none.status, none.token], [204, null]);
});

onEveryWay("errors have a status of their own, after all messages before them", async (startGateway) => {
  await using gateway = await startGateway();
  const url = `${gateway.url}/test/v1/repeat/a?count=9&behaviour.failure.code=5&behaviour.failure.message=m`;
  const first = await poll(`${url}&behaviour.failure.after=2`, 30);
  assert.deepEqual([first.status, first.texts], [200, ["a", "a"]]);
  const failed = await poll(url, 30, first.token);
  assert.deepEqual([failed.status, failed.body], [404, { code: 5, message: "m", details: [] }]);
  assert.equal((await poll(url, 30, first.token)).status, 410);
  assert.equal((await poll(`${url}&behaviour.failure.after=0`, 30)).status, 404);
  assert.equal((await poll(`${gateway.url}/test/v1/repeat/a?count=x`, 30)).status, 400);
});

onEveryWay("tokens are of one route, one caller and one process; any other is 410", async (startGateway) => {
  await using server = await startFeed(startGateway);
  await using other = await startFeed(startGateway);
  const mine = { authorization: "Bearer a" };
  const { token } = await poll(server.url, 0, undefined, mine);
  assert.ok(token);
  for (const [url, value, headers] of [
    [server.url, token, {}],
    [server.url, token, { authorization: "Bearer b" }],
    [`${server.gateway.url}/test/v1/feed/items`, token, mine],
    [other.url, token, mine],
    [server.url, "x", mine],
    [server.url, `${token}1`, mine],
    [server.url, token.replace(/\.\d+$/, ".7"), mine],
  ] as const) {
    const answer = await poll(url, 0, value, headers);
    assert.equal(answer.status, 410, `${url} ${value}`);
  }
  assert.equal((await poll(server.url, 0, token, mine)).status, 204);
});

onEveryWay("a stream nobody asks for is cancelled, and its token is over", async (startGateway) => {
  await using gateway = await startGateway({ pollIdleMs: 400 });
  // The first stream of a process loads and compiles for long.
  await (await fetch(`${gateway.url}/test/v1/repeat/a?count=1`)).text();
  const url = `${gateway.url}/test/v1/repeat/a?count=3&intervalMs=100000`;
  const { token } = await poll(url, 0);
  await gateway.echo.until(({ aborted }) => aborted === 1);
  assert.equal((await poll(url, 0, token)).status, 410);
});

onEveryWay("S04: a client that leaves before it has a token cancels its stream", async (startGateway) => {
  await using gateway = await startGateway();
  const request = get(`${gateway.url}/test/v1/repeat/a?count=3&intervalMs=100000`, {
    headers: { prefer: "wait=60" },
    agent: false,
  });
  request.on("error", () => {});
  await gateway.echo.until(({ calls }) => calls === 1);
  const started = performance.now();
  request.destroy();
  await gateway.echo.until(({ aborted }) => aborted === 1);
  assert.ok(performance.now() - started < 5000);
});

test("what nobody has asked for yet is bounded, then the stream waits", async () => {
  await using gateway = await startGateway({ pollBufferBytes: 10_000 });
  const text = "a".repeat(1000);
  const url = `${gateway.url}/test/v1/repeat/${text}?count=100`;
  const { token, texts } = await poll(url, 30);
  const { produced } = gateway.echo;
  assert.ok(produced < 25, `${produced} messages were made`);
  let count = texts.length;
  for (let next = token; next !== null;) {
    const answer = await poll(url, 30, next);
    count += answer.texts.length;
    next = answer.token;
  }
  assert.equal(count, 100);
});

onEveryWay("the number of open streams is limited", async (startGateway) => {
  await using server = await startFeed(startGateway, { maxPolledStreams: 2 });
  await poll(server.url, 0);
  await poll(server.url, 0);
  assert.equal((await poll(server.url, 0)).status, 429);
});

onEveryWay("a second request for the same batch ends the wait of the first", async (startGateway) => {
  await using server = await startFeed(startGateway);
  const { token } = await poll(server.url, 0);
  const first = poll(server.url, 60, token);
  await new Promise((resolve) => setTimeout(resolve, 50));
  const second = poll(server.url, 60, token);
  assert.equal((await first).status, 204);
  server.feed.publish("1");
  assert.deepEqual((await second).texts, ["1"]);
});

onEveryWay("the wait is bounded, events are not polled, other streams neither", async (startGateway) => {
  await using server = await startFeed(startGateway, { maxPollWaitMs: 50 });
  assert.equal((await poll(server.url, 600)).headers.get("preference-applied"), "wait=0");
  server.feed.publish("1");
  const events = await fetch(`${server.url}?count=1`, {
    headers: { prefer: "wait=1", accept: "text/event-stream" },
  });
  assert.equal(events.headers.get("content-type"), "text/event-stream");
  await events.text();
  const lines = await fetch(`${server.url}?count=1`, { headers: { prefer: "return=minimal" } });
  assert.equal(lines.headers.get("content-type"), "application/x-ndjson");
  await lines.text();
});

test("a server that stops answers those who wait, and ends their streams", async () => {
  const gateway = await startGateway();
  const url = `${gateway.url}/test/v1/repeat/a?count=3&intervalMs=100000`;
  const { token } = await poll(url, 0);
  const waiting = poll(url, 60, token);
  await new Promise((resolve) => setTimeout(resolve, 100));
  const report = await gateway.http.gracefulStop({ graceMs: 3000 });
  assert.equal((await waiting).status, 204);
  assert.deepEqual(report.cut, []);
  await gateway.echo.until(({ aborted }) => aborted === 1);
});

onEveryWay("curl polls", async (startGateway) => {
  await using server = await startFeed(startGateway);
  server.feed.publish("x");
  const { stdout } = await run("curl", ["-sSi", "-H", "Prefer: wait=5", server.url]);
  assert.match(stdout, /\r\nx-resume-token: [\w-]{24}\.1\r\n/);
  assert.match(stdout, /"text":"x"/);
});
