import assert from "node:assert/strict";
import { once } from "node:events";
import { constants } from "node:http2";
import { suite, test, type TestContext } from "node:test";
import type { FastifyRequest } from "fastify";
import type { HttpServerOptions } from "../../../src/gateway/http-server-options.ts";
import { curl } from "../../support/program.ts";
import { startGateway, type Gateway } from "../../support/gateway-fixture.ts";
import { ask, assertNoSockets, openSession } from "./http2-fixture.ts";

const json = { "content-type": "application/json" };
const post = { ":method": "POST", ":path": "/test/v1/echo" };

/** @param ownRoute whether there is a route of Fastify, which takes requests to `node:http2` */
async function gatewayOf(
  t: TestContext,
  options: Partial<HttpServerOptions> = {},
  ownRoute = false,
): Promise<Gateway> {
  const gateway = await startGateway(options, [], (http) => {
    if (!ownRoute) return;
    http.fastify.post("/own", (request: FastifyRequest, reply) =>
      reply.header("connection", "close").send({ own: request.body, host: request.host }),
    );
  });
  t.after(() => gateway.http.gracefulStop({ graceMs: 0 }));
  return gateway;
}

suite("REST by HTTP/2", () => {
  const cases: readonly {
    readonly name: string;
    readonly headers: Record<string, string>;
    readonly body?: string;
    readonly status: number;
    readonly reply: RegExp;
  }[] = [
    { name: "GET", headers: { ":path": "/test/v1/echo/a?number=7" }, status: 200, reply: /"number":"7"/ },
    { name: "POST", headers: { ...post, ...json }, body: '{"text":"b"}', status: 200, reply: /"text":"b"/ },
    {
      name: "POST with a length",
      headers: { ...post, ...json, "content-length": "12" },
      body: '{"text":"b"}',
      status: 200,
      reply: /"text":"b"/,
    },
    { name: "POST without a body", headers: post, status: 200, reply: /"text":""/ },
    { name: "HEAD", headers: { ":method": "HEAD", ":path": "/test/v1/echo/a" }, status: 200, reply: /^$/ },
    {
      name: "OPTIONS",
      headers: { ":method": "OPTIONS", ":path": "/test/v1/echo/a" },
      status: 204,
      reply: /^$/,
    },
    { name: "OPTIONS *", headers: { ":method": "OPTIONS", ":path": "*" }, status: 204, reply: /^$/ },
    { name: "an unknown path", headers: { ":path": "/nope" }, status: 404, reply: /"code":5/ },
    {
      name: "H20: a wrong method",
      headers: { ":method": "DELETE", ":path": "/test/v1/echo/a" },
      status: 405,
      reply: /"code":12/,
    },
    {
      name: "TRACE",
      headers: { ":method": "TRACE", ":path": "/test/v1/echo/a" },
      status: 405,
      reply: /"code":12/,
    },
    {
      name: "H21: a broken escape",
      headers: { ":path": "/test/v1/echo/%zz" },
      status: 400,
      reply: /"code":3/,
    },
    { name: "a fragment", headers: { ":path": "/test/v1/echo/a#b" }, status: 400, reply: /"code":3/ },
    {
      name: "H11: a long target",
      headers: { ":path": `/test/v1/echo/${"a".repeat(8200)}` },
      status: 414,
      reply: /"code":3/,
    },
    {
      name: "a body without a type",
      headers: post,
      body: '{"text":"b"}',
      status: 415,
      reply: /application\/json/,
    },
    { name: "broken JSON", headers: { ...post, ...json }, body: "{", status: 400, reply: /"code":3/ },
    {
      name: "H29: a body that unfolds",
      headers: { ...post, ...json, "content-encoding": "foo" },
      body: "x",
      status: 415,
      reply: /content encoding/,
    },
    { name: "health", headers: { ":path": "/livez" }, status: 200, reply: /SERVING/ },
    {
      name: "a route of the user's own, and its connection header",
      headers: { ":method": "POST", ":path": "/own", ":authority": "me:1", ...json },
      body: '{"a":1}',
      status: 200,
      reply: /^\{"own":\{"a":1\},"host":"me:1"\}$/,
    },
  ];
  for (const { name, headers, body, status, reply } of cases) {
    test(name, async (t) => {
      const gateway = await gatewayOf(t, {}, headers[":path"] === "/own");
      const session = openSession(t, gateway.url);
      const answer = await ask(session, headers, body);
      assert.equal(answer.status, status, answer.body);
      assert.match(answer.body, reply);
      assert.equal(answer.headers["connection"], undefined);
      assert.equal(answer.headers["keep-alive"], undefined);
      assert.equal((await ask(session, { ":path": "/livez" })).status, 200, "the connection goes on");
    });
  }
});

