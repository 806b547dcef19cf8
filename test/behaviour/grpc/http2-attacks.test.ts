import { strict as assert } from "node:assert";
import { once } from "node:events";
import { connect } from "node:net";
import { test, type TestContext } from "node:test";
import { Code } from "@connectrpc/connect";
import { crowdLeft, crowdSize, openCrowd } from "../../support/crowd.ts";
import { flag, frameType, hpack, http2Frame, preface, RawHttp2, uint32 } from "../../support/http2-frames.ts";
import {
  assertAlive,
  echoFrame,
  echoPath,
  open,
  running,
  session,
  within,
  type Running,
} from "../../support/running-grpc.ts";

const mebibyte = 1024 * 1024;
const { headers, rstStream, windowUpdate, continuation, data, goaway, ping, settings } = frameType;

const fields: readonly (readonly [string, string])[] = [
  [":method", "POST"],
  [":scheme", "http"],
  [":path", echoPath],
  [":authority", "test"],
  ["content-type", "application/grpc"],
  ["te", "trailers"],
];
const block = hpack(fields);

async function raw(t: TestContext, { host, port }: Running, hello = true): Promise<RawHttp2> {
  const connection = await RawHttp2.open(host, port, hello);
  t.after(() => connection.destroy());
  return connection;
}

