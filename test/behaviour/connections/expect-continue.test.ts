import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:http2";
import { suite, test } from "node:test";
import { Code } from "@connectrpc/connect";
import { refusal } from "../../../src/core/admission/refusal.ts";
import type { Gate } from "../../../src/core/admission/gate.ts";
import type { HttpServer } from "../../../src/gateway/http-server.ts";
import {
  connectTo,
  exchangeBytes,
  readUntil,
  startGateway,
  statusOf,
} from "../../support/gateway-fixture.ts";

/** Admits calls with a header, at once or later. */
function passGate(waits: boolean): Gate {
  const decide = (pass: string | undefined): void => {
    if (pass !== "yes")
      throw refusal({ kind: "denied", code: Code.PermissionDenied, reason: "NO_PASS", message: "no pass" });
  };
  return {
    name: "pass",
    admit(call) {
      const pass = call.header("x-pass");
      return waits ? Promise.resolve().then(() => decide(pass)) : decide(pass);
    },
  };
}

const body = '{"text":"a"}';
const framed = Buffer.concat([Buffer.from([0, 0, 0, 0, body.length]), Buffer.from(body)]);

/** The head of a request whose body is to come. */
function head(path: string, bytes: number, ...fields: readonly string[]): string {
  const all = ["Host: x", "Expect: 100-continue", `Content-Length: ${bytes}`, ...fields];
  return `POST ${path} HTTP/1.1\r\n${all.map((field) => `${field}\r\n`).join("")}\r\n`;
}

const json = "Content-Type: application/json";
const rpc = "/tsms.test.v1.EchoService/Echo";

/** Requests by every way to read a body: the answer to one that is refused, and its body. */
const requests: readonly (readonly [string, string, string | Buffer, readonly string[], RegExp])[] = [
  ["REST", "/test/v1/echo", body, [json], /^HTTP\/1\.1 403 /],
  ["REST, a stream of messages", "/test/v1/collect", body, [json], /^HTTP\/1\.1 403 /],
  ["Connect", rpc, body, [json, "Connect-Protocol-Version: 1"], /^HTTP\/1\.1 403 /],
  [
    "gRPC-Web",
    rpc,
    framed,
    ["Content-Type: application/grpc-web+json"],
    /^HTTP\/1\.1 200 [^]*grpc-status: 7/i,
  ],
];

const hook = (http: HttpServer): void =>
  void http.fastify.addHook("onRequest", (_request, _reply, done) => done());

const lanes: readonly (readonly [string, object, (http: HttpServer) => void])[] = [
  ["beside the fast lane", { fastLane: true }, () => {}],
  ["by Node's parser alone", { fastLane: false }, () => {}],
  ["through Fastify", {}, hook],
];

for (const [lane, options, before] of lanes) {
  suite(`a body is asked for when its call is admitted, ${lane}`, () => {
    for (const [name, path, sent, fields, refused] of requests) {
      for (const waits of [false, true]) {
        test(`${name}, a gate that ${waits ? "waits" : "decides at once"}`, async () => {
          await using gateway = await startGateway({ ...options, gates: [passGate(waits)] }, [], before);
          const answer = await exchangeBytes(gateway.port, head(path, sent.length, ...fields));
          assert.match(answer, refused);
          assert.doesNotMatch(answer, /100 Continue/);
          assert.match(answer, /connection: close/i, "whether a body follows is not known");
          assert.equal(gateway.echo.calls, 0);
          const socket = await connectTo(gateway.port);
          socket.write(head(path, sent.length, ...fields, "X-Pass: yes", "Connection: close"));
          const asked = readUntil(socket, (text) => {
            if (text === "HTTP/1.1 100 Continue\r\n\r\n") socket.write(sent);
            return false;
          });
          assert.match(await asked, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/);
          assert.equal(gateway.echo.calls, 1);
        });
      }
    }

    test("behind a request whose answer is due", async () => {
      await using gateway = await startGateway({ ...options, gates: [passGate(true)] }, [], before);
      const first = `GET /test/v1/echo/first HTTP/1.1\r\nHost: x\r\nX-Pass: yes\r\n\r\n`;
      const refused = await exchangeBytes(gateway.port, first + head("/test/v1/echo", body.length, json));
      assert.match(refused, /"first"[^]*HTTP\/1\.1 403 /);
      assert.doesNotMatch(refused, /100 Continue/);
      const socket = await connectTo(gateway.port);
      socket.write(first + head("/test/v1/echo", body.length, json, "X-Pass: yes", "Connection: close"));
      const asked = readUntil(socket, (text) => {
        if (text.endsWith("HTTP/1.1 100 Continue\r\n\r\n")) socket.write(body);
        return false;
      });
      assert.match(await asked, /"first"[^]*HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/);
    });

    test("a path without a route, a body of a wrong type", async () => {
      await using gateway = await startGateway(options, [], before);
      for (const [path, type, status] of [
        ["/nowhere", "application/json", 404],
        ["/test/v1/echo", "text/plain", 415],
      ] as const) {
        const answer = await exchangeBytes(gateway.port, head(path, 5, `Content-Type: ${type}`));
        assert.equal(statusOf(answer), status);
        assert.doesNotMatch(answer, /100 Continue/);
      }
    });

    test("a connection that was told to go on is kept", async () => {
      await using gateway = await startGateway(options, [], before);
      const socket = await connectTo(gateway.port);
      socket.write(head("/test/v1/echo", body.length, json));
      const answered = readUntil(socket, (text) => {
        if (text === "HTTP/1.1 100 Continue\r\n\r\n") socket.write(body);
        if (text.includes('"a"') && !text.includes('"again"'))
          socket.write("GET /test/v1/echo/again HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        return false;
      });
      assert.match(await answered, /"again"/);
    });
  });
}

test("a route of the user's own gets its body", async () => {
  await using gateway = await startGateway({}, [], (http) => {
    http.fastify.post("/own", (request) => request.body);
  });
  const socket = await connectTo(gateway.port);
  socket.write(head("/own", body.length, json, "Connection: close"));
  const asked = readUntil(socket, (text) => {
    if (text === "HTTP/1.1 100 Continue\r\n\r\n") socket.write(body);
    return false;
  });
  assert.match(await asked, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK[^]*\{"text":"a"\}$/);
});

for (const [engine, before] of [
  ["our engine", () => {}],
  ["node:http2", hook],
] as const) {
  test(`over HTTP/2 by ${engine}`, async () => {
    await using gateway = await startGateway({ gates: [passGate(true)] }, [], before);
    const session = connect(gateway.url);
    try {
      for (const [pass, status, asked] of [
        ["no", 403, 0],
        ["yes", 200, 1],
      ] as const) {
        const stream = session.request({
          ":method": "POST",
          ":path": "/test/v1/echo",
          "content-type": "application/json",
          "content-length": body.length,
          expect: "100-continue",
          "x-pass": pass,
        });
        let continues = 0;
        stream.on("continue", () => {
          continues++;
          stream.end(body);
        });
        const [headers] = (await once(stream, "response")) as [{ ":status"?: number }];
        stream.resume();
        stream.close();
        assert.deepEqual([headers[":status"], continues], [status, asked]);
      }
    } finally {
      session.destroy();
    }
  });
}
