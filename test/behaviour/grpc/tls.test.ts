import { strict as assert } from "node:assert";
import { once } from "node:events";
import { connect as connectHttp2, type SecureClientSessionOptions } from "node:http2";
import { connect as connectTcp } from "node:net";
import { test, type TestContext } from "node:test";
import { GrpcServer, type ServerTlsOptions } from "../../../src/core/grpc-server.ts";
import { createCertificate } from "../../support/certificates.ts";
import { echoFrame, post, running, within, type Running } from "../../support/running-grpc.ts";

const patience = 10_000;
const authority = createCertificate({ name: "authority" });
const stranger = createCertificate({ name: "stranger" });
const own = createCertificate({ name: "server", hosts: ["127.0.0.1", "localhost"], issuer: authority });
const known = createCertificate({ name: "client", issuer: authority });
const unknown = createCertificate({ name: "client", issuer: stranger });

function secured(t: TestContext, options: Partial<ServerTlsOptions> = {}): Promise<Running> {
  return running(t, { tls: { key: own.key, cert: own.cert, ca: authority.cert, ...options } });
}

/** Status of a call over TLS; undefined if the connection fails. */
async function call(t: TestContext, { port }: Running, options: SecureClientSessionOptions = {}) {
  const http2 = connectHttp2(`https://localhost:${port}`, { ca: authority.cert, ...options });
  t.after(() => http2.destroy());
  const failed = once(http2, "error").then(
    () => undefined,
    () => undefined,
  );
  const reply = post(http2, {}, [echoFrame({ text: "x" })]).catch(() => undefined);
  return (await within(patience, "the call", Promise.race([reply, failed])))?.status;
}

test("calls go over TLS", async (t) => {
  const server = await secured(t);
  assert.equal(await call(t, server), 0);
  assert.equal(await call(t, server, { ca: stranger.cert }), undefined);
});

test("I11: TLS 1.1 is refused", async (t) => {
  const server = await secured(t);
  const old = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" } as const;
  assert.equal(await call(t, server, old), undefined);
});

test("I12: required client certificates must be trusted", async (t) => {
  const server = await secured(t, { clientCertificates: "required" });
  assert.equal(await call(t, server), undefined);
  assert.equal(await call(t, server, { key: unknown.key, cert: unknown.cert }), undefined);
  assert.equal(server.echo.calls, 0);
  assert.equal(await call(t, server, { key: known.key, cert: known.cert }), 0);
});

test("I13: optional client certificates that are not trusted count as none", async (t) => {
  const server = await secured(t, { clientCertificates: "optional" });
  assert.equal(await call(t, server), 0);
  assert.equal(await call(t, server, { key: unknown.key, cert: unknown.cert }), 0);
  assert.equal(await call(t, server, { key: known.key, cert: known.cert }), 0);
});

test("I19: connections without a handshake are closed", async (t) => {
  const server = await running(t, { tls: { key: own.key, cert: own.cert }, handshakeTimeoutMs: 200 });
  const sockets = Array.from({ length: 100 }, () => connectTcp(server.port, server.host));
  await Promise.all(
    sockets.map(async (socket) => {
      t.after(() => socket.destroy());
      socket.on("error", () => {});
      socket.resume();
      await within(patience, "the close", new Promise((resolve) => socket.on("close", resolve)));
    }),
  );
  const plain = connectTcp(server.port, server.host);
  t.after(() => plain.destroy());
  plain.on("error", () => {});
  plain.resume();
  plain.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  await within(patience, "the close", new Promise((resolve) => plain.on("close", resolve)));
  assert.equal(await call(t, server), 0);
});

test("keys that cannot be read are refused when the server is made", () => {
  assert.throws(() => new GrpcServer({ tls: { key: "no key", cert: own.cert } }), {
    name: "TypeError",
    message: /^GRPC: the option tls cannot be used: tls\.key/,
  });
});
