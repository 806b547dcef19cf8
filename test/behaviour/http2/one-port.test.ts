import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:http2";
import { test, type TestContext } from "node:test";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { createClient } from "../../../src/core/call/client.ts";
import { dial } from "../../../src/core/dial.ts";
import { Code, type ConnectError } from "../../../src/core/errors/errors.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import type { HttpServerOptions } from "../../../src/gateway/http-server-options.ts";
import { createCertificate } from "../../support/certificates.ts";
import { Echo } from "../../support/echo-service.ts";
import { bufCurl, curl, run } from "../../support/program.ts";
import { echoFrame, post } from "../../support/running-grpc.ts";
import { ask } from "./http2-fixture.ts";

const authority = createCertificate({ name: "authority" });
const own = createCertificate({ name: "server", hosts: ["127.0.0.1", "localhost"], issuer: authority });
const known = createCertificate({ name: "client", issuer: authority });

interface OnePort {
  readonly grpc: GrpcServer;
  readonly http: HttpServer;
  readonly echo: Echo;
  readonly target: string;
}

async function onePort(t: TestContext, options: Partial<HttpServerOptions> = {}): Promise<OnePort> {
  const echo = new Echo();
  const grpc = new GrpcServer({ listen: false }).addService(echo);
  const http = new HttpServer({ port: 0, upstream: grpc, grpc, ...options }).addService(echo);
  await grpc.start();
  await http.start();
  t.after(async () => {
    await http.gracefulStop({ graceMs: 0 });
    await grpc.gracefulStop({ graceMs: 0 });
  });
  return { grpc, http, echo, target: `127.0.0.1:${http.address?.port}` };
}

test("gRPC, REST by HTTP/1.1 and REST by HTTP/2 on one plain port", async (t) => {
  const { grpc, target } = await onePort(t);
  assert.deepEqual([grpc.state, grpc.address], ["ready", undefined]);
  const { stdout } = await bufCurl(target, "tsms.test.v1.EchoService/Echo", '{"text":"g"}');
  assert.match(stdout, /"protocol": "grpc"/);
  for (const version of ["--http1.1", "--http2-prior-knowledge"]) {
    const { body } = await curl(version, `http://${target}/test/v1/echo/r`);
    assert.match(body, /"protocol":"rest"/);
  }
});

test("every kind of rpc over gRPC, with errors, through dial", async (t) => {
  const { target } = await onePort(t);
  const transport = dial(target);
  t.after(() => transport.close());
  const client = createClient(EchoService, transport);
  assert.equal((await client.echo({ text: "a" })).text, "a");
  const repeated: number[] = [];
  for await (const { index } of client.repeat({ count: 3 })) repeated.push(index);
  assert.deepEqual(repeated, [0, 1, 2]);
  const texts = async function* () {
    yield { text: "x" };
    yield { text: "y" };
  };
  assert.deepEqual((await client.collect(texts())).texts, ["x", "y"]);
  const answers: string[] = [];
  for await (const { text } of client.chat(texts())) answers.push(text);
  assert.deepEqual(answers, ["x", "y"]);
  await assert.rejects(
    client.echo({ behaviour: { failure: { code: Code.Aborted, message: "m" } } }),
    (error: ConnectError) => error.code === Code.Aborted && error.rawMessage === "m",
  );
});

test("gRPC and REST on one connection", async (t) => {
  const { target } = await onePort(t);
  const session = connect(`http://${target}`);
  t.after(() => session.destroy());
  const [rest, grpc, other] = await Promise.all([
    ask(session, { ":path": "/test/v1/echo/r" }),
    post(session, {}, [echoFrame({ text: "g" })]),
    post(session, { "content-type": "application/grpc+thrift" }, [echoFrame({})]),
  ]);
  assert.deepEqual([rest.status, grpc.status, other.http], [200, 0, 415]);
});

test("one TLS port: gRPC, REST and ALPN", async (t) => {
  const { target } = await onePort(t, { tls: { key: own.key, cert: own.cert } });
  const { code, stdout, stderr } = await run(
    "buf",
    "curl",
    ...["--protocol", "grpc", "-k", "-d", '{"text":"g"}'],
    `https://${target}/tsms.test.v1.EchoService/Echo`,
  );
  assert.equal(code, 0, stderr);
  assert.match(stdout, /"protocol": "grpc"/);
  for (const [version, spoken] of [
    ["--http1.1", "HTTP/1.1"],
    ["--http2", "HTTP/2"],
  ] as const) {
    const { code, stdout } = await run("curl", "-sSik", version, `https://${target}/test/v1/echo/r`);
    assert.equal(code, 0);
    assert.ok(stdout.startsWith(`${spoken} 200`), stdout);
    assert.match(stdout, /"protocol":"rest"/);
  }
  const transport = dial(target, { tls: { ca: authority.cert } });
  t.after(() => transport.close());
  assert.equal((await createClient(EchoService, transport).echo({ text: "d" })).text, "d");
});

