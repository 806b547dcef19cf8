import assert from "node:assert/strict";
import { once } from "node:events";
import { suite, test, type TestContext } from "node:test";
import { connect as connectTls } from "node:tls";
import type { HttpServerOptions } from "../../../src/gateway/http-server-options.ts";
import { createCertificate } from "../../support/certificates.ts";
import { connectTo, type Gateway, readUntil, startGateway, statusOf } from "../../support/gateway-fixture.ts";

const path = "/test/v1/echo";
const alive = `GET ${path}/alive HTTP/1.1\r\nHost: ok\r\n\r\n`;
const slow = `GET ${path}/a?behaviour.sleepMs=60000 HTTP/1.1\r\nHost: ok\r\n\r\n`;

function upload(length: number, sleepMs = 0): string {
  const query = sleepMs > 0 ? `,"behaviour":{"sleepMs":${sleepMs}}` : "";
  const fields = `Content-Type: application/json\r\nContent-Length: ${length}`;
  return `POST ${path} HTTP/1.1\r\nHost: ok\r\n${fields}\r\n\r\n{"text":"a"${query}`;
}

// What is said of connections holds in both lanes.
for (const fastLane of [true, false]) {
  const start = async (t: TestContext, options: Partial<HttpServerOptions> = {}): Promise<Gateway> => {
    const gateway = await startGateway({ fastLane, connectionsCheckingIntervalMs: 50, ...options });
    t.after(() => gateway[Symbol.asyncDispose]());
    return gateway;
  };

  suite(fastLane ? "a connection of the fast lane" : "a connection of Node's lane", () => {
    test("is closed when it brings no request for long enough, not earlier", async (t) => {
      const gateway = await start(t, { keepAliveTimeoutMs: 400 });
      const socket = await connectTo(gateway.port);
      const began = performance.now();
      socket.write(alive);
      const answer = await readUntil(socket, () => false);
      assert.equal(statusOf(answer), 200);
      assert.ok(performance.now() - began >= 400);
    });

    test("with TLS that brings nothing after its handshake is 408", async (t) => {
      const { cert, key } = createCertificate({ name: "self", hosts: ["127.0.0.1"] });
      const gateway = await start(t, { tls: { cert, key }, headersTimeoutMs: 300 });
      const socket = connectTls({ port: gateway.port, host: "127.0.0.1", ca: cert });
      assert.equal(statusOf(await readUntil(socket, () => false)), 408);
    });

    test("with half a head behind an answered request is 408", async (t) => {
      const gateway = await start(t, { headersTimeoutMs: 300 });
      const socket = await connectTo(gateway.port);
      const all = readUntil(socket, () => false);
      socket.write(alive);
      await once(socket, "data");
      socket.write("GET /livez HTTP/1.1\r\nHo");
      assert.match(await all, /^HTTP\/1\.1 200 .*HTTP\/1\.1 408 /s);
    });

    test("H12: with a head that comes slowly is 408 in time", async (t) => {
      const gateway = await start(t, { headersTimeoutMs: 300 });
      const socket = await connectTo(gateway.port);
      const began = performance.now();
      let at = 0;
      const drip = setInterval(() => socket.write(slow[at++ % slow.length] ?? ""), 20);
      const answer = await readUntil(socket, () => false);
      clearInterval(drip);
      assert.equal(statusOf(answer), 408);
      assert.ok(performance.now() - began < 1300);
      await gateway.stillServes();
    });

    test("H12: with a head that comes slowly and takes another form is 408 in time", async (t) => {
      const gateway = await start(t, { headersTimeoutMs: 600 });
      const socket = await connectTo(gateway.port);
      const began = performance.now();
      const bytes = "GET /livez HTTP/1.1\r\nHost: ok\r\nTE: trailers\r\nX: ".padEnd(500, "a");
      let at = 0;
      const drip = setInterval(() => socket.write(bytes[at++] ?? ""), 10);
      const answer = await readUntil(socket, () => false);
      clearInterval(drip);
      assert.equal(statusOf(answer), 408);
      assert.ok(performance.now() - began < 1100, `${performance.now() - began}`);
    });

    test("whose client ends its side in the middle of a head is 400", async (t) => {
      const gateway = await start(t);
      const socket = await connectTo(gateway.port);
      socket.end("GET /livez HTTP/1.1\r\nHo");
      assert.equal(statusOf(await readUntil(socket, () => false)), 400);
      await gateway.stillServes();
    });

    test("H13: with a body that does not come is 408", async (t) => {
      const gateway = await start(t, { bodyTimeoutMs: 300 });
      const socket = await connectTo(gateway.port);
      socket.write(upload(100));
      const answer = await readUntil(socket, () => false);
      assert.equal(statusOf(answer), 408);
      assert.match(answer, /connection: close/i);
      await gateway.stillServes();
    });

    test("whose client ends its side in the middle of a body is 400", async (t) => {
      const gateway = await start(t);
      const socket = await connectTo(gateway.port);
      socket.end(upload(100));
      assert.equal(statusOf(await readUntil(socket, () => false)), 400);
      await gateway.stillServes();
    });

    for (const [how, leave] of [
      ["closes it", "destroy"],
      ["resets it", "resetAndDestroy"],
      ["ends its side", "end"],
    ] as const) {
      test(`S04: whose client ${how} cancels its call`, async (t) => {
        const gateway = await start(t);
        const { echo } = gateway;
        const socket = await connectTo(gateway.port);
        socket.write(slow);
        await echo.until(({ calls }) => calls === 1);
        socket[leave]();
        await echo.until(({ aborted }) => aborted === 1);
        await gateway.stillServes();
      });
    }

    test("S04: whose client closes it behind many pipelined requests cancels the first and runs no other", async (t) => {
      const gateway = await start(t);
      const { echo } = gateway;
      const socket = await connectTo(gateway.port);
      socket.write(slow.repeat(1000));
      await echo.until(({ calls }) => calls === 1);
      socket.destroy();
      await echo.until(({ aborted }) => aborted === 1);
      await gateway.stillServes();
      assert.equal(echo.calls, 2);
    });

    test("a body that is not read does not stop its next request", async (t) => {
      const gateway = await start(t);
      const socket = await connectTo(gateway.port);
      // Refused by its timeout, before its body is looked at.
      const big = "b".repeat(200_000);
      const fields = `Content-Type: application/json\r\nX-Server-Timeout: x\r\nContent-Length: ${big.length}`;
      const answer = readUntil(socket, () => false);
      socket.write(`POST ${path} HTTP/1.1\r\nHost: ok\r\n${fields}\r\n\r\n${big.slice(0, 10)}`);
      await once(socket, "data");
      socket.write(`${big.slice(10)}${alive.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")}`);
      assert.match(await answer, /^HTTP\/1\.1 400 .*HTTP\/1\.1 200 /s);
    });

    test("a body that is not read and does not end costs it its connection", async (t) => {
      const gateway = await start(t, { lingerMs: 200 });
      const socket = await connectTo(gateway.port);
      const fields = "Content-Type: application/json\r\nX-Server-Timeout: x\r\nContent-Length: 100";
      socket.write(`POST ${path} HTTP/1.1\r\nHost: ok\r\n${fields}\r\n\r\n{`);
      assert.equal(statusOf(await readUntil(socket, () => false)), 400);
    });

    test("a stop waits for its request, and the answer closes it", async (t) => {
      const gateway = await start(t);
      const { echo, http } = gateway;
      const idle = await connectTo(gateway.port);
      idle.write(alive);
      await once(idle, "data");
      const busy = await connectTo(gateway.port);
      const answer = readUntil(busy, () => false);
      busy.write(`GET ${path}/a?behaviour.sleepMs=300 HTTP/1.1\r\nHost: ok\r\n\r\n`);
      await echo.until(({ calls }) => calls === 2);
      const closed = once(idle, "close");
      const report = http.gracefulStop({ graceMs: 20_000 });
      await closed;
      assert.match(await answer, /^HTTP\/1\.1 200 OK.*\r\nConnection: close\r\n/s);
      assert.deepEqual(await report, { finished: 1, notified: [], cut: [] });
    });

    test("a stop cuts a request that outlasts its grace", async (t) => {
      const gateway = await start(t);
      const { echo, http } = gateway;
      const socket = await connectTo(gateway.port);
      const answer = readUntil(socket, () => false);
      socket.write(slow);
      await echo.until(({ calls }) => calls === 1);
      const { cut } = await http.gracefulStop({ graceMs: 100 });
      assert.deepEqual(cut, ["tsms.test.v1.EchoService/Echo"]);
      assert.equal(statusOf(await answer), 503);
      assert.equal(echo.aborted, 1);
    });

    test("H14: is closed when its client reads nothing of a large answer", async (t) => {
      const ended = Promise.withResolvers<number>();
      const gateway = await start(t, {
        writeIdleMs: 300,
        maxBodyBytes: 40_000_000,
        httpObservers: [{ httpRequest: (_route, _method, status) => ended.resolve(status) }],
      });
      const socket = await connectTo(gateway.port);
      socket.on("error", () => {}).pause();
      const body = JSON.stringify({ text: "a".repeat(30_000_000) });
      const fields = `Content-Type: application/json\r\nContent-Length: ${body.length}`;
      socket.write(`POST ${path} HTTP/1.1\r\nHost: ok\r\n${fields}\r\n\r\n${body}`);
      assert.equal(await ended.promise, 499);
      const closed = once(socket, "close");
      socket.resume();
      await closed;
      await gateway.stillServes();
    });
  });
}
