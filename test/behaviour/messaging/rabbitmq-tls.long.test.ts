/** RabbitMQ over TLS, by the options of `openBroker`. */
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { openBroker } from "../../../src/messaging/brokers.ts";
import { messageTo } from "../../support/brokers/readings.ts";
import { createCertificate } from "../../support/certificates.ts";
import { RabbitMqServer, withoutRabbitMq as skip } from "../../support/rabbitmq-server.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";

suite("amqps:", { skip }, () => {
  const ca = createCertificate({ name: "ca" });
  const own = createCertificate({ name: "localhost", hosts: ["localhost"], issuer: ca });
  const client = createCertificate({ name: "shop", issuer: ca });
  let server: RabbitMqServer;
  let files: TemporaryFiles;
  let pem: { readonly ca: string; readonly cert: string; readonly key: string };

  before(async () => {
    server = await RabbitMqServer.start({ cert: own.cert, key: own.key, ca: ca.cert });
    files = await TemporaryFiles.create();
    pem = {
      ca: await files.write("ca.pem", ca.cert),
      cert: await files.write("cert.pem", client.cert),
      key: await files.write("key.pem", client.key),
    };
  });
  after(async () => {
    await server.stop();
    await files[Symbol.asyncDispose]();
  });

  test("messages are confirmed over TLS, with a certificate of the client's own", async () => {
    const broker = await openBroker(server.secureUrl, { tls: pem, reconnect: { initialMs: 20 } });
    const [outcome] = await broker.publish([messageTo("secure", "text")], {
      signal: AbortSignal.timeout(20_000),
    });
    assert.ok(outcome !== undefined && "confirmed" in outcome && outcome.confirmed);
    assert.deepEqual(broker.connection, { connected: true, blocked: false, reconnects: 0 });
    await server.closeConnections();
    while (broker.connection.reconnects === 0) await new Promise((resolve) => setImmediate(resolve));
    await broker.gracefulStop({ graceMs: 0 });
    assert.equal(broker.connection.connected, false);
  });

  test("a client is known by its certificate alone: SASL EXTERNAL", async () => {
    const url = `${server.secureUrl.replace("guest:guest@", "")}?auth_mechanism=external`;
    const unknown = await openBroker(url, { tls: pem, reconnect: { initialMs: 20 } });
    await assert.rejects(unknown.check(), /ACCESS_REFUSED|EXTERNAL/);
    await unknown.gracefulStop({ graceMs: 0 });
    // The server has a user of this name from the start.
    const guest = createCertificate({ name: "guest", issuer: ca });
    const cert = await files.write("guest.pem", guest.cert);
    const tls = { ca: pem.ca, cert, key: await files.write("guest-key.pem", guest.key) };
    const broker = await openBroker(url, { tls });
    const [outcome] = await broker.publish([messageTo("known", "text")], {
      signal: AbortSignal.timeout(20_000),
    });
    assert.ok(outcome !== undefined && "confirmed" in outcome && outcome.confirmed);
    await broker.gracefulStop({ graceMs: 0 });
  });

  const refused: readonly (readonly [name: string, without: "ca" | "cert", why: RegExp])[] = [
    ["a server of an authority that is not known", "ca", /certificate/],
    ["a client without a certificate", "cert", /alert|ECONNRESET|closed|certificate/],
  ];
  for (const [name, without, why] of refused) {
    test(`${name} is not connected`, async () => {
      const { [without]: _, ...others } = pem;
      const tls = without === "cert" ? { ca: pem.ca } : others;
      const broker = await openBroker(server.secureUrl, { tls });
      await assert.rejects(broker.check(), why);
      assert.equal(broker.connection.connected, false);
      await broker.gracefulStop({ graceMs: 0 });
    });
  }
});
