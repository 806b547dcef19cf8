import { strict as assert } from "node:assert";
import { once } from "node:events";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { Code } from "@connectrpc/connect";
import { fromBinary } from "@bufbuild/protobuf";
import { EchoResponseSchema } from "../../../gen/tsms/test/v1/echo_pb.ts";
import {
  assertAlive,
  chatPath,
  collect,
  echoFrame,
  echoPath,
  frame,
  open,
  post,
  running,
  session,
  within,
} from "../../support/running-grpc.ts";

const mebibyte = 1024 * 1024;

test("G01: unknown methods and services answer UNIMPLEMENTED", async (t) => {
  const server = await running(t);
  const http2 = session(t, server);
  const paths = [
    "/tsms.test.v1.EchoService/Nothing",
    "/no.such.Service/Echo",
    "/tsms.test.v1.EchoService/%45cho",
    "/__proto__/toString",
    "/constructor",
    `${echoPath}/`,
    `${echoPath}?x=1`,
  ];
  for (const path of paths) {
    const reply = await post(http2, { ":path": path }, [echoFrame()]);
    assert.equal(reply.http, 200, path);
    assert.equal(reply.status, Code.Unimplemented, path);
  }
  await assertAlive(server);
});

test("G02: other content types answer 415 without a status", async (t) => {
  const server = await running(t);
  const http2 = session(t, server);
  for (const type of [
    "application/json",
    "text/plain",
    "application/grpc-web",
    "application/grpc-web+proto",
    "",
  ]) {
    const reply = await post(http2, { "content-type": type }, [echoFrame()]);
    assert.equal(reply.http, 415, type);
    assert.equal(reply.status, undefined, type);
  }
  assert.equal(server.echo.calls, 0);
  await assertAlive(server);
});

test("G03: other codecs answer 415", async (t) => {
  const server = await running(t);
  const http2 = session(t, server);
  for (const type of ["application/grpc+foo", "application/grpc+json", "application/grpcfoo"]) {
    assert.equal((await post(http2, { "content-type": type }, [echoFrame()])).http, 415, type);
  }
  for (const type of ["application/grpc+proto", "application/grpc;charset=utf-8"]) {
    assert.equal((await post(http2, { "content-type": type }, [echoFrame()])).status, 0, type);
  }
  await assertAlive(server);
});

test("other HTTP methods answer 405", async (t) => {
  const server = await running(t);
  const reply = await post(session(t, server), { ":method": "PUT" }, [echoFrame()]);
  assert.equal(reply.http, 405);
  assert.equal(reply.headers["allow"], "POST");
  assert.equal(reply.body.toString(), "gRPC calls are POST requests\n");
  const unfinished = await collect(open(session(t, server), { ":method": "GET" }));
  assert.deepEqual([unfinished.http, unfinished.rst], [405, 0]);
});

test("G05: bytes that are no message answer INTERNAL without echoing them", async (t) => {
  const server = await running(t);
  const http2 = session(t, server);
  const secret = Buffer.from("top secret");
  const deep = Array.from({ length: 20_000 }).reduce<Buffer>(
    (inner) => Buffer.concat([Buffer.from([0x0b]), inner]),
    Buffer.alloc(0),
  );
  for (const bytes of [secret, Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]), deep]) {
    const reply = await post(http2, {}, [frame(bytes)]);
    assert.equal(reply.status, Code.Internal);
    assert.doesNotMatch(reply.message, /secret/);
  }
  assert.equal(server.echo.calls, 0);
  await assertAlive(server);
});

test("G06: a message announced with 4 GiB is refused before it comes", async (t) => {
  const server = await running(t);
  const stream = open(session(t, server));
  const reply = collect(stream);
  stream.write(Buffer.from([0, 0xff, 0xff, 0xff, 0xff]));
  assert.equal((await within(10_000, "the refusal", reply)).status, Code.ResourceExhausted);
  await assertAlive(server);
});

test("G07: a message at the limit passes, one byte more does not", async (t) => {
  const limit = 1000;
  const server = await running(t, { maxMessageBytes: limit });
  const http2 = session(t, server);
  const overhead = echoFrame({ text: "x".repeat(200) }).length - 5 - 200;
  const good = await post(http2, {}, [echoFrame({ text: "x".repeat(limit - overhead) })]);
  assert.equal(good.status, 0);
  const bad = await post(http2, {}, [echoFrame({ text: "x".repeat(limit - overhead + 1) })]);
  assert.equal(bad.status, Code.ResourceExhausted);
  await assertAlive(server);
});

