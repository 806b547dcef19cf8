import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { exchangeBytes, startGateway, type Gateway } from "../../support/gateway-fixture.ts";

const jsonType = "Content-Type: application/json";

/** Calls that need nothing of the engine, and some that do: method, target, header lines, body. */
const requests: readonly (readonly [string, string, readonly string[], string?])[] = [
  ["GET", "/test/v1/echo/a?number=7", []],
  ["GET", "/test/v1/echo/a%20b", ["Accept: application/json"]],
  ["GET", "/test/v1/echo/a", ["Accept: application/proto"]],
  ["HEAD", "/test/v1/echo/a", []],
  ["OPTIONS", "/test/v1/echo/a", []],
  ["DELETE", "/test/v1/echo/a", []],
  ["GET", "/test/v1/echo/%zz", []],
  ["GET", "/test/v1/echo/%ff?secret=1", []],
  ["GET", "/nowhere/%zz", []],
  ["PUT", "/test/v1/echo/%zz", []],
  ["GET", "/test/v1/echo/%zz", ["Upgrade: websocket", "Connection: Upgrade"]],
  ["GET", `/test/v1/echo/${"a".repeat(500)}`, []],
  ["TRACE", "/test/v1/echo/a", []],
  ["CONNECT", "/test/v1/echo/a", []],
  ["QUERY", "/test/v1/echo/a", []],
  ["GET", "/test/v1/echo/a?nothing=1", []],
  ["GET", "/nowhere", []],
  ["POST", "/test/v1/echo", [jsonType], '{"text":"ä","number":"9007199254740993"}'],
  ["POST", "/test/v1/echo", ["Content-Type: text/plain"], "{}"],
  ["POST", "/test/v1/echo", ["Content-Type: nonsense"], "{}"],
  ["POST", "/test/v1/echo", [], "{}"],
  ...["application/json charset=utf-8", "a/b;c", "/", "", "application/json; charset", "a".repeat(300)].map(
    (type) => ["POST", "/test/v1/echo", [`Content-Type: ${type}`], "{}"] as const,
  ),
  ["POST", "/test/v1/echo", [jsonType], '{"text":1}'],
  ["POST", "/test/v1/echo", [jsonType], '{"behaviour":{"headers":{"x-a":"1"},"trailers":{"x-b":"2"}}}'],
  ["POST", "/test/v1/echo", [jsonType, "TE: trailers"], '{"behaviour":{"trailers":{"x-b":"2"}}}'],
  ...[201, 204, 205, 304].map(
    (status) =>
      [
        "POST",
        "/test/v1/echo",
        [jsonType],
        `{"behaviour":{"headers":{"x-http-status":"${status}"}}}`,
      ] as const,
  ),
  ...[0, 1, 3, 5, 14, 16].map(
    (code) =>
      [
        "POST",
        "/test/v1/echo",
        [jsonType],
        `{"behaviour":{"failure":{"code":${code},"message":"no","reasons":["R"],"metadata":{"x-why":"w"}}}}`,
      ] as const,
  ),
];

/** The answer to one request, as bytes but for what no two answers have in common. */
async function answer(gateway: Gateway, index: number): Promise<string> {
  const [method, target, lines, body] = requests[index] ?? ["", "", []];
  const length = body === undefined ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
  const head = [`${method} ${target} HTTP/1.1`, "Host: ok", "Connection: close", ...lines, ...length];
  const bytes = await exchangeBytes(gateway.port, `${head.join("\r\n")}\r\n\r\n${body ?? ""}`);
  const [status = "", ...fields] = bytes.split("\r\n\r\n", 1)[0]?.split("\r\n") ?? [];
  const known = fields.map((field) => field.toLowerCase()).filter((field) => !field.startsWith("date:"));
  return [status, ...known.sort(), bytes.slice(bytes.indexOf("\r\n\r\n"))].join("\n");
}

