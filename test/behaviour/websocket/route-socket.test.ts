import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  ChatRequestSchema,
  ChatResponseSchema,
  CollectRequestSchema,
  CollectResponseSchema,
} from "../../../gen/tsms/test/v1/echo_pb.ts";
import { Rooms } from "../../support/rooms-service.ts";
import { everyWay, startGateway } from "../../support/gateway-fixture.ts";
import { SocketClient, within } from "./socket-client.ts";

const ok = { status: { code: 0, message: "", details: [] }, headers: {}, trailers: {} };

function onEveryWay(name: string, body: (start: (typeof everyWay)[number][1]) => Promise<void>): void {
  for (const [way, start] of everyWay) test(`${name} (${way})`, () => body(start));
}

test("a unary rpc by GET answers and closes, bound from path and query, without a frame of the client", async () => {
  await using gateway = await startGateway();
  const client = new SocketClient(
    `ws://127.0.0.1:${gateway.port}/test/v1/echo/hi%20there?number=9007199254740993`,
  );
  const reply = await client.json();
  assert.equal(reply["text"], "hi there");
  assert.equal(reply["number"], "9007199254740993");
  assert.equal(reply["protocol"], "websocket");
  assert.deepEqual(await client.json(), ok);
  assert.deepEqual(await client.closed, { code: 1000, reason: "" });
  await gateway.stillServes();
});

onEveryWay(
  "an rpc bound to POST takes its body from a frame, under its path and under the one every rpc has",
  async (startGateway) => {
    await using gateway = await startGateway();
    for (const path of ["/test/v1/echo", "/tsms.test.v1.EchoService/Echo"]) {
      const client = new SocketClient(`ws://127.0.0.1:${gateway.port}${path}`);
      await client.open();
      client.send('{"text": "x", "number": "5"}');
      const reply = await client.json();
      assert.deepEqual([reply["text"], reply["number"]], ["x", "5"]);
      assert.deepEqual(await client.json(), ok);
      assert.equal((await client.closed).code, 1000);
    }
  },
);

onEveryWay("an empty frame in place of the one message is a request without body", async (startGateway) => {
  await using gateway = await startGateway();
  const client = new SocketClient(`ws://127.0.0.1:${gateway.port}/test/v1/echo`);
  await client.open();
  client.send("");
  assert.equal((await client.json())["text"], "");
  assert.equal((await client.end()).code, 1000);
});

onEveryWay("Node's own WebSocket reads a server stream", async (startGateway) => {
  await using gateway = await startGateway();
  const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}/test/v1/repeat/tick?count=3`, [
    "proto",
    "json",
  ]);
  socket.binaryType = "arraybuffer";
  const protocols: string[] = [];
  const frames: unknown[] = [];
  const closed = new Promise<CloseEvent>((resolve) => socket.addEventListener("close", resolve));
  socket.addEventListener("open", () => protocols.push(socket.protocol));
  socket.addEventListener("message", ({ data }) => frames.push(data));
  assert.equal((await within(closed, "the close")).code, 1000);
  assert.deepEqual(protocols, ["proto"]);
  assert.equal(frames.length, 4);
  assert.deepEqual(JSON.parse(String(frames[3])), ok);
  assert.ok(frames.slice(0, 3).every((data) => data instanceof ArrayBuffer));
});

onEveryWay("a client stream ends by an empty frame, in JSON and in protobuf", async (startGateway) => {
  await using gateway = await startGateway();
  const url = `ws://127.0.0.1:${gateway.port}/test/v1/collect`;
  const json = new SocketClient(url);
  await json.open();
  json.send('{"text":"a"}', '{"text":"b"}', "{}", "");
  assert.deepEqual((await json.json())["texts"], ["a", "b", ""]);
  assert.equal((await json.end()).code, 1000);

  const binary = new SocketClient(url, "proto");
  await binary.open();
  assert.equal(binary.ws.protocol, "proto");
  for (const text of ["a", "b"])
    binary.send(toBinary(CollectRequestSchema, create(CollectRequestSchema, { text })));
  binary.send(Buffer.alloc(0), "");
  const reply = await binary.next();
  assert.equal(reply.isBinary, true);
  assert.deepEqual(fromBinary(CollectResponseSchema, reply.data).texts, ["a", "b", ""]);
  assert.deepEqual(await binary.end(), { status: 0, message: "", code: 1000 });
});

