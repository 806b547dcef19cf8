import assert from "node:assert/strict";
import { once } from "node:events";
import { createSecureServer, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { create, toBinary } from "@bufbuild/protobuf";
import { EchoResponseSchema } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { Code } from "../../../src/core/errors/errors.ts";
import { errorCode } from "../../../src/core/http2/http2-error.ts";
import { createCertificate } from "../../support/certificates.ts";
import { failure } from "../../support/failure.ts";
import { flag, frameType, hpack, http2Frame, uint32, type SeenFrame } from "../../support/http2-frames.ts";
import { frame, grpcHeaders, RawGrpcServer } from "../../support/raw-grpc-server.ts";
import {
  echoReply,
  headersFrame,
  onRequests,
  replyFields,
  settingsFrame,
  trailersFrame,
} from "../../support/raw-http2-server.ts";
import { against, answering, dialed, goawayOf, many } from "../../support/own-engine.ts";

/** What replies and connections `engine: "own"` accepts, and how it behaves beside them. */

const timeoutMs = 10_000;
const { data, headers, rstStream, ping, windowUpdate, continuation } = frameType;
const priority = 2;
const { protocolError, flowControlError, noError } = errorCode;

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
