import assert from "node:assert/strict";
import { once } from "node:events";
import { constants, type ServerHttp2Stream } from "node:http2";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { deflateSync, gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { EchoResponseSchema, EchoService, RepeatResponseSchema } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { createClient } from "../../../src/core/call/client.ts";
import { dial, type DialOptions } from "../../../src/core/dial.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { frame, grpcHeaders, RawGrpcServer } from "../../support/raw-grpc-server.ts";
import { testEngine } from "../../support/test-engine.ts";

type Answer = ConstructorParameters<typeof RawGrpcServer>[0];

/** Generous, so that a slow machine does not fail; a hang does. */
const timeoutMs = 10_000;

const reply = frame(toBinary(EchoResponseSchema, create(EchoResponseSchema, { text: "pong" })));

async function against(t: TestContext, answer: Answer, options: Partial<DialOptions> = {}) {
  const server = await new RawGrpcServer(answer).listen();
  const transport = dial(server.target, { ...testEngine, ...options });
  t.after(async () => {
    transport.close();
    await server[Symbol.asyncDispose]();
  });
  return { client: createClient(EchoService, transport), server, transport };
}

async function failure(work: Promise<unknown>): Promise<ConnectError> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof ConnectError, String(error));
    return error;
  }
  assert.fail("no error came");
}

async function failureOf(t: TestContext, answer: Answer, options: Partial<DialOptions> = {}) {
  const { client } = await against(t, answer, options);
  const begun = performance.now();
  const error = await failure(client.echo({}, { timeoutMs }));
  assert.ok(performance.now() - begun < timeoutMs, "before the deadline");
  return error;
}

function end(
  stream: ServerHttp2Stream,
  trailers: Record<string, string>,
  body: Buffer = Buffer.alloc(0),
): void {
  stream.respond(grpcHeaders, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers(trailers));
  stream.end(body);
}

const httpCodes: readonly (readonly [number, Code])[] = [
  [400, Code.Internal],
  [401, Code.Unauthenticated],
  [403, Code.PermissionDenied],
  [404, Code.Unimplemented],
  [429, Code.Unavailable],
  [502, Code.Unavailable],
  [503, Code.Unavailable],
  [504, Code.Unavailable],
  [418, Code.Unknown],
  [500, Code.Unknown],
];

for (const [status, code] of httpCodes) {
  test(`G21: HTTP ${status} without grpc-status is ${Code[code]}`, async (t) => {
    const error = await failureOf(t, (stream) => {
      stream.respond({ ":status": status, "content-type": "text/html" });
      stream.end("<html><body>it went wrong here</body></html>");
    });
    assert.equal(error.code, code);
  });
}

test("G21: HTTP 200 without trailers is UNKNOWN", async (t) => {
  const error = await failureOf(t, (stream) => {
    stream.respond(grpcHeaders);
    stream.end();
  });
  assert.equal(error.code, Code.Unknown);
});

test("G21: a message but no trailers is UNKNOWN", async (t) => {
  const error = await failureOf(t, (stream) => {
    stream.respond(grpcHeaders);
    stream.end(reply);
  });
  assert.equal(error.code, Code.Unknown);
});

test("G21: trailers without grpc-status are UNKNOWN, and say what is missing", async (t) => {
  const error = await failureOf(t, (stream) => end(stream, { "x-other": "1" }, reply));
  assert.deepEqual([error.code, error.rawMessage], [Code.Unknown, "the reply ended without a status"]);
});

for (const [name, rst] of [
  ["INTERNAL_ERROR", constants.NGHTTP2_INTERNAL_ERROR],
  ["PROTOCOL_ERROR", constants.NGHTTP2_PROTOCOL_ERROR],
] as const) {
  test(`G21: RST_STREAM ${name} after headers is INTERNAL`, async (t) => {
    const error = await failureOf(t, (stream) => {
      stream.respond(grpcHeaders);
      stream.close(rst);
    });
    assert.equal(error.code, Code.Internal);
  });
}

