import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, Socket, type AddressInfo } from "node:net";
import { test } from "node:test";
import { dial, type DialedTransport, type DialOptions } from "../../../src/core/dial.ts";
import { Code } from "../../../src/core/errors/errors.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { http2Counts } from "../../../src/core/http2/http2-counts.ts";
import type { ConnectionState } from "../../../src/core/http2/http2-connection.ts";
import { errorCode } from "../../../src/core/http2/http2-error.ts";
import { Metrics } from "../../../src/core/telemetry/metrics.ts";
import { Echo } from "../../support/echo-service.ts";
import { failure } from "../../support/failure.ts";
import { flag, frameType, http2Frame } from "../../support/http2-frames.ts";
import { against, answering, dialed, goawayFrame, goawayOf } from "../../support/own-engine.ts";
import {
  echoReply,
  headersFrame,
  onRequests,
  RawHttp2Server,
  replyFields,
  settingsFrame,
} from "../../support/raw-http2-server.ts";

/** The options `keepalive` and `http2` of `dial`, and the figures of its connections. */

const timeoutMs = 10_000;

for (const [options, message] of [
  [
    { http2: { streamWindowBytes: 1_000 } },
    "dial: the option http2.streamWindowBytes must be a whole number from 65535 to 16777216, not 1000",
  ],
  [
    { http2: { maxFrameBytes: 16_383 } },
    "dial: the option http2.maxFrameBytes must be a whole number from 16384 to 1048576, not 16383",
  ],
  [
    { http2: { headerTableBytes: -1 } },
    "dial: the option http2.headerTableBytes must be a whole number from 0 to 65536, not -1",
  ],
  [
    { http2: { maxHeaderListBytes: 1e9 } },
    "dial: the option http2.maxHeaderListBytes must be a whole number from 1024 to 16777216, not 1000000000",
  ],
  [
    { http2: { maxQueuedCalls: "5" } },
    "dial: the option http2: the option maxQueuedCalls must be a number, not '5'",
  ],
  [
    { http2: { settingsTimeoutMs: 0 } },
    "dial: the option http2.settingsTimeoutMs must be a whole number from 1 to 2147483647, not 0",
  ],
  [
    { http2: { maxConnectionStreams: 1.5 } },
    "dial: the option http2.maxConnectionStreams must be a whole number from 1 to 1073741824, not 1.5",
  ],
  [
    { http2: { sensitiveHeaders: "x-token" } },
    "dial: the option http2.sensitiveHeaders must be an array of names, not 'x-token'",
  ],
  [
    { http2: { sensitiveHeaders: ["x token"] } },
    "dial: the option http2.sensitiveHeaders must be an array of names of headers, not 'x token'",
  ],
  [
    { http2: { maxFrameByte: 1 } },
    'dial: the option http2: there is no option "maxFrameByte"; did you mean maxFrameBytes?',
  ],
  [
    { keepalive: { timeMs: -1 } },
    "dial: the option keepalive.timeMs must be a whole number from 0 to 9007199254740991, not -1",
  ],
  [
    { keepalive: { timeoutMs: 0 } },
    "dial: the option keepalive.timeoutMs must be a whole number from 1 to 2147483647, not 0",
  ],
  [
    { keepalive: { idleMs: 0 } },
    "dial: the option keepalive.idleMs must be a whole number from 1 to 2147483647, not 0",
  ],
  [
    { keepalive: { withoutCalls: 1 } },
    "dial: the option keepalive.withoutCalls must be true or false, not 1",
  ],
  [
    { keepalive: { tcpMs: 2 ** 31 } },
    "dial: the option keepalive.tcpMs must be a whole number from 0 to 2147483647, not 2147483648",
  ],
] as const) {
  test(`${JSON.stringify(options)} is refused`, () => {
    // Of callers without types.
    assert.throws(() => dial("localhost:1", options as unknown as Partial<DialOptions>), {
      message,
    });
  });
}

