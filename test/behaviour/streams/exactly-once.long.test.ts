import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import fc from "fast-check";
import {
  EchoService,
  type ChatRequest,
  type ChatResponseSchema,
  type CollectRequest,
  type RepeatRequest,
  type RepeatResponseSchema,
} from "../../../gen/tsms/test/v1/echo_pb.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { service } from "../../../src/core/call/service.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { connectTo } from "../../support/gateway-fixture.ts";
import { eventsOf, openStream } from "./stream-client.ts";

/** How the two sides of a stream dawdle: pauses by index of a message or chunk, in milliseconds, and sizes. */
interface Pace {
  readonly sizes: readonly number[];
  readonly pauses: readonly number[];
  readonly readerPauses: readonly number[];
}

const pace: fc.Arbitrary<Pace> = fc.record({
  sizes: fc.array(fc.oneof(fc.nat(20), fc.nat(3000), fc.integer({ min: 60_000, max: 200_000 })), {
    minLength: 1,
    maxLength: 60,
    size: "max",
  }),
  pauses: fc.array(fc.oneof({ weight: 8, arbitrary: fc.constant(0) }, fc.nat(8)), {
    maxLength: 60,
    size: "max",
  }),
  readerPauses: fc.array(fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(15)), {
    maxLength: 40,
    size: "max",
  }),
});

const runs = { numRuns: 15, interruptAfterTimeLimit: 15_000 };

async function start(dial: "in-process" | "network") {
  const plans = new Map<string, Pace>();
  const handlers = service(EchoService, {
    async *repeat({ text }: RepeatRequest): AsyncGenerator<MessageInitShape<typeof RepeatResponseSchema>> {
      const { sizes = [], pauses = [] } = plans.get(text) ?? {};
      for (const [index, size] of sizes.entries()) {
        if (pauses[index]) await sleep(pauses[index]);
        yield { index, text: "x".repeat(size) };
      }
    },
    async collect(requests: AsyncIterable<CollectRequest>) {
      const texts: string[] = [];
      let pauses: readonly number[] = [];
      for await (const { text } of requests) {
        pauses = plans.get(text.split(":", 1)[0] ?? "")?.readerPauses ?? pauses;
        if (pauses[texts.length]) await sleep(pauses[texts.length]);
        texts.push(brief(text)); // The reply has to fit into one message.
      }
      return { texts };
    },
    async *chat(
      requests: AsyncIterable<ChatRequest>,
    ): AsyncGenerator<MessageInitShape<typeof ChatResponseSchema>> {
      let index = 0;
      for await (const { text } of requests) yield { text, index: index++ };
    },
  });
  const grpc = new GrpcServer({ port: 0 }).addService(handlers);
  const http = new HttpServer({ upstream: grpc, dial, port: 0 });
  http.addService(handlers);
  await grpc.start();
  await http.start();
  let names = 0;
  return {
    port: http.address?.port ?? 0,
    url: `http://127.0.0.1:${http.address?.port}`,
    plan(paces: Pace): string {
      const name = `p${names++}`;
      plans.set(name, paces);
      return name;
    },
    async [Symbol.asyncDispose]() {
      await http.gracefulStop({ graceMs: 0 });
      await grpc.gracefulStop({ graceMs: 0 });
    },
  };
}

interface Item {
  readonly text: string;
  readonly index: number;
}

const decoders: Readonly<Record<string, (text: string) => Item[]>> = {
  "application/x-ndjson": (text) =>
    text
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Item),
  "application/json": (text) => JSON.parse(text) as Item[],
  "text/event-stream": (text) =>
    eventsOf(text)
      .filter(({ event }) => event === "message")
      .map(({ data, id }, index) => {
        assert.equal(id, String(index + 1));
        return JSON.parse(data) as Item;
      }),
};

/** Which message it is, and how long. */
function brief(text: string): string {
  return `${text.slice(0, 12)} ${text.length}`;
}

/** Reads an answer with pauses, so that the writer has to wait now and then. */
async function readSlowly(url: string, accept: string, pauses: readonly number[]): Promise<string> {
  const { response } = await openStream(url, { headers: { accept }, read: false });
  let text = "";
  let index = 0;
  for await (const chunk of response as AsyncIterable<string>) {
    text += chunk;
    const pause = pauses[index++];
    if (pause) await sleep(pause);
  }
  assert.ok(response.complete);
  return text;
}