const resets: readonly (readonly [string, number, Code])[] = [
  ["NO_ERROR", constants.NGHTTP2_NO_ERROR, Code.Unknown],
  ["FLOW_CONTROL_ERROR", constants.NGHTTP2_FLOW_CONTROL_ERROR, Code.Internal],
  ["FRAME_SIZE_ERROR", constants.NGHTTP2_FRAME_SIZE_ERROR, Code.Internal],
  ["CANCEL", constants.NGHTTP2_CANCEL, Code.Canceled],
  ["REFUSED_STREAM", constants.NGHTTP2_REFUSED_STREAM, Code.Unavailable],
  ["ENHANCE_YOUR_CALM", constants.NGHTTP2_ENHANCE_YOUR_CALM, Code.ResourceExhausted],
  ["INADEQUATE_SECURITY", constants.NGHTTP2_INADEQUATE_SECURITY, Code.PermissionDenied],
  ["an unknown code", 0x1234, Code.Internal],
];

for (const [name, rst, code] of resets) {
  test(`G21: RST_STREAM ${name} is ${Code[code]}`, async (t) => {
    const { client, server } = await against(t, (stream) => stream.close(rst));
    assert.equal((await failure(client.echo({}, { timeoutMs }))).code, code);
    assert.equal(server.streams, rst === constants.NGHTTP2_REFUSED_STREAM ? 2 : 1);
  });
}

test("G21: a connection that breaks after headers is UNAVAILABLE", async (t) => {
  const error = await failureOf(t, (stream) => {
    stream.respond(grpcHeaders);
    setImmediate(() => stream.session?.destroy());
  });
  assert.equal(error.code, Code.Unavailable);
});

test("G21: GOAWAY mid-call that cuts the call is UNAVAILABLE", async (t) => {
  const error = await failureOf(t, (stream) => {
    stream.respond(grpcHeaders);
    const { session } = stream;
    session?.goaway(constants.NGHTTP2_NO_ERROR, stream.id);
    setImmediate(() => session?.destroy());
  });
  assert.equal(error.code, Code.Unavailable);
});

test("G21: a stream that was refused is tried once more", async (t) => {
  const { client, server } = await against(t, (stream, _headers, index) => {
    if (index === 0) stream.close(constants.NGHTTP2_REFUSED_STREAM);
    else end(stream, { "grpc-status": "0" }, reply);
  });
  const { text } = await client.echo({}, { timeoutMs });
  assert.equal(text, "pong");
  assert.equal(server.streams, 2);
});

test("G21: a refused stream of requests is sent again from its beginning", async (t) => {
  const { client, server } = await against(t, (stream, _headers, index) => {
    if (index === 0) {
      stream.once("data", () => stream.close(constants.NGHTTP2_REFUSED_STREAM));
      return;
    }
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => end(stream, { "grpc-status": "0" }, Buffer.concat(chunks)));
  });
  async function* requests() {
    yield { text: "one" };
    while (server.streams < 2) await new Promise((resolve) => setImmediate(resolve));
    yield { text: "two" };
  }
  const seen: string[] = [];
  for await (const { text } of client.chat(requests(), { timeoutMs })) seen.push(text);
  assert.deepEqual(seen, ["one", "two"]);
});

test("G21: a stream that answered is not tried again", async (t) => {
  const { client, server } = await against(t, (stream) => {
    stream.respond(grpcHeaders);
    stream.write(frame(toBinary(RepeatResponseSchema, create(RepeatResponseSchema, { index: 1 }))), () =>
      stream.close(constants.NGHTTP2_REFUSED_STREAM),
    );
  });
  const read = async () => {
    for await (const { index } of client.repeat({}, { timeoutMs })) assert.equal(index, 1);
  };
  assert.equal((await failure(read())).code, Code.Unavailable);
  assert.equal(server.streams, 1);
});

test("G21: a stream above the last id of a GOAWAY is tried on a new connection", async (t) => {
  const { client, server } = await against(t, (stream, _headers, index) => {
    if (index === 0) {
      stream.session?.goaway(constants.NGHTTP2_NO_ERROR, 0);
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
    } else end(stream, { "grpc-status": "0" }, reply);
  });
  const { text } = await client.echo({}, { timeoutMs });
  assert.equal(text, "pong");
  assert.equal(server.streams, 2);
});

