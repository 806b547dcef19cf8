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

const trusting = { tls: { ca: authority.cert } };

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
  const says = /^no connection to the server \(ERR_HTTP2_ERROR\): its first bytes are not HTTP\/2/;
  assert.match(await refusal(t, await foreign(t, http1)), says);
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