/** Answers whose words were the engine's once: status and what stands in them. */
const ownWords: readonly (readonly [string, number, RegExp])[] = [
  ["GET /test/v1/echo/%zz", 400, /"field":"text","description":"the value in the path is not valid/],
  ["GET /test/v1/echo/%ff?secret=1", 400, /"field":"text"/],
  ["GET /nowhere/%zz", 400, /the path is not valid percent-encoded UTF-8/],
  ["CONNECT /test/v1/echo/a", 405, /allow: get, head, options/],
  ["TRACE /test/v1/echo/a", 405, /allow: get, head, options/],
  ["QUERY /test/v1/echo/a", 405, /QUERY is not allowed for/],
  [
    "POST /test/v1/echo application/json charset=utf-8",
    415,
    /"application\/json charset=utf-8\\": send application\/json/,
  ],
];

suite("calls that pass by the engine", () => {
  test("are answered to the byte as those that pass through it", async () => {
    await using plain = await startGateway({ defaultTimeoutMs: 0 });
    await using hooked = await startGateway({ defaultTimeoutMs: 0 }, [], ({ fastify }) => {
      fastify.addHook("onRequest", async () => {});
    });
    for (const [index, [method, target, lines]] of requests.entries()) {
      const text = await answer(plain, index);
      assert.equal(text, await answer(hooked, index), `${index}: ${method} ${target}`);
      assert.doesNotMatch(text, /valid url component|"Unsupported Media Type|FST_|secret/);
      const name = [method, target, ...lines.map((line) => line.replace("Content-Type: ", ""))].join(" ");
      for (const [asked, status, words] of ownWords) {
        if (asked !== name) continue;
        assert.ok(text.startsWith(`HTTP/1.1 ${status} `), text);
        assert.match(text, words);
      }
    }
  });

  test("hooks see the content type as it came, whatever the engine thinks of it", async () => {
    const seen: (string | undefined)[] = [];
    await using gateway = await startGateway({ contentType: "lenient" }, [], ({ fastify }) => {
      for (const hook of ["onRequest", "preParsing", "preValidation", "preHandler"] as const) {
        fastify.addHook(hook, async ({ headers }: FastifyRequest) => void seen.push(headers["content-type"]));
      }
    });
    const type = "application/json charset=utf-8";
    const init = { method: "POST", headers: { "content-type": type }, body: '{"text":"x"}' };
    const response = await fetch(`${gateway.url}/test/v1/echo`, init);
    assert.equal(((await response.json()) as { text: string }).text, "x");
    assert.deepEqual(seen, [type, type, type, type]);
  });

  test("a parameter of the user's own does not bound the paths of rpcs", async () => {
    await using gateway = await startGateway({}, [], ({ fastify }) => {
      fastify.get("/test/v1/:name", () => ({ own: 3 }));
      fastify.get("/:any/v1/:name", () => ({ own: 4 }));
    });
    const long = "a".repeat(500);
    const response = await fetch(`${gateway.url}/test/v1/echo/${long}`);
    assert.equal(((await response.json()) as { text: string }).text, long);
  });

  test("are all seen by hooks of the user, wherever they were added", async () => {
    const ways: Record<string, (fastify: FastifyInstance, see: () => void) => void> = {
      "on the engine": (fastify, see) => fastify.addHook("onRequest", async () => see()),
      "as late as can be": (fastify, see) => fastify.addHook("onResponse", async () => see()),
      "by a plugin that shares its hooks": (fastify, see) => {
        const plugin = async (scope: FastifyInstance): Promise<void> => {
          scope.addHook("preHandler", async () => see());
        };
        void fastify.register(Object.assign(plugin, { [Symbol.for("skip-override")]: true }));
      },
    };
    for (const [name, add] of Object.entries(ways)) {
      const seen = Promise.withResolvers<void>();
      await using gateway = await startGateway({}, [], ({ fastify }) => add(fastify, seen.resolve));
      await gateway.stillServes();
      await seen.promise;
      assert.ok(true, name);
    }
  });

  test("are not those of a route of the user", async () => {
    await using gateway = await startGateway({}, [], ({ fastify }) => {
      fastify.get("/test/v1/echo/mine", () => ({ own: 1 }));
    });
    const get = async (path: string): Promise<unknown> => (await fetch(gateway.url + path)).json();
    assert.deepEqual(await get("/test/v1/echo/mine"), { own: 1 });
    assert.deepEqual(await get("/test/v1/echo/mine?text=x"), { own: 1 });
    assert.deepEqual(await get("/test/v1/echo/m%69ne"), { own: 1 });
    assert.deepEqual(((await get("/test/v1/echo/yours")) as { text: string }).text, "yours");
  });

  test("are none while a pattern of the user could match them", async () => {
    await using gateway = await startGateway({}, [], ({ fastify }) => {
      fastify.get("/test/v1/:rpc/mine", () => ({ own: 2 }));
    });
    assert.deepEqual(await (await fetch(`${gateway.url}/test/v1/echo/mine`)).json(), { own: 2 });
    await gateway.stillServes();
  });
});

test("routes of the user may have schemas, those of other scopes too", async () => {
  await using gateway = await startGateway({}, [], ({ fastify }) => {
    const text = { type: "string" } as const;
    fastify.addSchema({ $id: "text", ...text });
    fastify.post(
      "/strict",
      {
        schema: {
          headers: { type: "object", properties: { "X-Count": { type: "integer" } }, required: ["X-Count"] },
          body: { type: "object", properties: { name: { $ref: "text#" } }, required: ["name"] },
          response: { 200: { type: "object", properties: { count: { type: "integer" } } } },
        },
      },
      ({ headers }) => ({ count: headers["x-count"], secret: "never sent" }),
    );
    void fastify.register(async (scope) => {
      scope.addSchema({ $id: "number", type: "integer" });
      scope.get(
        "/inner",
        { schema: { querystring: { type: "object", properties: { n: { $ref: "number#" } } } } },
        ({ query }) => query,
      );
    });
  });
  const post = (headers: Record<string, string>, body: object): Promise<Response> =>
    fetch(`${gateway.url}/strict`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
  const good = await post({ "x-count": "7" }, { name: "a" });
  assert.equal(await good.text(), '{"count":7}');
  for (const bad of [await post({}, { name: "a" }), await post({ "x-count": "7" }, {})]) {
    assert.equal(bad.status, 400);
    assert.match(await bad.text(), /must have required property '(x-count|name)'/);
  }
  assert.deepEqual(await (await fetch(`${gateway.url}/inner?n=5`)).json(), { n: 5 });
  assert.equal((await fetch(`${gateway.url}/inner?n=x`)).status, 400);
});