test("G07: a reply over the send limit answers INTERNAL and names the rpc", async (t) => {
  const server = await running(t, { maxSendBytes: 500 });
  const http2 = session(t, server);
  const text = "x".repeat(600);
  const unary = await post(http2, {}, [echoFrame({ text })]);
  assert.equal(unary.status, Code.Internal);
  assert.match(unary.message, /^tsms\.test\.v1\.EchoService\/Echo answered with \d+ bytes, allowed are 500$/);
  const stream = await post(http2, { ":path": chatPath }, [echoFrame({ text })]);
  assert.equal(stream.status, Code.Internal);
  assert.match(
    stream.message,
    /^tsms\.test\.v1\.EchoService\/Chat answered with \d+ bytes, allowed are 500$/,
  );
  await assertAlive(server);
});

test("G08: no message and two messages answer UNIMPLEMENTED on unary and server streams", async (t) => {
  const server = await running(t);
  const http2 = session(t, server);
  for (const path of [echoPath, "/tsms.test.v1.EchoService/Repeat"]) {
    assert.equal((await post(http2, { ":path": path }, [])).status, Code.Unimplemented, path);
    const two = await post(http2, { ":path": path }, [echoFrame(), echoFrame()]);
    assert.equal(two.status, Code.Unimplemented, path);
  }
  assert.equal(server.echo.calls, 0);
  await assertAlive(server);
});

test("G09: a message that breaks off answers INTERNAL", async (t) => {
  const server = await running(t);
  const http2 = session(t, server);
  const whole = echoFrame({ text: "hello" });
  for (const path of [echoPath, "/tsms.test.v1.EchoService/Repeat", chatPath]) {
    for (const bytes of [whole.subarray(0, 3), whole.subarray(0, 7)]) {
      const reply = await within(10_000, path, post(http2, { ":path": path }, [bytes]));
      assert.equal(reply.status, Code.Internal, path);
    }
  }
  const second = await post(http2, { ":path": chatPath }, [whole, whole.subarray(0, 6)]);
  assert.equal(second.status, Code.Internal);
  await assertAlive(server);
});

test("unknown message flags and compressed messages without an encoding answer INTERNAL", async (t) => {
  const server = await running(t);
  const http2 = session(t, server);
  const message = echoFrame({ text: "x" }).subarray(5);
  for (const path of [echoPath, chatPath]) {
    for (const flags of [1, 2, 0x80]) {
      assert.equal((await post(http2, { ":path": path }, [frame(message, flags)])).status, Code.Internal);
    }
  }
  assert.equal(server.echo.received, 0);
});

test("G11: an unknown grpc-encoding answers UNIMPLEMENTED with those that are known", async (t) => {
  const server = await running(t);
  const reply = await post(session(t, server), { "grpc-encoding": "br" }, [echoFrame()]);
  assert.equal(reply.status, Code.Unimplemented);
  assert.match(String(reply.headers["grpc-accept-encoding"]), /gzip/);
  await assertAlive(server);
});

test("G12: gzip is read, corrupt gzip answers INTERNAL", async (t) => {
  const server = await running(t);
  const http2 = session(t, server);
  const zipped = gzipSync(echoFrame({ text: "zip" }).subarray(5));
  const good = await post(http2, { "grpc-encoding": "gzip" }, [frame(zipped, 1)]);
  assert.equal(fromBinary(EchoResponseSchema, good.body.subarray(5)).text, "zip");
  const broken = Buffer.from(zipped);
  broken.fill(0xff, 10);
  for (const bytes of [broken, zipped.subarray(0, zipped.length - 9), Buffer.from("no gzip")]) {
    const reply = await within(
      10_000,
      "corrupt gzip",
      post(http2, { "grpc-encoding": "gzip" }, [frame(bytes, 1)]),
    );
    assert.equal(reply.status, Code.Internal);
  }
  await assertAlive(server);
});

test("G13: a message that inflates over the limit answers RESOURCE_EXHAUSTED", async (t) => {
  const server = await running(t);
  const bomb = gzipSync(Buffer.alloc(64 * mebibyte));
  const before = process.memoryUsage().rss;
  const reply = await post(session(t, server), { "grpc-encoding": "gzip" }, [frame(bomb, 1)]);
  assert.equal(reply.status, Code.ResourceExhausted);
  assert.ok(process.memoryUsage().rss - before < 48 * mebibyte, "the bomb was inflated");
  await assertAlive(server);
});

