import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { test, suite, type TestContext } from "node:test";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";
import { promisify } from "node:util";
import { App } from "../../../src/app/app.ts";
import { SetupError } from "../../../src/core/errors/setup-error.ts";
import { endNotices } from "../../../src/core/net/certificate-end.ts";
import { certificateExpiries, ServerTls, type ServerTlsOptions } from "../../../src/core/net/tls.ts";
import { tlsSuites } from "../../../src/core/net/tls-profile.ts";
import { createCertificate } from "../../support/certificates.ts";
import { within } from "../../support/running-grpc.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";

const authority = createCertificate({ name: "authority" });
const own = createCertificate({ name: "own", hosts: ["localhost", "own.example"], issuer: authority });
const api = createCertificate({ name: "api", hosts: ["api.example", "*.api.example"], issuer: authority });
const client = createCertificate({ name: "client", issuer: authority });
const dayMs = 86_400_000;

/** A server that keeps connections open, with a clock that the test moves. */
async function serving(t: TestContext, options: Partial<ServerTlsOptions> = {}) {
  const clock = new VirtualClock();
  const tls = new ServerTls(
    { key: own.key, cert: own.cert, ...options },
    { server: "TEST", protocols: ["h2"], handshakeTimeoutMs: 10_000 },
  );
  const server = tls.createServer((socket) => void socket.write("x"));
  const stop = tls.follow(server, { clock, nowMs: () => Date.now() + clock.nowMs() });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    stop();
    server.close();
  });
  const address = server.address();
  return { clock, stop, port: typeof address === "object" ? (address?.port ?? 0) : 0 };
}

/** A connection after its handshake; undefined if that fails. */
async function joined(t: TestContext, port: number, options: ConnectionOptions = {}) {
  const socket = connect({
    port,
    host: "127.0.0.1",
    servername: "localhost",
    ca: authority.cert,
    ALPNProtocols: ["h2"],
    ...options,
  });
  t.after(() => socket.destroy());
  const work = once(socket, "secureConnect").then(
    () => socket,
    () => undefined,
  );
  socket.on("error", () => {});
  return within(10_000, "the handshake", work);
}

test("D6: TLS 1.2 has the suites of Mozilla's intermediate level, and the client's order decides", async (t) => {
  const { port } = await serving(t);
  const chosen = async (ciphers: string) =>
    (await joined(t, port, { maxVersion: "TLSv1.2", ciphers }))?.getCipher().name;
  const possible = tlsSuites.filter((name) => name.includes("ECDSA"));
  assert.equal(possible.length, 3);
  for (const suite of possible) assert.equal(await chosen(suite), suite);
  for (const order of [possible, possible.toReversed()])
    assert.equal(await chosen(order.join(":")), order[0]);
  for (const weak of ["ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-AES128-CCM"]) {
    assert.equal(await chosen(`${weak}:@SECLEVEL=0`), undefined, weak);
  }
});

test("D6: a client cannot renegotiate, and nothing is compressed", async (t) => {
  const { port } = await serving(t);
  const socket = await joined(t, port, { maxVersion: "TLSv1.2" });
  assert.ok(socket !== undefined);
  socket.renegotiate({}, () => {});
  const failed = new Promise<NodeJS.ErrnoException>((resolve) => socket.once("error", resolve));
  assert.equal((await within(10_000, "the refusal", failed)).code, "ERR_SSL_NO_RENEGOTIATION");
  const child = promisify(execFile)("openssl", [
    "s_client",
    "-connect",
    `127.0.0.1:${port}`,
    "-comp",
    "-tls1_2",
  ]);
  child.child.stdin?.end();
  const { stdout } = await child.catch((error: unknown) => error as { stdout: string }); // Its output is there anyway.
  assert.match(stdout, /Compression: NONE/);
});

test("D6: with minVersion 1.3 nothing older is spoken; curves are those that are given", async (t) => {
  const { port } = await serving(t, { minVersion: "1.3", curves: ["P-256"] });
  assert.equal(await joined(t, port, { maxVersion: "TLSv1.2" }), undefined);
  assert.equal((await joined(t, port))?.getProtocol(), "TLSv1.3");
  assert.equal(await joined(t, port, { ecdhCurve: "X25519" }), undefined);
});

