import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { connect as connectHttp2 } from "node:http2";
import { describe, test } from "node:test";
import { crowdLeft, crowdSize, openCrowd } from "../../support/crowd.ts";
import { exchangeBytes, startGateway, statusOf } from "../../support/gateway-fixture.ts";
import { flag, frameType, hpack, http2Frame, preface, uint32 } from "../../support/http2-frames.ts";
import { echoFrame, open } from "../../support/running-grpc.ts";
import { attack, attackedPorts, begin, gatewayPort, grpcPort, whole } from "./attacked-ports.ts";

const mebibyte = 1024 * 1024;
const { headers, rstStream, windowUpdate, continuation, data, goaway, ping, settings } = frameType;
const turn = () => new Promise((resolve) => setImmediate(resolve));

for (const port of attackedPorts) {
  const block = hpack(port.fields);

  describe(port.name, () => {
    test("P01: rapid resets close the connection", async (t) => {
      const server = await port.start(t);
      const attacker = await attack(t, server);
      const cpu = process.cpuUsage();
      for (let id = 1; id < 120_000 && !attacker.closed; id += 2000) {
        const burst: Buffer[] = [];
        for (let stream = id; stream < id + 2000; stream += 2) {
          burst.push(begin(stream, block), http2Frame(rstStream, 0, stream, uint32(8)));
        }
        attacker.send(...burst);
        await turn();
      }
      await attacker.until("the close", ({ closed }) => closed);
      const { user, system } = process.cpuUsage(cpu);
      t.diagnostic(`CPU of attack and defence: ${(user + system) / 1000} ms`);
      assert.equal(server.calls(), 0);
      await server.assertSound();
    });

    test("P02: a flood of CONTINUATION frames closes the connection", async (t) => {
      const server = await port.start(t);
      for (const payload of [hpack([["x-flood", "x".repeat(1000)]]), Buffer.alloc(0)]) {
        const before = process.memoryUsage().rss;
        const attacker = await attack(t, server);
        attacker.send(http2Frame(headers, 0, 1, block));
        for (let i = 0; i < 5000 && !attacker.closed; i++) {
          attacker.send(http2Frame(continuation, 0, 1, payload));
          if (i % 50 === 0) await turn();
        }
        await attacker.until("the close", ({ closed }) => closed);
        assert.ok(process.memoryUsage().rss - before < 64 * mebibyte);
      }
      await server.assertSound();
    });

    test("P04: windows that overflow end their connections with FLOW_CONTROL_ERROR and leave nothing behind", async (t) => {
      const server = await port.start(t);
      const overflow = http2Frame(windowUpdate, 0, 0, uint32(2 ** 31 - 1));
      const before = process.memoryUsage().rss;
      for (let round = 0; round < 20; round++) {
        const attackers = await Promise.all(Array.from({ length: 100 }, () => attack(t, server)));
        for (const attacker of attackers) attacker.send(overflow);
        for (const attacker of attackers) {
          await attacker.until("the close", ({ closed }) => closed);
          assert.equal(attacker.of(goaway)[0]?.payload.readUInt32BE(4), 3, "FLOW_CONTROL_ERROR");
        }
      }
      await server.assertNoSockets();
      assert.ok(process.memoryUsage().rss - before < 96 * mebibyte); // Both ends of 2,000 connections, before any GC.
      await server.assertAlive();
    });

    test("P05: streams that the client makes the server reset are counted like its own resets", async (t) => {
      const server = await port.start(t);
      const attacker = await attack(t, server);
      for (let id = 1; id < 120_000 && !attacker.closed; id += 1000) {
        const burst: Buffer[] = [];
        for (let stream = id; stream < id + 1000; stream += 2) {
          burst.push(begin(stream, block), http2Frame(windowUpdate, 0, stream, uint32(0)));
        }
        attacker.send(...burst);
        await turn();
      }
      await attacker.until("the close", ({ closed }) => closed);
      await server.assertSound();
    });

    test("P12: frames that break the protocol close the connection", async (t) => {
      const server = await port.start(t);
      const attacks: Record<string, Buffer> = {
        "DATA on an idle stream": http2Frame(data, 0, 1, Buffer.from("x")),
        "an even stream id": begin(2, block),
        "a frame over the maximum": http2Frame(data, 0, 1, Buffer.alloc(17 * 1024)),
        "WINDOW_UPDATE of 0 on the connection": http2Frame(windowUpdate, 0, 0, uint32(0)),
        "SETTINGS of a wrong length": http2Frame(settings, 0, 0, Buffer.alloc(5)),
        "PING of a wrong length": http2Frame(ping, 0, 0, Buffer.alloc(7)),
      };
      for (const [name, bytes] of Object.entries(attacks)) {
        const attacker = await attack(t, server);
        attacker.send(bytes);
        await attacker.until(`the close after ${name}`, ({ closed }) => closed);
        assert.notEqual(attacker.of(goaway)[0]?.payload.readUInt32BE(4), 0, name);
      }
      await server.assertSound();
    });

    test("P13: connections that do not begin to speak are closed", async (t) => {
      const server = await port.start(t, { handshakeTimeoutMs: 2000 });
      const began = performance.now();
      const half = http2Frame(settings, 0, 0).subarray(0, 4);
      const silent = await Promise.all(
        [[], [preface], [preface.subarray(0, 10)], [preface, half]].map(async (bytes) => {
          const connection = await attack(t, server, false);
          connection.send(...bytes);
          return connection;
        }),
      );
      const words = [Buffer.alloc(0), preface.subarray(0, 10), preface, Buffer.concat([preface, half])];
      const crowd = await openCrowd(t, server.port, crowdSize(t, 5000), words);
      await server.assertAlive();
      await crowdLeft(crowd);
      for (const connection of silent) await connection.until("the close", ({ closed }) => closed);
      assert.ok(performance.now() - began >= 1990);
      await server.assertSound();
    });

    test("P13: connections that speak are kept", async (t) => {
      const server = await port.start(t, { handshakeTimeoutMs: 100 });
      const connection = await attack(t, server);
      await new Promise((resolve) => setTimeout(resolve, 400));
      assert.equal(connection.closed, false);
    });

    test("P13: a preface in pieces is one", async (t) => {
      const server = await port.start(t);
      const connection = await attack(t, server, false);
      connection.socket.setNoDelay(true);
      for (const byte of preface) {
        connection.send(Buffer.from([byte]));
        await turn();
      }
      connection.send(http2Frame(settings, 0, 0), ...whole(1, port.fields, port.body("pieces")));
      await connection.until("the answer", (seen) => seen.closed || seen.of(data).length > 0);
      assert.match(connection.of(data)[0]?.payload.toString("latin1") ?? "", /pieces/);
    });

    test("G23: pings without data close the connection with too_many_pings", async (t) => {
      const server = await port.start(t);
      const attacker = await attack(t, server);
      const timer = setInterval(() => attacker.send(http2Frame(ping, 0, 0, Buffer.alloc(8))), 10);
      t.after(() => clearInterval(timer));
      await attacker.until("the close", ({ closed }) => closed);
      const [last] = attacker.of(goaway);
      assert.equal(last?.payload.readUInt32BE(4), 0xb, "ENHANCE_YOUR_CALM");
      assert.equal(last?.payload.subarray(8).toString(), "too_many_pings");
      assert.ok(attacker.of(ping).length <= 4);
      await server.assertSound();
    });

    test("a client that only closes its half does not hold its connection", async (t) => {
      const server = await port.start(t);
      const socket = connect({ port: server.port, host: "127.0.0.1", allowHalfOpen: true });
      t.after(() => socket.destroy());
      socket.on("error", () => {});
      socket.resume();
      socket.end(Buffer.concat([preface, http2Frame(settings, 0, 0)]));
      await once(socket, "close");
      await server.assertSound();
    });
  });
}