test("errors carry headers, and trailers are trailers where they are wanted", async (t) => {
  const gateway = await gatewayOf(t);
  const session = openSession(t, gateway.url);
  const behaviour = { headers: { "x-a": "1" }, trailers: { "x-b": "2" } };
  const body = JSON.stringify({ text: "t", behaviour });
  const without = await ask(session, { ...post, ...json }, body);
  assert.deepEqual([without.headers["x-a"], without.headers["x-b"]], ["1", "2"]);
  const wanted = await ask(session, { ...post, ...json, te: "trailers" }, body);
  assert.deepEqual(
    [wanted.headers["x-a"], wanted.headers["x-b"], wanted.trailers["x-b"]],
    ["1", undefined, "2"],
  );
  assert.match(wanted.body, /"text":"t"/);
  const failure = { failure: { code: 8, message: "no", metadata: { "x-c": "3" } } };
  const failed = await ask(session, { ...post, ...json }, JSON.stringify({ behaviour: failure }));
  assert.deepEqual([failed.status, failed.headers["x-c"]], [429, "3"]);
});

test("an upload that is too large is answered, then reset", async (t) => {
  const gateway = await gatewayOf(t, { maxBodyBytes: 1000, lingerMs: 100 });
  const session = openSession(t, gateway.url);
  const stream = session.request({ ...post, ...json });
  stream.on("error", () => {});
  const answered = once(stream, "response");
  const closed = once(stream, "close");
  stream.write("x".repeat(2000)); // And never an end.
  const [headers] = (await answered) as [Record<string, unknown>];
  assert.equal(headers[":status"], 413);
  stream.resume();
  await closed;
  assert.equal(stream.rstCode, constants.NGHTTP2_NO_ERROR);
  assert.equal(gateway.echo.calls, 0);
  assert.equal((await ask(session, { ":path": "/livez" })).status, 200);
});

for (const ownRoute of [false, true]) {
  const engine = ownRoute ? "node:http2, where Fastify has a route of its own" : "the engine of TsMs";
  test(`an answer to a request whose body nothing reads leaves the body its time: ${engine}`, async (t) => {
    const gateway = await gatewayOf(t, {}, ownRoute);
    const session = openSession(t, gateway.url);
    const stream = session.request({ ...post, ...json, ":path": "/nope" });
    const closed = once(stream, "close");
    const ended = once(stream.resume(), "end");
    const [headers] = (await once(stream, "response")) as [Record<string, unknown>];
    assert.equal(headers[":status"], 404);
    await ended;
    // What the server has to say of the stream comes before its answer to a PING.
    for (let pings = 0; pings < 3; pings++) await new Promise((resolve) => session.ping(resolve));
    assert.equal(stream.closed, false);
    stream.end("{}");
    await closed;
    assert.equal(stream.rstCode, constants.NGHTTP2_NO_ERROR);
  });
}

test("H13: a body that does not come is 408", async (t) => {
  const gateway = await gatewayOf(t, { bodyTimeoutMs: 200, connectionsCheckingIntervalMs: 50, lingerMs: 50 });
  const stream = openSession(t, gateway.url).request({ ...post, ...json });
  stream.on("error", () => {});
  stream.write("{");
  const [headers] = (await once(stream, "response")) as [Record<string, unknown>];
  assert.equal(headers[":status"], 408);
  assert.equal(headers["connection"], undefined);
});

