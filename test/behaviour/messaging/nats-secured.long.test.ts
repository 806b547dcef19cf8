/** NATS over TLS, with users and what these may do, by the options of `openBroker`. */
import assert from "node:assert/strict";
import { suite, test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { SetupError } from "../../../src/core/errors/setup-error.ts";
import { Code } from "../../../src/core/errors/errors.ts";
import type { Broker } from "../../../src/messaging/broker.ts";
import { openBroker, type OpenBrokerOptions } from "../../../src/messaging/brokers.ts";
import { messageTo, newTopic, publish, Reading, refusalOf, specOf } from "../../support/brokers/readings.ts";
import { createCertificate } from "../../support/certificates.ts";
import { natsIdentities } from "../../support/nats-identities.ts";
import { NatsServer, withoutNats as skip } from "../../support/nats-server.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";
import { soon } from "./rabbitmq-fixture.ts";

const reconnect = { initialMs: 100, maxMs: 1_000 };
const inTime = 10_000;

async function serverOf(t: TestContext, config: string): Promise<NatsServer> {
  const server = await NatsServer.start(config);
  t.after(() => server.stop());
  return server;
}

async function brokerOf(t: TestContext, url: string, options: OpenBrokerOptions = {}): Promise<Broker> {
  const broker = await openBroker(url, { reconnect, ...options });
  t.after(() => broker.gracefulStop({ graceMs: 0 }));
  return broker;
}

/** A message is stored and read. */
async function checkCarries(broker: Broker): Promise<void> {
  const topic = newTopic();
  const reading = await Reading.start(broker, specOf(topic, "g"), true);
  await publish(broker, messageTo(topic, "text"));
  await reading.until(1, inTime);
  assert.deepEqual(reading.texts, ["text"]);
}

/** Opening fails at once, with a text that names the cure and no secret. */
async function checkRefused(url: string, options: OpenBrokerOptions, says: RegExp): Promise<void> {
  await assert.rejects(openBroker(url, { reconnect, ...options }), (error) => {
    assert.ok(error instanceof SetupError, String(error));
    assert.match(error.message, says);
    assert.doesNotMatch(error.message, /secret/);
    return true;
  });
}

/** The URL with a user in it. */
function asUser(url: string, user: string): string {
  return url.replace("//", `//${user}@`);
}

suite("NATS over TLS:", { skip }, () => {
  const ca = createCertificate({ name: "ca" });
  const stranger = createCertificate({ name: "stranger" });
  const own = createCertificate({ name: "localhost", hosts: ["localhost"], issuer: ca });
  const client = createCertificate({ name: "shop", issuer: ca });

  async function secured(t: TestContext, verify: boolean) {
    const files = await TemporaryFiles.create();
    t.after(() => files[Symbol.asyncDispose]());
    const file = (name: string, content: string): Promise<string> => files.write(`${name}.pem`, content);
    const pem = {
      ca: await file("ca", ca.cert),
      cert: await file("cert", client.cert),
      key: await file("key", client.key),
    };
    const [cert, key] = [await file("own", own.cert), await file("own-key", own.key)];
    const tls = { cert_file: cert, key_file: key, ca_file: pem.ca, verify, timeout: 5 };
    const { port } = await serverOf(t, `tls: ${JSON.stringify(tls)}\n`);
    return { pem, stranger: await file("stranger", stranger.cert), url: `tls://localhost:${port}`, port };
  }

  test("messages are stored and read, with a certificate of the client's own", async (t) => {
    const { url, port, pem } = await secured(t, true);
    await checkCarries(await brokerOf(t, url, { tls: pem }));
    // The option alone is enough.
    await checkCarries(await brokerOf(t, `nats://localhost:${port}`, { tls: pem }));
    // A refusal at the opening, or, where the reset of the connection came before its reason, what the broker says then.
    const without = openBroker(url, { reconnect, tls: { ca: pem.ca } });
    t.after(async () => (await without.catch(() => undefined))?.gracefulStop({ graceMs: 0 }));
    await assert.rejects(
      without.then((broker) => broker.check?.()),
      /wants a certificate of this client.*tls\.cert and tls\.key/,
    );
  });

  test("what is not trusted is an error of the setup with its cure, and is not tried again", async (t) => {
    const { url, port, pem, stranger: other } = await secured(t, false);
    await checkCarries(await brokerOf(t, url, { tls: { ca: pem.ca } }));
    await checkRefused(url, { tls: { ca: other } }, new RegExp(`localhost:${port}: .*authority.*tls\\.ca`));
    await checkRefused(url, {}, /authority.*tls\.ca/);
    await checkRefused(
      `tls://127.0.0.1:${port}`,
      { tls: { ca: pem.ca } },
      /another name: set tls\.serverName/,
    );
    const named = { ca: pem.ca, serverName: "localhost" };
    await checkCarries(await brokerOf(t, `tls://127.0.0.1:${port}`, { tls: named }));
    const plain = await serverOf(t, "");
    await checkRefused(
      `tls://localhost:${plain.port}`,
      { tls: { ca: pem.ca } },
      /has no TLS: use a URL that begins with nats/,
    );
  });
});

suite("users of NATS:", { skip }, () => {
  test("user and password", async (t) => {
    const { url } = await serverOf(t, "authorization { user: shop, password: s@cret }\n");
    await checkCarries(await brokerOf(t, asUser(url, "shop:s%40cret")));
    await checkRefused(
      asUser(url, "shop:secret"),
      {},
      /refuses the user shop: check user and password of the URL/,
    );
    await checkRefused(url, {}, /refuses a client without a name: give the URL user:password@/);
  });

  test("a token", async (t) => {
    const { url } = await serverOf(t, "authorization { token: t0ken }\n");
    await checkCarries(await brokerOf(t, asUser(url, "t0ken")));
    await checkRefused(asUser(url, "secret"), {}, /refuses the token of the URL/);
  });

  test("a file of credentials, whose user an operator has made", async (t) => {
    const files = await TemporaryFiles.create();
    t.after(() => files[Symbol.asyncDispose]());
    const identities = natsIdentities();
    const { url } = await serverOf(t, identities.config);
    const credentials = await files.write("shop.creds", identities.credentials);
    await checkCarries(await brokerOf(t, url, { nats: { credentials } }));
    const others = await files.write("others.creds", natsIdentities().credentials);
    await checkRefused(
      url,
      { nats: { credentials: others } },
      /refuses the user of .*others\.creds: check the file/,
    );
    const broken = await files.write("broken.creds", "secret");
    await checkRefused(url, { nats: { credentials: broken } }, /has none as nsc writes them.*broken\.creds/);
    await checkRefused(url, { nats: { credentials: "/none.creds" } }, /cannot be read: \/none\.creds/);
  });
});

suite("permissions at NATS:", { skip }, () => {
  /** What its one user may do. */
  const allowing = (permissions: object, password = "secret"): string => {
    const users = [{ user: "shop", password, permissions }];
    return `authorization: ${JSON.stringify({ users })}\n`;
  };
  const all = allowing({ publish: ">", subscribe: ">" });

  test("12 M17: permission to publish is taken and given back: PERMISSION_DENIED meanwhile, then stored within 5 s", async (t) => {
    const server = await serverOf(t, all);
    const broker = await brokerOf(t, asUser(server.url, "shop:secret"));
    const reading = await Reading.start(broker, specOf("orders", "g"), true);
    await publish(broker, messageTo("orders", "before"));
    server.reload(allowing({ publish: { deny: "orders" }, subscribe: ">" }));
    let last = 0;
    const isRefused = async (): Promise<boolean> => {
      const [outcome] = await broker.publish([messageTo("orders", `${last++}`)], {
        signal: AbortSignal.timeout(inTime),
      });
      return outcome !== undefined && "code" in outcome;
    };
    await soon(isRefused);
    const refused = await Promise.all([1, 2, 3].map(() => refusalOf(broker, messageTo("orders", "refused"))));
    for (const { code, rawMessage } of refused) {
      assert.equal(code, Code.PermissionDenied);
      assert.match(rawMessage, /^not sent: NATS: no permission to publish to orders/);
    }
    await publish(broker, messageTo("others", "goes on"));
    server.reload(all);
    const givenMs = performance.now();
    await soon(async () => !(await isRefused()), 5_000);
    assert.ok(performance.now() - givenMs < 5_000);
    await soon(() => reading.texts.at(-1) === String(last - 1), 5_000);
    assert.ok(!reading.texts.includes("refused"));
    assert.equal(broker.connection.reconnects, 0);
  });

  test("M17: permission to read is taken for 20 s and given back: `check` names it, and reading goes on within 5 s", async (t) => {
    const server = await serverOf(t, all);
    const broker = await brokerOf(t, asUser(server.url, "shop:secret"));
    const reading = await Reading.start(broker, specOf("orders", "g"), true);
    await publish(broker, messageTo("orders", "1"));
    await reading.until(1, inTime);
    server.reload(allowing({ publish: { deny: "$JS.API.CONSUMER.MSG.NEXT.>" }, subscribe: ">" }));
    const why = (): Promise<string> => broker.check().then(() => "", String);
    await soon(
      async () => (await why()).includes("no permission to publish to $JS.API.CONSUMER.MSG.NEXT.orders"),
      20_000,
    );
    await publish(broker, messageTo("orders", "2"));
    await sleep(20_000);
    assert.deepEqual(reading.texts, ["1"]);
    server.reload(all);
    await reading.until(2, 5_000);
    await soon(async () => (await why()) === "");
  });

  test("M17: the user may not hear its answers, or is not known, for a while: published and read within 5 s of its end", async (t) => {
    const server = await serverOf(t, all);
    const broker = await brokerOf(t, asUser(server.url, "shop:secret"));
    const reading = await Reading.start(broker, specOf("orders", "g"), true);
    const without = [
      allowing({ publish: ">", subscribe: { deny: "_INBOX.>" } }),
      allowing({ publish: ">", subscribe: ">" }, "another"),
    ];
    for (const [at, config] of without.entries()) {
      server.reload(config);
      await soon(() => !broker.connection.connected);
      const error = await refusalOf(broker, messageTo("orders", "refused"), AbortSignal.timeout(1_500));
      assert.match(
        error.rawMessage,
        at === 0 ? /Permissions Violation for Subscription/ : /refuses the user shop/,
      );
      server.reload(all);
      const givenMs = performance.now();
      await publish(broker, messageTo("orders", `${at}`));
      await soon(() => reading.texts.includes(`${at}`), 5_000);
      assert.ok(performance.now() - givenMs < 5_000, `${performance.now() - givenMs} ms`);
    }
  });
});
