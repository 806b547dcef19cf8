import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import { test } from "node:test";
import { connect as connectTls } from "node:tls";
import { create, toBinary } from "@bufbuild/protobuf";
import { CollectRequestSchema } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { createCertificate } from "../../support/certificates.ts";
import { Files } from "../../support/files-service.ts";
import { within } from "../../support/running-grpc.ts";
import { connectTo, startGateway } from "../../support/gateway-fixture.ts";
import { envelope } from "../rpc-protocols/rpc-fixture.ts";

/** Something that takes one message and then no more. */
interface Upload {
  readonly name: string;
  readonly path: string;
  readonly headers: string;
  /** What makes the first message. */
  readonly first: Buffer;
  /** One more message, of some 1,000 bytes. */
  readonly next: Buffer;
}

const text = "x".repeat(1000);
const binary = (message: Uint8Array): Buffer => envelope(message);
const sleepy = { sleepMs: 100_000 };

const uploads: readonly Upload[] = [
  {
    name: "NDJSON upload",
    path: "/test/v1/collect",
    headers: "content-type: application/x-ndjson",
    first: Buffer.from(`{"text":"a","behaviour":{"sleepMs":100000}}\n`),
    next: Buffer.from(`{"text":"${text}"}\n`),
  },
  {
    name: "Connect client stream",
    path: "/tsms.test.v1.EchoService/Collect",
    headers: "content-type: application/connect+proto\r\nconnect-protocol-version: 1",
    first: binary(
      toBinary(CollectRequestSchema, create(CollectRequestSchema, { text: "a", behaviour: sleepy })),
    ),
    next: binary(toBinary(CollectRequestSchema, create(CollectRequestSchema, { text }))),
  },
  {
    name: "raw upload",
    path: "/test/v1/uploads/a",
    headers: "content-type: a/b",
    first: Buffer.alloc(2048, 1),
    next: Buffer.alloc(1000, 2),
  },
];

const endless = 20_000;

/** In one read, in the windows of both systems, and beyond what a system takes in from a sender. */
const sizes: readonly [name: string, messages: number][] = [
  ["little", 1],
  ["much", 400],
  ["a full window", endless],
];

const leaves: readonly [name: string, leave: (socket: Socket) => void][] = [
  ["FIN", (socket) => socket.destroy()],
  ["RST", (socket) => socket.resetAndDestroy()],
];

/** Resolves when `count` has not changed for a while. */
async function untilStill(count: () => number): Promise<void> {
  for (let [before, looks] = [-1, 0]; looks < 10; looks++) {
    if (count() !== before) [before, looks] = [count(), 0];
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

for (const { name, path, headers, first, next } of uploads) {
  for (const [size, messages] of sizes) {
    for (const [how, leave] of leaves) {
      // No system tells of a close that waits behind more than windows hold; a reset overtakes everything.
      if (messages === endless && (how === "FIN" || process.platform !== "linux")) continue;
      test(`S04: a ${how} behind ${size} of a ${name} that waits cancels the upstream within a second`, async () => {
        const files = new Files();
        files.hold = () => new Promise(() => {});
        await using gateway = await startGateway({ uploadChunkBytes: 1024 }, [files]);
        const socket = await connectTo(gateway.port);
        socket.on("error", () => {});
        socket.write(`POST ${path} HTTP/1.1\r\nhost: x\r\n${headers}\r\ncontent-length: 100000000\r\n\r\n`);
        socket.write(first);
        const begun = Promise.race([
          gateway.echo.until(({ received }) => received === 1),
          files.until(({ received }) => received === 1),
        ]);
        await within(10_000, "the first message", begun);
        const rest = Buffer.concat(Array.from({ length: messages }, () => next));
        // The system takes a part of it where nobody reads.
        if (!socket.write(rest)) await untilStill(() => socket.bytesWritten - socket.writableLength);
        const aborted = Promise.race([
          gateway.echo.until((echo) => echo.aborted === 1),
          files.until((all) => all.aborted === 1),
        ]);
        const began = performance.now();
        leave(socket);
        await within(10_000, "the cancellation", aborted);
        const ms = performance.now() - began;
        assert.ok(ms < 1000, `it took ${ms} ms`);
        await gateway.stillServes();
      });
    }
  }
}

const byTls = "S04: a RST behind a full window of an upload by TLS cancels the upstream within a second";
test(byTls, { skip: process.platform !== "linux" }, async () => {
  const own = createCertificate({ name: "server", hosts: ["127.0.0.1"] });
  await using gateway = await startGateway({ tls: { key: own.key, cert: own.cert } });
  const raw = await connectTo(gateway.port);
  raw.on("error", () => {});
  const socket = connectTls({ socket: raw, rejectUnauthorized: false, ALPNProtocols: ["http/1.1"] });
  socket.on("error", () => {});
  await once(socket, "secureConnect");
  const [{ path, headers, first, next }] = uploads as readonly [Upload, ...Upload[]]; // It has some.
  socket.write(`POST ${path} HTTP/1.1\r\nhost: x\r\n${headers}\r\ncontent-length: 100000000\r\n\r\n`);
  socket.write(first);
  await gateway.echo.until(({ received }) => received === 1);
  socket.write(Buffer.concat(Array.from({ length: endless }, () => next)));
  await untilStill(() => raw.bytesWritten - raw.writableLength);
  const began = performance.now();
  raw.resetAndDestroy();
  await within(
    10_000,
    "the cancellation",
    gateway.echo.until(({ aborted }) => aborted === 1),
  );
  const ms = performance.now() - began;
  assert.ok(ms < 1000, `it took ${ms} ms`);
});

test("an upload whose handler takes its time is not taken for one that was left", async () => {
  const files = new Files();
  const held = Promise.withResolvers<void>();
  files.hold = () => held.promise;
  await using gateway = await startGateway({ uploadChunkBytes: 1024, heartbeatMs: 500 }, [files]);
  const body = Buffer.alloc(8 * 1024 * 1024, 7);
  const sent = fetch(`${gateway.url}/test/v1/uploads/a`, { method: "POST", body });
  await files.until(({ received }) => received === 1);
  await new Promise((resolve) => setTimeout(resolve, 2000)); // Several looks.
  held.resolve();
  const response = await within(30_000, "the answer", sent);
  assert.equal(response.status, 200);
  assert.equal(((await response.json()) as { sizes: number[] }).sizes.length, 8192);
});