for (const [kind, count, bytes] of [
  ["96 KiB", 12, 8_192],
  ["1 MiB", 100, 10_000],
  ["300 fields", 300, 300],
] as const) {
  test(`G18: trailers of ${kind} are refused and do not hang the call`, async (t) => {
    const error = await failureOf(t, (stream) => {
      const many: Record<string, string> = { "grpc-status": "0" };
      for (let i = 0; i < count; i++) many[`x-filler-${i}`] = "~".repeat(bytes);
      end(stream, many, reply);
    });
    assert.ok([Code.ResourceExhausted, Code.Internal, Code.Unavailable].includes(error.code), String(error));
  });
}

test("T26: a reply beyond the limit is RESOURCE_EXHAUSTED", async (t) => {
  const big = frame(
    toBinary(EchoResponseSchema, create(EchoResponseSchema, { payload: new Uint8Array(4_000) })),
  );
  const error = await failureOf(t, (stream) => end(stream, { "grpc-status": "0" }, big), {
    maxMessageBytes: 1_000,
  });
  assert.equal(error.code, Code.ResourceExhausted);
});

test("T26: a length prefix beyond the limit is refused before the payload comes", async (t) => {
  const error = await failureOf(t, (stream) => {
    stream.respond(grpcHeaders);
    stream.write(Buffer.from([0, 0xff, 0xff, 0xff, 0xff]));
  });
  assert.equal(error.code, Code.ResourceExhausted);
});

for (const [status, code] of [
  ["77", 77],
  ["2147483647", 2_147_483_647],
  ["2147483648", Code.Unknown],
  ["99999999999", Code.Unknown],
  ["-1", Code.Unknown],
  ["x", Code.Unknown],
] as const) {
  test(`a status of ${status} is the code ${code}`, async (t) => {
    const error = await failureOf(t, (stream) => end(stream, { "grpc-status": status }));
    assert.equal(error.code, code);
  });
}

for (const [kind, count] of [
  ["no message", 0],
  ["two messages", 2],
] as const) {
  test(`a unary reply of ${kind} is UNIMPLEMENTED`, async (t) => {
    const body = Buffer.concat(Array.from({ length: count }, () => reply));
    const error = await failureOf(t, (stream) => end(stream, { "grpc-status": "0" }, body));
    assert.equal(error.code, Code.Unimplemented);
  });
}

test("G09, D19: a reply that breaks off inside its message is INTERNAL", async (t) => {
  const error = await failureOf(t, (stream) =>
    end(stream, { "grpc-status": "0" }, reply.subarray(0, reply.length - 1)),
  );
  assert.equal(error.code, Code.Internal);
});

test("G09: the status of a reply that breaks off counts if it is an error", async (t) => {
  const error = await failureOf(t, (stream) => end(stream, { "grpc-status": "5" }, reply.subarray(0, 3)));
  assert.equal(error.code, Code.NotFound);
});

test("a message with unknown flags is INTERNAL", async (t) => {
  const error = await failureOf(t, (stream) =>
    end(stream, { "grpc-status": "0" }, Buffer.from([2, 0, 0, 0, 0])),
  );
  assert.equal(error.code, Code.Internal);
});

for (const [type, code] of [
  ["text/html", Code.Unknown],
  ["application/grpc-web", Code.Internal],
  ["application/grpc+json", Code.Internal],
] as const) {
  test(`G03: a reply of type ${type} is ${Code[code]}`, async (t) => {
    const error = await failureOf(t, (stream) => {
      stream.respond({ ":status": 200, "content-type": type });
      stream.end(reply);
    });
    assert.equal(error.code, code);
  });
}

/** Answers with one compressed message. */
function compressed(encoding: string | undefined, bytes: Buffer): Answer {
  return (stream) => {
    stream.respond(
      { ...grpcHeaders, ...(encoding === undefined ? {} : { "grpc-encoding": encoding }) },
      { waitForTrailers: true },
    );
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    const framed = frame(bytes);
    framed[0] = 1;
    stream.end(framed);
  };
}

const pong = reply.subarray(5);

