import assert from "node:assert/strict";
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { Agent, get } from "node:https";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test, type TestContext } from "node:test";
import { connect, type ConnectionOptions } from "node:tls";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { createClient } from "../../../src/core/call/client.ts";
import { dial } from "../../../src/core/dial.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { readCommandLine } from "../../../src/core/config/flags.ts";
import { upstreamFlags, upstreamOf } from "../../../src/core/grpc/client/upstream-flags.ts";
import { SetupError } from "../../../src/core/errors/setup-error.ts";
import { tlsFlags, tlsOptions } from "../../../src/core/net/tls-flags.ts";
import type { ServerTlsOptions } from "../../../src/core/net/tls.ts";
import { HttpServer } from "../../../src/gateway/http-server.ts";
import { createCertificate, createRevocationList, type Certificate } from "../../support/certificates.ts";
import { crowdLeft, crowdSize, openCrowd } from "../../support/crowd.ts";
import { Echo } from "../../support/echo-service.ts";
import { within } from "../../support/running-grpc.ts";

const patience = 15_000;
const authority = createCertificate({ name: "authority" });
const hosts = ["127.0.0.1", "localhost"];
const own = createCertificate({ name: "first", hosts, issuer: authority });
const next = createCertificate({ name: "second", hosts, issuer: authority });

type PortName = "grpc" | "http" | "one";

interface Running {
  readonly echo: Echo;
  readonly ports: Readonly<Record<PortName, number>>;
}

/** Both servers, each on a port of its own, and both on one port, with the same TLS. */
async function running(t: TestContext, tls: ServerTlsOptions, handshakeTimeoutMs = 10_000): Promise<Running> {
  const echo = new Echo();
  const grpc = new GrpcServer({ port: 0, tls, handshakeTimeoutMs }).addService(echo);
  const http = new HttpServer({ port: 0, upstream: grpc, tls, handshakeTimeoutMs }).addService(echo);
  const one = new HttpServer({ port: 0, upstream: grpc, grpc, tls, handshakeTimeoutMs }).addService(echo);
  const servers = [grpc, http, one];
  for (const server of servers) await server.start();
  t.after(async () => {
    for (const server of servers.reverse()) await server.gracefulStop({ graceMs: 0 });
  });
  const [grpcPort = 0, httpPort = 0, onePort = 0] = servers.map(({ address }) => address?.port);
  return { echo, ports: { grpc: grpcPort, http: httpPort, one: onePort } };
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

/** Whether a call over gRPC with these certificates is answered. */
async function call(port: number, { key, cert }: Partial<Certificate> = {}): Promise<boolean> {
  const pair = key === undefined || cert === undefined ? {} : { key, cert };
  const transport = dial(`127.0.0.1:${port}`, { tls: { ca: authority.cert, ...pair } });
  try {
    const work = createClient(EchoService, transport).echo({ text: "x" }, { timeoutMs: patience });
    return (await within(2 * patience, "the call", work)).text === "x";
  } catch (reason) {
    assert.ok(reason instanceof ConnectError);
    assert.equal(reason.code, Code.Unavailable, reason.message);
    return false;
  } finally {
    transport.close();
  }
}

/** Ways to make a call through these ports, each of which says whether it was answered. */
function callsThrough({ grpc, http, one }: Running["ports"]) {
  const answered = (port: number) => async (certificate?: Certificate) => {
    const { key, cert } = certificate ?? {};
    return (await rest(port, key === undefined || cert === undefined ? {} : { key, cert })) === 200;
  };
  return {
    "gRPC on its port": (certificate?: Certificate) => call(grpc, certificate),
    "REST on its port": answered(http),
    "gRPC on the one port": (certificate?: Certificate) => call(one, certificate),
    "REST on the one port": answered(one),
  };
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
  const refused: Record<string, Certificate | undefined> = {
    "no certificate": undefined,
    "self-signed": createCertificate({ name: "client" }),
    expired: createCertificate({ name: "client", issuer: authority, validDays: [-10, -1] }),
    "not yet valid": createCertificate({ name: "client", issuer: authority, validDays: [1, 10] }),
    "of another authority": createCertificate({ name: "client", issuer: stranger }),
    "for servers only": createCertificate({ name: "client", issuer: authority, serverOnly: true }),
    revoked,
  };
  for (const [door, isAnswered] of Object.entries(callsThrough(ports))) {
    for (const [name, certificate] of Object.entries(refused)) {
      assert.equal(await isAnswered(certificate), false, `${door}, ${name}`);
    }
    assert.equal(echo.calls, 0);
  }
  const good = createCertificate({ name: "client", issuer: authority });
  for (const [door, isAnswered] of Object.entries(callsThrough(ports)))
    assert.ok(await isAnswered(good), door);
});

