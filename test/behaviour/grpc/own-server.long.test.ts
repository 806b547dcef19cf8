import { strict as assert } from "node:assert";
import { test, type TestContext } from "node:test";
import { gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  ChatRequestSchema,
  CollectRequestSchema,
  EchoService,
  RepeatRequestSchema,
} from "../../../gen/tsms/test/v1/echo_pb.ts";
import { service } from "../../../src/core/call/service.ts";
import { GrpcServer, type GrpcServerOptions } from "../../../src/core/grpc-server.ts";
import { Metrics } from "../../../src/core/telemetry/metrics.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { startGateway } from "../../support/gateway-fixture.ts";
import { flag, frameType, hpack, http2Frame, RawHttp2, uint32 } from "../../support/http2-frames.ts";
import {
  chatPath,
  echoFrame,
  echoPath,
  frame,
  post,
  running,
  session,
  within,
} from "../../support/running-grpc.ts";

const { headers, data, rstStream, settings, ping, goaway } = frameType;
const patience = 10_000;

function blockOf(path: string): Buffer {
  return hpack([
    [":method", "POST"],
    [":scheme", "http"],
    [":path", path],
    [":authority", "test"],
    ["content-type", "application/grpc"],
    ["te", "trailers"],
  ]);
}

/** A whole request to the echo. */
function call(id: number, bytes: Buffer = echoFrame({ text: "x" }), path = echoPath): Buffer[] {
  return [
    http2Frame(headers, flag.endHeaders, id, blockOf(path)),
    http2Frame(data, flag.endStream, id, bytes),
  ];
}

function reset(id: number): Buffer {
  return http2Frame(rstStream, 0, id, uint32(8));
}

async function rawTo(t: TestContext, port: number): Promise<RawHttp2> {
  const raw = await RawHttp2.open("127.0.0.1", port);
  raw.socket.setNoDelay(true);
  t.after(() => raw.destroy());
  return raw;
}

/** Resolves when all that was sent has been handled. */
async function settle(raw: RawHttp2): Promise<void> {
  const before = raw.of(ping).filter(({ flags }) => flags === flag.ack).length;
  raw.send(http2Frame(ping, 0, 0, Buffer.alloc(8)));
  await raw.until("the answer to a ping", (seen) => {
    return seen.closed || seen.of(ping).filter(({ flags }) => flags === flag.ack).length > before;
  });
}

/** A server whose handlers go on until they are let go, whatever happens to their calls. */
async function startStubborn(t: TestContext, options: Partial<GrpcServerOptions>) {
  const state = { running: 0, most: 0, begun: 0 };
  let release = (): void => {};
  const released = new Promise<void>((resolve) => (release = resolve));
  const work = async (): Promise<void> => {
    state.begun++;
    state.most = Math.max(state.most, ++state.running);
    await released;
    state.running--;
  };
  const server = new GrpcServer({ port: 0, minPingIntervalMs: 0, ...options }).addService(
    service(EchoService, {
      async echo() {
        await work();
        return { text: "done" };
      },
      async *repeat() {
        await work();
        yield {};
      },
      async collect() {
        await work();
        return {};
      },
      async *chat() {
        await work();
        yield {};
      },
    }),
  );
  await server.start();
  t.after(() => server.gracefulStop({ graceMs: 0 }));
  t.after(release);
  return { server, state, release, port: server.address?.port ?? 0 };
}

for (const engine of ["own", "grpc-js"] as const) {
  for (const name of ["Echo", "Repeat", "Collect", "Chat"]) {
    test(`E12: 1,000 streams that are reset at once run no more handlers than there are places (${engine}, ${name})`, async (t) => {
      const limit = 10;
      const { state, release, port } = await startStubborn(t, { engine, maxConcurrentStreams: limit });
      const raw = await rawTo(t, port);
      const path = `/tsms.test.v1.EchoService/${name}`;
      for (let index = 0; index < 1000 && !raw.closed; index += 25) {
        const ids = Array.from({ length: 25 }, (_, place) => 1 + 2 * (index + place));
        raw.send(...ids.flatMap((id) => call(id, echoFrame({ text: "x" }), path)));
        await settle(raw);
        raw.send(...ids.map(reset));
        await settle(raw);
      }
      assert.equal(state.most, limit);
      if (!raw.closed) {
        for (let index = 1000; index < 1050; index++) raw.send(...call(1 + 2 * index, echoFrame({}), path));
        await settle(raw);
        assert.equal(state.most, limit);
        const refused = raw.of(rstStream).filter(({ payload }) => payload.readUInt32BE(0) === 7);
        assert.ok(
          raw.closed || refused.length > 0,
          "streams beyond the limit are refused, before SETTINGS were acknowledged",
        );
      }
      release();
      while (state.running > 0) await new Promise(setImmediate);
      if (raw.closed) return;
      await raw.until("the streams that have waited", (seen) => seen.closed || state.begun > limit);
    });
  }
}