onEveryWay("a bidi stream answers while it is spoken to", async (startGateway) => {
  await using gateway = await startGateway();
  const client = new SocketClient(`ws://127.0.0.1:${gateway.port}/test/v1/chat`, ["json"]);
  await client.open();
  for (const text of ["one", "two", "three"]) {
    client.send(JSON.stringify({ text }));
    assert.equal((await client.json())["text"], text);
  }
  client.send("");
  assert.deepEqual(await client.end(), { status: 0, message: "", code: 1000 });
  const binary = new SocketClient(`ws://127.0.0.1:${gateway.port}/test/v1/chat`, ["unknown", "proto"]);
  await binary.open();
  binary.send(toBinary(ChatRequestSchema, create(ChatRequestSchema, { text: "b" })));
  assert.equal(fromBinary(ChatResponseSchema, (await binary.next()).data).text, "b");
  binary.ws.close();
});

onEveryWay(
  "path and query bind the first message of a stream, and nothing but that",
  async (startGateway) => {
    const rooms = new Rooms();
    await using gateway = await startGateway({}, [rooms]);
    const client = new SocketClient(`ws://127.0.0.1:${gateway.port}/test/v1/rooms/red?nick=ann&tags=x`);
    await client.open();
    client.send('{"text":"hi","room":"blue","tags":["y"]}', '{"text":"again"}', "");
    const first = await client.json();
    assert.deepEqual(
      [first["room"], first["nick"], first["tags"], first["text"]],
      ["red", "ann", ["y", "x"], "hi"],
    );
    const second = await client.json();
    assert.deepEqual([second["room"], second["nick"], second["tags"], second["text"]], ["", "", [], "again"]);
    assert.equal((await client.end()).code, 1000);
  },
);

onEveryWay("frames hold what the rule's body and response_body name", async (startGateway) => {
  await using gateway = await startGateway({}, [new Rooms()]);
  const client = new SocketClient(`ws://127.0.0.1:${gateway.port}/test/v1/rooms/red:say?loud=true`);
  await client.open();
  client.send('{"text":"a"}', '{"text":"b"}', "");
  assert.deepEqual(await client.json(), { text: "red|true|a" });
  assert.deepEqual(await client.json(), { text: "|false|b" });
  assert.equal((await client.end()).code, 1000);
});

onEveryWay(
  "the error of a call is a status frame with details and metadata, and the close code 4000 + code",
  async (startGateway) => {
    await using gateway = await startGateway();
    const client = new SocketClient(`ws://127.0.0.1:${gateway.port}/test/v1/repeat/x`);
    await client.open();
    const failing = new SocketClient(`ws://127.0.0.1:${gateway.port}/tsms.test.v1.EchoService/Repeat`);
    await failing.open();
    failing.send(
      JSON.stringify({
        count: 3,
        behaviour: {
          headers: { "x-one": "1" },
          trailers: { "x-two": "2", "content-length": "9" },
          failure: {
            code: 5,
            message: "no such thing",
            reasons: ["GONE"],
            metadata: { "x-three": "3" },
            after: 1,
          },
        },
      }),
    );
    assert.equal((await failing.json())["index"], 0);
    const end = await failing.json();
    assert.deepEqual(end["status"], {
      code: 5,
      message: "no such thing",
      details: [{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "GONE" }],
    });
    assert.deepEqual(end["headers"], { "x-one": "1" });
    assert.deepEqual(end["trailers"], { "x-two": "2", "x-three": "3" });
    assert.deepEqual(await failing.closed, { code: 4005, reason: "no such thing" });
  },
);

onEveryWay("headers and trailers of a good call are in its status frame", async (startGateway) => {
  await using gateway = await startGateway();
  const client = new SocketClient(`ws://127.0.0.1:${gateway.port}/test/v1/chat`);
  await client.open();
  client.send('{"behaviour":{"headers":{"x-a":"1"},"trailers":{"x-b":"2"}}}', "");
  await client.json();
  assert.deepEqual(await client.json(), { ...ok, headers: { "x-a": "1" }, trailers: { "x-b": "2" } });
});