test("SETTINGS announce what the options say", async (t) => {
  const http2 = {
    streamWindowBytes: 100_000,
    maxFrameBytes: 20_000,
    headerTableBytes: 128,
    maxHeaderListBytes: 9_000,
  };
  const { client, server } = await against(
    t,
    answering((streamId) => echoReply(streamId, "")),
    { http2 },
  );
  await client.echo({}, { timeoutMs });
  const [settings = assert.fail()] = server.connections[0]?.of(frameType.settings) ?? [];
  const { payload } = settings;
  const entries = Array.from({ length: payload.length / 6 }, (_, index) => [
    payload.readUInt16BE(6 * index),
    payload.readUInt32BE(6 * index + 2),
  ]);
  assert.deepEqual(entries, [
    [1, 128],
    [2, 0],
    [4, 100_000],
    [5, 20_000],
    [6, 9_000],
    [9, 1],
  ]);
});

for (const engine of ["own", "node"] as const) {
  test(`engine ${engine}: metadata above maxHeaderListBytes is RESOURCE_EXHAUSTED for its call alone`, async (t) => {
    let big = true;
    const { client, server } = await against(
      t,
      (raw) =>
        onRequests(raw, (streamId) => {
          const fields = [...replyFields, ["x-big", "b".repeat(1_100)]] as const;
          raw.send(big ? headersFrame(streamId, fields) : echoReply(streamId, "small"));
          big = false;
        }),
      { engine, http2: { maxHeaderListBytes: 1024 } },
    );
    assert.equal((await failure(client.echo({}, { timeoutMs }))).code, Code.ResourceExhausted);
    assert.equal((await client.echo({}, { timeoutMs })).text, "small");
    assert.equal(server.connections.length, 1);
  });

  test(`engine ${engine}: calls above maxQueuedCalls are UNAVAILABLE, and those that wait are counted`, async (t) => {
    const { client, server, transport } = await against(
      t,
      (raw) => onRequests(raw, (streamId) => raw.send(echoReply(streamId, "waited"))),
      { engine, http2: { maxQueuedCalls: 2 }, settings: settingsFrame([3, 0]) },
    );
    await transport.ready();
    const waiting = [client.echo({}, { timeoutMs }), client.echo({}, { timeoutMs })];
    const error = await failure(client.echo({}, { timeoutMs }));
    assert.equal(error.code, Code.Unavailable);
    assert.equal(error.rawMessage, `${server.target}: 2 calls wait for a stream`);
    assert.equal(transport.stats().endpoints[0]?.http2.queued, 2);
    const queued = `ts_ms_client_queued_calls{upstream="${server.target}"}`;
    const metrics = new Metrics({ processMetrics: false });
    assert.ok((await metrics.page()).includes(`${queued} 2\n`));
    server.connections[0]?.send(settingsFrame([3, 10]));
    for (const call of waiting) assert.equal((await call).text, "waited");
    assert.ok((await metrics.page()).includes(`${queued} 0\n`));
  });

  test(`engine ${engine}: stats() and metrics count streams, bytes and GOAWAY frames`, async (t) => {
    const { client, server, transport } = await against(
      t,
      (raw, index) =>
        onRequests(raw, (streamId) => {
          if (index === 0) raw.send(goawayFrame(0, errorCode.enhanceYourCalm, "slow down"));
          else raw.send(echoReply(streamId, "next"));
        }),
      { engine },
    );
    assert.deepEqual(transport.stats().endpoints, [
      {
        address: server.target,
        state: "idle",
        http2: {
          streams: 0,
          limit: 0,
          rttMs: undefined,
          sentBytes: 0,
          receivedBytes: 0,
          queued: 0,
          goaways: 0,
        },
      },
    ]);
    assert.equal((await client.echo({}, { timeoutMs })).text, "next");
    const [endpoint = assert.fail()] = transport.stats().endpoints;
    const { streams, limit, goaways, sentBytes, receivedBytes, rttMs } = endpoint.http2;
    assert.deepEqual([endpoint.state, limit, goaways], ["ready", Infinity, 1]);
    assert.ok(sentBytes > 100 && receivedBytes > 50, `${sentBytes} and ${receivedBytes} bytes`);
    if (engine === "own") assert.ok(streams === 0 && rttMs !== undefined && rttMs < 10_000);
    const page = await new Metrics({ processMetrics: false }).page();
    const goaway = `ts_ms_client_goaways_total{upstream="${server.target}",code="ENHANCE_YOUR_CALM"} 1\n`;
    assert.ok(page.includes(goaway));
  });

  test(`rule 17, engine ${engine}: a connection in use that is retired is made again before the next call`, async (t) => {
    const { client, server, transport } = await against(
      t,
      (raw) => onRequests(raw, (streamId) => raw.send(echoReply(streamId, "well"))),
      { engine },
    );
    await transport.ready();
    server.connections[0]?.send(goawayFrame(0, errorCode.noError));
    await until(transport, "idle"); // No call was made on it.
    assert.equal((await client.echo({}, { timeoutMs })).text, "well");
    server.connections[1]?.send(goawayFrame(1, errorCode.noError));
    await until(transport, "connecting");
    await until(transport, "ready");
    assert.equal(server.connections.length, 3);
  });
}

