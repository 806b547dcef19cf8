import { strict as assert } from "node:assert";
import { setImmediate as turn } from "node:timers/promises";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import type { Interceptor } from "../../../src/core/call/interceptors.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import type { CallObserver } from "../../../src/core/call/observer.ts";
import { service } from "../../../src/core/call/service.ts";
import {
  assertAlive,
  chatPath,
  echoClient,
  echoFrame,
  frame,
  open,
  post,
  running,
  session,
  within,
} from "../../support/running-grpc.ts";

const patience = 10_000;
const mebibyte = 1024 * 1024;
const repeatPath = "/tsms.test.v1.EchoService/Repeat";

function errorOf(work: Promise<unknown>): Promise<ConnectError> {
  return work.then(
    () => assert.fail("did not fail"),
    (reason: unknown) => ConnectError.from(reason),
  );
}

async function drain(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items);
}

test("S01: a reader that stalls pauses the producer", async (t) => {
  const { client, echo } = await running(t);
  const before = process.memoryUsage().rss;
  const count = 480;
  const replies = client.repeat({ count, payload: new Uint8Array(mebibyte) })[Symbol.asyncIterator]();
  await replies.next();
  let settled = -1;
  while (settled !== echo.produced) {
    settled = echo.produced;
    for (let i = 0; i < 50; i++) await turn();
  }
  assert.ok(echo.produced < 30, `${echo.produced} messages were made for nobody`);
  assert.ok(process.memoryUsage().rss - before < 150 * mebibyte);
  let rest = 1;
  for (let next = await replies.next(); next.done !== true; next = await replies.next()) rest++;
  assert.equal(rest, count);
});

test("a handler that does not read pauses the sender", async (t) => {
  const server = await running(t);
  const stream = open(session(t, server), { ":path": chatPath });
  const payload = new Uint8Array(32 * 1024);
  const bytes = echoFrame({ payload, behaviour: { sleepMs: 60_000 } });
  for (let i = 0; i < 512; i++) stream.write(bytes);
  await within(
    patience,
    "the first message",
    server.echo.until(({ received }) => received === 1),
  );
  for (let i = 0; i < 200; i++) await turn();
  assert.equal(server.echo.received, 1);
  assert.ok(stream.writableLength > 12 * mebibyte, "everything was taken");
  stream.destroy();
});

test("S04: a client that leaves aborts its streams", async (t) => {
  const server = await running(t);
  for (const path of [repeatPath, "/tsms.test.v1.EchoService/Echo"]) {
    const { aborted, calls } = server.echo;
    const stream = open(session(t, server), { ":path": path });
    const sleepMs = 60_000;
    stream.end(path === repeatPath ? repeatFrame() : echoFrame({ behaviour: { sleepMs } }));
    stream.on("error", () => {});
    await within(
      patience,
      "the call",
      server.echo.until((echo) => echo.calls === calls + 1),
    );
    stream.close(8);
    await within(
      patience,
      "the abort",
      server.echo.until((echo) => echo.aborted === aborted + 1),
    );
  }
  await assertAlive(server);
});

/** RepeatRequest { count: 100, interval_ms: 1000 }. */
function repeatFrame(): Buffer {
  return frame(Buffer.from([0x18, 100, 0x20, 0xe8, 0x07]));
}

test("S04: a connection that breaks aborts its calls", async (t) => {
  const server = await running(t);
  const http2 = session(t, server);
  const stream = open(http2);
  stream.on("error", () => {});
  stream.end(echoFrame({ behaviour: { sleepMs: 60_000 } }));
  await within(
    patience,
    "the call",
    server.echo.until(({ calls }) => calls === 1),
  );
  http2.destroy();
  await within(
    patience,
    "the abort",
    server.echo.until(({ aborted }) => aborted === 1),
  );
  await assertAlive(server);
});

test("S06: messages before an error arrive, then the error", async (t) => {
  const { client } = await running(t);
  let count = 0;
  const error = await errorOf(
    (async () => {
      const failure = { code: Code.DataLoss, message: "gone", after: 3 };
      for await (const _ of client.repeat({ count: 10, behaviour: { failure } })) count++;
    })(),
  );
  assert.equal(count, 3);
  assert.equal(error.code, Code.DataLoss);
});

test("headers and trailers of streams arrive, also without a message", async (t) => {
  const { client } = await running(t);
  for (const count of [0, 2]) {
    let header: Headers | undefined;
    let trailer: Headers | undefined;
    const behaviour = { headers: { "x-h": "1" }, trailers: { "x-t": "2", "x-bin": "AQI" } };
    await drain(
      client.repeat(
        { count, behaviour },
        { onHeader: (headers) => (header = headers), onTrailer: (headers) => (trailer = headers) },
      ),
    );
    assert.equal(header?.get("x-h"), "1");
    assert.equal(trailer?.get("x-t"), "2");
    assert.deepEqual([...Buffer.from(trailer?.get("x-bin") ?? "", "base64")], [1, 2]);
  }
});