onEveryWay("an exception of a handler keeps its text", async (startGateway) => {
  await using gateway = await startGateway();
  const client = new SocketClient(`ws://127.0.0.1:${gateway.port}/test/v1/chat`);
  await client.open();
  client.send('{"behaviour":{"failure":{"code":0,"message":"secret"}}}');
  assert.deepEqual(await client.end(), { status: 13, message: "internal error", code: 4013 });
  assert.equal((await client.closed).reason, "internal error");
});

onEveryWay("deadlines: the client's header ends a stream with 4004", async (startGateway) => {
  await using gateway = await startGateway();
  const url = `ws://127.0.0.1:${gateway.port}/test/v1/chat`;
  // The first call of a process loads and compiles for longer than the deadline, at which its handler would not begin.
  const first = new SocketClient(url);
  await first.open();
  first.send("");
  assert.equal((await first.end()).code, 1000);
  const client = new SocketClient(`${url}?%24header.grpc-timeout=500m`);
  await client.open();
  assert.deepEqual(await client.end(), {
    status: 4,
    message: "the deadline of the call has passed",
    code: 4004,
  });
  await within(
    gateway.echo.until(({ aborted }) => aborted === 1),
    "the abort upstream",
  );
});

onEveryWay("deadlines: the default one ends unary calls", async (startGateway) => {
  await using gateway = await startGateway({ defaultTimeoutMs: 300 });
  const client = new SocketClient(`ws://127.0.0.1:${gateway.port}/test/v1/echo`);
  await client.open();
  client.send('{"behaviour":{"sleepMs":60000}}');
  assert.equal((await client.end()).code, 4004);
  assert.equal(gateway.echo.calls, 1);
});

onEveryWay(
  "more than the one message, or a message after the half-close, is an error",
  async (startGateway) => {
    await using gateway = await startGateway();
    const url = `ws://127.0.0.1:${gateway.port}`;
    const unary = new SocketClient(`${url}/test/v1/echo`);
    await unary.open();
    unary.send('{"behaviour":{"sleepMs":60000}}', '{"text":"b"}');
    assert.equal((await unary.end()).code, 4003);
    const stream = new SocketClient(`${url}/test/v1/repeat/x?count=9&intervalMs=60000`);
    await stream.open();
    stream.send("{}");
    assert.equal((await stream.end()).code, 4003);
    const bidi = new SocketClient(`${url}/test/v1/collect`);
    await bidi.open();
    bidi.send('{"behaviour":{"sleepMs":60000}}', "", "{}");
    assert.deepEqual(await bidi.end(), {
      status: 3,
      message: "a message came after the half-close",
      code: 4003,
    });
    await within(
      gateway.echo.until(({ aborted, calls }) => aborted === calls),
      "the aborts upstream",
    );
  },
);

test("headers come by the query, by the first frame, and never replace those of the handshake", async () => {
  const rooms = new Rooms();
  const urls: string[] = [];
  await using gateway = await startGateway({ forwardHeaders: ["x-tenant"] }, [rooms], ({ fastify }) =>
    fastify.addHook("onRequest", async ({ url }) => void urls.push(url)),
  );
  const base = `ws://127.0.0.1:${gateway.port}/test/v1/rooms/red`;
  const query = new SocketClient(
    `${base}?nick=ann&%24header.authorization=Bearer%20t&$header.X-Tenant=a+b&$header.cookie=c&$header.user-agent=me`,
    [],
    { headers: { "user-agent": "ws" } },
  );
  await query.open();
  query.send("{}", "");
  const { nick, headers } = (await query.json()) as { nick: string; headers: Record<string, string> };
  assert.equal(nick, "ann");
  assert.deepEqual(headers, { authorization: "Bearer t", "x-tenant": "a b", "x-forwarded-user-agent": "ws" });

  const frame = new SocketClient(`${base}?$headers=frame`, "proto", {
    headers: { authorization: "Basic p" },
  });
  await frame.open();
  frame.send('{"headers":{"Authorization":"Bearer x","x-tenant":"t"}}', Buffer.alloc(0), "");
  await within(
    rooms.until(({ lastHeader }) => lastHeader?.get("x-tenant") === "t"),
    "the call",
  );
  assert.equal(rooms.lastHeader?.get("authorization"), "Basic p");
  await frame.closed;
  assert.deepEqual(urls, ["/test/v1/rooms/red?nick=ann", "/test/v1/rooms/red"]);
});

