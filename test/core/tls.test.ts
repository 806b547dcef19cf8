import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { Agent, get } from "node:https";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { connect, type ConnectionOptions } from "node:tls";
import { EchoService } from "../../gen/tsms/test/v1/echo_pb.ts";
import { createClient } from "../../src/core/client.ts";
import { dial } from "../../src/core/dial.ts";
import { GrpcServer } from "../../src/core/grpc-server.ts";
import { readCommandLine } from "../../src/core/flags.ts";
import { tlsFlags, tlsOptions } from "../../src/core/tls-flags.ts";
import { ServerTls, type ServerTlsOptions } from "../../src/core/tls.ts";
import { HttpServer } from "../../src/gateway/http-server.ts";
import { createCertificate, createRevocationList, type Certificate } from "../support/certificates.ts";
import { Echo } from "../support/echo-service.ts";
import { within } from "../support/running-grpc.ts";

const patience = 15_000;
const authority = createCertificate({ name: "authority" });
const hosts = ["127.0.0.1", "localhost"];
const own = createCertificate({ name: "first", hosts, issuer: authority });
const next = createCertificate({ name: "second", hosts, issuer: authority });

interface Running {
  readonly echo: Echo;
  readonly ports: Readonly<Record<"grpc" | "http", number>>;
}

/** Both servers, each on a port of its own, with the same TLS. */
async function running(t: TestContext, tls: ServerTlsOptions, handshakeTimeoutMs = 10_000): Promise<Running> {
  const echo = new Echo();
  const grpc = new GrpcServer({ port: 0, tls, handshakeTimeoutMs }).addService(echo);
  const http = new HttpServer({ port: 0, upstream: grpc, tls, handshakeTimeoutMs }).addService(echo);
  await grpc.start();
  await http.start();
  t.after(async () => {
    await http.gracefulStop({ graceMs: 0 });
    await grpc.gracefulStop({ graceMs: 0 });
  });
  return { echo, ports: { grpc: grpc.address?.port ?? 0, http: http.address?.port ?? 0 } };
}

