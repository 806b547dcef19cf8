import assert from "node:assert/strict";
import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { connect } from "node:http2";
import { buffer, text } from "node:stream/consumers";
import { suite, test } from "node:test";
import type { FastifyInstance } from "fastify";
import type { HttpServerOptions } from "../../../src/gateway/http-server-options.ts";
import { startGateway, type Gateway } from "../../support/gateway-fixture.ts";

interface Ask {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

const json = { "content-type": "application/json" };
const failure =
  '{"behaviour":{"failure":{"code":5,"message":"gone","metadata":{"x-why":"1"}},"headers":{"vary":"x"}}}';
const connectRpc = { path: "/tsms.test.v1.EchoService/Echo", method: "POST", body: '{"text":"x"}' };

/** Requests of all doors and ways to answer. */
const asks: readonly Ask[] = [
  { path: "/test/v1/echo/a?number=7" },
  { path: "/test/v1/echo/a", method: "HEAD" },
  { path: "/test/v1/echo/a", method: "OPTIONS" },
  { path: "/test/v1/echo/a", method: "DELETE" },
  { path: "/test/v1/echo/a", headers: { accept: "application/proto" } },
  { path: "/test/v1/echo/%zz" },
  { path: "/nowhere/%zz" },
  { path: "/nowhere" },
  { path: "/livez" },
  { path: "/readyz", method: "HEAD" },
  { path: "/livez", method: "PUT" },
  {
    path: "/test/v1/echo",
    method: "POST",
    headers: json,
    body: '{"text":"ä","behaviour":{"trailers":{"x-t":"1"}}}',
  },
  {
    path: "/test/v1/echo",
    method: "POST",
    headers: { ...json, te: "trailers" },
    body: '{"behaviour":{"trailers":{"x-t":"1"}}}',
  },
  { path: "/test/v1/echo", method: "POST", headers: json, body: failure },
  { path: "/test/v1/echo", method: "POST", headers: { ...json, te: "trailers" }, body: failure },
  {
    path: "/test/v1/echo",
    method: "POST",
    headers: json,
    body: '{"behaviour":{"headers":{"x-http-status":"204"}}}',
  },
  { path: "/test/v1/echo", method: "POST", headers: { "content-type": "text/plain" }, body: "{}" },
  {
    path: "/test/v1/echo",
    method: "POST",
    headers: { "content-type": "multipart/form-data; boundary=b" },
    body: "--b--",
  },
  { path: "/test/v1/repeat/x?count=2" },
  { path: "/test/v1/repeat/x?count=2", method: "HEAD" },
  { path: "/test/v1/repeat/x?count=2", headers: { accept: "text/event-stream" } },
  { path: "/test/v1/repeat/x?count=2", headers: { accept: "application/json" } },
  { path: "/test/v1/repeat/x?count=2", headers: { prefer: "wait=1" } },
  { path: "/test/v1/collect", method: "POST", headers: json, body: '[{"text":"a"},{"text":"b"}]' },
  { ...connectRpc, headers: { ...json, "connect-protocol-version": "1" } },
  { ...connectRpc, headers: { ...json, "connect-protocol-version": "1" }, body: failure },
  {
    ...connectRpc,
    headers: { "content-type": "application/grpc-web+json" },
    body: "\0\0\0\0\x0c" + connectRpc.body,
  },
  {
    ...connectRpc,
    headers: { "content-type": "application/grpc+json" },
    body: "\0\0\0\0\x0c" + connectRpc.body,
  },
  { ...connectRpc, path: "/no.such.Service/Rpc", headers: { "content-type": "application/grpc" } },
  { path: "*", method: "OPTIONS" },
];

/** Names of headers that belong to the connection, or to the stream that long polling continues. */
const own: ReadonlySet<string> = new Set([
  "date",
  "connection",
  "keep-alive",
  "transfer-encoding",
  "x-resume-token",
]);

type Send = (gateway: Gateway, ask: Ask) => Promise<object>;

const overHttp1: Send = async ({ port }, { method = "GET", path, headers, body }) => {
  const call = request({ host: "127.0.0.1", port, method, path, headers: { ...headers }, agent: false });
  call.end(body);
  const [response] = (await once(call, "response")) as [IncomingMessage];
  const content = await text(response);
  return {
    status: response.statusCode,
    headers: fields(response.headers),
    content,
    trailers: response.trailers,
  };
};

const overHttp2: Send = async ({ port }, { method = "GET", path, headers, body }) => {
  const session = connect(`http://127.0.0.1:${port}`);
  const stream = session.request({ ":method": method, ":path": path, ...headers });
  let trailers: object = {};
  stream.on("trailers", (found: object) => (trailers = { ...found }));
  stream.end(body);
  const [head] = (await once(stream, "response")) as [Record<string, string>];
  const content = (await buffer(stream)).toString("latin1");
  session.destroy();
  // Fastify gives answers without content a length of 0, which HTTP/2 does not need.
  const { "content-length": length, ...rest } = fields(head);
  const hasLength = length !== undefined && length !== "0";
  return { headers: hasLength ? { ...rest, length } : rest, content, trailers };
};

function fields(headers: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !own.has(name)));
}

suite("requests that pass Fastify by", () => {
  for (const [version, send] of Object.entries({ "HTTP/1.1": overHttp1, "HTTP/2": overHttp2 })) {
    test(`are answered over ${version} as those that pass through it`, async () => {
      await using direct = await startGateway({ defaultTimeoutMs: 0 });
      await using through = await startGateway(
        { defaultTimeoutMs: 0 },
        [],
        (http) => void http.fastify.addHook("onRequest", async () => {}),
      );
      for (const ask of asks) {
        const title = `${ask.method ?? "GET"} ${ask.path} ${JSON.stringify(ask.headers ?? {})}`;
        assert.deepEqual(await send(direct, ask), await send(through, ask), title);
      }
    });
  }
});

suite("describe() names what passes through Fastify", () => {
  type Prepare = (fastify: FastifyInstance) => unknown;

  const lineOf = async (
    prepare: Prepare,
    options: Partial<HttpServerOptions> = {},
  ): Promise<string | undefined> => {
    await using gateway = await startGateway(options, [], ({ fastify }) => void prepare(fastify));
    return gateway.http.describe().find((line) => line.includes("Fastify"));
  };

  test("nothing where the user has added nothing that concerns requests", async () => {
    assert.equal(await lineOf(() => {}), undefined);
    assert.equal(await lineOf((fastify) => fastify.addHook("onClose", async () => {})), undefined);
  });

  test("the paths of plain routes", async () => {
    assert.equal(
      await lineOf((fastify) => fastify.get("/version", () => "1")),
      "[HTTP] only requests for routes of your own pass through Fastify: /version",
    );
  });

  const reasons: readonly (readonly [why: string, prepare: Prepare, options?: Partial<HttpServerOptions>])[] =
    [
      ["Fastify has a hook onRequest", (fastify) => fastify.addHook("onRequest", async () => {})],
      [
        "the route GET /files/:name of your own has a pattern",
        (fastify) => fastify.get("/files/:name", () => "1"),
      ],
      ["answers are compressed or get an ETag", () => {}, { etag: true }],
    ];
  for (const [why, prepare, options] of reasons) {
    test(`everything: ${why}`, async () => {
      assert.equal(await lineOf(prepare, options), `[HTTP] every request passes through Fastify: ${why}`);
    });
  }
});
