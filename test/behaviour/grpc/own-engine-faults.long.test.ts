import assert from "node:assert/strict";
import type { ServerHttp2Stream } from "node:http2";
import { test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { EchoResponseSchema } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { Code } from "../../../src/core/errors/errors.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { errorCode } from "../../../src/core/http2/http2-error.ts";
import { Echo } from "../../support/echo-service.ts";
import { all, failure } from "../../support/failure.ts";
import { flag, frameType, hpack, http2Frame, uint32, type RawHttp2 } from "../../support/http2-frames.ts";
import { frame, grpcHeaders, RawGrpcServer } from "../../support/raw-grpc-server.ts";
import {
  echoReply,
  headersFrame,
  onRequests,
  replyFields,
  settingsFrame,
  trailersFrame,
} from "../../support/raw-http2-server.ts";
import { against, answering, dialed, goawayFrame, goawayOf, many } from "../../support/own-engine.ts";

/** The faults E01 to E10 of `engine: "own"`, by servers of bare frames. */

const timeoutMs = 10_000;
const { data, headers, rstStream, settings, ping, windowUpdate, continuation } = frameType;
const priority = 2;
const { protocolError, enhanceYourCalm, flowControlError, streamClosed, compressionError, noError } =
  errorCode;

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

test("E06: replies that are not read hold up no other call of their connection", async (t) => {
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