for (const [encoding, deflate] of [
  ["gzip", gzipSync],
  ["deflate", deflateSync],
] as const) {
  test(`replies compressed with ${encoding} are read, unary and streamed`, async (t) => {
    const { client } = await against(t, compressed(encoding, deflate(pong)));
    assert.equal((await client.echo({}, { timeoutMs })).text, "pong");
    const { client: streams } = await against(t, compressed(encoding, deflate(new Uint8Array([0x18, 7]))));
    const seen: number[] = [];
    for await (const { index } of streams.repeat({}, { timeoutMs })) seen.push(index);
    assert.deepEqual(seen, [7]);
  });

  test(`G13: a ${encoding} bomb is RESOURCE_EXHAUSTED`, async (t) => {
    const answer = compressed(encoding, deflate(new Uint8Array(64 * 1024 * 1024)));
    const before = process.memoryUsage().arrayBuffers;
    assert.equal((await failureOf(t, answer)).code, Code.ResourceExhausted);
    assert.ok(process.memoryUsage().arrayBuffers - before < 64 * 1024 * 1024);
    const { client } = await against(t, answer);
    const read = async () => {
      for await (const _ of client.repeat({}, { timeoutMs })) assert.fail("a message came");
    };
    assert.equal((await failure(read())).code, Code.ResourceExhausted);
  });
}

for (const [kind, encoding, bytes] of [
  ["no gzip", "gzip", Buffer.from("nonsense")],
  ["cut off", "gzip", gzipSync(pong).subarray(0, -9)],
  ["of an encoding that nobody knows", "x-zip", gzipSync(pong)],
  ["of no encoding", undefined, gzipSync(pong)],
  ["of the encoding identity", "identity", gzipSync(pong)],
] as const) {
  test(`G12: a compressed reply that is ${kind} is INTERNAL`, async (t) => {
    assert.equal((await failureOf(t, compressed(encoding, bytes))).code, Code.Internal);
  });
}

test("a reply that is no protobuf is INTERNAL and does not show its bytes", async (t) => {
  const error = await failureOf(t, (stream) =>
    end(stream, { "grpc-status": "0" }, frame(Buffer.from("\xff\xff\xffsecret", "latin1"))),
  );
  assert.equal(error.code, Code.Internal);
  assert.doesNotMatch(error.message, /secret/);
});

test("a broken grpc-status-details-bin hides neither code nor message", async (t) => {
  const error = await failureOf(t, (stream) =>
    end(stream, { "grpc-status": "5", "grpc-message": "gone", "grpc-status-details-bin": "/////w" }),
  );
  assert.equal(error.code, Code.NotFound);
  assert.equal(error.rawMessage, "gone");
  assert.deepEqual(error.details, []);
});

for (const text of ["a/b?c=d&e#f", "100 % sure", "%2F stays", "zwölf Bücher\nzwei Zeilen", "100%"]) {
  test(`T24: the message ${JSON.stringify(text)} arrives as it was sent`, async (t) => {
    const error = await failureOf(t, (stream) =>
      end(stream, { "grpc-status": "9", "grpc-message": encodeURIComponent(text) }),
    );
    assert.equal(error.rawMessage, text);
  });
}

test("replies before an error in the trailers are all delivered", async (t) => {
  const items = Array.from({ length: 20 }, (_, index) =>
    frame(toBinary(RepeatResponseSchema, create(RepeatResponseSchema, { index }))),
  );
  const { client } = await against(t, (stream) =>
    end(stream, { "grpc-status": "10", "grpc-message": "later" }, Buffer.concat(items)),
  );
  const seen: number[] = [];
  const error = await failure(
    (async () => {
      for await (const { index } of client.repeat({}, { timeoutMs })) {
        seen.push(index);
        await new Promise((resolve) => setImmediate(resolve)); // A slow consumer loses none either.
      }
    })(),
  );
  assert.deepEqual(
    seen,
    Array.from({ length: 20 }, (_, index) => index),
  );
  assert.equal(error.code, Code.Aborted);
  assert.equal(error.rawMessage, "later");
});

