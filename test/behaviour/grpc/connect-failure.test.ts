import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttp2Server } from "node:http2";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { test, type TestContext } from "node:test";
import { createServer as createTlsServer } from "node:tls";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { dial, type DialOptions } from "../../../src/core/dial.ts";
import { createClient } from "../../../src/core/call/client.ts";
import { Code } from "../../../src/core/errors/errors.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { createCertificate } from "../../support/certificates.ts";
import { Echo } from "../../support/echo-service.ts";
import { failure } from "../../support/failure.ts";
import { testEngine } from "../../support/test-engine.ts";

const timeoutMs = 10_000;
const authority = createCertificate({ name: "authority" });
const stranger = createCertificate({ name: "stranger" });
const own = createCertificate({ name: "server", hosts: ["127.0.0.1"], issuer: authority });
const expired = createCertificate({
  name: "server",
  hosts: ["127.0.0.1"],
  issuer: authority,
  validDays: [-9, -1],
});
const other = createCertificate({ name: "server", hosts: ["other.internal"], issuer: authority });
const client = createCertificate({ name: "client", issuer: stranger });

const trusting = { tls: { ca: authority.cert } };

/** The text of a call to a server that cannot be reached. */
async function refusal(t: TestContext, port: number, options: Partial<DialOptions> = {}): Promise<string> {
  const transport = dial(`127.0.0.1:${port}`, { ...testEngine, ...options });
  t.after(() => transport.close());
  const error = await failure(createClient(EchoService, transport).echo({}, { timeoutMs }));
  assert.equal(error.code, Code.Unavailable, error.message);
  return error.rawMessage;
}

async function grpc(
  t: TestContext,
  tls?: ConstructorParameters<typeof GrpcServer>[0] & object,
): Promise<number> {
  const server = new GrpcServer({ port: 0, ...tls }).addService(new Echo());
  await server.start();
  t.after(() => server.gracefulStop({ graceMs: 0 }));
  return server.address?.port ?? 0;
}

async function foreign(t: TestContext, server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => sockets.add(socket.on("error", () => {})));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port; // Listens on TCP.
}

test("plain text spoken to a TLS server says so", async (t) => {
  const tls = createTlsServer({ key: own.key, cert: own.cert, ALPNProtocols: ["h2"] });
  const says = /^no connection to the server.*: .* as one does that speaks TLS \(option tls, --grpc-tls\)/;
  assert.match(await refusal(t, await grpc(t, { tls: { key: own.key, cert: own.cert } })), says);
  assert.match(
    await refusal(
      t,
      await foreign(
        t,
        tls.on("tlsClientError", (_, socket) => socket.destroy()),
      ),
    ),
    says,
  );
});

