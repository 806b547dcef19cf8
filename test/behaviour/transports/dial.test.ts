import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { createRouterTransport, type Transport } from "@connectrpc/connect";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { interceptInvoker } from "../../../src/core/call/invoker.ts";
import { toInvoker, toTransport } from "../../../src/core/call/transport.ts";
import { createClient } from "../../../src/core/call/client.ts";
import { dial, dialInvoker, type DialOptions } from "../../../src/core/dial.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { GrpcServer, type GrpcServerOptions } from "../../../src/core/grpc-server.ts";
import { createCertificate, type Certificate } from "../../support/certificates.ts";
import { Echo } from "../../support/echo-service.ts";
import { all, each, failure } from "../../support/failure.ts";
import { authority, clientCertificate, serverCertificate } from "../../support/transport-rig.ts";
import { testEngine } from "../../support/test-engine.ts";

async function started(t: TestContext, options: Partial<GrpcServerOptions> = {}): Promise<GrpcServer> {
  const server = new GrpcServer({ port: 0, ...options }).addService(new Echo());
  await server.start();
  t.after(() => server.gracefulStop({ graceMs: 0 }));
  return server;
}

function dialed(t: TestContext, target: GrpcServer | string, options: Partial<DialOptions> = {}) {
  const transport = dial(target, { ...testEngine, ...options });
  t.after(() => transport.close());
  return { transport, client: createClient(EchoService, transport) };
}

test("in process, calls are served before the server starts, and the connection is always ready", async (t) => {
  const server = new GrpcServer({ port: 0 }).addService(new Echo());
  const { client, transport } = dialed(t, server);
  assert.equal((await client.echo({ text: "early" })).text, "early");
  assert.equal(transport.state, "ready");
  await transport.ready();
});

test("over the network, a server that has not started is UNAVAILABLE, and found once it has", async (t) => {
  const server = new GrpcServer({ port: 0 }).addService(new Echo());
  const { client, transport } = dialed(t, server, { network: true });
  assert.equal(transport.state, "idle");
  await failure(client.echo({}), Code.Unavailable);
  await server.start();
  t.after(() => server.gracefulStop({ graceMs: 0 }));
  assert.equal((await client.echo({ text: "late" })).text, "late");
  assert.equal(transport.state, "ready");
});

test("a target is reached by name and by address", async (t) => {
  const server = await started(t);
  const port = server.address?.port;
  for (const target of [
    `127.0.0.1:${port}`,
    `localhost:${port}`,
    `ipv4:127.0.0.1:${port}`,
    `dns:localhost:${port}`,
  ]) {
    assert.equal((await dialed(t, target).client.echo({ text: target })).text, target);
  }
});

const tls = { cert: serverCertificate.cert, key: serverCertificate.key };
const ca = authority.cert;
const pair = ({ cert, key }: Certificate): Certificate => ({ cert, key });
const foreign = createCertificate({ name: "foreign authority" });

test("TLS: name and address are verified, server name and authority can be told", async (t) => {
  const other = createCertificate({ name: "other", hosts: ["users.internal"], issuer: authority });
  const server = await started(t, { tls: { cert: other.cert, key: other.key } });
  const target = `127.0.0.1:${server.address?.port}`;
  await failure(dialed(t, target, { tls: { ca } }).client.echo({}), Code.Unavailable);
  const options = { tls: { ca, serverName: "users.internal" } };
  assert.equal((await dialed(t, target, options).client.echo({ text: "x" })).text, "x");
});

test("TLS: a server that nobody trusts is UNAVAILABLE", async (t) => {
  const server = await started(t, { tls });
  const target = `localhost:${server.address?.port}`;
  for (const options of [{ tls: true }, { tls: { ca: foreign.cert } }, { tls: false }] as const) {
    await failure(dialed(t, target, options).client.echo({}), Code.Unavailable);
  }
  assert.equal((await dialed(t, target, { tls: { ca } }).client.echo({ text: "x" })).text, "x");
});

test("TLS: an expired server certificate is refused", async (t) => {
  const old = createCertificate({
    name: "old",
    hosts: ["localhost"],
    issuer: authority,
    validDays: [-3, -1],
  });
  const server = await started(t, { tls: { cert: old.cert, key: old.key } });
  await failure(
    dialed(t, `localhost:${server.address?.port}`, { tls: { ca } }).client.echo({}),
    Code.Unavailable,
  );
});

