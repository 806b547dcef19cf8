import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { FastifyRequest } from "fastify";
import { exchangeBytes, startGateway, statusOf } from "../../support/gateway-fixture.ts";
import { ask, openSession } from "../http2/http2-fixture.ts";
import { running, session as grpcSession } from "../../support/running-grpc.ts";

const echoPath = "/test/v1/echo/a";

/** Hosts, and whether they are one (RFC 3986 section 3.2 without a user). */
const hosts: readonly (readonly [string, boolean])[] = [
  ["ok", true],
  ["OK:80", true],
  ["a:", true],
  ["a_b.example", true],
  ["a%20b", true],
  ["127.0.0.1:65535", true],
  ["[::1]", true],
  ["[::1]:8080", true],
  ["[v1.x]", true],
  ["", false],
  ["a b", false],
  ["u@b", false],
  ["u:p@b", false],
  ["a/b", false],
  ["a\\b", false],
  ["a?b", false],
  ["a,b c", false],
  ["a%2", false],
  ["[::1", false],
  ["::1", false],
  ["[::1]x", false],
  ["[::g]", false],
  ["[fe80::1%25eth0]", false],
  ["a:x", false],
  ["a:1:2", false],
  ["a:65536", false],
  [":80", false],
  ["\u00c3\u00a9", false],
];