test("G14: malformed timeouts are refused and run nothing", async (t) => {
  const server = await running(t);
  const http2 = session(t, server);
  for (const timeout of [
    "abc",
    "123456789S",
    "-1S",
    "1",
    "S",
    "1.5S",
    " 1S",
    "1s",
    "1H1M",
    "",
    "0x1S",
    "٣S",
  ]) {
    const reply = await post(http2, { "grpc-timeout": encodeURI(timeout) }, [echoFrame()]);
    assert.ok(reply.status === Code.Internal || reply.status === Code.InvalidArgument, timeout);
  }
  assert.equal(server.echo.calls, 0);
  await assertAlive(server);
});

test("G14: huge timeouts are capped, not wrapped around", async (t) => {
  const server = await running(t, { maxTimeoutMs: 60_000 });
  for (const timeout of ["99999999H", "99999999S", "99999999M"]) {
    const reply = await post(session(t, server), { "grpc-timeout": timeout }, [echoFrame()]);
    const { timeoutMs } = fromBinary(EchoResponseSchema, reply.body.subarray(5));
    assert.ok(
      timeoutMs !== undefined && timeoutMs > 50_000 && timeoutMs <= 60_000,
      `${timeout}: ${timeoutMs}`,
    );
  }
});

test("G15: a deadline ends the call and tells the handler", async (t) => {
  const server = await running(t);
  const began = performance.now();
  const body = [echoFrame({ behaviour: { sleepMs: 60_000 } })];
  const reply = await within(
    10_000,
    "the deadline",
    post(session(t, server), { "grpc-timeout": "100m" }, body),
  );
  assert.equal(reply.status, Code.DeadlineExceeded);
  assert.ok(performance.now() - began >= 99);
  await within(
    10_000,
    "the abort",
    server.echo.until(({ aborted }) => aborted === 1),
  );
});

test("G15: a request that never comes ends at the deadline, at the default one without its own", async (t) => {
  const server = await running(t, { defaultTimeoutMs: 150 });
  const http2 = session(t, server);
  for (const headers of [{ "grpc-timeout": "50m" }, {}]) {
    const reply = await within(10_000, "the deadline", collect(open(http2, headers)));
    assert.equal(reply.status, Code.DeadlineExceeded);
  }
  assert.equal(server.echo.calls, 0);
});

test("G15: a request that never comes ends at the longest deadline, whatever the client asks for", async (t) => {
  const http2 = session(t, await running(t, { maxTimeoutMs: 100 }));
  const reply = await within(10_000, "the deadline", collect(open(http2, { "grpc-timeout": "99999999H" })));
  assert.equal(reply.status, Code.DeadlineExceeded);
});

test("G17: too large or too many headers answer RESOURCE_EXHAUSTED or reset the stream", async (t) => {
  const server = await running(t);
  const big = { "x-big": "x".repeat(17 * 1024) };
  const many = Object.fromEntries(Array.from({ length: 110 }, (_, index) => [`x-${index}`, "v"]));
  const huge = { "x-huge": "x".repeat(60 * 1024) };
  const floods = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`x-${index}`, "v"]));
  for (const [headers, sure] of [
    [big, true],
    [many, true],
    [huge, false],
    [floods, false],
  ] as const) {
    const reply = await within(10_000, "the refusal", post(session(t, server), headers, [echoFrame()]));
    if (sure) assert.equal(reply.status, Code.ResourceExhausted);
    else assert.ok(reply.status === Code.ResourceExhausted || reply.rst !== 0, `status ${reply.status}`);
  }
  assert.equal(server.echo.calls, 0);
  const fits = await post(session(t, server), { "x-fits": "x".repeat(15 * 1024) }, [echoFrame()]);
  assert.equal(fits.status, 0);
  await assertAlive(server);
});

test("G19: binary headers may lack padding or be joined, and must be base64", async (t) => {
  const server = await running(t);
  const http2 = session(t, server);
  const body = [echoFrame({ behaviour: { reflectHeaders: ["a-bin", "b-bin", "c-bin"] } })];
  const reply = await post(http2, { "a-bin": "/w==", "b-bin": "/w", "c-bin": "AQ,Ag==, Aw" }, body);
  assert.equal(reply.status, 0);
  const { headers } = fromBinary(EchoResponseSchema, reply.body.subarray(5));
  assert.equal(headers["a-bin"], "/w");
  assert.equal(headers["b-bin"], "/w");
  assert.equal(headers["c-bin"], "AQ, Ag, Aw");
  assert.equal(Buffer.from(String(reply.headers["a-bin"]), "base64")[0], 255);
  for (const bad of ["%%%", "a", "AQ,%"]) {
    assert.equal((await post(http2, { "x-bin": bad }, [echoFrame()])).status, Code.Internal, bad);
  }
  await assertAlive(server);
});