test("D6: the certificate is that of the name that a client asks for, also after a reload", async (t) => {
  await using files = await TemporaryFiles.create();
  const further = {
    cert: { file: await files.write("api.pem", api.cert) },
    key: { file: await files.write("api.key", api.key) },
  };
  const reloads: unknown[] = [];
  const { port } = await serving(t, {
    sni: [further],
    ca: authority.cert,
    clientCertificates: "required",
    checkIntervalMs: 20,
    onReload: (error) => reloads.push(error),
  });
  const shown = async (servername: string): Promise<unknown> => {
    const options = { servername, checkServerIdentity: () => undefined, key: client.key, cert: client.cert };
    const socket = await joined(t, port, options);
    if (socket === undefined) return undefined;
    await within(10_000, "the first byte", once(socket, "data")); // The server has accepted the client's certificate.
    return socket.getPeerCertificate().subject.CN;
  };
  for (const [name, expected] of [
    ["api.example", "api"],
    ["API.example", "api"],
    ["eu.api.example", "api"],
    ["a.eu.api.example", "own"],
    ["own.example", "own"],
    ["unknown.example", "own"],
  ] as const) {
    assert.equal(await shown(name), expected, name);
  }
  const renewed = createCertificate({ name: "renewed", hosts: ["new.example"], issuer: authority });
  await files.write("api.pem", renewed.cert);
  await files.write("api.key", renewed.key);
  const began = performance.now();
  while ((await shown("new.example")) !== "renewed") assert.ok(performance.now() - began < 5_000);
  assert.equal(await shown("api.example"), "own");
  assert.equal(reloads.at(-1), undefined);
});

test("D6: keys of session tickets are turned over every 12 h", async (t) => {
  const { port, clock, stop } = await serving(t);
  const options = { maxVersion: "TLSv1.2" } as const;
  const first: TLSSocket | undefined = await joined(t, port, options);
  const session = first?.getSession();
  assert.ok(session !== undefined);
  const isResumed = async () => (await joined(t, port, { ...options, session }))?.isSessionReused();
  assert.equal(await isResumed(), true);
  clock.advance(12 * 3_600_000 - 1);
  assert.equal(await isResumed(), true);
  clock.advance(1);
  assert.equal(await isResumed(), false);
  stop();
  assert.equal(clock.nextMs, undefined);
});

suite("D7: the end of a certificate", () => {
  const rows: readonly [name: string, validDays: [number, number], says: RegExp | undefined][] = [
    ["22 days ahead", [-1, 22], undefined],
    [
      "20 days ahead",
      [-1, 20.5],
      /^X: the certificate ends on \d{4}-\d\d-\d\d \d\d:\d\d UTC, in 20 days; renew it$/,
    ],
    ["today", [-1, 0.5], /in less than a day; renew it$/],
    ["passed", [-2, -1], /^X: the certificate ended on .*; clients refuse it until it is renewed$/],
    ["not yet begun", [2, 90], /^X: the certificate begins on .* only/],
  ];
  for (const [name, validDays, says] of rows) {
    test(name, () => {
      const { cert } = createCertificate({ name: "x", validDays });
      const notices = endNotices({ cert }, "X", Date.now());
      assert.equal(notices.length, says === undefined ? 0 : 1);
      if (says !== undefined) assert.match(notices[0] ?? "", says);
    });
  }

  test("one in 21 days is warned of daily, and a further certificate of the chain too", async (t) => {
    const texts: string[] = [];
    const ending = createCertificate({ name: "ending", validDays: [-1, 22.5] });
    const chain = createCertificate({ name: "chain", validDays: [-1, 5.5] });
    const { clock, stop } = await serving(t, {
      key: ending.key,
      cert: ending.cert + chain.cert,
      onWarning: (text) => texts.push(text),
    });
    assert.equal(certificateExpiries.get("test"), Date.parse(new X509Certificate(chain.cert).validTo));
    assert.equal(texts.length, 1);
    assert.match(
      texts[0] ?? "",
      /^TEST: tls\.cert: certificate 2 of the chain ends on .*, in 5 days; renew it$/,
    );
    clock.advance(dayMs);
    assert.equal(texts.length, 2);
    clock.advance(dayMs);
    assert.equal(texts.length, 4);
    assert.match(texts[2] ?? "", /^TEST: tls\.cert: the certificate ends on .*, in 20 days; renew it$/);
    stop();
    clock.advance(7 * dayMs);
    assert.equal(texts.length, 4);
  });

  test("an ended one warns at start, and the server serves", async (t) => {
    const texts: string[] = [];
    const ended = createCertificate({ name: "ended", validDays: [-3, -1] });
    const { port } = await serving(t, { ...ended, onWarning: (text) => texts.push(text) });
    assert.match(texts[0] ?? "", /^TEST: tls\.cert: the certificate ended on/);
    const socket = await joined(t, port, { rejectUnauthorized: false });
    assert.equal(socket?.getPeerCertificate().subject.CN, "ended");
  });
});