for (const dial of ["in-process", "network"] as const) {
  for (const [accept, decode] of Object.entries(decoders)) {
    test(`${dial}: messages of ${accept} come out once, in order, whatever stalls`, async () => {
      await using gateway = await start(dial);
      await fc.assert(
        fc.asyncProperty(pace, async (paces) => {
          const url = `${gateway.url}/test/v1/repeat/${gateway.plan(paces)}`;
          const items = decode(await readSlowly(url, accept, paces.readerPauses));
          assert.deepEqual(
            items.map(({ index, text }) => [index, text.length]),
            paces.sizes.map((size, index) => [index, size]),
          );
        }),
        runs,
      );
    });
  }

  const forms: Readonly<Record<string, (texts: readonly string[]) => string>> = {
    array: (texts) => `[${texts.join(",")}]`,
    lines: (texts) => texts.map((text) => `${text}\n`).join(""),
    "concatenated texts": (texts) => texts.join(""),
  };
  for (const [name, form] of Object.entries(forms)) {
    test(`${dial}: messages of an upload (${name}) arrive once, in order, whatever stalls`, async () => {
      await using gateway = await start(dial);
      await fc.assert(
        fc.asyncProperty(pace, async (paces) => {
          const plan = gateway.plan(paces);
          const texts = paces.sizes.map((size, index) => `${plan}:${index}:${"y".repeat(size)}`);
          const body = Buffer.from(form(texts.map((text) => JSON.stringify({ text }))));
          const answer = await upload(gateway.port, "/test/v1/collect", body, paces.pauses);
          assert.deepEqual((JSON.parse(answer) as { texts: string[] }).texts, texts.map(brief));
        }),
        runs,
      );
    });
  }

  test(`${dial}: messages of a bidi exchange come back once, in order, whatever stalls`, async () => {
    await using gateway = await start(dial);
    await fc.assert(
      fc.asyncProperty(pace, async (paces) => {
        const texts = paces.sizes.map((size, index) => `${index}:${"z".repeat(size)}`);
        const body = Buffer.from(texts.map((text) => JSON.stringify({ text })).join("\n"));
        const answer = await upload(gateway.port, "/test/v1/chat", body, paces.pauses);
        const items = decoders["application/x-ndjson"]?.(answer) ?? [];
        assert.deepEqual(
          items.map(({ text }) => brief(text)),
          texts.map(brief),
        );
      }),
      runs,
    );
  });
}

/** Sends a body in pieces with pauses between them; the body of the answer. */
async function upload(port: number, path: string, body: Buffer, pauses: readonly number[]): Promise<string> {
  const socket = await connectTo(port);
  const answer = collect(socket);
  socket.write(
    `POST ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`,
  );
  const pieces = Math.max(1, pauses.length);
  const size = Math.ceil(body.length / pieces);
  for (let piece = 0; piece < pieces; piece++) {
    socket.write(body.subarray(piece * size, (piece + 1) * size));
    const pause = pauses[piece];
    if (pause) await sleep(pause);
  }
  const bytes = await answer;
  const head = bytes.indexOf("\r\n\r\n");
  const rest = bytes.subarray(head + 4);
  return bytes.subarray(0, head).toString().toLowerCase().includes("transfer-encoding: chunked")
    ? unchunk(rest).toString()
    : rest.toString();
}

function collect(socket: Socket): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("error", reject);
    socket.on("close", () => resolve(Buffer.concat(chunks)));
  });
}

/** The bytes inside of the chunked transfer coding, which has to be complete. */
function unchunk(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; ;) {
    const end = bytes.indexOf("\r\n", at);
    const length = Number.parseInt(bytes.subarray(at, end).toString(), 16);
    assert.ok(end > 0 && Number.isInteger(length), "the answer is cut");
    if (length === 0) return Buffer.concat(parts);
    parts.push(bytes.subarray(end + 2, end + 2 + length));
    at = end + 2 + length + 2;
  }
}