test("a place is free again when the handler of a cancelled call has settled", async (t) => {
  const { state, release, port } = await startStubborn(t, { maxConcurrentStreams: 1 });
  const raw = await rawTo(t, port);
  raw.send(...call(1), reset(1), ...call(3));
  await settle(raw);
  assert.deepEqual([state.begun, raw.of(headers).length], [1, 0]);
  release();
  await raw.until("the answer", (seen) => seen.of(headers).some(({ streamId }) => streamId === 3));
  assert.deepEqual([state.begun, state.most], [2, 1]);
});

test("replies are one piece, and say what is equal in all of them by an index", async (t) => {
  const { port } = await running(t);
  const raw = await rawTo(t, port);
  const isAnswered = (id: number) => (seen: RawHttp2) =>
    seen.of(headers).filter(({ streamId }) => streamId === id).length === 2;
  for (const id of [1, 3]) {
    raw.send(...call(id));
    await raw.until("the reply", isAnswered(id));
  }
  const [, , head, trailers] = raw.of(headers);
  assert.deepEqual([head?.payload.length, trailers?.payload.length], [4, 2]);
  assert.deepEqual(
    raw.frames.filter(({ streamId }) => streamId === 3).map(({ type, flags }) => [type, flags]),
    [
      [headers, flag.endHeaders],
      [data, 0],
      [headers, flag.endHeaders | flag.endStream],
    ],
  );
});

test("small messages of a stream share frames", async (t) => {
  const { port } = await running(t);
  const raw = await rawTo(t, port);
  const request = frame(
    toBinary(RepeatRequestSchema, create(RepeatRequestSchema, { count: 500, text: "x" })),
  );
  raw.send(...call(1, request, "/tsms.test.v1.EchoService/Repeat"));
  await raw.until("the end", (seen) => seen.of(headers).length === 2);
  const bytes = Buffer.concat(raw.of(data).map(({ payload }) => payload));
  let messages = 0;
  for (let at = 0; at < bytes.length; at += 5 + bytes.readUInt32BE(at + 1)) messages++;
  assert.equal(messages, 500);
  assert.ok(raw.of(data).length < 50, `${raw.of(data).length} frames`);
});

test("compressed and plain messages of a stream are read in order", async (t) => {
  for (const engine of ["own", "grpc-js"] as const) {
    const server = await running(t, { engine });
    const texts = Array.from({ length: 40 }, (_, index) => `m${index} ${"x".repeat((index % 7) * 1000)}`);
    const body = texts.map((text, index) => {
      const message = toBinary(ChatRequestSchema, create(ChatRequestSchema, { text }));
      return index % 3 === 0 ? frame(message) : frame(gzipSync(message), 1);
    });
    const reply = await post(session(t, server), { ":path": chatPath, "grpc-encoding": "gzip" }, body);
    assert.equal(reply.status, 0, reply.message);
    const seen: string[] = [];
    for (let at = 0; at < reply.body.length; at += 5 + reply.body.readUInt32BE(at + 1)) {
      seen.push(/m\d+/.exec(reply.body.subarray(at + 5, at + 25).toString("latin1"))?.[0] ?? "");
    }
    assert.deepEqual(
      seen,
      texts.map((_, index) => `m${index}`),
    );
  }
});