suite("options that cannot be used are refused and named", () => {
  const rows: readonly [name: string, options: Partial<ServerTlsOptions>, says: RegExp][] = [
    [
      "an unknown suite",
      { ciphers: ["AES-1"] },
      /tls\.ciphers: "AES-1" is no cipher suite that OpenSSL knows/,
    ],
    [
      "a suite of TLS 1.3",
      { ciphers: ["TLS_AES_128_GCM_SHA256"] },
      /a suite of TLS 1\.3, which are always offered/,
    ],
    ["a suite without parameters", { ciphers: ["DHE-RSA-AES128-GCM-SHA256"] }, /cannot be used here/],
    ["no suite", { ciphers: [] }, /tls\.ciphers: it is empty/],
    ["an unknown curve", { curves: ["P-1"] }, /tls\.curves: "P-1" is no group that OpenSSL knows/],
    ["two curves in one text", { curves: ["P-256:P-384"] }, /tls\.curves: /],
    [
      "another's key",
      { sni: [{ cert: api.cert, key: own.key }] },
      /tls\.sni\[0\]\.key: this is not the private key of tls\.sni\[0\]\.cert/,
    ],
    [
      "no names",
      { sni: [client] },
      /tls\.sni\[0\]\.names: none are given, and the certificate has no DNS names/,
    ],
    [
      "an odd name",
      { sni: [{ ...api, names: ["https://x"] }] },
      /tls\.sni\[0\]\.names: "https:\/\/x" is no host name/,
    ],
    [
      "a name twice",
      { sni: [api, { ...api, names: ["API.example"] }] },
      /"API\.example" is a name of sni\[0\] too/,
    ],
  ];
  const use = { server: "TEST", protocols: ["h2"], handshakeTimeoutMs: 10_000 };
  for (const [name, options, says] of rows) {
    test(name, () => {
      const make = () => new ServerTls({ key: own.key, cert: own.cert, ...options }, use);
      assert.throws(make, (error) => error instanceof SetupError && says.test(error.message));
    });
  }
});

suite("the section tls of the configuration", () => {
  const load = async (tls: string, files: TemporaryFiles) => {
    const config = await files.write(
      "config.yaml",
      `http: { port: 0 }\ngrpc: { port: 0 }\ntelemetry: { metrics: { port: 0 } }\ntls:\n${tls}`,
    );
    return App.load({ argv: ["--config", config], env: {} });
  };

  test("versions, suites, curves and further certificates come to both servers", async (t) => {
    await using files = await TemporaryFiles.create();
    const [apiCert, apiKey] = [await files.write("api.pem", api.cert), await files.write("api.key", api.key)];
    const lines = [
      `cert: ${await files.write("cert.pem", own.cert)}`,
      `key: ${await files.write("key.pem", own.key)}`,
      `ciphers: [ECDHE-ECDSA-AES256-GCM-SHA384]`,
      `curves: [P-256]`,
      `sni: [{ names: [other.example], cert: ${apiCert}, key: ${apiKey} }]`,
    ];
    const app = await load(lines.map((line) => `  ${line}\n`).join(""), files);
    await app.start();
    try {
      for (const name of ["grpc", "http"]) {
        const server = app.servers.find((one) => one.name === name);
        const port = Number(server?.addresses[0]?.split(":").at(-1));
        const checkServerIdentity = () => undefined;
        const options = { servername: "other.example", maxVersion: "TLSv1.2", checkServerIdentity } as const;
        const socket = await joined(t, port, options);
        assert.equal(socket?.getPeerCertificate().subject.CN, "api", name);
        assert.equal(socket?.getCipher().name, "ECDHE-ECDSA-AES256-GCM-SHA384");
        assert.equal(await joined(t, port, { ecdhCurve: "X25519" }), undefined);
      }
    } finally {
      await app.stop();
    }
  });
});