test("G15: streams have no deadline of their own, and keep that of the client", async (t) => {
  const server = await running(t, { defaultTimeoutMs: 1 });
  const error = await errorOf(
    drain(server.client.repeat({ count: 9, intervalMs: 10_000 }, { timeoutMs: 100 })),
  );
  assert.equal(error.code, Code.DeadlineExceeded);
  await within(
    patience,
    "the abort",
    server.echo.until(({ aborted }) => aborted === 1),
  );
  await drain(server.client.repeat({ count: 2, intervalMs: 20 }));
});

test("Z11: whatever throws ends its call with INTERNAL without its text, never the process", async (t) => {
  const finished: (ConnectError | undefined)[] = [];
  const observer: CallObserver = { finished: (_context, error) => finished.push(error) };
  const thrower: Interceptor = (next) => (request) => {
    if (request.header.has("x-throw")) throw new Error("secret of the interceptor");
    return next(request);
  };
  const server = await running(t, { interceptors: [thrower], observers: [observer] });
  const { client } = server;
  const secret = { failure: { code: 0, message: "secret of the handler" } };
  async function* one<T>(item: T): AsyncGenerator<T> {
    yield item;
  }
  const calls = [
    () => client.echo({ behaviour: secret }),
    () => client.echo({}, { headers: { "x-throw": "1" } }),
    () => drain(client.repeat({ count: 1, behaviour: secret })),
    () => drain(client.repeat({ count: 1 }, { headers: { "x-throw": "1" } })),
    () => client.collect(one({ behaviour: secret })),
    () => drain(client.chat(one({ behaviour: secret }))),
  ];
  for (const call of calls) {
    const error = await errorOf(call());
    assert.equal(error.code, Code.Internal);
    assert.doesNotMatch(error.rawMessage, /secret/);
  }
  assert.equal(finished.length, calls.length);
  for (const error of finished) assert.match(String(error?.cause), /secret/);
  await assertAlive(server);
});

test("Z11: replies that cannot be written end their call with INTERNAL", async (t) => {
  const wrong = service(EchoService, {
    echo: () => ({ number: "x" as unknown as bigint }),
    async *repeat() {
      yield { index: "x" as unknown as number };
    },
    collect: () => undefined as never,
    chat: () => 7 as never,
  });
  const server = new GrpcServer({ port: 0 }).addService(wrong);
  await server.start();
  t.after(() => server.gracefulStop({ graceMs: 0 }));
  const client = echoClient(t, `http://127.0.0.1:${server.address?.port}`);
  async function* none(): AsyncGenerator<never> {}
  for (const call of [
    () => client.echo({}),
    () => drain(client.repeat({})),
    () => client.collect(none()),
    () => drain(client.chat(none())),
  ]) {
    assert.equal((await errorOf(call())).code, Code.Internal);
  }
});

test("Z11: a rejection after the end of the call harms nobody", async (t) => {
  const late = service(EchoService, {
    async echo(_request, context) {
      await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
      throw new Error("too late");
    },
  });
  const server = new GrpcServer({ port: 0 }).addService(late);
  await server.start();
  t.after(() => server.gracefulStop({ graceMs: 0 }));
  const client = echoClient(t, `http://127.0.0.1:${server.address?.port}`);
  assert.equal((await errorOf(client.echo({}, { timeoutMs: 50 }))).code, Code.DeadlineExceeded);
  await turn();
});

test("metadata that gRPC cannot carry is left out, and the call goes on", async (t) => {
  const server = await running(t);
  const headers = { "x-ok": "1", "x-umlaut": "ä", "x!odd": "1", "x-bin": "%%%" };
  const reply = await post(session(t, server), {}, [
    echoFrame({ behaviour: { headers, trailers: headers } }),
  ]);
  assert.equal(reply.status, 0);
  for (const fields of [reply.headers, reply.trailers]) {
    assert.equal(fields["x-ok"], "1");
    for (const name of ["x-umlaut", "x!odd", "x-bin"]) assert.equal(fields[name], undefined);
  }
});

test("lone surrogates in an error message do not break the reply", async (t) => {
  const broken = service(EchoService, {
    echo: () => {
      throw new ConnectError("a\ud800b", Code.Aborted);
    },
  });
  const server = new GrpcServer({ port: 0 }).addService(broken);
  await server.start();
  t.after(() => server.gracefulStop({ graceMs: 0 }));
  const reply = await echoClient(t, `http://127.0.0.1:${server.address?.port}`)
    .echo({})
    .catch((reason: unknown) => ConnectError.from(reason));
  assert.ok(reply instanceof ConnectError);
  assert.equal(reply.rawMessage, "a\ufffdb");
  assert.equal(reply.code, Code.Aborted);
});

test("rpcs that a service leaves out answer UNIMPLEMENTED", async (t) => {
  const server = new GrpcServer({ port: 0 }).addService(service(EchoService, {}));
  await server.start();
  t.after(() => server.gracefulStop({ graceMs: 0 }));
  const client = echoClient(t, `http://127.0.0.1:${server.address?.port}`);
  assert.equal((await errorOf(client.echo({}))).code, Code.Unimplemented);
  assert.equal((await errorOf(drain(client.repeat({})))).code, Code.Unimplemented);
});