/** Resolves as soon as the connection has this state. */
function until(transport: DialedTransport, state: ConnectionState): Promise<void> {
  return new Promise((resolve) => {
    if (transport.state === state) {
      resolve();
      return;
    }
    const end = transport.onChange(() => {
      if (transport.state !== state) return;
      end();
      resolve();
    });
  });
}

test("a server in process has no endpoints", () => {
  assert.deepEqual(dial(new GrpcServer({ listen: false })).stats(), { endpoints: [] });
});

test("a server that does not acknowledge SETTINGS in time loses its connection", async (t) => {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    socket.write(settingsFrame());
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo; // Listens on TCP.
  const ended = http2Counts.client.ended.get("timeout") ?? 0;
  const { client } = dialed(t, `127.0.0.1:${port}`, { http2: { settingsTimeoutMs: 50 } });
  const error = await failure(client.echo({}, { timeoutMs }));
  assert.equal(error.code, Code.Unavailable);
  assert.match(error.message, /SETTINGS are not acknowledged/);
  assert.equal(http2Counts.client.ended.get("timeout"), ended + 1);
});

test("sensitive headers are literals that never enter a table", async (t) => {
  const { client, server } = await against(
    t,
    answering((streamId) => echoReply(streamId, "")),
    { http2: { sensitiveHeaders: ["X-Token"] } },
  );
  const headers = { "x-token": "t", "x-other": "o", "x-api-key": "k" };
  await client.echo({}, { timeoutMs, headers });
  const [{ payload } = assert.fail()] = server.connections[0]?.of(frameType.headers) ?? [];
  const formOf = (name: string): number => payload[payload.indexOf(name, 0, "latin1") - 2] ?? -1;
  assert.deepEqual(["x-token", "x-other", "x-api-key"].map(formOf), [0x10, 0, 0x10]);
});

test("pings are sent without calls where they are asked for, and their answers counted", async (t) => {
  const { server, transport } = await against(
    t,
    (raw) => {
      let seen = 0;
      raw.socket.on("data", () => {
        const pings = raw.of(frameType.ping);
        for (; seen < pings.length; seen++)
          raw.send(http2Frame(frameType.ping, flag.ack, 0, Buffer.alloc(8)));
      });
    },
    { keepalive: { timeMs: 10, timeoutMs: 100, idleMs: 20, withoutCalls: true } },
  );
  const { answered } = http2Counts.client.pings;
  await transport.ready();
  const [raw = assert.fail()] = server.connections;
  await raw.until("three pings", () => raw.of(frameType.ping).length >= 3);
  assert.equal(transport.state, "ready");
  assert.ok(http2Counts.client.pings.answered > answered);
});