test("S01: messages without content are back-pressure, too", async (t) => {
  let taken = false;
  const { client } = await against(t, (stream) => {
    stream.respond(grpcHeaders);
    const flood = Buffer.alloc(2 * 1024 * 1024); // 419,430 empty messages, more than all windows hold.
    stream.write(flood, (error) => (taken ||= error === null || error === undefined));
  });
  const replies = client.repeat({}, { timeoutMs })[Symbol.asyncIterator]();
  await replies.next();
  await new Promise((resolve) => setTimeout(resolve, 500)); // Nothing tells that nothing happens.
  assert.equal(taken, false);
  await replies.return?.();
});

test("a reply that is whole counts, even if its stream is reset after it", async (t) => {
  const item = frame(toBinary(RepeatResponseSchema, create(RepeatResponseSchema, { index: 1 })));
  const { client } = await against(t, (stream) => {
    end(stream, { "grpc-status": "0" }, item);
    stream.on("wantTrailers", () => setImmediate(() => stream.close(constants.NGHTTP2_CANCEL)));
  });
  async function* requests() {
    yield {};
    await new Promise(() => {});
  }
  const seen: number[] = [];
  for await (const { index } of client.chat(requests(), { timeoutMs })) seen.push(index);
  assert.deepEqual(seen, [1]);
});

test("an upstream that is down is UNAVAILABLE at once, and found again when it is back", async (t) => {
  const free = createServer().listen(0, "127.0.0.1");
  await once(free, "listening");
  const { port } = free.address() as AddressInfo; // Listens on TCP.
  await new Promise((resolve) => free.close(resolve));

  const transport = dial(`127.0.0.1:${port}`, testEngine);
  t.after(() => transport.close());
  const client = createClient(EchoService, transport);
  const error = await failure(client.echo({}, { timeoutMs }));
  assert.equal(error.code, Code.Unavailable);
  assert.notEqual(transport.state, "ready");

  const server = await new RawGrpcServer((stream) => end(stream, { "grpc-status": "0" }, reply)).listen(port);
  t.after(() => server[Symbol.asyncDispose]());
  await transport.ready(AbortSignal.timeout(timeoutMs));
  assert.equal(transport.state, "ready");
  assert.equal((await client.echo({}, { timeoutMs })).text, "pong");

  // And after the connection was lost.
  for (const session of server.sessions) session.destroy();
  await transport.ready(AbortSignal.timeout(timeoutMs));
  assert.equal((await client.echo({}, { timeoutMs })).text, "pong");
});

test("requests are compressed when asked for", async (t) => {
  let encoding: string | undefined;
  let flag: number | undefined;
  const { client } = await against(
    t,
    (stream, headers) => {
      encoding = String(headers["grpc-encoding"]);
      stream.once("data", (chunk: Buffer) => {
        flag = chunk[0];
        end(stream, { "grpc-status": "0" }, reply);
      });
    },
    { compression: "gzip" },
  );
  await client.echo({ text: "x".repeat(1_000) }, { timeoutMs });
  assert.equal(encoding, "gzip");
  assert.equal(flag, 1);
});

test("authority and user agent reach the wire", async (t) => {
  let authority: unknown;
  let agent: unknown;
  const { client } = await against(
    t,
    (stream, headers) => {
      authority = headers[":authority"];
      agent = headers["user-agent"];
      end(stream, { "grpc-status": "0" }, reply);
    },
    { authority: "users.internal", userAgent: "mine/2" },
  );
  await client.echo({}, { timeoutMs });
  assert.equal(authority, "users.internal");
  assert.match(String(agent), /^mine\/2 ts-ms$/);
});

test("reserved names are neither sent nor shown", async (t) => {
  let sent: Record<string, unknown> = {};
  const { client } = await against(t, (stream, headers) => {
    sent = headers;
    stream.respond(
      { ...grpcHeaders, "grpc-encoding": "identity", "x-shown": "1" },
      { waitForTrailers: true },
    );
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0", "x-late": "2" }));
    stream.end(reply);
  });
  const seen: Record<string, string> = {};
  const note = (headers: Headers) => headers.forEach((value, name) => (seen[name] = value));
  await client.echo(
    {},
    {
      timeoutMs,
      headers: { "grpc-timeout": "1n", te: "gzip", "x-sent": "1" },
      onHeader: note,
      onTrailer: note,
    },
  );
  assert.notEqual(sent["grpc-timeout"], "1n");
  assert.equal(sent["te"], "trailers");
  assert.equal(sent["x-sent"], "1");
  delete seen["date"]; // Node adds it.
  assert.deepEqual(seen, { "x-shown": "1", "x-late": "2" });
});