test("a server that speaks HTTP/1.1 alone is told apart", async (t) => {
  const http1 = createServer((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
  const says =
    testEngine.engine === "node"
      ? /^no connection to the server \(ERR_HTTP2_ERROR\): its first bytes are not HTTP\/2, .* or HTTP\/1\.1 alone$/
      : /^the server speaks HTTP\/1\.1, is this its gRPC port\?$/;
  assert.match(await refusal(t, await foreign(t, http1)), says);
  const other = createServer((socket) => socket.end("220 mail.example.com ESMTP\r\n"));
  assert.match(await refusal(t, await foreign(t, other)), /its first bytes are not HTTP\/2/);
});

const hasty = { connectTimeoutMs: 300, http2: { settingsTimeoutMs: 300 } };

test("a server that accepts the connection and sends nothing is said to have sent nothing", async (t) => {
  assert.equal(
    await refusal(t, await foreign(t, createServer()), hasty),
    "no connection to the server (ETIMEDOUT): it accepted the connection, but sent nothing within 0.3 s: it hangs, or waits for another protocol, is this its gRPC port?",
  );
  const slow = createServer((socket) => socket.write(Buffer.alloc(3)));
  assert.equal(
    await refusal(t, await foreign(t, slow), hasty),
    "no connection to the server (ETIMEDOUT): it accepted the connection, but did not begin HTTP/2 within 0.3 s, is this its gRPC port?",
  );
});

test("a server that is silent in or behind the TLS handshake is said to be so", async (t) => {
  assert.match(
    await refusal(t, await foreign(t, createServer()), { ...hasty, ...trusting }),
    /\(ETIMEDOUT\): .* did not finish the TLS handshake within 0\.3 s: it hangs, or speaks plain text \(without tls, --grpc-tls\)$/,
  );
  const silent = createTlsServer({ key: own.key, cert: own.cert, ALPNProtocols: ["h2"] });
  const slow = { connectTimeoutMs: 1_000, http2: { settingsTimeoutMs: 1_000 } };
  // What TLS sends behind its handshake `node:http2` hears as bytes of the server.
  const says =
    testEngine.engine === "node"
      ? /it accepted the connection, but (?:sent nothing|did not begin HTTP\/2) within 1 s/
      : /it accepted the connection, but sent nothing within 1 s/;
  assert.match(await refusal(t, await foreign(t, silent), { ...slow, ...trusting }), says);
});

const wantsAnother = /it wants another client certificate or has got none \(tls\.cert, --grpc-cert\)$/;

/** Alerts of TLS (RFC 8446 6.2) with which a server refuses a handshake, and what is said of them. */
const alerts: readonly (readonly [number, RegExp])[] = [
  [
    40,
    /none of the versions and ciphers of TLS that this side offers, or it wants another client certificate/,
  ],
  [42, wantsAnother],
  [43, wantsAnother],
  [44, /the client certificate was revoked \(tls\.cert, --grpc-cert\)$/],
  [45, /the client certificate has expired \(tls\.cert, --grpc-cert\)$/],
  [46, wantsAnother],
  [48, wantsAnother],
  [49, wantsAnother],
  [51, wantsAnother],
  [70, /none of the versions and ciphers of TLS that this side offers$/],
  [71, /none of the versions and ciphers of TLS that this side offers$/],
  [112, /it knows no server of this name \(tls\.serverName, --grpc-authority\)$/],
  [116, wantsAnother],
  [120, /it does not offer HTTP\/2 over TLS$/],
];

test("alerts of TLS are said in words, whatever OpenSSL calls them", async (t) => {
  for (const [number, says] of alerts) {
    const refusing = createServer((socket) =>
      socket.once("data", () => socket.end(Buffer.from([0x15, 3, 3, 0, 2, 2, number]))),
    );
    assert.match(await refusal(t, await foreign(t, refusing), trusting), says, `alert ${number}`);
  }
});

test("TLS spoken to a plain server says so", async (t) => {
  const says = /^no connection to the server .*plain text/;
  assert.match(await refusal(t, await grpc(t), trusting), says);
  const http1 = createServer((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
  assert.match(await refusal(t, await foreign(t, http1), trusting), says);
  const http2 = createHttp2Server().on("sessionError", () => {});
  assert.match(await refusal(t, await foreign(t, http2), trusting), says);
});

test("certificates that do not fit are named with the option that they are of", async (t) => {
  const tls = { key: own.key, cert: own.cert };
  const port = await grpc(t, { tls });
  assert.match(
    await refusal(t, port, { tls: true }),
    /not from an authority that is trusted \(tls\.ca, --grpc-ca\)$/,
  );
  const late = await grpc(t, { tls: { key: expired.key, cert: expired.cert } });
  assert.match(await refusal(t, late, trusting), /\(CERT_HAS_EXPIRED\): its certificate has expired$/);
  const wrong = await grpc(t, { tls: { key: other.key, cert: other.cert } });
  assert.match(await refusal(t, wrong, trusting), /for another name \(tls\.serverName, --grpc-authority\)$/);
  const mutual = await grpc(t, { tls: { ...tls, ca: authority.cert, clientCertificates: "required" } });
  const says = /client certificate.*\(tls\.cert, --grpc-cert\)$/;
  assert.match(await refusal(t, mutual, trusting), says);
  const { key, cert } = client;
  assert.match(await refusal(t, mutual, { tls: { ca: authority.cert, key, cert } }), says);
});
