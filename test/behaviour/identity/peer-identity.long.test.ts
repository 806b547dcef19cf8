import assert from "node:assert/strict";
import { connect as connectHttp2, type OutgoingHttpHeaders } from "node:http2";
import { request as httpsRequest } from "node:https";
import { test, type TestContext } from "node:test";
import { connect as connectTls } from "node:tls";
import { createClient as createConnectClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import type { EchoRequest, RepeatRequest } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import type { HandlerContext } from "../../../src/core/call/context.ts";
import { GrpcServer, type GrpcServerOptions } from "../../../src/core/grpc-server.ts";
import {
  peerIdentity,
  peerIdentityKey,
  type PeerIdentity,
} from "../../../src/core/metadata/peer-identity.ts";
import type { ServerTlsOptions } from "../../../src/core/net/tls.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import type { HttpServerOptions } from "../../../src/gateway/http-server-options.ts";
import { ask } from "../http2/http2-fixture.ts";
import { SocketClient } from "../websocket/socket-client.ts";
import { createCertificate, type Certificate } from "../../support/certificates.ts";
import { Echo } from "../../support/echo-service.ts";
import { testServerEngine } from "../../support/test-engine.ts";

/** What a handler learns of its caller: who it is, and the headers that could say so. */
interface Seen {
  readonly peer: PeerIdentity | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

/** Keeps what handlers learn of their callers. */
class Witness extends Echo {
  #seen: Seen | undefined;

  /** What the last call told. */
  last(): Seen {
    return this.#seen ?? assert.fail("no handler has run");
  }

  forget(): void {
    this.#seen = undefined;
  }

  override echo(request: EchoRequest, context: HandlerContext) {
    this.#look(context);
    return super.echo(request, context);
  }

  override repeat(request: RepeatRequest, context: HandlerContext) {
    this.#look(context);
    return super.repeat(request, context);
  }

  #look(context: HandlerContext): void {
    const headers = [...context.requestHeader].filter(([name]) => name in forged);
    this.#seen = { peer: peerIdentity(context), headers: Object.fromEntries(headers) };
  }
}

const forged = {
  "x-forwarded-client-cert": "Hash=00;URI=spiffe://example/root",
  "x-client-cert": "evil",
  "x-user": "root",
  "x-user-id": "0",
  "x-remote-user": "root",
  "x-auth-request-email": "root@example",
};

const authority = createCertificate({ name: "authority" });
const server = createCertificate({ name: "server", hosts: ["127.0.0.1"], issuer: authority });
const client = createCertificate({
  name: 'J\u00fcrgen, "X"; Y',
  hosts: ["client.example", "10.0.0.1"],
  uris: ["spiffe://example/a;b,c"],
  emails: ["j@example"],
  issuer: authority,
});

const expected: Omit<PeerIdentity, "fingerprint"> = {
  subject: 'CN=J\\C3\\BCrgen\\, \\"X\\"\\; Y',
  uris: ["spiffe://example/a;b,c"],
  dnsNames: ["client.example"],
  emails: ["j@example"],
  ipAddresses: ["10.0.0.1"],
};

const optional: ServerTlsOptions = {
  key: server.key,
  cert: server.cert,
  ca: authority.cert,
  clientCertificates: "optional",
};

/** Makes a call with all the forged headers; resolves when it is answered. */
type Door = (certificate: Partial<Certificate>) => Promise<void>;

interface Ports {
  readonly witness: Witness;
  readonly doors: Readonly<Record<string, Door>>;
  readonly grpcPort: number;
  readonly onePort: number;
}

/** Every way to call through the port for gRPC, the one for HTTP, and the one for all. */
async function start(t: TestContext, tls: ServerTlsOptions = optional): Promise<Ports> {
  const witness = new Witness();
  const grpc = new GrpcServer({ port: 0, tls }).addService(witness);
  const http = new HttpServer({ port: 0, upstream: grpc, tls, ...testServerEngine }).addService(witness);
  const one = new HttpServer({ port: 0, upstream: grpc, grpc, tls }).addService(witness);
  const servers = [grpc, http, one];
  for (const each of servers) await each.start();
  t.after(async () => {
    for (const each of servers.reverse()) await each.gracefulStop({ graceMs: 0 });
  });
  const [grpcPort = 0, httpPort = 0, onePort = 0] = servers.map(({ address }) => address?.port);
  const doors: Record<string, Door> = { "gRPC on its port": through(grpcPort, createGrpcTransport) };
  for (const [name, port] of [
    ["HTTP", httpPort],
    ["one", onePort],
  ] as const) {
    const on = `on the ${name} port`;
    doors[`gRPC ${on}`] = through(port, createGrpcTransport);
    for (const httpVersion of ["1.1", "2"] as const) {
      const by = `by HTTP/${httpVersion} ${on}`;
      doors[`Connect ${by}`] = through(port, connectBy[httpVersion]);
      doors[`gRPC-Web ${by}`] = through(port, webBy[httpVersion]);
    }
    doors[`REST by HTTP/1.1 ${on}`] = get(port, "/test/v1/echo/a");
    doors[`a stream of events ${on}`] = get(port, "/test/v1/repeat/a?count=1", {
      accept: "text/event-stream",
    });
    doors[`a long poll ${on}`] = get(port, "/test/v1/repeat/a?count=1", { prefer: "wait=1" });
    doors[`REST by HTTP/2 ${on}`] = rest2(port);
    doors[`a WebSocket ${on}`] = socket(port, "/test/v1/repeat/a?count=1");
    doors[`a WebSocket of many calls ${on}`] = multiplex(port);
  }
  return { witness, doors, grpcPort, onePort };
}

interface Options {
  readonly baseUrl: string;
  readonly nodeOptions: { readonly ca: string; readonly key?: string; readonly cert?: string };
}

const connectBy = {
  "1.1": (options: Options) => createConnectTransport({ ...options, httpVersion: "1.1" }),
  "2": (options: Options) => createConnectTransport({ ...options, httpVersion: "2" }),
} as const;

const webBy = {
  "1.1": (options: Options) => createGrpcWebTransport({ ...options, httpVersion: "1.1" }),
  "2": (options: Options) => createGrpcWebTransport({ ...options, httpVersion: "2" }),
} as const;

function through(port: number, make: (options: Options) => Transport): Door {
  return async ({ key, cert }) => {
    const nodeOptions = { ca: authority.cert, ...pair({ key, cert }) };
    const transport = make({ baseUrl: `https://127.0.0.1:${port}`, nodeOptions });
    await createConnectClient(EchoService, transport).echo({}, { headers: forged });
  };
}

function get(port: number, path: string, headers: OutgoingHttpHeaders = {}): Door {
  return (certificate) =>
    new Promise((resolve, reject) => {
      const options = { ca: authority.cert, agent: false, headers: { ...forged, ...headers } } as const;
      const url = `https://127.0.0.1:${port}${path}`;
      const request = httpsRequest(url, { ...options, ...pair(certificate) }, (response) => {
        assert.equal(response.statusCode, 200);
        response.resume().on("end", resolve).on("error", reject);
      });
      request.on("error", reject).end();
    });
}

function rest2(port: number): Door {
  return async (certificate) => {
    const session = connectHttp2(`https://127.0.0.1:${port}`, { ca: authority.cert, ...pair(certificate) });
    session.on("error", () => {});
    const reply = await ask(session, { ":path": "/test/v1/echo/a", ...forged });
    session.destroy();
    assert.equal(reply.status, 200);
  };
}

function socket(port: number, path: string): Door {
  return async (certificate) => {
    const options = { ca: authority.cert, headers: forged, ...pair(certificate) };
    const opened = new SocketClient(`wss://127.0.0.1:${port}${path}`, ["json"], options);
    await opened.open();
    opened.send("");
    assert.equal((await opened.end()).status, 0);
  };
}

function multiplex(port: number): Door {
  return async (certificate) => {
    const options = { ca: authority.cert, headers: forged, ...pair(certificate) };
    const opened = await new SocketClient(`wss://127.0.0.1:${port}/ws`, ["json"], options).open();
    opened.send(
      JSON.stringify({ id: 1, method: "tsms.test.v1.EchoService/Echo", message: {}, headers: forged }),
    );
    const reply = await opened.json();
    assert.ok("message" in reply, JSON.stringify(reply));
    opened.ws.terminate();
  };
}

function pair({ key, cert }: { readonly key?: string | undefined; readonly cert?: string | undefined }) {
  return key === undefined || cert === undefined ? {} : { key, cert };
}

test("I14: no client says by headers who it is, and a verified certificate does, through every door", async (t) => {
  const { witness, doors } = await start(t);
  for (const [name, call] of Object.entries(doors)) {
    witness.forget();
    await call({});
    assert.deepEqual(witness.last(), { peer: undefined, headers: {} }, name);
    await call(client);
    const { peer, headers } = witness.last();
    const { fingerprint, ...rest } = peer ?? assert.fail(`${name}: nobody`);
    assert.deepEqual(rest, expected, name);
    assert.match(fingerprint, /^[0-9a-f]{64}$/);
    const value =
      `Hash=${fingerprint};Subject="CN=J\\\\C3\\\\BCrgen\\\\, \\\\\\"X\\\\\\"\\\\; Y";` +
      'URI="spiffe://example/a;b,c";DNS=client.example;Email=j@example;IP=10.0.0.1';
    assert.deepEqual(headers, { "x-forwarded-client-cert": value }, name);
  }
  assert.ok(Object.keys(doors).length > 20);
});

test("I13: optional client certificates that are not trusted give no identity", async (t) => {
  const { witness, doors } = await start(t);
  const stranger = createCertificate({ name: "stranger" }); // Node cuts connections that show a forged signature.
  const issued = { hosts: ["client.example"], issuer: authority };
  const untrusted: Record<string, Certificate> = {
    "self-signed": createCertificate({ name: "client", hosts: ["client.example"] }),
    "of another authority": createCertificate({ name: "client", ...issued, issuer: stranger }),
    expired: createCertificate({ name: "client", ...issued, validDays: [-10, -1] }),
    "for servers only": createCertificate({ name: "client", ...issued, serverOnly: true }),
  };
  for (const [name, call] of Object.entries(doors)) {
    for (const [fault, certificate] of Object.entries(untrusted)) {
      witness.forget();
      await call(certificate);
      assert.deepEqual(witness.last(), { peer: undefined, headers: {} }, `${name}, ${fault}`);
    }
  }
});

test("I20: a common name is no name, a name with a NUL is none, and a wildcard stands for itself", async (t) => {
  const { witness, doors } = await start(t, { ...optional, clientCertificates: "required" });
  const nameless: Record<string, Certificate> = {
    "a common name only": createCertificate({ name: "client.example", issuer: authority }),
    "a NUL": createCertificate({ name: "a", hosts: ["client.example\0.evil.example"], issuer: authority }),
    "a NUL in a URI": createCertificate({ name: "a", hosts: ["b"], uris: ["x:\0y"], issuer: authority }),
    "a line end": createCertificate({ name: "a", emails: ["a@b\r\nc"], issuer: authority }),
  };
  const wildcard = createCertificate({ name: "a", hosts: ["*.example"], issuer: authority });
  for (const [name, call] of Object.entries(doors)) {
    for (const [fault, certificate] of Object.entries(nameless)) {
      witness.forget();
      await call(certificate);
      assert.deepEqual(witness.last(), { peer: undefined, headers: {} }, `${name}, ${fault}`);
    }
    await call(wildcard);
    assert.deepEqual(witness.last().peer?.dnsNames, ["*.example"], name);
  }
});

test("a resumed session has the identity of its first", async (t) => {
  const { witness, onePort } = await start(t);
  const target = {
    port: onePort,
    host: "127.0.0.1",
    ca: authority.cert,
    ...pair(client),
    ALPNProtocols: ["http/1.1"],
  };
  let session: Buffer | undefined;
  for (const reused of [false, true]) {
    witness.forget();
    await new Promise<void>((resolve, reject) => {
      const opened = connectTls({ ...target, ...(session === undefined ? {} : { session }) });
      opened.on("error", reject).on("close", () => resolve());
      opened.on("session", (ticket: Buffer) => (session = ticket));
      opened.once("secureConnect", () => {
        assert.equal(opened.isSessionReused(), reused);
        opened.write("GET /test/v1/echo/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        opened.resume();
      });
    });
    assert.deepEqual(witness.last().peer?.dnsNames, ["client.example"]);
  }
});

/** A gateway of its own certificate in front of a server that may trust it. */
async function behindGateway(
  t: TestContext,
  options: Partial<GrpcServerOptions>,
  gateway: Certificate,
  gatewayOptions: Partial<HttpServerOptions> = {},
) {
  const witness = new Witness();
  const required: ServerTlsOptions = { ...optional, clientCertificates: "required" };
  const grpc = new GrpcServer({ port: 0, tls: required, ...options }).addService(witness);
  await grpc.start();
  const { key, cert } = gateway;
  const http = new HttpServer({
    port: 0,
    upstream: `127.0.0.1:${grpc.address?.port}`,
    dialOptions: { tls: { ca: authority.cert, key, cert } },
    tls: optional,
    ...gatewayOptions,
  }).addService(EchoService);
  await http.start();
  t.after(async () => {
    await http.gracefulStop({ graceMs: 0 });
    await grpc.gracefulStop({ graceMs: 0 });
  });
  const port = http.address?.port ?? 0;
  return {
    witness,
    call: get(port, "/test/v1/echo/a"),
    direct: through(grpc.address?.port ?? 0, createGrpcTransport),
  };
}

test("I14: a server behind a gateway that it trusts knows the gateway's client, and others cannot say so", async (t) => {
  const gateway = createCertificate({ name: "a", uris: ["spiffe://example/gateway"], issuer: authority });
  const trusted = { trustedPeers: ["spiffe://example/gateway"] };
  const { witness, call, direct } = await behindGateway(t, trusted, gateway);
  await call(client);
  const { fingerprint: _, ...peer } = witness.last().peer ?? assert.fail();
  assert.deepEqual(peer, expected);
  assert.deepEqual(Object.keys(witness.last().headers), ["x-forwarded-client-cert"]);
  await call({}); // The gateway does not speak for itself.
  assert.deepEqual(witness.last(), { peer: undefined, headers: {} });
  await direct(client);
  assert.deepEqual(witness.last().peer?.dnsNames, ["client.example"]);
  assert.deepEqual(Object.keys(witness.last().headers), ["x-forwarded-client-cert"]);
  await direct(gateway); // It may say anything.
  assert.deepEqual(witness.last().peer?.uris, ["spiffe://example/root"]);
  assert.equal(witness.last().headers["x-user-id"], "0");
});

test("I20: trusted names are compared whole", async (t) => {
  for (const [trusted, shown] of [
    ["*.example", "gateway.example"],
    ["gateway.example", "*.example"],
    ["gateway.example", "gateway.example.evil"],
    ["gateway.example", "Gateway.example.evil"],
    ["gateway", "gateway.example"],
  ] as const) {
    const gateway = createCertificate({ name: trusted, hosts: [shown], issuer: authority });
    const { witness, call } = await behindGateway(t, { trustedPeers: [trusted] }, gateway);
    await call(client);
    assert.deepEqual(witness.last().peer?.dnsNames, [shown]); // The gateway is a client like others.
  }
});

test("interceptors of a gateway may say who the caller is, to a server that trusts everybody", async (t) => {
  const gateway = createCertificate({ name: "gateway", issuer: authority });
  let met: PeerIdentity | undefined;
  const { witness, call } = await behindGateway(t, { trustedPeers: "everybody" }, gateway, {
    interceptors: [
      (next) => (request) => {
        met = request.contextValues.get(peerIdentityKey);
        request.header.set("x-user-id", "7");
        return next(request);
      },
    ],
  });
  await call(client);
  assert.deepEqual(met?.emails, ["j@example"]);
  assert.equal(witness.last().headers["x-user-id"], "7");
  assert.deepEqual(witness.last().peer?.emails, ["j@example"]);
});
