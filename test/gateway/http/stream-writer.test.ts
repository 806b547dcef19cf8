import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, get, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Transform } from "node:stream";
import { test, type TestContext } from "node:test";
import { createBrotliDecompress, createGunzip, createZstdDecompress } from "node:zlib";
import fc from "fast-check";
import { ConnectError } from "../../../src/core/errors/errors.ts";
import { Http1Exchange } from "../../../src/gateway/connections/http1/http1-exchange.ts";
import type { Coding } from "../../../src/core/wire/codings/coding.ts";
import { codings } from "../../../src/core/wire/codings/codings.ts";
import { StreamWriter, type StreamWriterOptions } from "../../../src/gateway/http/stream-writer.ts";
import { within } from "../../support/running-grpc.ts";

interface Pair {
  readonly writer: StreamWriter;
  readonly response: Http1Exchange;
  readonly incoming: IncomingMessage;
}

/** A writer and its reader, on a real connection. */
async function pair(
  t: TestContext,
  options: Partial<StreamWriterOptions> = {},
  coding?: Coding,
): Promise<Pair> {
  const server: Server = createServer({ ServerResponse: Http1Exchange }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo; // Listens on TCP.
  const requested = once(server, "request");
  const request = get({ port, host: "127.0.0.1", agent: false });
  request.on("error", () => {});
  const [, response] = (await requested) as [IncomingMessage, Http1Exchange];
  const writer = new StreamWriter(response, options, coding);
  response.flushHeaders();
  const [incoming] = (await once(request, "response")) as [IncomingMessage];
  incoming.on("error", () => {});
  return { writer, response, incoming };
}

/** Everything that comes, and whether it was whole. */
async function readAll(incoming: IncomingMessage): Promise<{ bytes: Buffer; complete: boolean }> {
  const chunks: Buffer[] = [];
  incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
  await new Promise((resolve) => incoming.on("close", resolve));
  return { bytes: Buffer.concat(chunks), complete: incoming.complete };
}

const decompressors: readonly (readonly [coding: Coding, decompressor: () => Transform])[] = [
  [codings.gzip, () => createGunzip()],
  [codings.br, () => createBrotliDecompress()],
  [codings.zstd, () => createZstdDecompress()],
];

for (const [coding, decompressor] of decompressors) {
  test(`S10: each message leaves at once with ${coding.name}`, async (t) => {
    const { writer, incoming } = await pair(t, {}, coding);
    let text = "";
    const plain = incoming.pipe(decompressor());
    plain.on("data", (chunk: Buffer) => (text += chunk.toString()));
    for (const message of ["one", "two", "x".repeat(300_000), "three"]) {
      const due = text + message;
      await writer.write(message);
      while (text !== due) await within(10_000, "the message", once(plain, "data"));
    }
    const ended = once(plain, "end");
    await writer.end();
    await within(10_000, "the end", ended);
  });
}

test("any texts and bytes arrive in order, compressed or not", async (t) => {
  const chunk = fc.oneof(
    fc.string({ unit: "grapheme", maxLength: 50 }),
    fc.integer({ min: 16_000, max: 17_000 }).map((length) => "é".repeat(length)),
    fc.integer({ min: 60_000, max: 300_000 }).map((length) => "y".repeat(length)),
    fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
    fc.integer({ min: 60_000, max: 300_000 }).map((length) => Buffer.alloc(length, length)),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(chunk, { maxLength: 12, size: "max" }),
      fc.constantFrom(undefined, codings.gzip),
      fc.boolean(),
      async (chunks, coding, patient) => {
        const { writer, incoming } = await pair(t, {}, coding);
        const all = readAll(incoming);
        for (const one of chunks) {
          const room = writer.write(one);
          if (patient || one.length > 10_000) await room;
          else void room?.catch(() => {});
        }
        await writer.end();
        const { bytes, complete } = await all;
        assert.ok(complete);
        const due = Buffer.concat(chunks.map((one) => (typeof one === "string" ? Buffer.from(one) : one)));
        const got = coding === undefined ? bytes : await gunzip(bytes);
        assert.ok(got.equals(due), `${got.length} bytes arrived of ${due.length}`);
      },
    ),
    { numRuns: 40 },
  );
});

test("texts of one turn are one write", async (t) => {
  const { writer, response, incoming } = await pair(t);
  const writes = t.mock.method(response, "write");
  for (let i = 0; i < 100; i++) assert.equal(writer.write(`${i}\n`), undefined);
  const all = readAll(incoming);
  await writer.end();
  assert.equal(writes.mock.callCount(), 1);
  assert.equal((await all).bytes.toString().split("\n").length, 101);
});

test("a cut answer has everything that was written, and no end", async (t) => {
  for (const text of ["abc", "x".repeat(1_000_000)]) {
    const { writer, incoming } = await pair(t);
    const all = readAll(incoming);
    void writer.write(text)?.catch(() => {});
    await within(10_000, "the cut", writer.cut());
    assert.deepEqual(await all, { bytes: Buffer.from(text), complete: false });
  }
});

test("S02: a reader that takes nothing is closed, whether messages wait or the end does", async (t) => {
  for (const finish of ["write", "end", "cut"] as const) {
    const { writer, response, incoming } = await pair(t, { writeIdleMs: 300 });
    incoming.pause();
    const closed = once(response, "close");
    if (finish === "write") {
      const refused = within(20_000, "the refusal", flood(writer));
      await assert.rejects(refused, /\[canceled\] the client read nothing for 300 ms/);
    } else {
      response.write(Buffer.alloc(50_000_000)); // Stands before everything else.
      await within(20_000, "the end", writer[finish]());
    }
    await within(20_000, "the close", closed);
    assert.ok(writer.failure instanceof ConnectError || finish !== "write");
  }
});

test("S04: a reader that leaves refuses what waits and what comes", async (t) => {
  const { writer, response, incoming } = await pair(t);
  incoming.pause();
  const refused = flood(writer);
  setImmediate(() => incoming.destroy());
  await assert.rejects(within(20_000, "the refusal", refused), /the client disconnected/);
  if (!response.closed) await once(response, "close");
  await assert.rejects(async () => writer.write("x"), /the client disconnected/);
  await within(10_000, "the end", Promise.all([writer.end(), writer.cut()]));
});

async function flood(writer: StreamWriter): Promise<void> {
  for (;;) await writer.write(Buffer.alloc(100_000));
}

async function gunzip(bytes: Buffer): Promise<Buffer> {
  const stream = createGunzip();
  stream.end(bytes);
  return Buffer.concat((await stream.toArray()) as Buffer[]);
}
