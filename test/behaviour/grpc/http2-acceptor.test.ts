import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test, type TestContext } from "node:test";
import { frameType, http2Frame, preface, RawHttp2 } from "../../support/http2-frames.ts";
import { curl } from "../../support/program.ts";
import { assertAlive, running, within } from "../../support/running-grpc.ts";

const patience = 15_000;

/** Everything that comes back for these bytes until the server closes; the client keeps its side open. */
async function answerTo(t: TestContext, port: number, bytes: string | Uint8Array): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  t.after(() => socket.destroy());
  let text = "";
  socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
  socket.on("error", (error: NodeJS.ErrnoException) => (text += error.code));
  socket.write(bytes);
  await within(patience, "the close", once(socket, "close"));
  return text;
}

const refused = /^HTTP\/1\.1 426 Upgrade Required\r\nupgrade: HTTP\/2\.0\r\nconnection: close, upgrade\r\n/;

test("I17: HTTP/1.1 on a plain port for gRPC alone gets a clear 426, then the close", async (t) => {
  const server = await running(t);
  const openings: Record<string, string | Uint8Array> = {
    GET: "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    POST: `POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n${"x".repeat(3_000_000)}`,
    "a large head": `OPTIONS /a HTTP/1.0\r\nX: ${"x".repeat(300_000)}\r\n\r\n`,
  };
  for (const [name, bytes] of Object.entries(openings)) {
    const answer = await answerTo(t, server.port, bytes);
    assert.match(answer, refused, name);
    assert.match(answer, /\r\n\r\nThis port speaks gRPC, over HTTP\/2 only\.\n$/, name);
  }
  const others: Record<string, string | Uint8Array> = {
    "almost the preface": "PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n",
    "a TLS ClientHello": Buffer.from("1603010200010001fc0303", "hex"),
    "no method": "GETTING / HTTP/1.1\r\n\r\n",
    "one letter": "X",
  };
  for (const [name, bytes] of Object.entries(others)) {
    assert.equal(await answerTo(t, server.port, bytes), "", name);
  }
  const { status, body } = await curl("--http1.1", `${server.baseUrl}/tsms.test.v1.EchoService/Echo`);
  assert.deepEqual([status, body], [426, "This port speaks gRPC, over HTTP/2 only.\n"]);
  assert.equal(server.echo.calls, 0);
  await assertAlive(server);
});

test("a preface in pieces is one", async (t) => {
  const server = await running(t);
  const connection = await RawHttp2.open(server.host, server.port, false);
  t.after(() => connection.destroy());
  connection.socket.setNoDelay(true);
  for (const byte of preface) {
    connection.send(Buffer.from([byte]));
    await new Promise((resolve) => setImmediate(resolve));
  }
  connection.send(http2Frame(frameType.settings, 0, 0), http2Frame(frameType.ping, 0, 0, Buffer.alloc(8)));
  await connection.until("the answer to a ping", (seen) => seen.closed || seen.of(frameType.ping).length > 0);
  assert.equal(connection.closed, false);
});

test("a stop does not wait for connections that have said nothing or were turned away", async (t) => {
  const server = await running(t);
  const silent = connect(server.port, server.host);
  const away = connect(server.port, server.host);
  for (const socket of [silent, away]) socket.on("error", () => {});
  const closed = Promise.all([silent, away].map((socket) => once(socket, "close")));
  silent.resume();
  away.pause();
  away.write("GET / HTTP/1.1\r\n\r\n");
  await assertAlive(server); // Connections are accepted in their order.
  const began = performance.now();
  await server.server.gracefulStop({ graceMs: 10_000 });
  assert.ok(performance.now() - began < 5000);
  away.resume();
  await within(patience, "the close", closed);
});
