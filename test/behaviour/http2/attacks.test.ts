import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test, type TestContext } from "node:test";
import { crowdLeft, crowdSize, openCrowd } from "../../support/crowd.ts";
import { flag, frameType, hpack, http2Frame, preface, uint32 } from "../../support/http2-frames.ts";
import { exchangeBytes, startGateway, statusOf, type Gateway } from "../../support/gateway-fixture.ts";
import type { HttpServerOptions } from "../../../src/gateway/http-server-options.ts";
import { ask, assertNoSockets, openSession, rawHttp2 } from "./http2-fixture.ts";

const mebibyte = 1024 * 1024;
const { headers, rstStream, windowUpdate, continuation, data, goaway, ping, settings } = frameType;

type Fields = readonly (readonly [string, string])[];

const fields: Fields = [
  [":method", "POST"],
  [":scheme", "http"],
  [":path", "/test/v1/echo"],
  [":authority", "test"],
  ["content-type", "application/json"],
];
const block = hpack(fields);

async function gatewayOf(t: TestContext, options: Partial<HttpServerOptions> = {}): Promise<Gateway> {
  const gateway = await startGateway(options);
  t.after(() => gateway.http.gracefulStop({ graceMs: 0 }));
  return gateway;
}

async function assertSound(gateway: Gateway): Promise<void> {
  await assertNoSockets(gateway);
  await gateway.stillServes();
}