for (const [tcpMs, expected] of [
  [2_000, [[true, 2_000, 1_000, 10]]],
  [0, []],
] as const) {
  test(`TCP keepalive of ${tcpMs} ms`, async (t) => {
    const setKeepAlive = t.mock.method(Socket.prototype, "setKeepAlive");
    const { transport } = await against(t, () => {}, { keepalive: { tcpMs } });
    await transport.ready();
    assert.deepEqual(
      setKeepAlive.mock.calls.map(({ arguments: args }) => args),
      expected,
    );
  });
}

test("E11: connections that run out of streams are replaced by ones that are ready before, and no call is lost", async (t) => {
  const requests: number[] = [];
  const openedBefore: boolean[] = [];
  const { client, server, transport } = await against(
    t,
    (raw, index) => {
      openedBefore[index] = index === 0 || (requests[index - 1] ?? 0) < 64;
      onRequests(raw, (streamId) => {
        requests[index] = (requests[index] ?? 0) + 1;
        raw.send(echoReply(streamId, String(streamId)));
      });
    },
    { http2: { maxConnectionStreams: 64 } },
  );
  const aged = http2Counts.client.ended.get("age") ?? 0;
  let served = 0;
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      for (; served < 1_000; await new Promise((resolve) => setImmediate(resolve))) {
        served++;
        await client.echo({}, { timeoutMs });
      }
    }),
  );
  for (const count of requests) assert.ok(count <= 64, `${count} calls on one connection`);
  assert.ok(requests.length >= 16 && requests.length <= 30, `${requests.length} connections`);
  assert.ok(openedBefore.every(Boolean), "each connection came before the last one had no streams left");
  assert.equal(transport.state, "ready");
  assert.ok((http2Counts.client.ended.get("age") ?? 0) - aged >= server.connections.length - 2);
  assert.equal(await goawayOf(server.connections[0]), errorCode.noError);
});

test("E11: a connection without streams left is replaced as well if the attempt before has failed", async (t) => {
  const server = await new RawHttp2Server((raw, index) =>
    onRequests(raw, (streamId) => raw.send(echoReply(streamId, String(index)))),
  ).listen();
  t.after(() => server[Symbol.asyncDispose]());
  let refused = false;
  const proxy = createServer((socket) => {
    socket.on("error", () => {});
    if (server.connections.length === 1 && !refused) {
      refused = true;
      socket.destroy();
      return;
    }
    const onwards = connect(Number(server.target.split(":")[1]), "127.0.0.1").on("error", () => {});
    socket.pipe(onwards).pipe(socket);
  }).listen(0, "127.0.0.1");
  await once(proxy, "listening");
  t.after(() => proxy.close());
  const { port } = proxy.address() as AddressInfo; // Listens on TCP.
  const { client } = dialed(t, `127.0.0.1:${port}`, { http2: { maxConnectionStreams: 8 } });
  const texts: string[] = [];
  for (let call = 0; call < 12; call++) texts.push((await client.echo({}, { timeoutMs })).text);
  assert.equal(texts.join(""), "000000001111");
  assert.ok(refused);
});

test("E11: 100,000 values of metadata on one connection, none of which enters its table", async (t) => {
  const server = new GrpcServer({ port: 0, logger: false }).addService(new Echo());
  await server.start();
  t.after(() => server.gracefulStop({ graceMs: 0 }));
  const { client, transport } = dialed(t, `127.0.0.1:${server.address?.port}`);
  for (let call = 0; call < 2_000; call += 100) {
    const calls = Array.from({ length: 100 }, (_, index) => {
      const headers = Object.fromEntries(
        Array.from({ length: 50 }, (__, value) => [`x-${value}`, `${call + index}-${value}`]),
      );
      return client.echo({ text: `${call + index}` }, { timeoutMs, headers });
    });
    for (const [index, { text }] of (await Promise.all(calls)).entries()) {
      assert.equal(text, `${call + index}`);
    }
  }
  assert.equal(transport.stats().endpoints[0]?.http2.goaways, 0);
});
