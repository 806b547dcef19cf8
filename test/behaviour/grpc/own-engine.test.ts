import assert from "node:assert/strict";
import { once } from "node:events";
import { createSecureServer, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { create, toBinary } from "@bufbuild/protobuf";
import { EchoResponseSchema, EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { createClient } from "../../../src/core/call/client.ts";
import { dial, type DialOptions } from "../../../src/core/dial.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { errorCode } from "../../../src/core/http2/http2-error.ts";
import { createCertificate } from "../../support/certificates.ts";
import { Echo } from "../../support/echo-service.ts";
import { all, failure } from "../../support/failure.ts";
import {
  flag,
  frameType,
  hpack,
  http2Frame,
  uint32,
  type RawHttp2,
  type SeenFrame,
} from "../../support/http2-frames.ts";
import { frame, grpcHeaders, RawGrpcServer } from "../../support/raw-grpc-server.ts";
import {
  echoReply,
  headersFrame,
  onRequests,
  RawHttp2Server,
  replyFields,
  settingsFrame,
  trailersFrame,
} from "../../support/raw-http2-server.ts";
import "../../support/test-engine.ts";

/** The faults of `engine: "own"`, by servers of bare frames. */

const timeoutMs = 10_000;
const { data, headers, rstStream, settings, ping, goaway, windowUpdate, continuation } = frameType;
const priority = 2;
const { protocolError, enhanceYourCalm, flowControlError, streamClosed, compressionError, noError } =
  errorCode;

function dialed(t: TestContext, target: string, options: Partial<DialOptions> = {}) {
  const transport = dial(target, { engine: "own", ...options });
  t.after(() => transport.close());
  return { transport, client: createClient(EchoService, transport) };
}

async function against(
  t: TestContext,
  onConnection: (raw: RawHttp2, index: number) => void,
  options: Partial<DialOptions> & { readonly settings?: Buffer } = {},
) {
  const { settings: hello, ...dialOptions } = options;
  const server = await new RawHttp2Server(onConnection, hello).listen();
  t.after(() => server[Symbol.asyncDispose]());
  return { server, ...dialed(t, server.target, dialOptions) };
}

/** Answers every request of a connection by `bytes`. */
function answering(bytes: (streamId: number) => Buffer | readonly Buffer[]) {
  return (raw: RawHttp2): void =>
    onRequests(raw, (streamId) => {
      const answer = bytes(streamId);
      raw.send(...(Buffer.isBuffer(answer) ? [answer] : answer));
    });
}

/** The code of the GOAWAY that a client has sent. */
async function goawayOf(raw: RawHttp2 | undefined): Promise<number> {
  if (raw === undefined) assert.fail("no connection came");
  await raw.until("GOAWAY", ({ closed }) => closed || raw.of(goaway).length > 0);
  const [seen] = raw.of(goaway);
  assert.ok((seen?.payload.length ?? 0) <= 8 + 64);
  return seen?.payload.readUInt32BE(4) ?? -1;
}

function many(count: number, one: Buffer): Buffer {
  return Buffer.concat(Array.from({ length: count }, () => one));
}

for (const [name, flood] of [
  ["SETTINGS", settingsFrame([4, 65_535])],
  ["SETTINGS of 100 entries", settingsFrame(...Array.from({ length: 100 }, () => [4, 65_535] as const))],
  ["PING", http2Frame(ping, 0, 0, Buffer.alloc(8))],
  ["empty DATA", http2Frame(data, 0, 1)],
  ["PRIORITY", http2Frame(priority, 0, 1, Buffer.alloc(5))],
  ["frames of an unknown type", http2Frame(0xbe, 0, 1)],
  ["RST_STREAM of closed streams", http2Frame(rstStream, 0, 1, uint32(0))],
  ["WINDOW_UPDATE of closed streams", http2Frame(windowUpdate, 0, 1, uint32(1))],
] as const) {
  test(`E01: a flood of ${name} ends the connection, and its calls are UNAVAILABLE`, async (t) => {
    const closesFirst = name.endsWith("closed streams");
    const { client, server } = await against(t, (raw) => {
      let requests = 0;
      onRequests(raw, (streamId) => {
        if (closesFirst && requests++ === 0) raw.send(echoReply(streamId, "first"));
        else raw.send(headersFrame(streamId, replyFields), many(20_000, flood));
      });
    });
    if (closesFirst) await client.echo({}, { timeoutMs });
    const begun = performance.now();
    const error = await failure(client.echo({}, { timeoutMs }));
    assert.equal(error.code, Code.Unavailable);
    assert.ok(performance.now() - begun < 5_000);
    assert.equal(await goawayOf(server.connections[0]), enhanceYourCalm);
  });
}

for (const [name, frames] of [
  [
    "100 CONTINUATION frames",
    [http2Frame(headers, 0, 1), many(100, http2Frame(continuation, 0, 1, hpack([["a", "b"]])))],
  ],
  ["an empty CONTINUATION frame", [http2Frame(headers, 0, 1), http2Frame(continuation, 0, 1)]],
  [
    "a block above twice the limit",
    [
      http2Frame(headers, 0, 1, hpack([["a", "b".repeat(60_000)]])),
      many(2, http2Frame(continuation, 0, 1, hpack([["a", "b".repeat(60_000)]]))),
    ],
  ],
] as const) {
  test(`E02: ${name}: the connection ends`, async (t) => {
    const { client, server } = await against(
      t,
      answering(() => frames),
    );
    assert.equal((await failure(client.echo({}, { timeoutMs }))).code, Code.Unavailable);
    assert.equal(await goawayOf(server.connections[0]), enhanceYourCalm);
  });
}

test("E02: a list of 64 MiB by one indexed field fails its call; the connection and its table live on", async (t) => {
  const field = Buffer.concat([Buffer.from([0x40]), hpack([["a", "z".repeat(4_000)]]).subarray(1)]);
  const bomb = Buffer.concat([field, Buffer.alloc(17_000, 0xbe)]);
  const { client, server } = await against(t, (raw) => {
    let requests = 0;
    onRequests(raw, (streamId) => {
      if (requests++ === 0) raw.send(http2Frame(headers, flag.endHeaders, streamId, bomb));
      else {
        // The field of the bomb is in the table still.
        const block = Buffer.concat([hpack(replyFields), Buffer.from([0xbe])]);
        raw.send(http2Frame(headers, flag.endHeaders, streamId, block));
        raw.send(echoReply(streamId, "whole").subarray(headersFrame(1, replyFields).length));
      }
    });
  });
  const before = process.memoryUsage().rss;
  assert.equal((await failure(client.echo({}, { timeoutMs }))).code, Code.ResourceExhausted);
  assert.ok(process.memoryUsage().rss - before < 32 * 1024 * 1024);
  let seen: string | null = "";
  const onHeader = (fields: Headers): void => void (seen = fields.get("a"));
  assert.equal((await client.echo({}, { timeoutMs, onHeader })).text, "whole");
  assert.equal(seen, "z".repeat(4_000));
  assert.equal(server.connections.length, 1);
});

test("E03: a server that stops reading holds up requests, and is found out by pings", async (t) => {
  const { client, server } = await against(
    t,
    (raw) => {
      onRequests(raw, () => {});
      raw.socket.pause();
    },
    { keepalive: { timeMs: 200, timeoutMs: 200 }, settings: settingsFrame([4, 2 ** 31 - 1]) },
  );
  let made = 0;
  async function* requests() {
    for (;;) {
      made++;
      yield { payload: new Uint8Array(16_384) };
    }
  }
  const calls = Array.from({ length: 50 }, () => failure(client.collect(requests(), { timeoutMs })));
  for (const error of await Promise.all(calls)) assert.equal(error.code, Code.Unavailable, error.message);
  // 256 KiB in the socket, what the system takes, and a chunk of each call.
  assert.ok(made * 16_384 < 16 * 1024 * 1024, `${made} messages were taken`);
  assert.equal(server.connections.length, 1);
});

test("E03: pings that are not read as they are answered end the connection", async (t) => {
  const pings = many(3_000, http2Frame(ping, 0, 0, Buffer.alloc(8)));
  const { client, server } = await against(
    t,
    (raw) => {
      raw.socket.pause();
      raw.send(http2Frame(windowUpdate, 0, 0, uint32(2 ** 30)));
    },
    { settings: settingsFrame([4, 2 ** 31 - 1]) },
  );
  async function* requests() {
    for (;;) yield { payload: new Uint8Array(65_536) };
  }
  setTimeout(() => server.connections[0]?.send(pings), 300); // When the socket takes nothing any more.
  const error = await failure(client.collect(requests(), { timeoutMs }));
  assert.equal(error.code, Code.Unavailable);
  assert.match(error.message, /answers are not read/);
});

test("E04: MAX_CONCURRENT_STREAMS holds from the moment it arrives, and resets nothing", async (t) => {
  const limits = [8, 1, 0, 8];
  let open = 0;
  let limit = 0;
  let worst = 0;
  const { client, server } = await against(
    t,
    (raw) => {
      let acknowledged = 0;
      let seen = 0;
      const change = (): void => {
        limit = limits.shift() ?? limit;
        raw.send(settingsFrame([3, limit]));
      };
      const waiting: number[] = [];
      raw.socket.on("data", () => {
        for (; seen < raw.frames.length; seen++) {
          const one = raw.frames[seen];
          if (one?.type === settings && (one.flags & flag.ack) !== 0) acknowledged++;
          if (one?.type !== headers) continue;
          open++;
          waiting.push(one.streamId);
          // What was opened before the acknowledgement is not above the limit.
          if (acknowledged > 4 - limits.length) worst = Math.max(worst, open - limit);
        }
      });
      const timer = setInterval(() => {
        for (const id of waiting.splice(0, 3)) {
          open--;
          raw.send(echoReply(id, String(id)));
        }
        if (open === 0 && limits.length > 0) change();
      }, 2);
      t.after(() => clearInterval(timer));
      change();
    },
    { settings: settingsFrame([3, 8]) },
  );
  const calls = Array.from({ length: 500 }, () => client.echo({}, { timeoutMs: 30_000 }));
  await Promise.all(calls);
  assert.ok(worst <= 0, `${worst} above the limit`);
  assert.equal(server.connections.length, 1);
});

test("E05: a window that shrinks below what was sent holds the request up, and none is sent too much", async (t) => {
  const total = 400_000;
  let received = 0;
  let allowed = 65_535;
  let worst = 0;
  const { client } = await against(t, (raw) => {
    let seen = 0;
    let step = 0;
    raw.socket.on("data", () => {
      for (; seen < raw.frames.length; seen++) {
        const one = raw.frames[seen];
        if (one?.type !== data) continue;
        received += one.payload.length;
        worst = Math.max(worst, received - allowed);
        if ((one.flags & flag.endStream) !== 0) {
          raw.send(
            headersFrame(one.streamId, replyFields),
            http2Frame(data, 0, one.streamId, Buffer.alloc(5)),
          );
          raw.send(trailersFrame(one.streamId));
        }
      }
      if (received === 65_535 && step === 0) {
        step = 1; // The window is used up, and becomes -65,535 by this.
        raw.send(settingsFrame([4, 0]), http2Frame(windowUpdate, 0, 0, uint32(1 << 20)));
        setTimeout(() => raw.send(http2Frame(windowUpdate, 0, 1, uint32(65_535))), 20);
        setTimeout(() => {
          allowed += 1_000;
          raw.send(http2Frame(windowUpdate, 0, 1, uint32(1_000)));
        }, 40);
        setTimeout(() => {
          allowed = Infinity;
          raw.send(settingsFrame([4, 1 << 20]));
        }, 60);
      }
    });
  });
  async function* requests() {
    yield { payload: new Uint8Array(total) };
  }
  await client.collect(requests(), { timeoutMs });
  assert.ok(worst <= 0, `${worst} bytes too many`);
  assert.equal(received, total + 5 + 4);
});

for (const [name, frames, code] of [
  ["of the connection", [http2Frame(windowUpdate, 0, 0, uint32(2 ** 31 - 1))], flowControlError],
  [
    "by SETTINGS",
    [http2Frame(windowUpdate, 0, 1, uint32(2 ** 31 - 70_000)), settingsFrame([4, 2 ** 31 - 1])],
    flowControlError,
  ],
  ["by 0 of the connection", [http2Frame(windowUpdate, 0, 0, uint32(0))], protocolError],
] as const) {
  test(`E05: a window opened too wide ${name} ends the connection`, async (t) => {
    const { client, server } = await against(
      t,
      answering(() => frames),
    );
    assert.equal((await failure(client.echo({}, { timeoutMs }))).code, Code.Unavailable);
    assert.equal(await goawayOf(server.connections[0]), code);
  });
}

for (const [name, increment, code] of [
  ["by 0", 0, protocolError],
  ["too wide", 2 ** 31 - 1, flowControlError],
] as const) {
  test(`E05: a window of a stream opened ${name} ends that stream alone`, async (t) => {
    const { client, server } = await against(t, (raw) => {
      let requests = 0;
      onRequests(raw, (streamId) => {
        if (requests++ > 0) raw.send(echoReply(streamId, "next"));
        else raw.send(http2Frame(windowUpdate, 0, streamId, uint32(increment)));
      });
    });
    assert.equal((await failure(client.echo({}, { timeoutMs }))).code, Code.Internal);
    assert.equal((await client.echo({}, { timeoutMs })).text, "next");
    const [reset] = server.connections[0]?.of(rstStream) ?? [];
    assert.equal(reset?.payload.readUInt32BE(0), code);
  });
}

test("E06: replies that nobody reads hold up no other call of their connection", async (t) => {
  const server = new GrpcServer({ port: 0, logger: false }).addService(new Echo());
  await server.start();
  t.after(() => server.gracefulStop({ graceMs: 0 }));
  const { client } = dialed(t, `127.0.0.1:${server.address?.port}`);
  const unread = Array.from({ length: 16 }, () =>
    client.repeat({ count: 10_000, payload: new Uint8Array(1_000) })[Symbol.asyncIterator](),
  );
  for (const replies of unread) await replies.next();
  for (let call = 0; call < 1_000; call += 50) {
    await Promise.all(Array.from({ length: 50 }, () => client.echo({ text: "small" }, { timeoutMs })));
  }
  for (const replies of unread) await replies.return?.();
});

test("E07: calls that are cancelled in mid-reply give their bytes back to the connection", async (t) => {
  const chunk = frame(Buffer.alloc(1_000_000)).subarray(0, 900_000);
  const reply = frame(
    toBinary(EchoResponseSchema, create(EchoResponseSchema, { payload: new Uint8Array(4_000_000) })),
  );
  let written = (): void => {};
  const server = await new RawGrpcServer((stream: ServerHttp2Stream, fields) => {
    stream.respond(grpcHeaders, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    if (fields["x-last"] === undefined) stream.write(chunk, () => written());
    else stream.end(reply);
  }).listen();
  t.after(() => server[Symbol.asyncDispose]());
  const { client } = dialed(t, server.target, { maxMessageBytes: 8_000_000 });
  for (let round = 0; round < 30; round++) {
    const controller = new AbortController();
    const begun = Promise.withResolvers<void>();
    let count = 0;
    written = () => {
      if (++count === 8) begun.resolve();
    };
    const calls = Array.from({ length: 8 }, () =>
      failure(all(client.repeat({}, { signal: controller.signal, timeoutMs }))),
    );
    await begun.promise;
    controller.abort();
    for (const { code } of await Promise.all(calls)) assert.equal(code, Code.Canceled);
  }
  const { payload } = await client.echo({}, { timeoutMs, headers: { "x-last": "1" } });
  assert.equal(payload.length, 4_000_000);
  assert.equal(server.sessions.size, 1);
});

function goawayFrame(lastStreamId: number, code: number, debug = ""): Buffer {
  return http2Frame(goaway, 0, 0, Buffer.concat([uint32(lastStreamId), uint32(code), Buffer.from(debug)]));
}

test("E08: GOAWAY before any call, and in front of a call: the call goes to the next connection", async (t) => {
  const { client, server, transport } = await against(t, (raw, index) => {
    if (index === 0) raw.send(goawayFrame(0, noError));
    else if (index === 1) onRequests(raw, () => raw.send(goawayFrame(0, noError)));
    else onRequests(raw, (streamId) => raw.send(echoReply(streamId, `connection ${index}`)));
  });
  await transport.ready(AbortSignal.timeout(timeoutMs));
  while (transport.state === "ready") await new Promise((resolve) => setImmediate(resolve));
  assert.equal((await client.echo({}, { timeoutMs })).text, "connection 2");
  await server.connections[1]?.until("the end of the connection", ({ closed }) => closed);
});

for (const [name, end] of [
  ["sends GOAWAY on every new connection", (raw: RawHttp2) => raw.send(goawayFrame(0, noError))],
  ["closes every connection at its first call", (raw: RawHttp2) => onRequests(raw, () => raw.destroy())],
] as const) {
  test(`rule 20: a server that ${name} is dialled less and less often`, async (t) => {
    const backoff = { initialMs: 100, maxMs: 5_000 };
    const { client, server } = await against(t, (raw) => end(raw), { backoff });
    const begun = performance.now();
    while (performance.now() - begun < 2_500) {
      const calls = Array.from({ length: 100 }, () => failure(client.echo({}, { timeoutMs })));
      for (const error of await Promise.all(calls)) assert.equal(error.code, Code.Unavailable);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    // At 0 and at once again, then after 160, 256, 410, 655 and 1,049 ms, each a fifth less or more.
    const { length } = server.connections;
    assert.ok(length >= 3 && length <= 8, `${length} connections`);
  });
}

test("E08: calls up to the last id run to their end, however often and late GOAWAY comes", async (t) => {
  const { client, server } = await against(t, (raw, index) => {
    const streams: number[] = [];
    onRequests(raw, (streamId) => {
      if (index > 0) {
        raw.send(echoReply(streamId, "other"));
        return;
      }
      streams.push(streamId);
      if (streams.length < 2) return;
      const first = echoReply(1, "first");
      raw.send(goawayFrame(2 ** 31 - 1, noError));
      raw.send(first.subarray(0, 20));
      setTimeout(() => raw.send(first.subarray(20, -30)), 10);
      setTimeout(() => raw.send(first.subarray(-30), goawayFrame(1, noError), goawayFrame(1, noError)), 20);
    });
  });
  const calls = [client.echo({}, { timeoutMs }), client.echo({}, { timeoutMs })];
  assert.deepEqual(
    (await Promise.all(calls)).map(({ text }) => text),
    ["first", "other"],
  );
  await server.connections[0]?.until("the end of the connection", ({ closed }) => closed);
});

test("E08: a last id that rises is PROTOCOL_ERROR", async (t) => {
  const { client, server } = await against(
    t,
    answering((id) => [goawayFrame(id, noError), goawayFrame(id + 2, noError)]),
  );
  assert.equal((await failure(client.echo({}, { timeoutMs }))).code, Code.Unavailable);
  assert.equal(await goawayOf(server.connections[0]), protocolError);
});

test("E08: GOAWAY with an error names code and text, and spares replies that are complete", async (t) => {
  const { client } = await against(t, (raw, index) => {
    let requests = 0;
    onRequests(raw, (streamId) => {
      if (index > 0 || ++requests < 2) return;
      raw.send(echoReply(1, "complete"), goawayFrame(streamId, enhanceYourCalm, "too\u0007 much"));
    });
  });
  const calls = [client.echo({}, { timeoutMs }), failure(client.echo({}, { timeoutMs }))] as const;
  assert.equal((await calls[0]).text, "complete");
  const error = await calls[1];
  assert.equal(error.code, Code.Unavailable);
  assert.match(error.message, /\(HTTP\/2 code 11: too\? much\)$/);
});

test("E09: a complete reply counts, although RST_STREAM, GOAWAY and FIN come in the same segment", async (t) => {
  const { client } = await against(t, (raw) => {
    onRequests(raw, (streamId) => {
      raw.socket.end(
        Buffer.concat([
          echoReply(streamId, "whole"),
          http2Frame(rstStream, 0, streamId, uint32(noError)),
          goawayFrame(streamId, noError),
        ]),
      );
    });
  });
  assert.equal((await client.echo({}, { timeoutMs })).text, "whole");
});

test("E10: a reply of one byte a segment is the same", async (t) => {
  const { client } = await against(t, (raw) => {
    onRequests(raw, (streamId) => {
      const bytes = echoReply(streamId, "byte by byte");
      let at = 0;
      const next = (): void => {
        if (at < bytes.length) raw.socket.write(bytes.subarray(at, ++at), () => setImmediate(next));
      };
      next();
    });
  });
  assert.equal((await client.echo({}, { timeoutMs })).text, "byte by byte");
});

for (const [name, code, frames] of [
  ["HEADERS of a stream that was not opened", protocolError, () => headersFrame(99, replyFields)],
  ["HEADERS of an even stream", protocolError, () => headersFrame(2, replyFields)],
  ["DATA of a stream that was not opened", protocolError, () => http2Frame(data, 0, 99)],
  [
    "RST_STREAM of a stream that was not opened",
    protocolError,
    () => http2Frame(rstStream, 0, 99, uint32(0)),
  ],
  [
    "WINDOW_UPDATE of a stream that was not opened",
    protocolError,
    () => http2Frame(windowUpdate, 0, 99, uint32(1)),
  ],
  ["PUSH_PROMISE", protocolError, (id: number) => http2Frame(5, flag.endHeaders, id, uint32(2))],
  [
    "HEADERS behind END_STREAM",
    streamClosed,
    (id: number) => Buffer.concat([echoReply(id, ""), trailersFrame(id)]),
  ],
  [
    "DATA behind END_STREAM",
    streamClosed,
    (id: number) => Buffer.concat([echoReply(id, ""), http2Frame(data, 0, id, Buffer.alloc(1))]),
  ],
  [
    "a broken header block",
    compressionError,
    (id: number) => http2Frame(headers, flag.endHeaders, id, Buffer.from([0x80])),
  ],
  ["PING of 7 bytes", errorCode.frameSizeError, () => http2Frame(ping, 0, 0, Buffer.alloc(7))],
] as const) {
  test(`E10: ${name} ends the connection`, async (t) => {
    const { client, server } = await against(t, answering(frames));
    await client.echo({}, { timeoutMs }).catch(() => {});
    assert.equal(await goawayOf(server.connections[0]), code);
    await server.connections[0]?.until("the end of the connection", ({ closed }) => closed);
  });
}

const ended = flag.endHeaders | flag.endStream;

/** Rule 21: replies that are malformed, as HEADERS and what follows. */
const malformed: readonly (readonly [name: string, frames: (id: number) => readonly Buffer[]])[] = [
  ["without a status", (id) => [headersFrame(id, [["content-type", "application/grpc"]])]],
  [
    "with two statuses",
    (id) => [
      headersFrame(id, [
        [":status", "200"],
        [":status", "200"],
      ]),
    ],
  ],
  ["with a status that is no number", (id) => [headersFrame(id, [[":status", "2xx"]])]],
  [
    "with a field of a request",
    (id) => [
      headersFrame(id, [
        [":status", "200"],
        [":path", "/"],
      ]),
    ],
  ],
  ["with an upper-case name", (id) => [headersFrame(id, [...replyFields, ["X-Upper", "1"]])]],
  ["with an empty name", (id) => [headersFrame(id, [...replyFields, ["", "1"]])]],
  ["with CR in a value", (id) => [headersFrame(id, [...replyFields, ["x-a", "1\r2"]])]],
  ["with NUL in a value", (id) => [headersFrame(id, [...replyFields, ["x-a", "1\u00002"]])]],
  [
    "with a field of HTTP/1.1",
    (id) => [headersFrame(id, [...replyFields, ["transfer-encoding", "chunked"]])],
  ],
  [
    "with a pseudo field behind others",
    (id) => [
      headersFrame(id, [
        ["x-a", "1"],
        [":status", "200"],
      ]),
    ],
  ],
  ["with data before headers", (id) => [http2Frame(data, 0, id, Buffer.alloc(5))]],
  ["with headers in its middle", (id) => [headersFrame(id, replyFields), headersFrame(id, [["x-a", "1"]])]],
  [
    "with a status in trailers",
    (id) => [headersFrame(id, replyFields), headersFrame(id, [[":status", "200"]], ended)],
  ],
  [
    "with 17 interim replies",
    (id) => Array.from({ length: 17 }, () => headersFrame(id, [[":status", "103"]])),
  ],
  ["that ends with an interim reply", (id) => [headersFrame(id, [[":status", "100"]], ended)]],
  [
    "with less data than content-length says",
    (id) => [
      headersFrame(id, [...replyFields, ["content-length", "10"]]),
      http2Frame(data, 0, id, Buffer.alloc(5)),
      trailersFrame(id),
    ],
  ],
  [
    "with more data than content-length says",
    (id) => [
      headersFrame(id, [...replyFields, ["content-length", "3"]]),
      http2Frame(data, 0, id, Buffer.alloc(5)),
    ],
  ],
  [
    "with a content-length that is no number",
    (id) => [headersFrame(id, [...replyFields, ["content-length", "x"]])],
  ],
];

for (const [name, frames] of malformed) {
  test(`rule 21: a reply ${name} is INTERNAL, and its connection lives`, async (t) => {
    const { client, server } = await against(t, (raw) => {
      let requests = 0;
      onRequests(raw, (id) => raw.send(...(requests++ === 0 ? frames(id) : [echoReply(id, "next")])));
    });
    const error = await failure(client.echo({}, { timeoutMs }));
    assert.equal(error.code, Code.Internal, error.message);
    assert.match(error.message, /malformed/);
    assert.equal((await client.echo({}, { timeoutMs })).text, "next");
    const [reset] = server.connections[0]?.of(rstStream) ?? [];
    assert.equal(reset?.payload.readUInt32BE(0), protocolError);
  });
}

test("interim replies, padding, CONTINUATION and ignored frames do not disturb a reply", async (t) => {
  const block = hpack(replyFields);
  const body = frame(toBinary(EchoResponseSchema, create(EchoResponseSchema, { text: "padded" })));
  const padding = 8;
  const { client } = await against(
    t,
    answering((id) => [
      headersFrame(id, [[":status", "103"]]),
      http2Frame(headers, 0, id, block.subarray(0, 5)),
      http2Frame(continuation, flag.endHeaders, id, block.subarray(5)),
      http2Frame(0xbe, 0xff, id, Buffer.alloc(100)),
      http2Frame(
        data,
        padding,
        id,
        Buffer.concat([Buffer.from([200]), body.subarray(0, 7), Buffer.alloc(200)]),
      ),
      http2Frame(priority, 0, 99, Buffer.alloc(5)),
      http2Frame(data, padding, id, Buffer.concat([Buffer.from([0]), body.subarray(7)])),
      trailersFrame(id),
    ]),
  );
  assert.equal((await client.echo({}, { timeoutMs })).text, "padded");
});

test("padding is given back: a reply of padding alone does not stall its stream", async (t) => {
  const padded = http2Frame(data, 8, 1, Buffer.concat([Buffer.from([255]), Buffer.alloc(255)]));
  const { client, server } = await against(t, (raw) => {
    onRequests(raw, (id) => {
      raw.send(headersFrame(id, replyFields), many(600, padded));
      void raw
        .until("credit for the stream", () => raw.of(windowUpdate).some(({ streamId }) => streamId === id))
        .then(() => raw.send(echoReply(id, "after").subarray(headersFrame(id, replyFields).length)));
    });
  });
  assert.equal((await client.echo({}, { timeoutMs })).text, "after");
  assert.equal(server.connections.length, 1);
});

test("rule 8: a server that sends more than the window ends its stream", async (t) => {
  const { client, server } = await against(t, (raw) => {
    onRequests(raw, (id) => {
      raw.send(headersFrame(id, replyFields), many(17, http2Frame(data, 0, id, Buffer.alloc(16_384))));
    });
  });
  const replies = client.repeat({}, { timeoutMs })[Symbol.asyncIterator]();
  const error = await failure(
    (async () => {
      // Prefixes of 0 are empty messages; what is not read is not given back.
      await replies.next();
      await server.connections[0]?.until("RST_STREAM", (raw) => raw.of(rstStream).length > 0);
      while ((await replies.next()).done !== true);
    })(),
  );
  assert.equal(error.code, Code.Internal);
  assert.equal(server.connections[0]?.of(rstStream)[0]?.payload.readUInt32BE(0), flowControlError);
});

/** The frames of requests, without what belongs to the connection. */
function ofStreams(frames: readonly SeenFrame[]): SeenFrame[] {
  return frames.filter(({ streamId }) => streamId !== 0);
}

test("rule 15: a call that ends before its headers are sent leaves nothing on the wire", async (t) => {
  const { client, server, transport } = await against(
    t,
    answering((id) => echoReply(id, "")),
  );
  await transport.ready();
  const controller = new AbortController();
  const call = failure(client.echo({}, { signal: controller.signal }));
  controller.abort();
  assert.equal((await call).code, Code.Canceled);
  await client.echo({}, { timeoutMs });
  const [raw = assert.fail()] = server.connections;
  assert.deepEqual(
    ofStreams(raw.frames).map(({ type, streamId }) => [type, streamId]),
    [
      [headers, 1],
      [data, 1],
    ],
  );
});

test("rule 15: RST_STREAM of a cancelled call goes before unsent data, which is dropped", async (t) => {
  const { client, server, transport } = await against(t, () => {});
  await transport.ready();
  const controller = new AbortController();
  async function* requests() {
    yield { payload: new Uint8Array(200_000) };
  }
  const call = failure(client.collect(requests(), { signal: controller.signal }));
  const [raw = assert.fail()] = server.connections;
  const received = (): number => raw.of(data).reduce((sum, { payload }) => sum + payload.length, 0);
  await raw.until("the window is used up", () => received() === 65_535);
  controller.abort();
  assert.equal((await call).code, Code.Canceled);
  await raw.until("RST_STREAM", () => raw.of(rstStream).length === 1);
  raw.send(http2Frame(windowUpdate, 0, 0, uint32(1 << 20)));
  raw.send(http2Frame(ping, 0, 0, Buffer.alloc(8)));
  await raw.until("the answer to a ping", () => raw.of(ping).length === 1);
  assert.equal(received(), 65_535);
  assert.equal(raw.of(rstStream)[0]?.payload.readUInt32BE(0), errorCode.cancel);
});

test("rule 13: request headers above the server's limit are not sent", async (t) => {
  const { client, server } = await against(
    t,
    answering((id) => echoReply(id, "small")),
    { settings: settingsFrame([6, 1_000]) },
  );
  const error = await failure(client.echo({}, { timeoutMs, headers: { "x-large": "x".repeat(1_000) } }));
  assert.equal(error.code, Code.ResourceExhausted);
  assert.match(error.message, /request headers of \d{4} bytes, the server takes 1000$/);
  assert.equal((await client.echo({}, { timeoutMs })).text, "small");
  assert.equal(server.connections[0]?.of(headers).length, 1);
});

test("request headers above the size of a frame are continued", async (t) => {
  const server = await new RawGrpcServer((stream, fields) => {
    const text = String(fields["x-large"]).length.toString();
    stream.respond(grpcHeaders, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(frame(toBinary(EchoResponseSchema, create(EchoResponseSchema, { text }))));
  }).listen();
  t.after(() => server[Symbol.asyncDispose]());
  const { client } = dialed(t, server.target);
  for (const size of [20_000, 40_000]) {
    const { text } = await client.echo({}, { timeoutMs, headers: { "x-large": "x".repeat(size) } });
    assert.equal(text, String(size));
  }
});

test("rule 18: a silent call costs one ping while the server answers it with nothing else", async (t) => {
  const { client, server } = await against(
    t,
    (raw) => {
      let seen = 0;
      raw.socket.on("data", () => {
        for (; seen < raw.frames.length; seen++) {
          const one = raw.frames[seen];
          if (one?.type === ping && (one.flags & flag.ack) === 0)
            raw.send(http2Frame(ping, flag.ack, 0, one.payload));
        }
      });
    },
    { keepalive: { timeMs: 30, timeoutMs: 5_000 } },
  );
  assert.equal((await failure(client.echo({}, { timeoutMs: 500 }))).code, Code.DeadlineExceeded);
  assert.equal(server.connections[0]?.of(ping).length, 1);
});

test("rule 22: close() lets calls end, sends GOAWAY and FIN, and cuts a server that stays", async (t) => {
  const begun = Promise.withResolvers<number>();
  const { client, server, transport } = await against(t, (raw) => onRequests(raw, (id) => begun.resolve(id)));
  const call = client.echo({}, { timeoutMs });
  const streamId = await begun.promise;
  transport.close();
  const [raw = assert.fail()] = server.connections;
  raw.socket.allowHalfOpen = true;
  raw.send(echoReply(streamId, "to its end"));
  assert.equal((await call).text, "to its end");
  assert.equal(await goawayOf(raw), noError);
  // Its socket is still open: only what it sends shows that the client is gone.
  const begunAt = performance.now();
  const timer = setInterval(() => raw.send(http2Frame(ping, 0, 0, Buffer.alloc(8))), 50);
  t.after(() => clearInterval(timer));
  await raw.until("the end of the connection", ({ closed }) => closed, 5_000);
  assert.ok(performance.now() - begunAt > 500);
});

test("rule 13: the next connection to a TLS server resumes the session of the last one", async (t) => {
  const authority = createCertificate({ name: "test authority" });
  const { key, cert } = createCertificate({ name: "server", hosts: ["127.0.0.1"], issuer: authority });
  const reused: boolean[] = [];
  const sessions = new Set<ServerHttp2Session>();
  const server = createSecureServer({ key, cert });
  server.on("secureConnection", (socket: TLSSocket) => reused.push(socket.isSessionReused()));
  server.on("session", (session: ServerHttp2Session) => sessions.add(session.on("error", () => {})));
  server.on("stream", (stream: ServerHttp2Stream) => {
    stream.respond(grpcHeaders, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(frame(toBinary(EchoResponseSchema, create(EchoResponseSchema))));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const target = `127.0.0.1:${(server.address() as AddressInfo).port}`; // Listens on TCP.
  const { client, transport } = dialed(t, target, { tls: { ca: authority.cert } });
  await client.echo({}, { timeoutMs });
  for (const session of sessions) session.destroy();
  while (transport.state === "ready") await new Promise((resolve) => setImmediate(resolve));
  await client.echo({}, { timeoutMs });
  assert.deepEqual(reused, [false, true]);
});

test("rule 13: a TLS server that does not choose h2 is named", async (t) => {
  const authority = createCertificate({ name: "test authority" });
  const { key, cert } = createCertificate({ name: "server", hosts: ["127.0.0.1"], issuer: authority });
  const server = createTlsServer({ key, cert }, (socket) => socket.on("error", () => {}));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const target = `127.0.0.1:${(server.address() as AddressInfo).port}`; // Listens on TCP.
  const { client } = dialed(t, target, { tls: { ca: authority.cert } });
  const error = await failure(client.echo({}, { timeoutMs }));
  assert.equal(error.code, Code.Unavailable);
  assert.match(error.message, /does not speak HTTP\/2 \(ALPN: none\)$/);
});

test("rule 30: replies whose bytes are changed, dropped or doubled at random end every call in time", async (t) => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  let state = seed;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const mutate = (bytes: Buffer): Buffer => {
    const mutated = [...bytes];
    for (let count = random(4); count >= 0; count--) {
      const at = random(mutated.length);
      const kind = random(4);
      if (kind === 0) mutated.splice(at, 1 + random(8));
      else if (kind === 1) mutated.splice(at, 0, ...mutated.slice(at, at + 1 + random(40)));
      else mutated[at] = kind === 2 ? random(256) : (mutated[at] ?? 0) ^ (1 << random(8));
    }
    return Buffer.from(mutated);
  };
  const server = await new RawHttp2Server((raw) => {
    onRequests(raw, (id) => {
      const whole = Buffer.concat([
        settingsFrame([3, 100], [4, 65_535]),
        http2Frame(windowUpdate, 0, id, uint32(1_000)),
        headersFrame(id, [...replyFields, ["x-a", "b"]]),
        http2Frame(ping, 0, 0, Buffer.alloc(8)),
        echoReply(id, "mutated").subarray(headersFrame(id, replyFields).length),
        http2Frame(rstStream, 0, id, uint32(0)),
      ]);
      const bytes = mutate(whole);
      const cut = random(bytes.length + 1);
      raw.send(bytes.subarray(0, cut));
      setImmediate(() => raw.send(bytes.subarray(cut)));
    });
  }).listen();
  t.after(() => server[Symbol.asyncDispose]());
  let unharmed = 0;
  for (let round = 0; round < 500; round++) {
    const transport = dial(server.target, { engine: "own" });
    const client = createClient(EchoService, transport);
    const calls = Array.from({ length: 4 }, () => client.echo({}, { timeoutMs: 50 }));
    const begun = performance.now();
    const ends = await Promise.allSettled(calls);
    assert.ok(performance.now() - begun < 3_000, `seed ${seed}, round ${round}`);
    for (const end of ends) {
      if (end.status === "fulfilled") unharmed++;
      else assert.ok(end.reason instanceof ConnectError, `seed ${seed}: ${end.reason}`);
    }
    transport.close();
  }
  assert.ok(unharmed > 0, "some changes do no harm");
});
