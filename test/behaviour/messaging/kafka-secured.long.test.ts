/** Kafka over TLS, with users, by the options of `openBroker`. */
import assert from "node:assert/strict";
import { tracingChannel } from "node:diagnostics_channel";
import { after, before, suite, test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { SetupError } from "../../../src/core/errors/setup-error.ts";
import { openBroker, type OpenBrokerOptions } from "../../../src/messaging/brokers.ts";
import type { KafkaSasl } from "../../../src/messaging/kafka/kafka-options.ts";
import { messageTo, newTopic, publish, Reading, specOf } from "../../support/brokers/readings.ts";
import { createCertificate } from "../../support/certificates.ts";
import { KafkaServer, withoutKafka as skip } from "../../support/kafka-server.ts";
import { freePort } from "../../support/kept-server.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";

const sasls: readonly KafkaSasl[] = [
  { mechanism: "PLAIN", username: "shop", password: "secret" },
  { mechanism: "SCRAM-SHA-256", username: "shop", password: "secret-256" },
  { mechanism: "SCRAM-SHA-512", username: "shop", password: "secret-512" },
];

suite("Kafka with TLS and users:", { skip }, () => {
  const ca = createCertificate({ name: "ca" });
  const own = createCertificate({ name: "localhost", hosts: ["localhost"], issuer: ca });
  const client = createCertificate({ name: "shop", issuer: ca });
  let files: TemporaryFiles;
  let server: KafkaServer;
  let pem: { readonly ca: string; readonly cert: string; readonly key: string };
  let stranger: string;
  const url = { users: "", mutual: "" };

  before(async () => {
    files = await TemporaryFiles.create();
    pem = {
      ca: await files.write("ca.pem", ca.cert),
      cert: await files.write("cert.pem", client.cert),
      key: await files.write("key.pem", client.key),
    };
    stranger = await files.write("stranger.pem", createCertificate({ name: "stranger" }).cert);
    const [users, mutual] = [await freePort(), await freePort()];
    url.users = `kafka://localhost:${users}`;
    url.mutual = `kafka://localhost:${mutual}`;
    const modules = "org.apache.kafka.common.security";
    const scram = `${modules}.scram.ScramLoginModule required;`;
    const settings = {
      "ssl.keystore.type": "PEM",
      "ssl.keystore.location": await files.write("own.pem", own.key + own.cert),
      "ssl.truststore.type": "PEM",
      "ssl.truststore.location": pem.ca,
      "listener.name.mutual.ssl.client.auth": "required",
      "listener.name.users.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
      "listener.name.users.plain.sasl.jaas.config": `${modules}.plain.PlainLoginModule required user_shop="secret";`,
      "listener.name.users.scram-sha-256.sasl.jaas.config": scram,
      "listener.name.users.scram-sha-512.sasl.jaas.config": scram,
    };
    const listeners = [
      { name: "USERS", protocol: "SASL_SSL", port: users },
      { name: "MUTUAL", protocol: "SSL", port: mutual },
    ];
    server = await KafkaServer.start(settings, listeners, [
      "SCRAM-SHA-256=[name=shop,password=secret-256]",
      "SCRAM-SHA-512=[name=shop,password=secret-512]",
    ]);
  });
  after(async () => {
    await server.stop();
    await files[Symbol.asyncDispose]();
  });

  /** A message is stored and read. */
  async function checkCarries(t: TestContext, at: string, options: OpenBrokerOptions): Promise<void> {
    const broker = await openBroker(at, options);
    t.after(() => broker.gracefulStop({ graceMs: 0 }));
    const topic = newTopic();
    const reading = await Reading.start(broker, specOf(topic, "g"), true);
    await publish(broker, messageTo(topic, "text"));
    await reading.until(1, 20_000);
    assert.deepEqual(reading.texts, ["text"]);
  }

  /** Opening fails at once, with a text that names the cure and no secret, and nothing is tried again. */
  async function checkRefused(at: string, options: OpenBrokerOptions, says: RegExp): Promise<void> {
    let attempts = 0;
    const connects = tracingChannel("plt:kafka:connections:connects");
    const count = { start: () => void attempts++ };
    connects.subscribe(count);
    await assert.rejects(openBroker(at, { reconnect: { initialMs: 20 }, ...options }), (error) => {
      assert.ok(error instanceof SetupError, String(error));
      assert.match(error.message, says);
      assert.doesNotMatch(error.message, /wrong/);
      return true;
    });
    await sleep(300);
    connects.unsubscribe(count);
    assert.equal(attempts, 1);
  }

  for (const sasl of sasls) {
    test(`messages are stored and read by a user of ${sasl.mechanism}; a wrong password is an error of the setup`, async (t) => {
      const tls = { ca: pem.ca };
      await checkCarries(t, url.users, { tls, kafka: { sasl } });
      const says = new RegExp(
        `^Kafka: the broker at localhost:\\d+: it refuses the user shop \\(SASL ${sasl.mechanism}\\): check sasl.username and sasl.password`,
      );
      await checkRefused(url.users, { tls, kafka: { sasl: { ...sasl, password: "wrong" } } }, says);
    });
  }

  test("the user of the URL is one of PLAIN; without a user the broker closes the connection, and the error says so", async (t) => {
    const tls = { ca: pem.ca };
    const named = (user: string): string => url.users.replace("//", `//${user}@`);
    await checkCarries(t, named("shop:secret"), { tls });
    await checkRefused(named("shop:wrong"), { tls }, /user and password of the URL/);
    const oauth: KafkaSasl = { mechanism: "OAUTHBEARER", token: "wrong" };
    await checkRefused(
      url.users,
      { tls, kafka: { sasl: oauth } },
      /knows no SASL OAUTHBEARER: set another sasl\.mechanism/,
    );
    const broker = await openBroker(url.users, { tls });
    t.after(() => broker.gracefulStop({ graceMs: 0 }));
    await assert.rejects(broker.check(), (error) => {
      assert.ok(error instanceof ConnectError && error.code === Code.Unavailable);
      return error.message.includes("as one does that wants sasl");
    });
  });

  test("TLS: a certificate of the client's own is sent; what is not trusted is an error of the setup with its cure", async (t) => {
    await checkCarries(t, url.mutual, { tls: pem });
    await checkRefused(
      url.mutual,
      { tls: { ca: pem.ca } },
      /wants a certificate of this client.*tls\.cert and tls\.key/,
    );
    await checkRefused(url.mutual, { tls: { ...pem, ca: stranger } }, /localhost:\d+: .*authority.*tls\.ca/);
    const byAddress = url.mutual.replace("localhost", "127.0.0.1");
    await checkRefused(byAddress, { tls: pem }, /another name: set tls\.serverName/);
    await checkCarries(t, byAddress, { tls: { ...pem, serverName: "localhost" } });
    await checkRefused(url.mutual, {}, /wants TLS: set tls/);
  });
});
