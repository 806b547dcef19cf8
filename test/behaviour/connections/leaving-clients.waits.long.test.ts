import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2, type ClientHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { RepeatRequestSchema } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { Echo } from "../../support/echo-service.ts";
import { within } from "../../support/running-grpc.ts";
import { connectTo, startGateway } from "../../support/gateway-fixture.ts";
import { envelope } from "../rpc-protocols/rpc-fixture.ts";

const path = "/tsms.test.v1.EchoService/Repeat";
const rest = ["application/x-ndjson", "text/event-stream", "application/json"];
const enveloped = ["application/connect+proto", "application/grpc-web+proto", "application/grpc-web-text"];

/** A stream of 60 kB each `intervalMs` milliseconds, asked for by one protocol. */
function requestOf(type: string, intervalMs: number) {
  const request = create(RepeatRequestSchema, {
    count: 1_000_000,
    intervalMs,
    payload: new Uint8Array(60_000),
  });
  const accept = rest.includes(type);
  const framed = envelope(toBinary(RepeatRequestSchema, request));
  const body = accept
    ? Buffer.from(JSON.stringify({ count: 1_000_000, intervalMs, payload: "A".repeat(80_000) }))
    : type.endsWith("text")
      ? Buffer.from(framed.toString("base64"))
      : framed;
  const headers: Record<string, string> = accept
    ? { accept: type, "content-type": "application/json" }
    : { "content-type": type, "connect-protocol-version": "1", te: "trailers" };
  return { headers, body };
}

/** A gateway, gRPC on its port too, before an `Echo`. */
async function startBoth(writeIdleMs = 60_000) {
  const echo = new Echo();
  const grpc = new GrpcServer({ listen: false }).addService(echo);
  const gateway = await startGateway({ upstream: grpc, grpc, writeIdleMs });
  await grpc.start();
  return {
    echo,
    port: gateway.port,
    async [Symbol.asyncDispose]() {
      await gateway[Symbol.asyncDispose]();
      await grpc.gracefulStop({ graceMs: 0 });
    },
  };
}

async function openHttp1(port: number, type: string, intervalMs: number): Promise<Socket> {
  const { headers, body } = requestOf(type, intervalMs);
  const socket = await connectTo(port);
  socket.on("error", () => {});
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n${lines.join("")}\r\n`);
  socket.write(body);
  return socket;
}

async function openHttp2(port: number, type: string, intervalMs: number) {
  const { headers, body } = requestOf(type, intervalMs);
  const socket = await connectTo(port);
  const session = connectHttp2("http://localhost", { createConnection: () => socket });
  session.on("error", () => {});
  const stream = session.request({ ":method": "POST", ":path": path, ...headers });
  stream.on("error", () => {}).end(body);
  return { socket, stream };
}

async function cancelledWithin(echo: Echo, ms: number, leave: () => void): Promise<void> {
  const began = performance.now();
  leave();
  await within(
    20_000,
    "the cancellation",
    echo.until(({ aborted }) => aborted === 1),
  );
  const took = performance.now() - began;
  assert.ok(took < ms, `it took ${took} ms`);
}

const endings: readonly [name: string, leave: (socket: Socket) => void][] = [
  ["FIN", (socket) => socket.destroy()],
  ["RST", (socket) => socket.resetAndDestroy()],
];

for (const type of [...rest, ...enveloped]) {
  for (const [name, leave] of endings) {
    test(`S04: a ${name} of an HTTP/1.1 client of ${type} cancels the upstream within a second`, async () => {
      await using gateway = await startBoth();
      const socket = await openHttp1(gateway.port, type, 100_000);
      await gateway.echo.until(({ calls }) => calls === 1);
      await cancelledWithin(gateway.echo, 1000, () => leave(socket));
    });
  }

  test(`S02: an HTTP/1.1 client of ${type} that reads nothing is closed, its call cancelled`, async () => {
    await using gateway = await startBoth(500);
    const socket = await openHttp1(gateway.port, type, 0);
    socket.pause();
    await cancelledWithin(gateway.echo, 15_000, () => {});
    assert.ok(gateway.echo.produced < 1000, `${gateway.echo.produced} messages were made for nobody`);
    const closed = once(socket, "close");
    socket.resume();
    await within(10_000, "the close", closed);
  });
}

const resets: readonly [name: string, leave: (socket: Socket, stream: ClientHttp2Stream) => void][] = [
  ...endings,
  ["RST_STREAM", (_socket, stream) => stream.close(8)],
];

for (const type of [...rest, ...enveloped, "application/grpc"]) {
  for (const [name, leave] of resets) {
    test(`S04: a ${name} of an HTTP/2 client of ${type} cancels the upstream within a second`, async () => {
      await using gateway = await startBoth();
      const { socket, stream } = await openHttp2(gateway.port, type, 100_000);
      await gateway.echo.until(({ calls }) => calls === 1);
      await cancelledWithin(gateway.echo, 1000, () => leave(socket, stream));
      socket.destroy();
    });
  }
}

for (const type of [...rest, ...enveloped]) {
  test(`S02: an HTTP/2 client of ${type} that reads nothing loses its stream, its call cancelled`, async () => {
    await using gateway = await startBoth(500);
    const { socket, stream } = await openHttp2(gateway.port, type, 0);
    await cancelledWithin(gateway.echo, 15_000, () => {});
    assert.ok(gateway.echo.produced < 1000, `${gateway.echo.produced} messages were made for nobody`);
    const closed = new Promise((resolve) => stream.once("close", resolve)); // It fails, too.
    stream.resume();
    if (!stream.closed) await within(10_000, "the reset", closed);
    assert.notEqual(stream.rstCode, 0);
    assert.equal(socket.destroyed, false); // Other streams go on.
    socket.destroy();
  });
}