test("a cancelled call is reset and does not look complete to the peer", async (t) => {
  const ended = Promise.withResolvers<number | undefined>();
  const began = Promise.withResolvers<void>();
  const { client } = await against(t, (stream) => {
    stream.once("data", () => began.resolve());
    stream.once("end", () => ended.resolve(stream.rstCode));
  });
  const controller = new AbortController();
  async function* requests() {
    yield { text: "a part" };
    await new Promise(() => {});
  }
  const failed = failure(client.collect(requests(), { signal: controller.signal, timeoutMs }));
  await began.promise;
  controller.abort();
  assert.equal((await failed).code, Code.Canceled);
  assert.equal(await ended.promise, constants.NGHTTP2_CANCEL);
});

for (const [name, body] of [
  ["a message", Buffer.concat([reply, frame(Buffer.alloc(9)).subarray(0, 8)])],
  ["the head of a message", Buffer.concat([reply, Buffer.alloc(3)])],
] as const) {
  test(`a reply that breaks off inside ${name} is INTERNAL, whatever its status`, async (t) => {
    const { client } = await against(t, (stream) => end(stream, { "grpc-status": "0" }, body));
    const seen: number[] = [];
    const failed = await failure(
      (async () => {
        for await (const { index } of client.repeat({}, { timeoutMs })) seen.push(index);
      })(),
    );
    assert.equal(failed.code, Code.Internal);
    assert.equal(seen.length, 1);
  });
}

test("messages that say they are compressed without saying how are INTERNAL", async (t) => {
  for (const encoding of ["identity", "foo"]) {
    const body = Buffer.from([1, 0, 0, 0, 1, 0]);
    const { client } = await against(t, (stream) => {
      stream.respond({ ...grpcHeaders, "grpc-encoding": encoding }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end(body);
    });
    assert.equal((await failure(client.echo({}, { timeoutMs }))).code, Code.Internal, encoding);
  }
});

test("a call that is reset at its deadline is DEADLINE_EXCEEDED", async (t) => {
  const { client } = await against(t, (stream) => {
    stream.respond(grpcHeaders);
    // By the server's clock, as close to the client's own timer as can be.
    setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), 100);
  });
  const calls = Array.from({ length: 20 }, () => failure(client.echo({}, { timeoutMs: 100 })));
  for (const { code } of await Promise.all(calls)) assert.equal(code, Code.DeadlineExceeded);
});

test("a call on a closed transport is UNAVAILABLE, and closing twice is no error", async (t) => {
  const { client, transport } = await against(t, (stream) => end(stream, { "grpc-status": "0" }, reply));
  await client.echo({}, { timeoutMs });
  transport.close();
  transport.close();
  assert.equal(transport.state, "closed");
  assert.equal((await failure(client.echo({}))).code, Code.Unavailable);
  assert.equal((await failure(transport.ready())).code, Code.Unavailable);
});

test("ready() ends when its signal fires", async (t) => {
  const silent = createServer((socket) => t.after(() => socket.destroy())).listen(0, "127.0.0.1");
  await once(silent, "listening");
  const transport = dial(`127.0.0.1:${(silent.address() as AddressInfo).port}`, testEngine); // Listens on TCP.
  t.after(() => {
    transport.close();
    silent.close();
  });
  const error = await failure(transport.ready(AbortSignal.timeout(50)));
  assert.equal(error.code, Code.Unavailable);
  assert.equal((await failure(transport.ready(AbortSignal.abort()))).code, Code.Unavailable);
});

for (const target of ["", "localhost", "http://localhost:80", "host:port", "unix:", "a b:1", ":80"]) {
  test(`dial refuses ${JSON.stringify(target)}`, () => {
    assert.throws(() => dial(target), TypeError);
  });
}

test("dial refuses half a client certificate and what is no certificate", () => {
  assert.throws(() => dial("localhost:1", { tls: { cert: "x" } }), /needs both/);
  assert.throws(() => dial("localhost:1", { tls: { cert: "x", key: "y" } }), TypeError);
});