/** A folder with key and certificate, and how to put others there. */
function files(t: TestContext, certificate: Certificate) {
  const folder = mkdtempSync(join(tmpdir(), "tls-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const put = (name: string, text: string): void => {
    writeFileSync(join(folder, `${name}.new`), text);
    renameSync(join(folder, `${name}.new`), join(folder, name));
  };
  const replace = ({ key, cert }: Certificate): void => {
    put("key.pem", key);
    put("cert.pem", cert);
  };
  replace(certificate);
  const at = (name: string) => ({ file: join(folder, name) });
  return { replace, put, tls: { key: at("key.pem"), cert: at("cert.pem") } };
}

/** Common name of the certificate that the server shows; undefined if the handshake fails. */
async function shown(port: number, options: ConnectionOptions = {}): Promise<string | undefined> {
  const socket = connect({
    port,
    host: "127.0.0.1",
    ca: authority.cert,
    ALPNProtocols: ["h2"],
    ...options,
  });
  try {
    socket.on("error", () => {});
    const failed = new Promise<undefined>((resolve) => socket.once("close", () => resolve(undefined)));
    return await within(
      patience,
      "the handshake",
      Promise.race([
        once(socket, "secureConnect").then(
          () => String(socket.getPeerCertificate().subject.CN),
          () => undefined,
        ),
        failed,
      ]),
    );
  } finally {
    socket.destroy();
  }
}

/** Status of a REST request by HTTP/1.1 over TLS; undefined if the connection fails. */
function rest(port: number, options: ConnectionOptions = {}): Promise<number | undefined> {
  return within(
    patience,
    "the answer",
    new Promise((resolve) => {
      const url = `https://127.0.0.1:${port}/test/v1/echo/a`;
      get(url, { ca: authority.cert, agent: new Agent(), ...options }, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).on("error", () => resolve(undefined));
    }),
  );
}

async function until(what: string, condition: () => Promise<boolean>): Promise<number> {
  const began = performance.now();
  while (!(await condition())) {
    assert.ok(performance.now() - began < patience, `${what} did not happen`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return performance.now() - began;
}

test("I11: old versions, weak ciphers and renegotiation are refused", async (t) => {
  const { ports } = await running(t, { key: own.key, cert: own.cert });
  for (const port of Object.values(ports)) {
    const old = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" } as const;
    assert.equal(await shown(port, old), undefined);
    for (const ciphers of ["RC4-SHA", "DES-CBC3-SHA", "AES128-SHA"]) {
      const weak = { maxVersion: "TLSv1.2", ciphers: `${ciphers}:@SECLEVEL=0` } as const;
      const outcome = await shown(port, weak).catch(() => undefined);
      assert.equal(outcome, undefined, ciphers);
    }
    assert.equal(await shown(port, { maxVersion: "TLSv1.2" }), "first");
    assert.equal(await shown(port), "first");
  }
});

test("I12: required client certificates must be trusted", async (t) => {
  const stranger = createCertificate({ name: "authority" }); // Of the same name, with another key.
  const revoked = createCertificate({ name: "client", issuer: authority });
  const { ports, echo } = await running(t, {
    ...own,
    ca: authority.cert,
    crl: createRevocationList(authority, [revoked]),
    clientCertificates: "required",
  });
  const refused: Record<string, ConnectionOptions> = {
    "no certificate": {},
    "self-signed": createCertificate({ name: "client" }),
    expired: createCertificate({ name: "client", issuer: authority, validDays: [-10, -1] }),
    "not yet valid": createCertificate({ name: "client", issuer: authority, validDays: [1, 10] }),
    "of another authority": createCertificate({ name: "client", issuer: stranger }),
    "for servers only": createCertificate({ name: "client", issuer: authority, serverOnly: true }),
    revoked,
  };
  for (const [name, { key, cert }] of Object.entries(refused)) {
    const options = key === undefined || cert === undefined ? {} : { key, cert };
    assert.equal(await rest(ports.http, options), undefined, name);
  }
  assert.equal(echo.calls, 0);
  const { key, cert } = createCertificate({ name: "client", issuer: authority });
  assert.equal(await rest(ports.http, { key, cert }), 200);
});

test("I13: optional client certificates that are not trusted count as none", async (t) => {
  const { ports } = await running(t, { ...own, ca: authority.cert, clientCertificates: "optional" });
  const { key, cert } = createCertificate({ name: "client" });
  assert.equal(await rest(ports.http), 200);
  assert.equal(await rest(ports.http, { key, cert }), 200);
});

test("I16: odd server names get the certificate there is", async (t) => {
  const { ports } = await running(t, { key: own.key, cert: own.cert });
  for (const port of Object.values(ports)) {
    for (const servername of ["unknown.example", "LocalHost", "x".repeat(250), "a..b", "münchen"]) {
      const name = await shown(port, { servername, checkServerIdentity: () => undefined });
      assert.equal(name, "first", servername);
    }
  }
});

test("I18: new certificates are used within 5 s, and no call fails", async (t) => {
  const { tls, replace } = files(t, own);
  const reloads: (Error | undefined)[] = [];
  const { ports } = await running(t, { ...tls, onReload: (error) => void reloads.push(error) });
  const transport = dial(`127.0.0.1:${ports.grpc}`, { tls: { ca: authority.cert } });
  t.after(() => transport.close());
  const client = createClient(EchoService, transport);
  let running_ = true;
  let calls = 0;
  const load = (async () => {
    const agent = new Agent({ keepAlive: true });
    while (running_) {
      assert.equal((await client.echo({ text: "x" })).text, "x");
      assert.equal(await rest(ports.http, { agent } as ConnectionOptions), 200);
      calls++;
    }
    agent.destroy();
  })();
  assert.deepEqual([await shown(ports.grpc), await shown(ports.http)], ["first", "first"]);
  replace(next);
  for (const port of Object.values(ports)) {
    const tookMs = await until("the new certificate", async () => (await shown(port)) === "second");
    assert.ok(tookMs < 5000);
  }
  running_ = false;
  await load;
  assert.ok(calls > 0);
  assert.ok(reloads.filter((error) => error === undefined).length >= 2);
});

test("I18: files that cannot be used keep those before, and are told once", async (t) => {
  const { tls, put, replace } = files(t, own);
  const problems: Error[] = [];
  const { ports } = await running(t, {
    ...tls,
    checkIntervalMs: 20,
    onReload: (error) => void (error !== undefined && problems.push(error)),
  });
  put("cert.pem", "no certificate");
  await until("the news", () => Promise.resolve(problems.length === 2)); // One from each server.
  assert.match(problems[0]?.message ?? "", /^(GRPC|HTTP): the new TLS files cannot be used/);
  assert.equal(await shown(ports.http), "first");
  assert.equal(await shown(ports.grpc), "first");
  assert.equal(problems.length, 2);
  replace(next);
  await until("the new certificate", async () => (await shown(ports.http)) === "second");
});

test("I19: connections without a handshake are closed", async (t) => {
  const { ports } = await running(t, { key: own.key, cert: own.cert }, 200);
  for (const port of Object.values(ports)) {
    const sockets = Array.from({ length: 200 }, () => connectTcp(port, "127.0.0.1"));
    for (const socket of sockets) {
      t.after(() => socket.destroy());
      socket.on("error", () => {});
      socket.resume();
    }
    assert.equal(await shown(port), "first");
    await Promise.all(
      sockets.map((socket) =>
        within(patience, "the close", new Promise((resolve) => socket.on("close", resolve))),
      ),
    );
  }
  const plain = connectTcp(ports.http, "127.0.0.1");
  plain.on("error", () => {});
  plain.resume();
  plain.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await within(patience, "the close", new Promise((resolve) => plain.on("close", resolve)));
  assert.equal(await rest(ports.http), 200);
});

test("a key that does not belong to its certificate is refused when the server is made", () => {
  const use = { server: "HTTP", protocols: ["h2"], handshakeTimeoutMs: 1 };
  assert.throws(() => new ServerTls({ key: next.key, cert: own.cert }, use), {
    name: "TypeError",
    message: /^HTTP: the option tls cannot be used: /,
  });
  const missing = { key: { file: "/no/such/key.pem" }, cert: own.cert };
  assert.throws(() => new ServerTls(missing, use), /no such file/);
});

test("flags of TLS that do not fit are named", (t) => {
  const { tls } = files(t, own);
  const read = (...argv: string[]) => {
    const line = readCommandLine("program", tlsFlags, argv);
    assert.ok(line.kind === "run");
    return tlsOptions(line.flags);
  };
  const cert = ["--tls-cert", tls.cert.file];
  const key = ["--tls-key", tls.key.file];
  assert.equal(read(), undefined);
  assert.deepEqual(read(...cert, ...key), { ...tls, clientCertificates: "none" });
  assert.throws(() => read(...cert), /--tls-cert and --tls-key/);
  assert.throws(() => read(...cert, ...key, "--tls-client", "required"), /needs --tls-client-ca/);
  assert.throws(() => read("--tls-client-ca", tls.cert.file), /needs --tls-cert and --tls-key/);
});