/** No connection is left on the server but those that a test still holds. */
async function assertNoSockets({ server }: Running, held = 0): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (server.connections > held) {
    assert.ok(performance.now() < deadline, `${server.connections} connections are left`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test("P01: rapid resets close the connection", async (t) => {
  const server = await running(t);
  const attacker = await raw(t, server);
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
  assert.equal(server.echo.calls, 0);
  await assertNoSockets(server);
  await assertAlive(server);
});

test("P02: a flood of CONTINUATION frames closes the connection", async (t) => {
  const server = await running(t);
  for (const payload of [hpack([["x-flood", "x".repeat(1000)]]), Buffer.alloc(0)]) {
    const before = process.memoryUsage().rss;
    const attacker = await raw(t, server);
    attacker.send(http2Frame(headers, 0, 1, block));
    for (let i = 0; i < 5000 && !attacker.closed; i++) {
      attacker.send(http2Frame(continuation, 0, 1, payload));
      if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await attacker.until("the close", ({ closed }) => closed);
    assert.ok(process.memoryUsage().rss - before < 64 * mebibyte);
  }
  await assertNoSockets(server);
  await assertAlive(server);
});

test("P04: window overflows end their connections with FLOW_CONTROL_ERROR and leave nothing behind", async (t) => {
  const server = await running(t);
  const overflow = http2Frame(windowUpdate, 0, 0, uint32(2 ** 31 - 1));
  const before = process.memoryUsage().rss;
  for (let round = 0; round < 20; round += 1) {
    const attackers = await Promise.all(Array.from({ length: 100 }, () => raw(t, server)));
    for (const attacker of attackers) attacker.send(overflow);
    for (const attacker of attackers) {
      await attacker.until("a GOAWAY or the close", (seen) => seen.of(goaway).length > 0 || seen.closed);
      for (const { payload } of attacker.of(goaway))
        assert.equal(payload.readUInt32BE(4), 3, "FLOW_CONTROL_ERROR");
      await attacker.until("the close", ({ closed }) => closed);
    }
  }
  await assertNoSockets(server);
  assert.ok(process.memoryUsage().rss - before < 96 * mebibyte); // Both ends of 2,000 connections, before any GC.
  await assertAlive(server);
});

test("P05: streams that the client makes the server reset are counted like its own resets", async (t) => {
  const server = await running(t);
  const attacker = await raw(t, server);
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
  await assertNoSockets(server);
  await assertAlive(server);
});

test("P06: streams over the limit are refused", async (t) => {
  const server = await running(t);
  const attacker = await raw(t, server);
  const before = process.memoryUsage().rss;
  const streams: Buffer[] = [];
  for (let id = 1; id < 120_000; id += 2) streams.push(http2Frame(headers, flag.endHeaders, id, block));
  attacker.send(...streams);
  await attacker.until("a refusal", (seen) => seen.of(rstStream).length > 0 || seen.closed);
  const refused = attacker.of(rstStream).filter(({ streamId }) => streamId > 400); // Others fall with the connection.
  assert.ok(attacker.closed || refused.length > 0);
  for (const { payload } of refused) assert.equal(payload.readUInt32BE(0), 7, "REFUSED_STREAM");
  assert.ok(process.memoryUsage().rss - before < 96 * mebibyte);
  attacker.destroy();
  await assertNoSockets(server);
  await assertAlive(server);
});

test("P06: twice the limit of 100 streams, or what is said otherwise, is announced", async (t) => {
  for (const maxConcurrentStreams of [undefined, 3]) {
    const server = await running(t, maxConcurrentStreams === undefined ? {} : { maxConcurrentStreams });
    const http2 = session(t, server);
    const [remote] = (await once(http2, "remoteSettings")) as [{ maxConcurrentStreams: number }];
    assert.equal(remote.maxConcurrentStreams, 2 * (maxConcurrentStreams ?? 100)); // Node counts streams that are gone.
  }
});

test("G28: calls that a client cancels cost it none of its others", async (t) => {
  const server = await running(t);
  const client = await raw(t, server);
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
  const server = await running(t, { maxConcurrentStreams: 2 });
  const client = await raw(t, server);
  const answered = (id: number) => client.of(headers).some(({ streamId }) => streamId === id);
  const whole = (id: number): Buffer[] => [
    http2Frame(headers, flag.endHeaders, id, block),
    http2Frame(data, flag.endStream, id, echoFrame({ text: "turn" })),
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
  await assertAlive(server);
});

test("P07: header lists over the limit never hang", async (t) => {
  const server = await running(t);
  const bomb = Buffer.concat([
    hpack(fields),
    Buffer.from([0x40]), // A literal that goes into the dynamic table …
    hpack([["x", "y".repeat(3000)]]).subarray(1),
    Buffer.alloc(8000, 0xbe), // … and is named 8,000 times.
  ]);
  const lists = [
    hpack([...fields, ...Array.from({ length: 120 }, (_, i) => [`x-${i}`, "v"] as const)]),
    hpack([...fields, ...Array.from({ length: 400 }, (_, i) => [`x-${i}`, "v"] as const)]),
    bomb,
  ];
  for (const list of lists) {
    const attacker = await raw(t, server);
    attacker.send(http2Frame(headers, flag.endHeaders | flag.endStream, 1, list));
    await attacker.until(
      "the answer",
      (seen) =>
        seen.closed ||
        seen.frames.some(({ type, streamId }) => streamId === 1 && (type === headers || type === rstStream)),
    );
    attacker.destroy();
  }
  assert.equal(server.echo.calls, 0);
  await assertAlive(server);
});

test("P08: malformed requests reset their stream", async (t) => {
  const server = await running(t);
  const without = (name: string) => fields.filter(([field]) => field !== name);
  const lists: Record<string, readonly (readonly [string, string])[]> = {
    "upper-case name": [...fields, ["X-Upper", "v"]],
    connection: [...fields, ["connection", "keep-alive"]],
    "transfer-encoding": [...fields, ["transfer-encoding", "chunked"]],
    "te: x": [...without("te"), ["te", "x"]],
    "no method": without(":method"),
    "no path": without(":path"),
    "no scheme": without(":scheme"),
    "two paths": [...fields.slice(0, 3), [":path", echoPath], ...fields.slice(3)],
    "pseudo header behind others": [...without(":path"), [":path", echoPath]],
    "unknown pseudo header": [[":x", "y"], ...fields],
    "path without a slash": [...fields.slice(0, 2), [":path", "constructor"], ...fields.slice(3)],
    "empty path": [...fields.slice(0, 2), [":path", ""], ...fields.slice(3)],
  };
  for (const [name, list] of Object.entries(lists)) {
    const attacker = await raw(t, server);
    attacker.send(http2Frame(headers, flag.endHeaders, 1, hpack(list)));
    await attacker.until(`the reset for ${name}`, (seen) => seen.of(rstStream).length > 0 || seen.closed);
    const code =
      attacker.of(rstStream)[0]?.payload.readUInt32BE(0) ?? attacker.of(goaway)[0]?.payload.readUInt32BE(4);
    assert.equal(code, 1, name);
    attacker.destroy();
  }
  assert.equal(server.echo.calls, 0);
  await assertAlive(server);
});

test("P08, P16: odd paths are answered or reset, never more", async (t) => {
  const server = await running(t);
  for (const path of ["/ü", "/\x80\xff", "/a b", "/%", "/%00", "//", "*", "/x#y", `/${"x".repeat(5000)}`]) {
    const attacker = await raw(t, server);
    const list = fields.map(([name, value]) => [name, name === ":path" ? path : value] as const);
    attacker.send(http2Frame(headers, flag.endHeaders | flag.endStream, 1, hpack(list)));
    await attacker.until(
      "the answer",
      (seen) =>
        seen.closed ||
        seen.frames.some(({ type, streamId }) => streamId === 1 && (type === headers || type === rstStream)),
    );
    attacker.destroy();
  }
  await assertAlive(server);
});

test("P10: a content-length that is not that of the body resets the stream or closes the connection", async (t) => {
  const server = await running(t);
  const body = echoFrame({ text: "hello" });
  for (const length of [body.length - 1, body.length + 1, 0]) {
    const attacker = await raw(t, server);
    const list = hpack([...fields, ["content-length", String(length)]]);
    attacker.send(http2Frame(headers, flag.endHeaders, 1, list), http2Frame(data, flag.endStream, 1, body));
    await attacker.until("the reset", (seen) => seen.of(rstStream).length > 0 || seen.closed);
    const reset = attacker.of(rstStream)[0]?.payload.readUInt32BE(0);
    assert.notEqual(reset ?? attacker.of(goaway)[0]?.payload.readUInt32BE(4), 0);
    attacker.destroy();
  }
  assert.equal(server.echo.calls, 0);
  await assertAlive(server);
});

test("P12: frames that break the protocol close the connection", async (t) => {
  const server = await running(t);
  const attacks: Record<string, Buffer> = {
    "DATA on an idle stream": http2Frame(data, 0, 1, Buffer.from("x")),
    "an even stream id": http2Frame(headers, flag.endHeaders, 2, block),
    "a frame over the maximum": http2Frame(data, 0, 1, Buffer.alloc(17 * 1024)),
    "WINDOW_UPDATE of 0 on the connection": http2Frame(windowUpdate, 0, 0, uint32(0)),
    "SETTINGS of a wrong length": http2Frame(settings, 0, 0, Buffer.alloc(5)),
    "PING of a wrong length": http2Frame(ping, 0, 0, Buffer.alloc(7)),
  };
  for (const [name, bytes] of Object.entries(attacks)) {
    const attacker = await raw(t, server);
    attacker.send(bytes);
    await attacker.until(`the close after ${name}`, ({ closed }) => closed);
    assert.notEqual(attacker.of(goaway)[0]?.payload.readUInt32BE(4), 0, name);
  }
  await assertNoSockets(server);
  await assertAlive(server);
});

test("P13: connections that do not begin to speak are closed", async (t) => {
  const server = await running(t, { handshakeTimeoutMs: 2000 });
  const began = performance.now();
  const half = http2Frame(settings, 0, 0).subarray(0, 4);
  const silent = await Promise.all(
    [[], [preface], [preface.subarray(0, 10)], [preface, half]].map(async (bytes) => {
      const connection = await raw(t, server, false);
      connection.send(...bytes);
      return connection;
    }),
  );
  const words = [Buffer.alloc(0), preface.subarray(0, 10), preface, Buffer.concat([preface, half])];
  const crowd = await openCrowd(t, server.port, crowdSize(t, 5000), words);
  await assertAlive(server);
  await crowdLeft(crowd);
  for (const connection of silent) await connection.until("the close", ({ closed }) => closed);
  assert.ok(performance.now() - began >= 1990);
  await assertNoSockets(server);
  await assertAlive(server);
});

test("P13: connections that speak are kept", async (t) => {
  const server = await running(t, { handshakeTimeoutMs: 100 });
  const connection = await raw(t, server);
  await new Promise((resolve) => setTimeout(resolve, 400));
  assert.equal(connection.closed, false);
});

test("P14: HTTP/1 gets no upgrade, the connection is closed", async (t) => {
  const server = await running(t);
  const socket = connect(server.port, server.host);
  t.after(() => socket.destroy());
  socket.on("error", () => {});
  let text = "";
  socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
  socket.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n");
  await within(10_000, "the close", once(socket, "close"));
  assert.doesNotMatch(text, /101/);
  await assertAlive(server);
});

test("G23: pings without data close the connection with too_many_pings", async (t) => {
  const server = await running(t);
  const attacker = await raw(t, server);
  const timer = setInterval(() => attacker.send(http2Frame(ping, 0, 0, Buffer.alloc(8))), 10);
  t.after(() => clearInterval(timer));
  await attacker.until("the close", ({ closed }) => closed);
  const [last] = attacker.of(goaway);
  assert.equal(last?.payload.readUInt32BE(4), 0xb, "ENHANCE_YOUR_CALM");
  assert.equal(last?.payload.subarray(8).toString(), "too_many_pings");
  assert.ok(attacker.of(ping).length <= 4);
  await assertNoSockets(server);
  await assertAlive(server);
});

test("G23: pings between calls are allowed", async (t) => {
  const server = await running(t);
  const http2 = session(t, server);
  await once(http2, "connect");
  for (let i = 0; i < 8; i++) {
    await new Promise<void>((resolve, reject) => {
      http2.ping((error) => (error === null ? resolve() : reject(error)));
    });
    const stream = open(http2);
    stream.resume();
    stream.end(echoFrame({}));
    await once(stream, "close");
  }
  assert.equal(http2.destroyed, false);
});

test("P16: streams that are reset while they are answered harm nobody", async (t) => {
  const server = await running(t);
  const attacker = await raw(t, server);
  const body = echoFrame({ behaviour: { failure: { code: Code.Internal } } });
  for (let id = 1; id < 100; id += 2) {
    const path = id % 4 === 1 ? echoPath : "/no/Method";
    const list = fields.map(([name, value]) => [name, name === ":path" ? path : value] as const);
    attacker.send(
      http2Frame(headers, flag.endHeaders, id, hpack(list)),
      http2Frame(data, flag.endStream, id, body),
      http2Frame(rstStream, 0, id, uint32(8)),
    );
  }
  await assertAlive(server);
});
