import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import { test } from "node:test";
import { connect as connectTls } from "node:tls";
import { create, toBinary } from "@bufbuild/protobuf";
import { CollectRequestSchema } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { createCertificate } from "../../support/certificates.ts";
import type { Echo } from "../../support/echo-service.ts";
import { Files } from "../../support/files-service.ts";
import { within } from "../../support/running-grpc.ts";
import { connectTo, startGateway } from "../../support/gateway-fixture.ts";
import { envelope } from "../rpc-protocols/rpc-fixture.ts";

/** An upload whose handler reads one message and then waits. */
interface Upload {
  readonly name: string;
  readonly path: string;
  readonly headers: string;
  /** What makes the first message; the handler waits `sleepMs` behind it. */
  readonly first: (sleepMs: number) => Buffer;
  /** One more message, of some 1,000 bytes. */
  readonly next: Buffer;
}

const text = "x".repeat(1000);
const binary = (message: Uint8Array): Buffer => envelope(message);

const uploads: readonly Upload[] = [
  {
    name: "NDJSON upload",
    path: "/test/v1/collect",
    headers: "content-type: application/x-ndjson",
    first: (sleepMs) => Buffer.from(`{"text":"a","behaviour":{"sleepMs":${sleepMs}}}\n`),
    next: Buffer.from(`{"text":"${text}"}\n`),
  },
  {
    name: "Connect client stream",
    path: "/tsms.test.v1.EchoService/Collect",
    headers: "content-type: application/connect+proto\r\nconnect-protocol-version: 1",
    first: (sleepMs) =>
      binary(
        toBinary(CollectRequestSchema, create(CollectRequestSchema, { text: "a", behaviour: { sleepMs } })),
      ),
    next: binary(toBinary(CollectRequestSchema, create(CollectRequestSchema, { text }))),
  },
  {
    name: "raw upload",
    path: "/test/v1/uploads/a",
    headers: "content-type: a/b",
    first: () => Buffer.alloc(2048, 1), // `Files` has a hold of its own.
    next: Buffer.alloc(1000, 2),
  },
];

/** In one read, and in what is read ahead. */
const sizes: readonly [name: string, messages: number][] = [
  ["little", 1],
  ["much", 400],
];

/** Beyond what is read ahead and what both systems hold. */
const endless = 20_000;

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

const headOf = ({ path, headers }: Upload): string =>
  `POST ${path} HTTP/1.1\r\nhost: x\r\n${headers}\r\ncontent-length: 100000000\r\n\r\n`;

for (const upload of uploads) {
  for (const [how, leave] of leaves) {
    for (const [size, messages] of sizes) {
      const cancels = "cancels the upstream within a second";
      test(`S04: a ${how} behind ${size} of a ${upload.name} that waits ${cancels}`, async () => {
        const files = new Files();
        files.hold = () => new Promise(() => {});
        await using gateway = await startGateway({ uploadChunkBytes: 1024 }, [files]);
        const socket = await connectTo(gateway.port);
        socket.on("error", () => {});
        socket.write(headOf(upload));
        socket.write(upload.first(100_000));
        const begun = Promise.race([
          gateway.echo.until(({ received }) => received === 1),
          files.until(({ received }) => received === 1),
        ]);
        await within(10_000, "the first message", begun);
        const rest = Buffer.concat(Array.from({ length: messages }, () => upload.next));
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

    // A connection that is not read shows neither a close nor a reset.
    const whenRead = "cancels the upstream when its handler reads on";
    test(`S04: a ${how} behind a full window of a ${upload.name} that waits ${whenRead}`, async () => {
      const files = new Files();
      const held = Promise.withResolvers<void>();
      files.hold = () => held.promise;
      await using gateway = await startGateway({ uploadChunkBytes: 1024 }, [files]);
      const socket = await connectTo(gateway.port);
      await fillWindow(socket, socket, upload, [gateway.echo, files]);
      leave(socket);
      held.resolve();
      const aborted = Promise.race([
        gateway.echo.until((echo) => echo.aborted === 1),
        files.until((all) => all.aborted === 1),
      ]);
      await within(15_000, "the cancellation", aborted);
      await gateway.stillServes();
    });
  }
}

for (const [how, leave] of leaves) {
  const byTls = `S04: a ${how} behind a full window of an upload by TLS cancels the upstream when its handler reads on`;
  test(byTls, async () => {
    const own = createCertificate({ name: "server", hosts: ["127.0.0.1"] });
    await using gateway = await startGateway({ tls: { key: own.key, cert: own.cert } });
    const raw = await connectTo(gateway.port);
    const socket = connectTls({ socket: raw, rejectUnauthorized: false, ALPNProtocols: ["http/1.1"] });
    await once(socket, "secureConnect");
    const [upload] = uploads as readonly [Upload, ...Upload[]]; // It has some.
    await fillWindow(socket, raw, upload, [gateway.echo]);
    leave(raw);
    await within(
      15_000,
      "the cancellation",
      gateway.echo.until(({ aborted }) => aborted === 1),
    );
  });
}

/** Sends on `socket`, which runs on `raw`, more than the handler's side takes before it reads its second message. */
async function fillWindow(
  socket: Socket,
  raw: Socket,
  upload: Upload,
  handlers: readonly (Echo | Files)[],
): Promise<void> {
  for (const each of new Set([socket, raw])) each.on("error", () => {});
  socket.write(headOf(upload));
  socket.write(upload.first(1000));
  const begun = handlers.map((handler) => handler.until(() => handler.received === 1));
  await within(10_000, "the first message", Promise.race(begun));
  socket.write(Buffer.concat(Array.from({ length: endless }, () => upload.next)));
  await untilStill(() => raw.bytesWritten - raw.writableLength);
}

test("an upload whose handler takes its time keeps its connection", async () => {
  const files = new Files();
  const held = Promise.withResolvers<void>();
  files.hold = () => held.promise;
  await using gateway = await startGateway({ uploadChunkBytes: 1024, heartbeatMs: 500 }, [files]);
  const body = Buffer.alloc(8 * 1024 * 1024, 7);
  const sent = fetch(`${gateway.url}/test/v1/uploads/a`, { method: "POST", body });
  await files.until(({ received }) => received === 1);
  await new Promise((resolve) => setTimeout(resolve, 2000)); // Longer than TCP keepalive waits.
  held.resolve();
  const response = await within(30_000, "the answer", sent);
  assert.equal(response.status, 200);
  assert.equal(((await response.json()) as { sizes: number[] }).sizes.length, 8192);
});