/** The statuses of a refusal by HTTP/2: Node resets by itself what no authority of any scheme can have. */
function refused(host: string): readonly number[] {
  return /^(?:a:x|\[::1|::1|a:1:2|a:65536|:80|\[::g\])$/.test(host) ? [400] : [400, 0];
}

suite("the host of a request", () => {
  test("H24: is an authority, or 400, by HTTP/1.1", async () => {
    await using gateway = await startGateway();
    for (const [host, good] of hosts) {
      const bytes = `GET ${echoPath} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
      const answer = await exchangeBytes(gateway.port, Buffer.from(bytes, "latin1"));
      assert.equal(statusOf(answer), good ? 200 : 400, `${JSON.stringify(host)}: ${answer}`);
      if (!good) assert.match(answer, /"code":3,"message":"the host in Host is malformed/);
    }
    const absolute = `GET http://u@b${echoPath} HTTP/1.1\r\nHost: ok\r\nConnection: close\r\n\r\n`;
    assert.match(await exchangeBytes(gateway.port, absolute), /the host in the request target is malformed/);
    await gateway.stillServes();
  });

  test("H24: is an authority, or 400, by HTTP/2, for gRPC too", async (t) => {
    await using gateway = await startGateway();
    const grpc = grpcSession(t, await running(t));
    for (const [host, good] of hosts) {
      if (/[^ -~]/.test(host) || host === "") continue; // Node's client sends no such thing.
      const session = openSession(t, gateway.url);
      for (const header of [":authority", "host"]) {
        const { status, body } = await ask(session, { ":path": echoPath, [header]: host });
        if (good) assert.equal(status, 200, `${header} ${host}: ${body}`);
        else assert.ok(refused(host).includes(status), `${header} ${host}: ${status} ${body}`);
      }
      session.destroy();
      const call = {
        ":method": "POST",
        ":path": "/tsms.test.v1.EchoService/Echo",
        "content-type": "application/grpc",
      };
      const reply = await ask(grpc, { ...call, te: "trailers", ":authority": host }, Buffer.alloc(5));
      if (good) assert.equal(reply.status, 200, `gRPC, ${host}: ${reply.body}`);
      else assert.ok(refused(host).includes(reply.status), `gRPC, ${host}: ${reply.status} ${reply.body}`);
    }
    await gateway.stillServes();
  });
});

suite("%00 in a path", () => {
  const heads: readonly (readonly [string, Record<string, string>])[] = [
    ["GET /test/v1/echo/a%00b", {}],
    ["GET /test/v1/echo/a%00b?x=1", {}],
    ["GET /nope%00", {}],
    ["GET /livez%00", {}],
    ["GET /own/%00", {}],
    ["GET /ws%00", { upgrade: "websocket" }],
    ["GET /test/v1/echo/a%00b", { upgrade: "websocket" }],
    [
      "POST /tsms.test.v1.EchoService/Echo%00",
      { "connect-protocol-version": "1", "content-type": "application/json" },
    ],
    ["POST /tsms.test.v1.EchoService/Echo%00", { "content-type": "application/grpc-web+proto" }],
    ["POST /tsms.test.v1.EchoService/Echo%00", { "content-type": "application/grpc+proto" }],
  ];
  const socketHead = {
    connection: "Upgrade",
    "sec-websocket-version": "13",
    "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
  };

  for (const hooked of [false, true]) {
    test(`is 400 on every door${hooked ? ", and no hook sees it" : ""}`, async (t) => {
      let seen = 0;
      await using gateway = await startGateway({}, [], ({ fastify }) => {
        fastify.get("/own/:name", ({ params }: FastifyRequest) => params);
        if (hooked) fastify.addHook("onRequest", async () => void seen++);
      });
      const session = openSession(t, gateway.url);
      for (const [line, headers] of heads) {
        const [method = "", path = ""] = line.split(" ");
        const upgrade = headers["upgrade"] === undefined ? { connection: "close" } : socketHead;
        const fields = Object.entries({ host: "ok", ...upgrade, ...headers }).map((field) =>
          field.join(": "),
        );
        const answer = await exchangeBytes(
          gateway.port,
          `${method} ${path} HTTP/1.1\r\n${fields.join("\r\n")}\r\n\r\n`,
        );
        assert.equal(statusOf(answer), 400, `${line}: ${answer}`);
        assert.match(answer, /"code":3,.*U\+0000/);
        if (headers["upgrade"] !== undefined) continue;
        const reply = await ask(session, { ":method": method, ":path": path, ...headers }, undefined);
        assert.deepEqual([reply.status, reply.body.includes("U+0000")], [400, true], `HTTP/2 ${line}`);
      }
      assert.deepEqual([gateway.echo.calls, seen], [0, 0]);
      const query = await fetch(`${gateway.url}${echoPath}?number=1&nothing=%00`);
      assert.equal(query.status, 200, "values of a query are texts like any other");
    });
  }

  test("is 400 for gRPC", async (t) => {
    const server = await running(t);
    const call = { ":method": "POST", "content-type": "application/grpc", te: "trailers" };
    const reply = await ask(grpcSession(t, server), {
      ...call,
      ":path": "/tsms.test.v1.EchoService/Echo%00",
    });
    assert.equal(reply.status, 400);
    assert.match(reply.body, /U\+0000/);
    assert.equal(server.echo.calls, 0);
  });
});

test("TRACE is served where a rule says so, on both versions of HTTP", async (t) => {
  const rule = {
    file: "rules.yaml",
    text: "http:\n  rules:\n  - selector: tsms.test.v1.EchoService.Echo\n    custom: { kind: TRACE, path: '/traced/{text}' }\n",
  };
  for (const hooked of [false, true]) {
    await using gateway = await startGateway({ rules: [rule], ruleMode: "add" }, [], ({ fastify }) => {
      if (hooked) fastify.addHook("onRequest", async () => {});
    });
    const session = openSession(t, gateway.url);
    const head = "HTTP/1.1\r\nHost: ok\r\nConnection: close\r\n\r\n";
    for (const [path, status, body, allow] of [
      ["/traced/x", 200, /"text":"x"/, undefined],
      ["/test/v1/echo/x", 405, /TRACE is not allowed for \/test\/v1\/echo\/x/, "GET, HEAD, OPTIONS"],
      ["/nope", 404, /no route for TRACE \/nope/, undefined],
    ] as const) {
      const answer = await exchangeBytes(gateway.port, `TRACE ${path} ${head}`);
      assert.equal(statusOf(answer), status, answer);
      assert.match(answer, body);
      assert.equal(/^allow: (.*)\r$/im.exec(answer)?.[1], allow);
      const reply = await ask(session, { ":method": "TRACE", ":path": path });
      assert.deepEqual([reply.status, reply.headers["allow"]], [status, allow]);
      assert.match(reply.body, body);
    }
    const tunnel = await exchangeBytes(gateway.port, `CONNECT /test/v1/echo/x ${head}`);
    assert.match(tunnel, /^HTTP\/1\.1 405 [\s\S]*\r\nallow: GET, HEAD, OPTIONS\r\n/i);
  }
});