test("I13: optional client certificates that are not trusted count as none", async (t) => {
  const { ports } = await running(t, { ...own, ca: authority.cert, clientCertificates: "optional" });
  const stranger = createCertificate({ name: "client" });
  for (const [door, isAnswered] of Object.entries(callsThrough(ports))) {
    assert.ok(await isAnswered(), door);
    assert.ok(await isAnswered(stranger), door);
  }
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
  for (const port of Object.values(ports)) assert.equal(await shown(port), "first");
  replace(next);
  for (const port of Object.values(ports)) {
    const tookMs = await until("the new certificate", async () => (await shown(port)) === "second");
    assert.ok(tookMs < 5000);
  }
  running_ = false;
  await load;
  assert.ok(calls > 0);
  assert.ok(reloads.filter((error) => error === undefined).length >= 3);
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
  await until("the news", () => Promise.resolve(problems.length === 3)); // One from each server.
  assert.match(problems[0]?.message ?? "", /^(GRPC|HTTP): the changed TLS files cannot be used/);
  for (const port of Object.values(ports)) assert.equal(await shown(port), "first");
  assert.equal(problems.length, 3);
  replace(next);
  for (const port of Object.values(ports)) {
    await until("the new certificate", async () => (await shown(port)) === "second");
  }
});

test("I17: by ALPN clients get HTTP/2 or HTTP/1.1, an alert, or on a port for gRPC alone a clear answer", async (t) => {
  const { ports } = await running(t, { key: own.key, cert: own.cert });
  const outcome = (port: number, ALPNProtocols: string[] | undefined): Promise<string> => {
    const options = ALPNProtocols === undefined ? {} : { ALPNProtocols };
    const socket = connect({ port, host: "127.0.0.1", ca: authority.cert, ...options });
    t.after(() => socket.destroy());
    let text = "";
    const end = new Promise<string>((resolve) => {
      socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? ""));
      socket.once("secureConnect", () => {
        const spoken = socket.alpnProtocol === "h2" ? "h2" : undefined;
        if (spoken !== undefined) resolve(spoken);
        socket.write("GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
      });
      socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
      socket.on("close", () => resolve(text));
    });
    return within(patience, "the outcome", end);
  };
  for (const [name, port] of Object.entries(ports)) {
    assert.equal(await outcome(port, ["h2"]), "h2", name);
    assert.equal(await outcome(port, ["foo"]), "ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL", name);
    for (const protocols of [["http/1.1"], undefined]) {
      const answer = await outcome(port, protocols);
      if (name === "grpc")
        assert.match(answer, /^HTTP\/1\.1 426 [^]*This port speaks gRPC, over HTTP\/2 only/);
      else assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/, name);
    }
  }
});