test("G20: protocol headers of a client are not reflected", async (t) => {
  const server = await running(t);
  const names = ["grpc-status", "grpc-message", "grpc-encoding-internal", "grpc-status-details-bin"];
  const headers = Object.fromEntries(names.map((name) => [name, "AAAA"]));
  const reply = await post(session(t, server), headers, [
    echoFrame({ behaviour: { reflectHeaders: names } }),
  ]);
  assert.equal(reply.status, 0);
  assert.equal(reply.trailers["grpc-status"], "0");
  for (const name of names) assert.equal(reply.headers[name], undefined, name);
  await assertAlive(server);
});

test("G29: handlers cannot set protocol headers or trailers", async (t) => {
  const server = await running(t);
  const http2 = session(t, server);
  const clash = {
    "grpc-status": "0",
    "grpc-message": "forged",
    "content-type": "text/html",
    "content-length": "1",
    "grpc-encoding": "gzip",
    "transfer-encoding": "chunked",
    connection: "close",
    te: "x",
    host: "evil",
  };
  const failure = { code: Code.Aborted, message: "true", metadata: { ...clash, kept: "yes" } };
  const behaviours = [
    { headers: clash, trailers: clash },
    { headers: clash, trailers: clash, failure },
    { failure },
  ];
  for (const behaviour of behaviours) {
    const reply = await post(http2, {}, [echoFrame({ behaviour })]);
    assert.equal(reply.http, 200);
    assert.equal(reply.headers["content-type"], "application/grpc+proto");
    const failed = "failure" in behaviour;
    assert.equal(reply.status, failed ? Code.Aborted : 0);
    assert.equal(reply.message, failed ? "true" : "");
    if (failed) assert.equal({ ...reply.headers, ...reply.trailers }["kept"], "yes");
  }
  await assertAlive(server);
});

test("P11: host never reaches a handler", async (t) => {
  const server = await running(t);
  const reply = await post(session(t, server), { host: "evil" }, [echoFrame()]);
  if (reply.status === undefined) assert.notEqual(reply.rst, 0);
  else assert.equal(fromBinary(EchoResponseSchema, reply.body.subarray(5)).headers["host"], undefined);
  await assertAlive(server);
});

test("T24: messages of errors arrive exactly, long ones cut at 4 KiB", async (t) => {
  const server = await running(t);
  const http2 = session(t, server);
  const fail = (message: string) =>
    post(http2, {}, [echoFrame({ behaviour: { failure: { code: Code.Aborted, message } } })]);
  for (const message of ["100 %41 naïve\r\n\t☃ 😀", "", "a".repeat(4096)]) {
    assert.equal((await fail(message)).message, message);
  }
  const long = "ü☃😀".repeat(1000);
  const reply = await fail(long);
  const raw = String(reply.trailers["grpc-message"] ?? reply.headers["grpc-message"]);
  assert.ok(raw.length <= 4096 && raw.length > 4000);
  assert.ok(long.startsWith(reply.message));
});

test("unread requests are cancelled when the call has ended", async (t) => {
  const server = await running(t);
  const stream = open(session(t, server), { ":path": chatPath });
  const closed = once(stream, "close");
  const reply = collect(stream);
  stream.write(echoFrame({ behaviour: { failure: { code: Code.Aborted } } }));
  assert.equal((await within(10_000, "the status", reply)).status, Code.Aborted);
  await within(10_000, "the close", closed);
});

test("metadata that is not ASCII reaches the handler and is not printed", async (t) => {
  const printed = t.mock.method(console, "error", () => {});
  const server = await running(t);
  const reply = await post(session(t, server), { "x-latin": "gr\u00fc\u00df" }, [echoFrame()]);
  assert.equal(reply.status, 0);
  assert.ok("x-latin" in fromBinary(EchoResponseSchema, reply.body.subarray(5)).headers);
  assert.equal(printed.mock.callCount(), 0);
});

test("requests that name identity as their encoding are served like those that name none", async (t) => {
  const server = await running(t);
  const reply = await post(session(t, server), { "grpc-encoding": "identity" }, [
    echoFrame({ text: "plain" }),
  ]);
  assert.equal(reply.status, 0);
  assert.equal(fromBinary(EchoResponseSchema, reply.body.subarray(5)).text, "plain");
  assert.equal(reply.headers["grpc-encoding"], "identity");
});

test("a message that comes byte by byte is read", async (t) => {
  const server = await running(t);
  const bytes = echoFrame({ text: "slow" });
  const reply = await post(
    session(t, server),
    {},
    Array.from(bytes, (byte) => Buffer.from([byte])),
  );
  assert.equal(reply.status, 0);
  assert.equal(fromBinary(EchoResponseSchema, reply.body.subarray(5)).text, "slow");
});