test("P01: rapid resets close the connection", async (t) => {
  const gateway = await gatewayOf(t);
  const attacker = await rawHttp2(t, gateway);
  const cpu = process.cpuUsage();
  for (let id = 1; id < 120_000 && !attacker.closed; id += 2000) {
    const burst: Buffer[] = [];
    for (let stream = id; stream < id + 2000; stream += 2) {
      burst.push(
        http2Frame(headers, flag.endHeaders, stream, block),
        http2Frame(rstStream, 0, stream, uint32(8)),
      );
    }
    attacker.send(...burst);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await attacker.until("the close", ({ closed }) => closed);
  const { user, system } = process.cpuUsage(cpu);
  t.diagnostic(`CPU of attack and defence: ${(user + system) / 1000} ms`);
  assert.equal(gateway.echo.calls, 0);
  await assertSound(gateway);
});

test("P02: a flood of CONTINUATION frames closes the connection", async (t) => {
  const gateway = await gatewayOf(t);
  for (const payload of [hpack([["x-flood", "x".repeat(1000)]]), Buffer.alloc(0)]) {
    const before = process.memoryUsage().rss;
    const attacker = await rawHttp2(t, gateway);
    attacker.send(http2Frame(headers, 0, 1, block));
    for (let i = 0; i < 5000 && !attacker.closed; i++) {
      attacker.send(http2Frame(continuation, 0, 1, payload));
      if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await attacker.until("the close", ({ closed }) => closed);
    assert.ok(process.memoryUsage().rss - before < 64 * mebibyte);
  }
  await assertSound(gateway);
});

test("P04: windows that overflow end their connections and leave nothing behind", async (t) => {
  const gateway = await gatewayOf(t);
  const before = process.memoryUsage().rss;
  for (let round = 0; round < 20; round++) {
    await Promise.all(
      Array.from({ length: 100 }, async () => {
        const attacker = await rawHttp2(t, gateway);
        attacker.send(http2Frame(windowUpdate, 0, 0, uint32(0x7fffffff)));
        await attacker.until("the close", ({ closed }) => closed);
        assert.equal(attacker.of(goaway)[0]?.payload.readUInt32BE(4), 3, "FLOW_CONTROL_ERROR");
      }),
    );
  }
  await assertSound(gateway);
  assert.ok(process.memoryUsage().rss - before < 96 * mebibyte); // Both ends of 2,000 connections, before any GC.
});

test("P05: streams that the client makes the server reset are counted like its own resets", async (t) => {
  const gateway = await gatewayOf(t);
  const attacker = await rawHttp2(t, gateway);
  for (let id = 1; id < 120_000 && !attacker.closed; id += 1000) {
    const burst: Buffer[] = [];
    for (let stream = id; stream < id + 1000; stream += 2) {
      burst.push(
        http2Frame(headers, flag.endHeaders, stream, block),
        http2Frame(windowUpdate, 0, stream, uint32(0)),
      );
    }
    attacker.send(...burst);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await attacker.until("the close", ({ closed }) => closed);
  await assertSound(gateway);
});

test("P06: streams over the limit are refused", async (t) => {
  const gateway = await gatewayOf(t);
  const attacker = await rawHttp2(t, gateway);
  const before = process.memoryUsage().rss;
  const streams: Buffer[] = [];
  for (let id = 1; id < 120_000; id += 2) streams.push(http2Frame(headers, flag.endHeaders, id, block));
  attacker.send(...streams);
  await attacker.until("a refusal", (seen) => seen.of(rstStream).length > 0 || seen.closed);
  const refused = attacker.of(rstStream).filter(({ payload }) => payload.readUInt32BE(0) === 7); // REFUSED_STREAM.
  assert.ok(refused.length > 0);
  assert.ok(refused.every(({ streamId }) => streamId > 400));
  assert.ok(process.memoryUsage().rss - before < 96 * mebibyte);
  attacker.destroy();
  await assertSound(gateway);
});

test("P06: twice the limit of 100 streams, or what is said otherwise, is announced", async (t) => {
  for (const maxConcurrentStreams of [undefined, 3]) {
    const { url } = await gatewayOf(t, maxConcurrentStreams === undefined ? {} : { maxConcurrentStreams });
    const [remote] = (await once(openSession(t, url), "remoteSettings")) as [
      { maxConcurrentStreams: number },
    ];
    assert.equal(remote.maxConcurrentStreams, 2 * (maxConcurrentStreams ?? 100)); // Node counts streams that are gone.
  }
});

test("G28: calls that a client cancels cost it none of its others", async (t) => {
  const gateway = await gatewayOf(t);
  const client = await rawHttp2(t, gateway);
  await client.until("the settings", (seen) => seen.of(settings).length > 0);
  client.send(http2Frame(settings, flag.ack, 0)); // From now on Node counts by what it has announced.
  const begin = (id: number): Buffer => http2Frame(headers, flag.endHeaders, id, block);
  client.send(...Array.from({ length: 100 }, (_, index) => begin(1 + 2 * index)));
  for (let round = 0; round < 5; round++) {
    const burst: Buffer[] = [];
    for (let index = 20 * round; index < 20 * (round + 1); index++) {
      burst.push(http2Frame(rstStream, 0, 1 + 2 * index, uint32(8)));
    }
    for (let index = 20 * round; index < 20 * (round + 1); index++) burst.push(begin(201 + 2 * index));
    client.send(...burst, http2Frame(ping, 0, 0, Buffer.alloc(8)));
    await client.until("the answer to a ping", (seen) => seen.of(ping).length > round || seen.closed);
  }
  assert.deepEqual(client.of(rstStream), []);
  assert.equal(client.closed, false);
});

test("P06: streams over the limit wait for their turn", async (t) => {
  const gateway = await gatewayOf(t, { maxConcurrentStreams: 2 });
  const client = await rawHttp2(t, gateway);
  const answered = (id: number) => client.of(headers).some(({ streamId }) => streamId === id);
  const whole = (id: number): Buffer[] => [
    http2Frame(headers, flag.endHeaders, id, block),
    http2Frame(data, flag.endStream, id, Buffer.from('{"text":"turn"}')),
  ];
  for (const id of [1, 3]) client.send(http2Frame(headers, flag.endHeaders, id, block));
  client.send(...whole(5), ...whole(7), http2Frame(ping, 0, 0, Buffer.alloc(8)));
  await client.until("the answer to a ping", (seen) => seen.of(ping).length > 0);
  assert.deepEqual([client.of(headers), client.of(rstStream)], [[], []]);
  client.send(http2Frame(rstStream, 0, 5, uint32(1))); // A call that waits may be cancelled, and takes no turn.
  client.send(http2Frame(rstStream, 0, 3, uint32(8)));
  await client.until("the answer to what waited", () => answered(7));
  client.send(...whole(9));
  await client.until("the next answer", () => answered(9));
  assert.equal(answered(5), false);
  client.send(http2Frame(rstStream, 0, 1, uint32(8)));
  await gateway.stillServes();
});

test("P07: header lists over the limit answer 431", async (t) => {
  const gateway = await gatewayOf(t);
  const bomb = Buffer.concat([
    hpack(fields),
    Buffer.from([0x40]), // A literal that goes into the dynamic table …
    hpack([["x", "y".repeat(500)]]).subarray(1),
    Buffer.alloc(110, 0xbe), // … and is named 110 times.
  ]);
  const lists: Record<string, Buffer> = {
    "many fields": hpack([...fields, ...Array.from({ length: 120 }, (_, i) => [`x-${i}`, "v"] as const)]),
    "far too many fields": hpack([
      ...fields,
      ...Array.from({ length: 900 }, (_, i) => [`x-${i}`, "v"] as const),
    ]),
    "one huge field": hpack([...fields, ["x", "y".repeat(16_350)]]),
    "an indexed field, repeated": bomb,
  };
  for (const [name, list] of Object.entries(lists)) {
    const attacker = await rawHttp2(t, gateway);
    for (let at = 0; at < list.length; at += 16_000) {
      const last = at + 16_000 >= list.length;
      const end = (last ? flag.endHeaders : 0) | (at === 0 ? flag.endStream : 0);
      attacker.send(http2Frame(at === 0 ? headers : continuation, end, 1, list.subarray(at, at + 16_000)));
    }
    await attacker.until(`the body for ${name}`, (seen) => seen.closed || seen.of(data).length > 0);
    assert.match(attacker.of(data)[0]?.payload.toString() ?? "", /"code":8/, name);
    attacker.destroy();
  }
  const session = openSession(t, gateway.url);
  const { status } = await ask(session, { ":path": "/test/v1/echo/a", "x-large": "y".repeat(16_400) });
  assert.equal(status, 431);
  session.destroy();
  assert.equal(gateway.echo.calls, 0);
  await assertSound(gateway);
});

test("P07: header lists far over the limit reset their stream", async (t) => {
  const gateway = await gatewayOf(t);
  const bomb = Buffer.concat([
    hpack(fields),
    Buffer.from([0x40]),
    hpack([["x", "y".repeat(3000)]]).subarray(1),
    Buffer.alloc(8000, 0xbe),
  ]);
  const attacker = await rawHttp2(t, gateway);
  attacker.send(http2Frame(headers, flag.endHeaders | flag.endStream, 1, bomb));
  await attacker.until("the reset", (seen) => seen.closed || seen.of(rstStream).length > 0);
  assert.equal(attacker.of(rstStream)[0]?.payload.readUInt32BE(0) ?? 0xb, 0xb);
  attacker.destroy();
  await assertSound(gateway);
});

test("P08: malformed requests reset their stream", async (t) => {
  const gateway = await gatewayOf(t);
  const without = (name: string) => fields.filter(([field]) => field !== name);
  const lists: Record<string, Fields> = {
    "upper-case name": [...fields, ["X-Upper", "v"]],
    connection: [...fields, ["connection", "keep-alive"]],
    "transfer-encoding": [...fields, ["transfer-encoding", "chunked"]],
    "te: x": [...fields, ["te", "x"]],
    "no method": without(":method"),
    "no path": without(":path"),
    "no scheme": without(":scheme"),
    "two paths": [...fields.slice(0, 3), [":path", "/test/v1/echo"], ...fields.slice(3)],
    "pseudo header behind others": [...without(":path"), [":path", "/test/v1/echo"]],
    "unknown pseudo header": [[":x", "y"], ...fields],
    "path without a slash": [...fields.slice(0, 2), [":path", "constructor"], ...fields.slice(3)],
    "empty path": [...fields.slice(0, 2), [":path", ""], ...fields.slice(3)],
  };
  for (const [name, list] of Object.entries(lists)) {
    const attacker = await rawHttp2(t, gateway);
    attacker.send(http2Frame(headers, flag.endHeaders, 1, hpack(list)));
    await attacker.until(`the reset for ${name}`, (seen) => seen.of(rstStream).length > 0 || seen.closed);
    const code =
      attacker.of(rstStream)[0]?.payload.readUInt32BE(0) ?? attacker.of(goaway)[0]?.payload.readUInt32BE(4);
    assert.equal(code, 1, name);
    attacker.destroy();
  }
  assert.equal(gateway.echo.calls, 0);
  await assertSound(gateway);
});

test("P10: a content-length that is not that of the body resets the stream and calls nobody", async (t) => {
  const gateway = await gatewayOf(t);
  const body = Buffer.from('{"text":"hello"}');
  for (const length of [body.length - 1, body.length + 1, 0]) {
    const attacker = await rawHttp2(t, gateway);
    const list = hpack([...fields, ["content-length", String(length)]]);
    attacker.send(http2Frame(headers, flag.endHeaders, 1, list), http2Frame(data, flag.endStream, 1, body));
    await attacker.until("the reset", (seen) => seen.of(rstStream).length > 0 || seen.closed);
    assert.equal(attacker.of(rstStream)[0]?.payload.readUInt32BE(0) ?? 1, 1);
    attacker.destroy();
  }
  // An announced length of 0 may have been taken at its word before the first byte of the body.
  assert.ok(gateway.echo.calls <= 1);
  await assertSound(gateway);
});

test("P11: an authority that is not the host is refused", async (t) => {
  const gateway = await gatewayOf(t, { allowedHosts: ["good"] });
  const session = openSession(t, gateway.url);
  const path = "/test/v1/echo/a";
  const cases: readonly (readonly [Record<string, string>, number])[] = [
    [{ ":authority": "good" }, 200],
    [{ ":authority": "good:80", host: "GOOD:80" }, 200],
    [{ ":authority": "good", host: "evil" }, 400],
    [{ ":authority": "evil", host: "good" }, 400],
    [{ ":authority": "evil" }, 421],
  ];
  for (const [names, status] of cases) {
    const reply = await ask(session, { ":path": path, ...names });
    assert.equal(reply.status, status, JSON.stringify(names));
  }
  session.destroy();
  await assertNoSockets(gateway);
});

test("P12: frames that break the protocol close the connection", async (t) => {
  const gateway = await gatewayOf(t);
  const attacks: Record<string, Buffer> = {
    "DATA on an idle stream": http2Frame(data, 0, 1, Buffer.from("x")),
    "an even stream id": http2Frame(headers, flag.endHeaders, 2, block),
    "a frame over the maximum": http2Frame(data, 0, 1, Buffer.alloc(17 * 1024)),
    "WINDOW_UPDATE of 0 on the connection": http2Frame(windowUpdate, 0, 0, uint32(0)),
    "SETTINGS of a wrong length": http2Frame(settings, 0, 0, Buffer.alloc(5)),
    "PING of a wrong length": http2Frame(ping, 0, 0, Buffer.alloc(7)),
  };
  for (const [name, bytes] of Object.entries(attacks)) {
    const attacker = await rawHttp2(t, gateway);
    attacker.send(bytes);
    await attacker.until(`the close after ${name}`, ({ closed }) => closed);
    assert.notEqual(attacker.of(goaway)[0]?.payload.readUInt32BE(4), 0, name);
  }
  await assertSound(gateway);
});

test("P13: connections that do not begin to speak are closed", async (t) => {
  const gateway = await gatewayOf(t, { handshakeTimeoutMs: 2000 });
  const half = http2Frame(settings, 0, 0).subarray(0, 4);
  const silent = await Promise.all(
    [[], [preface], [preface.subarray(0, 10)], [preface, half]].map(async (bytes) => {
      const connection = await rawHttp2(t, gateway, false);
      connection.send(...bytes);
      return connection;
    }),
  );
  const words = [Buffer.alloc(0), preface.subarray(0, 10), preface, Buffer.concat([preface, half])];
  const crowd = await openCrowd(t, gateway.port, crowdSize(t, 5000), words);
  await gateway.stillServes();
  await crowdLeft(crowd);
  for (const connection of silent) await connection.until("the close", ({ closed }) => closed);
  await assertSound(gateway);
});

test("P13: a preface in pieces is one", async (t) => {
  const gateway = await gatewayOf(t);
  const connection = await rawHttp2(t, gateway, false);
  connection.socket.setNoDelay(true);
  for (const byte of preface) {
    connection.send(Buffer.from([byte]));
    await new Promise((resolve) => setImmediate(resolve));
  }
  const request: Fields = [
    [":method", "GET"],
    [":scheme", "http"],
    [":path", "/test/v1/echo/pieces"],
    [":authority", "test"],
  ];
  connection.send(
    http2Frame(settings, 0, 0),
    http2Frame(headers, flag.endHeaders | flag.endStream, 1, hpack(request)),
  );
  await connection.until("the answer", (seen) => seen.closed || seen.of(data).length > 0);
  assert.match(connection.of(data)[0]?.payload.toString() ?? "", /"text":"pieces"/);
});

test("P14: an upgrade to h2c is a request of HTTP/1", async (t) => {
  const gateway = await gatewayOf(t);
  const upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n";
  const answer = await exchangeBytes(
    gateway.port,
    `GET /test/v1/echo/a HTTP/1.1\r\nHost: x\r\n${upgrade}\r\n`,
    (text) => text.includes("}"),
  );
  assert.equal(statusOf(answer), 200);
  await assertSound(gateway);
});

test("G23: pings without data close the connection", async (t) => {
  const gateway = await gatewayOf(t);
  const attacker = await rawHttp2(t, gateway);
  const timer = setInterval(() => attacker.send(http2Frame(ping, 0, 0, Buffer.alloc(8))), 10);
  t.after(() => clearInterval(timer));
  await attacker.until("the close", ({ closed }) => closed);
  assert.equal(attacker.of(goaway)[0]?.payload.readUInt32BE(4), 0xb, "ENHANCE_YOUR_CALM");
});

test("G23: pings while a reply comes are allowed", async (t) => {
  const gateway = await startGateway({}, [], (http) => {
    http.fastify.get("/large", () => Buffer.alloc(mebibyte));
  });
  t.after(() => gateway.http.gracefulStop({ graceMs: 0 }));
  const client = await rawHttp2(t, gateway);
  const request: Fields = [
    [":method", "GET"],
    [":scheme", "http"],
    [":path", "/large"],
    [":authority", "test"],
  ];
  client.send(http2Frame(headers, flag.endHeaders | flag.endStream, 1, hpack(request)));
  const received = (): number => client.of(data).reduce((sum, { payload }) => sum + payload.length, 0);
  for (let round = 1; round <= 12; round++) {
    await client.until("the data", (seen) => seen.closed || received() >= 65_535 + (round - 1) * 16_384);
    client.send(http2Frame(ping, 0, 0, Buffer.alloc(8)));
    await client.until("the answer", (seen) => seen.closed || seen.of(ping).length === round);
    const more = uint32(16_384);
    client.send(http2Frame(windowUpdate, 0, 0, more), http2Frame(windowUpdate, 0, 1, more));
  }
  assert.equal(client.closed, false);
  assert.deepEqual(client.of(goaway), []);
});

test("a client that only hangs up halfway does not hold its connection", async (t) => {
  const gateway = await gatewayOf(t);
  const socket = connect({ port: gateway.port, host: "127.0.0.1", allowHalfOpen: true });
  t.after(() => socket.destroy());
  socket.on("error", () => {});
  socket.resume();
  socket.end(Buffer.concat([preface, http2Frame(settings, 0, 0)]));
  await once(socket, "close");
  await assertSound(gateway);
});
