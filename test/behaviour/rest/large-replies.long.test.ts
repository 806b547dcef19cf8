import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { WebSocket } from "ws";
import {
  EchoResponseSchema,
  EchoService,
  RepeatRequestSchema,
  RepeatResponseSchema,
  type RepeatRequest,
} from "../../../gen/tsms/test/v1/echo_pb.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { service } from "../../../src/core/call/service.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import type { HttpServerOptions } from "../../../src/gateway/http-server-options.ts";
import { frame, grpcHeaders, RawGrpcServer } from "../../support/raw-grpc-server.ts";
import { ask, envelope, envelopes } from "../rpc-protocols/rpc-fixture.ts";
import { eventsOf, openStream, readAll } from "../streams/stream-client.ts";

const limit = 64 * 1024;
const mebibyte = 1024 * 1024;

/** Gives `count` small messages, and one of `largeBytes` behind them. */
function flood(largeBytes: number) {
  return service(EchoService, {
    async echo() {
      return { payload: Buffer.alloc(largeBytes) };
    },
    async *repeat({ count }: RepeatRequest) {
      for (let index = 0; index < count; index++) yield { text: "small", index };
      yield { payload: Buffer.alloc(largeBytes) };
      throw new Error("somebody asks for more");
    },
    async *chat(requests) {
      for await (const { text } of requests) {
        if (text === "large") yield { payload: Buffer.alloc(largeBytes) };
        else yield { text };
      }
    },
  });
}

async function startBoth(options: Partial<HttpServerOptions> = {}) {
  const grpc = new GrpcServer({ port: 0, maxSendBytes: -1 }).addService(flood(limit + 1));
  await grpc.start();
  const http = new HttpServer({
    upstream: `127.0.0.1:${grpc.address?.port}`,
    dialOptions: { maxMessageBytes: limit },
    port: 0,
    ...options,
  });
  http.addService(EchoService);
  await http.start();
  const port = http.address?.port ?? 0;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      await http.gracefulStop({ graceMs: 0 });
      await grpc.gracefulStop({ graceMs: 0 });
    },
  };
}

const small = '{"text":"small","payload":"","index":';
const status = `{"code":13,"message":"a message of the reply is larger than ${limit} bytes","details":[]}`;

for (const transcoding of ["bytes", "messages"] as const) {
  test(`T26: a unary reply above the limit is 500 (${transcoding})`, async () => {
    await using gateway = await startBoth({ transcoding });
    const { status: code, body } = await ask(gateway.port, "/test/v1/echo/a");
    assert.equal(code, 500);
    assert.equal(body.toString(), status);
  });

  test(`T26: a message above the limit ends a stream of lines, late as it comes (${transcoding})`, async () => {
    await using gateway = await startBoth({ transcoding });
    const { text, end } = await readAll(await openStream(`${gateway.url}/test/v1/repeat/a?count=3`));
    assert.equal(end, "complete");
    assert.deepEqual(text.split("\n"), [`${small}0}`, `${small}1}`, `${small}2}`, `{"error":${status}}`, ""]);
  });
}

test("T26: it is the error of an event stream", async () => {
  await using gateway = await startBoth();
  const headers = { accept: "text/event-stream" };
  const reply = await openStream(`${gateway.url}/test/v1/repeat/a?count=3`, { headers });
  const { text, end } = await readAll(reply);
  assert.equal(end, "complete");
  assert.deepEqual(
    eventsOf(text).map(({ event, data }) => [event, data]),
    [
      ["message", `${small}0}`],
      ["message", `${small}1}`],
      ["message", `${small}2}`],
      ["error", status],
    ],
  );
});

test("T26: it cuts an array, or is its last element", async () => {
  for (const arrayError of ["truncate", "element"] as const) {
    await using gateway = await startBoth({ arrayError });
    const headers = { accept: "application/json" };
    const reply = await openStream(`${gateway.url}/test/v1/repeat/a?count=2`, { headers });
    const items = `[${small}0},${small}1}`;
    assert.deepEqual(
      await readAll(reply),
      arrayError === "truncate"
        ? { text: items, end: "cut" }
        : { text: `${items},{"error":${status}}]`, end: "complete" },
    );
  }
});