test("messages larger than the window of a stream are read", async (t) => {
  const server = await running(t, { streamWindowBytes: 65_535 });
  const payload = new Uint8Array(1024 * 1024).fill(7);
  const bytes = frame(toBinary(CollectRequestSchema, create(CollectRequestSchema, { payload })));
  const http2 = session(t, server);
  for (const path of [echoPath, "/tsms.test.v1.EchoService/Collect", chatPath]) {
    const body = path === echoPath ? [echoFrame({ payload })] : [bytes, bytes, bytes];
    const reply = await within(patience, path, post(http2, { ":path": path }, body));
    assert.equal(reply.status, 0, path);
  }
});

test("a drain names the largest stream first, and the last one when its client has answered", async (t) => {
  const { server, port, echo } = await running(t);
  const raw = await rawTo(t, port);
  raw.send(...call(1, echoFrame({ behaviour: { sleepMs: 60_000 } })));
  await echo.until(({ calls }) => calls === 1);
  const stop = server.gracefulStop({ graceMs: 60_000 });
  await raw.until("GOAWAY and PING", (seen) => seen.of(ping).length > 0);
  assert.deepEqual(
    raw.of(goaway).map(({ payload }) => payload.readUInt32BE(0)),
    [2 ** 31 - 1],
  );
  raw.send(...call(3, echoFrame({ text: "in time" })));
  raw.send(http2Frame(ping, flag.ack, 0, Buffer.alloc(8)));
  await raw.until("the second GOAWAY", (seen) => seen.of(goaway).length > 1);
  assert.equal(raw.of(goaway)[1]?.payload.readUInt32BE(0), 3);
  raw.send(...call(5), reset(1));
  await raw.until("the close", ({ closed }) => closed);
  await stop;
  assert.ok(raw.of(headers).some(({ streamId }) => streamId === 3));
  assert.ok(raw.of(headers).every(({ streamId }) => streamId !== 5));
  assert.equal(echo.calls, 2);
});

test("the limits of what a client may do are options of both servers", async (t) => {
  const tuning = {
    maxResets: { burst: 5, perSecond: 0 },
    maxGlitches: { burst: 8, perSecond: 0 },
    streamWindowBytes: 100_000,
    maxFrameBytes: 20_000,
  };
  const grpc = await running(t, tuning);
  const gateway = await startGateway({ engine: "own", ...tuning });
  t.after(() => gateway.http.gracefulStop({ graceMs: 0 }));
  for (const port of [grpc.port, gateway.port]) {
    const announced = await rawTo(t, port);
    await announced.until("SETTINGS", (seen) => seen.of(settings).length > 0);
    const entries = new Map<number, number>();
    const payload = announced.of(settings)[0]?.payload ?? assert.fail("no SETTINGS");
    for (let at = 0; at < payload.length; at += 6)
      entries.set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
    assert.deepEqual([entries.get(4), entries.get(5)], [100_000, 20_000]);
    const attacks: readonly (readonly [count: number, attack: (index: number) => Buffer[]])[] = [
      [
        6,
        (index) => [
          http2Frame(headers, flag.endHeaders, 1 + 2 * index, blockOf(echoPath)),
          reset(1 + 2 * index),
        ],
      ],
      [9, () => [http2Frame(0x20, 0, 0)]],
    ];
    for (const [count, attack] of attacks) {
      const allowed = await rawTo(t, port);
      for (let index = 0; index < count - 1; index++) allowed.send(...attack(index));
      await settle(allowed);
      assert.equal(allowed.closed, false);
      allowed.send(...attack(count - 1));
      await allowed.until("the close", ({ closed }) => closed);
      assert.equal(allowed.of(goaway)[0]?.payload.readUInt32BE(4), 0xb, "ENHANCE_YOUR_CALM");
    }
    const large = await rawTo(t, port);
    large.send(
      http2Frame(headers, flag.endHeaders, 1, blockOf(echoPath)),
      http2Frame(data, 0, 1, Buffer.alloc(20_001)),
    );
    await large.until("the close", ({ closed }) => closed);
    assert.equal(large.of(goaway)[0]?.payload.readUInt32BE(4), 6, "FRAME_SIZE_ERROR");
  }
});