test("client certificates are asked for on the one port", async (t) => {
  const tls = { key: own.key, cert: own.cert, ca: authority.cert, clientCertificates: "required" } as const;
  const { target, echo } = await onePort(t, { tls });
  const stranger = dial(target, { tls: { ca: authority.cert } });
  const friend = dial(target, { tls: { ca: authority.cert, key: known.key, cert: known.cert } });
  t.after(() => {
    stranger.close();
    friend.close();
  });
  await assert.rejects(
    createClient(EchoService, stranger).echo({}, { timeoutMs: 5000 }),
    (error: ConnectError) => error.code === Code.Unavailable || error.code === Code.DeadlineExceeded,
  );
  assert.equal(echo.calls, 0);
  assert.equal((await createClient(EchoService, friend).echo({ text: "f" })).text, "f");
});

test("gRPC before its server has been started is UNAVAILABLE, and served after", async (t) => {
  const echo = new Echo();
  const grpc = new GrpcServer({ listen: false }).addService(echo);
  const http = new HttpServer({ port: 0, upstream: grpc, grpc }).addService(echo);
  await http.start();
  t.after(async () => {
    await http.gracefulStop({ graceMs: 0 });
    await grpc.gracefulStop({ graceMs: 0 });
  });
  const session = connect(`http://127.0.0.1:${http.address?.port}`);
  t.after(() => session.destroy());
  const early = await post(session, {}, [echoFrame({ text: "g" })]);
  assert.deepEqual([early.status, early.message], [Code.Unavailable, "the server has not been started"]);
  assert.equal((await ask(session, { ":path": "/test/v1/echo/r" })).status, 200); // In process nothing is to start.
  assert.equal(echo.calls, 1);
  await grpc.start();
  assert.equal((await post(session, {}, [echoFrame({ text: "g" })])).status, 0);
});

test("a stop counts gRPC and REST apart and lets both finish", async (t) => {
  const { grpc, http, echo, target } = await onePort(t);
  const session = connect(`http://${target}`);
  t.after(() => session.destroy());
  const behaviour = { sleepMs: 400 };
  const call = post(session, {}, [echoFrame({ behaviour })]);
  const rest = ask(session, { ":path": "/test/v1/echo/r?behaviour.sleepMs=200" });
  const other = fetch(`http://${target}/test/v1/echo/r?behaviour.sleepMs=200`);
  await echo.until(({ calls }) => calls === 3);
  const goaway = once(session, "goaway");
  const closed = once(session, "close");
  const stopping = http.gracefulStop({ graceMs: 10_000 });
  await goaway;
  assert.deepEqual(await stopping, { finished: 2, notified: [], cut: [] });
  assert.deepEqual(await grpc.gracefulStop({ graceMs: 10_000 }), { finished: 1, notified: [], cut: [] });
  assert.deepEqual([(await call).status, (await rest).status, (await other).status], [0, 200, 200]);
  await closed;
});

test("a stop cuts gRPC calls that outlast the grace with UNAVAILABLE", async (t) => {
  const { grpc, http, echo, target } = await onePort(t);
  const session = connect(`http://${target}`);
  session.on("error", () => {});
  t.after(() => session.destroy());
  const call = post(session, {}, [echoFrame({ behaviour: { sleepMs: 60_000 } })]);
  await echo.until(({ calls }) => calls === 1);
  const closed = once(session, "close");
  assert.deepEqual(await http.gracefulStop({ graceMs: 0 }), { finished: 0, notified: [], cut: [] });
  const report = await grpc.gracefulStop({ graceMs: 50 });
  assert.deepEqual(report, { finished: 0, notified: [], cut: ["tsms.test.v1.EchoService/Echo"] });
  assert.equal((await call).status, Code.Unavailable);
  await closed;
});

test("a stop does not wait for a gRPC client that never hangs up", async (t) => {
  const { grpc, http, target } = await onePort(t);
  const session = connect(`http://${target}`);
  session.on("error", () => {});
  t.after(() => session.destroy());
  assert.equal((await post(session, {}, [echoFrame({})])).status, 0);
  const unread = session.request({
    ":method": "POST",
    ":path": "/tsms.test.v1.EchoService/Repeat",
    "content-type": "application/grpc",
  });
  unread.on("error", () => {});
  unread.end(Buffer.from([0, 0, 0, 0, 0]));
  const began = performance.now();
  await http.gracefulStop({ graceMs: 100 });
  await grpc.gracefulStop({ graceMs: 100 });
  assert.ok(performance.now() - began < 8000);
  const count = new Promise((resolve) =>
    http.fastify.server.getConnections((_error, connections) => resolve(connections)),
  );
  assert.equal(await count, 0);
});

test("health says NOT_SERVING at the drain, while the port still serves", async (t) => {
  const { grpc, http, target } = await onePort(t);
  http.drain();
  grpc.drain();
  const { stdout } = await bufCurl(target, "grpc.health.v1.Health/Check", "{}");
  assert.match(stdout, /"NOT_SERVING"/);
  assert.equal((await curl(`http://${target}/readyz`)).status, 503);
  assert.equal((await curl(`http://${target}/test/v1/echo/a`)).status, 200);
});