test("I12: mutual TLS without a certificate, or with one of a foreign authority, reaches no handler", async (t) => {
  const echo = new Echo();
  const server = new GrpcServer({ port: 0, tls: { ...tls, ca, clientCertificates: "required" } }).addService(
    echo,
  );
  await server.start();
  t.after(() => server.gracefulStop({ graceMs: 0 }));
  const target = `localhost:${server.address?.port}`;
  const stranger = createCertificate({ name: "stranger", issuer: foreign });
  const expired = createCertificate({ name: "expired", issuer: authority, validDays: [-3, -1] });
  for (const own of [{}, pair(stranger), pair(expired)]) {
    await failure(dialed(t, target, { tls: { ca, ...own } }).client.echo({}), Code.Unavailable);
  }
  assert.equal(echo.calls, 0);
  await dialed(t, target, { tls: { ca, ...pair(clientCertificate) } }).client.echo({});
  assert.equal(echo.calls, 1);
});

test("dialCaller gives the caller inside, which toCaller takes out of a transport again", () => {
  const server = new GrpcServer({ port: 0 });
  assert.equal(dialInvoker(server).protocolName, "in-process");
  assert.equal(toInvoker(dial(server)).protocolName, "in-process");
  const remote = dialInvoker("localhost:1");
  assert.equal(remote.protocolName, "grpc");
  assert.equal(toInvoker(toTransport(remote)), remote);
  assert.equal(interceptInvoker(remote, []), remote);
  remote.close();
});

test("a transport of another maker is called like our own", async () => {
  const foreignTransport: Transport = createRouterTransport(({ service }) =>
    service(EchoService, new Echo()),
  );
  const transport = toTransport(toInvoker(foreignTransport));
  const client = createClient(EchoService, transport);
  let trailer = new Headers();
  const behaviour = { headers: { "x-head": "h" }, trailers: { "x-tail": "t" } };
  const reply = await client.echo(
    { text: "x", behaviour },
    { headers: { "x-own": "1" }, timeoutMs: 10_000, onTrailer: (headers) => (trailer = headers) },
  );
  assert.equal(reply.text, "x");
  assert.equal(reply.headers["x-own"], "1");
  assert.ok(reply.timeoutMs !== undefined);
  assert.equal(trailer.get("x-tail"), "t");
  assert.equal((await all(client.repeat({ count: 3 }))).length, 3);
  assert.deepEqual((await client.collect(each({ text: "a" }, { text: "b" }))).texts, ["a", "b"]);
  const failing = { failure: { code: Code.NotFound, message: "gone" } };
  assert.equal((await failure(client.echo({ behaviour: failing }), Code.NotFound)).rawMessage, "gone");
  await failure(all(client.repeat({ behaviour: failing })), Code.NotFound);
});

test("what a foreign transport throws leaves as INTERNAL, and its hanging ends with the deadline", async () => {
  const refuse = () => Promise.reject(new Error("secret"));
  const broken = createClient(EchoService, toTransport(toInvoker({ unary: refuse, stream: refuse })));
  assert.equal((await failure(broken.echo({}), Code.Internal)).rawMessage, "internal error");
  await failure(all(broken.repeat({})), Code.Internal);
  const hang = () => new Promise<never>(() => {});
  const hanging = createClient(EchoService, toTransport(toInvoker({ unary: hang, stream: hang })));
  await failure(hanging.echo({}, { timeoutMs: 20 }), Code.DeadlineExceeded);
  await failure(all(hanging.repeat({}, { timeoutMs: 20 })), Code.DeadlineExceeded);
});

test("a request that cannot be written is an error of the client with INTERNAL", async (t) => {
  const server = await started(t);
  const { client } = dialed(t, server, { network: true });
  // What the types forbid.
  const error = await failure(client.echo({ number: "x" as unknown as bigint }));
  assert.equal(error.code, Code.Internal);
  assert.ok(error.cause !== undefined);
  assert.ok(ConnectError.from(error).rawMessage.includes("EchoService/Echo"));
});