test("T26: it is the end of streams of Connect and gRPC-Web", async () => {
  await using gateway = await startBoth();
  const body = envelope(toBinary(RepeatRequestSchema, create(RepeatRequestSchema, { count: 2 })));
  for (const [type, end] of [
    ["application/connect+proto", /"code":"internal"/],
    ["application/grpc-web+proto", /^grpc-status: 13\r\n/m],
  ] as const) {
    const headers = { "content-type": type, "connect-protocol-version": "1" };
    const reply = await ask(gateway.port, "/tsms.test.v1.EchoService/Repeat", headers, body);
    assert.equal(reply.status, 200);
    const found = envelopes(reply.body);
    assert.deepEqual(
      found.map(({ flags }) => flags),
      [0, 0, type.includes("web") ? 0x80 : 2],
    );
    assert.match(found.at(-1)?.data.toString() ?? "", end);
  }
});

test("T26: it is the status of a WebSocket", async () => {
  await using gateway = await startBoth();
  const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}/test/v1/chat`);
  const frames: string[] = [];
  socket.on("message", (data: Buffer) => frames.push(data.toString()));
  await once(socket, "open");
  socket.send('{"text":"small"}');
  socket.send('{"text":"large"}');
  const [code] = (await once(socket, "close")) as [number]; // As the event says.
  assert.equal(code, 4013);
  assert.equal(frames.length, 2);
  assert.match(frames[0] ?? "", /"text":"small"/);
  assert.equal(frames[1], `{"status":${status},"headers":{},"trailers":{}}`);
});

/** A gateway in a process of its own, whose memory can be asked for. */
async function startMeasured(target: string, maxMessageBytes: number) {
  const program = join(import.meta.dirname, "fixtures/measured-gateway.ts");
  const child = fork(program, [target, String(maxMessageBytes)], { execArgv: ["--expose-gc"] });
  const [{ port }] = (await once(child, "message")) as [{ port: number }]; // As the program says.
  return {
    url: `http://127.0.0.1:${port}`,
    /** The most memory since the last question, and that of now. */
    async memory() {
      child.send("memory?");
      const [answer] = (await once(child, "message")) as [{ peak: number; now: number }]; // As the program says.
      return answer;
    },
    async [Symbol.asyncDispose]() {
      child.kill();
      await once(child, "exit");
    },
  };
}

/** An upstream that gives two small messages of a stream, and a large one, made once, of every call. */
function startLarge(largeBytes: number, compressed: boolean): Promise<RawGrpcServer> {
  const payload = Buffer.alloc(largeBytes);
  const large = (message: Uint8Array): Buffer => {
    const framed = frame(compressed ? gzipSync(message, { level: 1 }) : message);
    framed[0] = compressed ? 1 : 0;
    return framed;
  };
  const reply = large(toBinary(EchoResponseSchema, create(EchoResponseSchema, { payload })));
  const item = large(toBinary(RepeatResponseSchema, create(RepeatResponseSchema, { payload })));
  const small = frame(toBinary(RepeatResponseSchema, create(RepeatResponseSchema, { text: "small" })));
  return new RawGrpcServer((stream, headers) => {
    const encoding = compressed ? { "grpc-encoding": "gzip" } : {};
    stream.respond({ ...grpcHeaders, ...encoding }, { waitForTrailers: true });
    stream.once("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.resume();
    const isUnary = headers[":path"] === "/tsms.test.v1.EchoService/Echo";
    for (const message of isUnary ? [reply] : [small, small, item]) stream.write(message);
    stream.end();
  }).listen();
}

test("T26: what is refused for its size is not held", { timeout: 120_000 }, async () => {
  const maxMessageBytes = 4 * mebibyte;
  for (const compressed of [false, true]) {
    await using upstream = await startLarge(48 * mebibyte, compressed);
    await using gateway = await startMeasured(upstream.target, maxMessageBytes);
    // One call after the other, each with the garbage of its own.
    const askAll = async (): Promise<number> => {
      const unary = await fetch(`${gateway.url}/test/v1/echo/a`);
      assert.match((await unary.text()).slice(0, 100), /^\{"code":13,/);
      let { peak } = await gateway.memory();
      for (const accept of ["application/x-ndjson", "text/event-stream", "application/json"]) {
        const reply = await openStream(`${gateway.url}/test/v1/repeat/a?count=2`, { headers: { accept } });
        const { text, end } = await readAll(reply);
        if (accept === "application/json") assert.equal(end, "cut");
        else assert.match(text.slice(-200), /\{"code":13,/);
        peak = Math.max(peak, (await gateway.memory()).peak);
      }
      return peak;
    };
    await askAll(); // What is loaded and compiled once.
    const { now } = await gateway.memory();
    let peak = 0;
    for (let round = 0; round < 3; round++) peak = Math.max(peak, await askAll());
    const grown = (peak - now) / mebibyte;
    assert.ok(grown < (2 * maxMessageBytes) / mebibyte + 16, `${grown} MiB more, compressed: ${compressed}`);
  }
});