onEveryWay(
  "headers in the first frame reach calls that take no message of the client",
  async (startGateway) => {
    await using gateway = await startGateway();
    const client = new SocketClient(`ws://127.0.0.1:${gateway.port}/test/v1/echo/x?$headers=frame`);
    await client.open();
    client.send('{"headers":{"authorization":"Bearer x"}}');
    const reply = (await client.json()) as { headers: Record<string, string> };
    assert.equal(reply.headers["authorization"], "Bearer x");
    assert.equal((await client.end()).code, 1000);
  },
);

for (const [what, first] of [
  ["no JSON", "nope"],
  ["no headers", '{"header":{}}'],
  ["something besides headers", '{"headers":{},"id":1}'],
  ["a header that is no text", '{"headers":{"a":1}}'],
  ["a name that is none", '{"headers":{"a b":"1"}}'],
  ["a value that no header can have", '{"headers":{"authorization":"Bearer t\\n"}}'],
  ["a header twice", '{"headers":{"a":"1","A":"2"}}'],
  ["a binary frame", Buffer.from('{"headers":{}}')],
] as const) {
  test(`a first frame with ${what} in place of headers ends with 4003`, async () => {
    await using gateway = await startGateway();
    const client = new SocketClient(`ws://127.0.0.1:${gateway.port}/test/v1/chat?$headers=frame`);
    await client.open();
    client.send(first);
    const { status, code } = await client.end();
    assert.deepEqual([status, code], [3, 4003]);
    assert.equal(gateway.echo.calls, 0);
  });
}

onEveryWay("interceptors and observers meet calls over WebSocket as all others", async (startGateway) => {
  const seen: string[] = [];
  await using gateway = await startGateway({
    interceptors: [
      (next) => async (request) => {
        seen.push(`intercepted ${request.method.name} ${request.header.get("authorization")}`);
        return next(request);
      },
    ],
    observers: [
      {
        started: ({ method, protocolName }) => void seen.push(`started ${method.name} ${protocolName}`),
        finished: ({ method }, error) => void seen.push(`finished ${method.name} ${error?.code ?? 0}`),
      },
    ],
    httpObservers: [
      { httpRequest: (route, method, status) => void seen.push(`${method} ${route} ${status}`) },
    ],
  });
  const client = new SocketClient(`ws://127.0.0.1:${gateway.port}/test/v1/chat`, [], {
    headers: { authorization: "Bearer t" },
  });
  await client.open();
  client.send("{}", "");
  assert.equal((await client.end()).code, 1000);
  assert.deepEqual(seen, [
    "GET /test/v1/chat 101",
    "started Chat websocket",
    "intercepted Chat Bearer t",
    "finished Chat 0",
  ]);
});

onEveryWay("hooks of the user's own answer before the socket opens", async (startGateway) => {
  await using gateway = await startGateway({}, [], ({ fastify }) => {
    fastify.addHook("onRequest", async ({ headers }, reply) => {
      if (headers.authorization === undefined) return reply.code(401).send({ why: "no token" });
    });
  });
  const url = `ws://127.0.0.1:${gateway.port}/test/v1/chat`;
  const { status, body } = await new SocketClient(url).refused();
  assert.deepEqual([status, JSON.parse(body)], [401, { why: "no token" }]);
  const client = await new SocketClient(url, [], { headers: { authorization: "Bearer t" } }).open();
  client.send("{}", "");
  await client.json();
  assert.equal((await client.end()).code, 1000);
});

onEveryWay("a hundred sockets at once, each with its own answers", async (startGateway) => {
  await using gateway = await startGateway();
  const clients = Array.from(
    { length: 100 },
    () => new SocketClient(`ws://127.0.0.1:${gateway.port}/test/v1/chat`),
  );
  for (const [index, client] of clients.entries()) {
    await client.open();
    client.send(JSON.stringify({ text: `c${index}` }));
  }
  for (const [index, client] of clients.entries()) {
    assert.equal((await client.json())["text"], `c${index}`);
    client.send("");
  }
  for (const client of clients) assert.equal((await client.end()).code, 1000);
});