test("P14: on a port for gRPC alone HTTP/1 gets no upgrade, the connection is closed", async (t) => {
  const server = await grpcPort.start(t);
  const upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n";
  const answer = await exchangeBytes(server.port, `GET / HTTP/1.1\r\nHost: x\r\n${upgrade}\r\n`);
  assert.doesNotMatch(answer, /101/);
  await server.assertAlive();
});

test("P14: on the gateway's port an upgrade to h2c is a request of HTTP/1", async (t) => {
  const gateway = await gatewayPort.start(t);
  const upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n";
  const answer = await exchangeBytes(
    gateway.port,
    `GET /test/v1/echo/a HTTP/1.1\r\nHost: x\r\n${upgrade}\r\n`,
    (text) => text.includes("}"),
  );
  assert.equal(statusOf(answer), 200);
  await gateway.assertSound();
});

test("G23: pings between calls are allowed", async (t) => {
  const server = await grpcPort.start(t);
  const http2 = connectHttp2(server.url);
  http2.on("error", () => {});
  t.after(() => http2.destroy());
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

test("G23: pings while a reply comes are allowed", async (t) => {
  const gateway = await startGateway({}, [], (http) => {
    http.fastify.get("/large", () => Buffer.alloc(mebibyte));
  });
  t.after(() => gateway.http.gracefulStop({ graceMs: 0 }));
  const client = await attack(t, gateway);
  const request = hpack([
    [":method", "GET"],
    [":scheme", "http"],
    [":path", "/large"],
    [":authority", "test"],
  ]);
  client.send(http2Frame(headers, flag.endHeaders | flag.endStream, 1, request));
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