test("limits out of their range are refused by name", () => {
  const upstream = new GrpcServer({ listen: false });
  for (const make of [
    (options: Partial<GrpcServerOptions>) => new GrpcServer(options),
    (options: Partial<GrpcServerOptions>) =>
      new HttpServer({ upstream, ...(options as Pick<GrpcServerOptions, "maxFrameBytes">) }),
  ]) {
    assert.throws(
      () => make({ streamWindowBytes: 65_534 }),
      /`streamWindowBytes` must be from 65535 to 16777216/,
    );
    assert.throws(() => make({ maxFrameBytes: 2 ** 21 }), /`maxFrameBytes` must be from 16384 to 1048576/);
    assert.throws(() => make({ maxResets: { burst: 0, perSecond: 1 } }), /`maxResets\.burst` must be/);
    assert.throws(
      () => make({ maxGlitches: { burst: 1, perSecond: -1 } }),
      /`maxGlitches\.perSecond` must be/,
    );
  }
});

test("connections of the server are counted, with what ends them", async (t) => {
  const metrics = new Metrics({ processMetrics: false });
  const valueOf = async (name: string, labels: string): Promise<number> => {
    const line = (await metrics.page())
      .split("\n")
      .find((one) => one.startsWith(`${name}{side="server"${labels}}`));
    return line === undefined ? 0 : Number(line.split(" ").at(-1));
  };
  const ended = (cause: string) => valueOf("ts_ms_http2_connections_ended_total", `,cause="${cause}"`);
  for (const engine of ["own", "grpc-js"] as const) {
    while ((await valueOf("ts_ms_http2_connections", "")) > 0) await new Promise(setImmediate);
    const { echo, port } = await running(t, { engine });
    const raw = await rawTo(t, port);
    raw.send(...call(1, echoFrame({ behaviour: { sleepMs: 60_000 } })));
    await echo.until(({ calls }) => calls === 1);
    assert.equal(await valueOf("ts_ms_http2_connections", ""), 1);
    assert.equal(await valueOf("ts_ms_http2_streams", ""), 1);
    raw.destroy();
    for (const [cause, options] of [
      ["idle", { maxConnectionIdleMs: 20 }],
      ["age", { maxConnectionAgeMs: 20 }],
      ["timeout", { keepaliveTimeMs: 20, keepaliveTimeoutMs: 20 }],
    ] as const) {
      const before = await ended(cause);
      const server = await running(t, { engine, ...options });
      const client = await rawTo(t, server.port);
      if (cause === "timeout") client.send(http2Frame(headers, flag.endHeaders, 1, blockOf(chatPath)));
      await client.until(`the close (${cause}, ${engine})`, ({ closed }) => closed);
      while ((await ended(cause)) === before) await new Promise(setImmediate);
    }
  }
});

test("refused streams, floods and broken rules are counted", async (t) => {
  const metrics = new Metrics({ processMetrics: false });
  const count = async (line: string): Promise<number> => {
    const found = (await metrics.page()).split("\n").find((one) => one.startsWith(`${line} `));
    return found === undefined ? 0 : Number(found.split(" ").at(-1));
  };
  const refused = 'ts_ms_http2_refused_streams_total{side="server"}';
  const end = (cause: string): string =>
    `ts_ms_http2_connections_ended_total{side="server",cause="${cause}"}`;
  const before = await Promise.all([refused, end("flood"), end("protocol")].map(count));
  const { port } = await running(t, { maxConcurrentStreams: 1, maxResets: { burst: 1, perSecond: 0 } });
  const raw = await rawTo(t, port);
  for (const id of [1, 3, 5]) raw.send(http2Frame(headers, flag.endHeaders, id, blockOf(chatPath)));
  await raw.until("the refusal", (seen) => seen.of(rstStream).length === 1);
  raw.send(reset(1), reset(3));
  await raw.until("the close", ({ closed }) => closed);
  const broken = await rawTo(t, port);
  broken.send(http2Frame(data, 0, 9, Buffer.from("x")));
  await broken.until("the close", ({ closed }) => closed);
  const counted = async (): Promise<number[]> => {
    const after = await Promise.all([refused, end("flood"), end("protocol")].map(count));
    return after.map((value, index) => value - (before[index] ?? 0));
  };
  while ((await counted()).includes(0)) await new Promise(setImmediate);
  assert.deepEqual(await counted(), [1, 1, 1]);
});