test("I19: connections without a handshake are closed", async (t) => {
  const { ports } = await running(t, { key: own.key, cert: own.cert }, 2000);
  const size = crowdSize(t, 2000, 3);
  const crowds = await Promise.all(Object.values(ports).map((port) => openCrowd(t, port, size)));
  for (const port of Object.values(ports)) {
    await until("a handshake beside the crowd", async () => (await shown(port)) === "first");
  }
  for (const crowd of crowds) await crowdLeft(crowd);
  const plain = connectTcp(ports.http, "127.0.0.1");
  plain.on("error", () => {});
  plain.resume();
  plain.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await within(patience, "the close", new Promise((resolve) => plain.on("close", resolve)));
  assert.equal(await rest(ports.http), 200);
});

/** Texts that are no key and no certificate of `own`, by part, and what is said of them. */
const unusable: readonly [name: string, part: "cert" | "key" | "ca", text: string, says: RegExp][] = [
  ["junk", "cert", "hello", /it holds no certificate in PEM form$/],
  ["an empty file", "cert", "", /it is empty$/],
  ["a key", "cert", own.key, /it holds a private key and no certificate in PEM form$/],
  ["a broken certificate", "cert", broken(own.cert), /certificate 1 in it is broken \(.+\)$/],
  [
    "a chain with a broken end",
    "cert",
    own.cert + broken(next.cert),
    /certificate 2 in it is broken \(.+\)$/,
  ],
  ["junk", "key", "hello", /it holds no private key in PEM form$/],
  ["an empty file", "key", "\n", /it is empty$/],
  ["a certificate", "key", own.cert, /it holds a certificate and no private key in PEM form$/],
  ["a broken key", "key", broken(own.key), /the private key in it is broken \(.+\)$/],
  [
    "an encrypted key",
    "key",
    encrypted(own.key),
    /the private key is encrypted; decrypt it with `openssl pkey/,
  ],
  ["another's key", "key", next.key, /this is not the private key of .*cert/],
  ["a key of another kind", "key", rsaKey(), /this is not the private key of .*cert/],
  ["junk", "ca", "hello", /it holds no certificate in PEM form$/],
  ["a key", "ca", own.key, /it holds a private key and no certificate/],
  [
    "a list with a broken certificate",
    "ca",
    authority.cert + broken(own.cert),
    /certificate 2 in it is broken/,
  ],
];

function broken(pem: string): string {
  return pem.split("\n").toSpliced(1, 1).join("\n");
}

function encrypted(key: string): string {
  const options = { type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "secret" } as const;
  return createPrivateKey(key).export(options).toString();
}

function rsaKey(): string {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}

for (const [name, part, text, says] of unusable) {
  test(`${name} as ${part} is refused when a server or client is made, and names it`, (t) => {
    const { put, tls } = files(t, own);
    put("bad.pem", text);
    const file = join(dirname(tls.key.file), "bad.pem");
    const refusal = (make: () => unknown): string => {
      try {
        make();
      } catch (error) {
        assert.ok(error instanceof SetupError);
        return error.message;
      }
      return assert.fail("it was taken");
    };
    const named = refusal(() => new GrpcServer({ tls: { ...tls, [part]: { file } } }));
    assert.ok(named.startsWith(`GRPC: the option tls cannot be used: tls.${part} (${file}): `), named);
    assert.match(named, says);
    assert.match(
      refusal(() => new HttpServer({ upstream: "x:1", tls: { ...own, [part]: text } })),
      says,
    );
    const parts = part === "ca" ? {} : { key: own.key, cert: own.cert };
    const client = refusal(() => dial("x:1", { tls: { ...parts, [part]: text } }));
    assert.ok(client.startsWith(`tls cannot be used: tls.${part}: `), client);
    assert.match(client, says);

    const serving: Record<string, string> = {
      cert: tls.cert.file,
      key: tls.key.file,
      ...{ [part]: file },
    };
    const words = (prefix: string, ca: string) =>
      Object.entries(serving).flatMap(([name, path]) => [`--${prefix}-${name === "ca" ? ca : name}`, path]);
    for (const [prefix, ca, read] of [
      ["tls", "client-ca", readServerFlags],
      ["grpc", "ca", readClientFlags],
    ] as const) {
      const message = refusal(() => read(...words(prefix, ca)));
      assert.ok(message.startsWith(`--${prefix}-${part === "ca" ? ca : part} ${file}: `), message);
      assert.match(message, says);
    }
  });
}

test("parts of TLS that are missing, and files that cannot be read, are named", () => {
  const make = (tls: object) => () => new GrpcServer({ tls: tls as ServerTlsOptions }); // As JavaScript may.
  assert.throws(make({}), { name: "TypeError", message: /: tls\.key is missing$/ });
  assert.throws(make({ key: own.key }), { message: /: tls\.cert is missing$/ });
  assert.throws(make({ ...own, key: { file: "/no/such/key.pem" } }), {
    message: /: tls\.key \(\/no\/such\/key\.pem\): no such file$/,
  });
  assert.throws(make({ ...own, cert: { file: "/" } }), {
    message: /: tls\.cert \(\/\): this is a folder, not a file$/,
  });
  assert.throws(make({ ...own, cert: "/etc/cert.pem" }), { message: /a file is given as \{ file: "…" \}/ });
  assert.throws(make({ ...own, crl: "hello" }), { message: /: tls\.crl .*Failed to parse CRL/ });
});

test("authorities that no client is checked against are a warning", async () => {
  const warned = once(process, "warning") as Promise<[Error]>;
  new HttpServer({ upstream: "x:1", tls: { ...own, ca: authority.cert } });
  assert.match((await warned)[0].message, /^HTTP: tls\.ca is given, but tls\.clientCertificates is not/);
});

function readServerFlags(...argv: string[]): ServerTlsOptions | undefined {
  const line = readCommandLine("program", tlsFlags, argv);
  assert.ok(line.kind === "run");
  return tlsOptions(line.flags);
}

function readClientFlags(...argv: string[]): ReturnType<typeof upstreamOf> {
  const line = readCommandLine("program", upstreamFlags, argv);
  assert.ok(line.kind === "run");
  return upstreamOf(line.flags);
}

test("flags of TLS that do not fit are named", (t) => {
  const { tls, put } = files(t, own);
  put("ca.pem", authority.cert);
  const ca = join(dirname(tls.key.file), "ca.pem");
  const cert = ["--tls-cert", tls.cert.file];
  const key = ["--tls-key", tls.key.file];
  assert.equal(readServerFlags(), undefined);
  assert.deepEqual(readServerFlags(...cert, ...key), { ...tls, clientCertificates: "none" });
  assert.throws(() => readServerFlags(...cert), /--tls-cert and --tls-key/);
  assert.throws(() => readServerFlags(...cert, ...key, "--tls-client", "required"), /needs --tls-client-ca/);
  assert.throws(() => readServerFlags("--tls-client-ca", tls.cert.file), /needs --tls-cert and --tls-key/);
  assert.throws(() => readClientFlags("--grpc-cert", tls.cert.file), /--grpc-cert and --grpc-key/);
  assert.deepEqual(readClientFlags("--grpc-ca", ca).options.tls, { ca: Buffer.from(authority.cert) });

  const line = readCommandLine("program", tlsFlags, [...cert, ...key, "--tls-client-ca", ca]);
  assert.ok(line.kind === "run");
  const warnings: string[] = [];
  const warn = (_: object, text: string) => void warnings.push(text);
  const log = { info: () => assert.fail(), error: () => assert.fail(), warn };
  assert.equal(tlsOptions(line.flags, log)?.clientCertificates, "none");
  assert.match(warnings.join(), /^no client certificate is requested: --tls-client-ca needs --tls-client/);
  const decided = readCommandLine("program", tlsFlags, [
    ...cert,
    ...key,
    "--tls-client-ca",
    ca,
    "--tls-client",
    "none",
  ]);
  assert.ok(decided.kind === "run");
  tlsOptions(decided.flags, log);
  assert.equal(warnings.length, 1);
});