test("a client that resets its stream cancels the call", async (t) => {
  const gateway = await gatewayOf(t);
  const heard: [string, number][] = [];
  const other = await gatewayOf(t, {
    httpObservers: [{ httpRequest: (route, _method, status) => void heard.push([route, status]) }],
  });
  for (const { url, echo } of [gateway, other]) {
    const session = openSession(t, url);
    const stream = session.request({ ":path": "/test/v1/echo/a?behaviour.sleepMs=60000" });
    stream.on("error", () => {});
    await echo.until(({ calls }) => calls === 1);
    stream.close(constants.NGHTTP2_CANCEL);
    await echo.until(({ aborted }) => aborted === 1);
    assert.equal((await ask(session, { ":path": "/livez" })).status, 200);
  }
  assert.deepEqual(heard[0], ["/test/v1/echo/{text}", 499]);
});

test("many requests at a time on one connection", async (t) => {
  const gateway = await gatewayOf(t);
  const session = openSession(t, gateway.url);
  const replies = await Promise.all(
    Array.from({ length: 100 }, (_, i) => ask(session, { ":path": `/test/v1/echo/${i}` })),
  );
  for (const [i, { status, body }] of replies.entries()) {
    assert.equal(status, 200);
    assert.match(body, new RegExp(`"text":"${i}"`));
  }
});

test("an idle connection is closed", async (t) => {
  const gateway = await gatewayOf(t, { keepAliveTimeoutMs: 100 });
  const session = openSession(t, gateway.url);
  await ask(session, { ":path": "/livez" });
  await once(session, "close");
  await assertNoSockets(gateway);
});

test("a stop lets streams under way finish and opens no more", async (t) => {
  const gateway = await gatewayOf(t);
  const session = openSession(t, gateway.url);
  const slow = ask(session, { ":path": "/test/v1/echo/slow?behaviour.sleepMs=300" });
  await gateway.echo.until(({ calls }) => calls === 1);
  const goaway = once(session, "goaway");
  const stopped = gateway.http.gracefulStop({ graceMs: 10_000 });
  await goaway;
  const late = ask(session, { ":path": "/livez" }).catch(() => undefined);
  assert.equal((await slow).status, 200);
  assert.deepEqual(await stopped, { finished: 1, notified: [], cut: [] });
  assert.notEqual((await late)?.status, 200);
  await assertNoSockets(gateway);
});

test("a stop cuts what outlasts the grace", async (t) => {
  const gateway = await gatewayOf(t);
  const session = openSession(t, gateway.url);
  const slow = ask(session, { ":path": "/test/v1/echo/slow?behaviour.sleepMs=60000" });
  await gateway.echo.until(({ calls }) => calls === 1);
  const report = await gateway.http.gracefulStop({ graceMs: 50 });
  assert.deepEqual(report, { finished: 0, notified: [], cut: ["tsms.test.v1.EchoService/Echo"] });
  assert.equal((await slow).status, 503);
  await assertNoSockets(gateway);
});

test("a drain sends GOAWAY and still serves new connections", async (t) => {
  const gateway = await gatewayOf(t);
  const session = openSession(t, gateway.url);
  await ask(session, { ":path": "/livez" });
  const closed = once(session, "close");
  gateway.http.drain();
  await closed;
  const next = openSession(t, gateway.url);
  assert.equal((await ask(next, { ":path": "/readyz" })).status, 503);
  assert.equal((await ask(next, { ":path": "/test/v1/echo/a" })).status, 200);
});

test("curl by prior knowledge", async (t) => {
  const { url } = await gatewayOf(t);
  const { status, body } = await curl("--http2-prior-knowledge", `${url}/test/v1/echo/curl`);
  assert.equal(status, 200);
  assert.match(body, /"text":"curl"/);
});
