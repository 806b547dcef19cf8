import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { Delivery_Status } from "../../../gen/ts_ms/dispatch/v1/dispatch_pb.ts";
import { OrderPlacedSchema } from "../../../gen/tsms/test/v1/messages_pb.ts";
import { Code } from "../../../src/core/errors/errors.ts";
import { memoryDispatchStore } from "../../../src/dispatch/memory-dispatch-store.ts";
import { createCertificate } from "../../support/certificates.ts";
import { startDispatch } from "../../support/dispatch-rig.ts";
import { Handled } from "../../support/message-rig.ts";
import { startReceiver } from "../../support/webhook-receiver.ts";

const host = "partner.example";
const authority = createCertificate({ name: "an authority of this test" });
const foreign = createCertificate({ name: "an authority that is not trusted" });
const certificate = (of: Partial<Parameters<typeof createCertificate>[0]>) =>
  createCertificate({ name: host, hosts: [host], issuer: authority, serverOnly: true, ...of });

suite("webhooks over TLS, 55:", () => {
  const trusted = getCACertificates("default");
  // As a program has them that is started with NODE_EXTRA_CA_CERTS.
  before(() => setDefaultCACertificates([...trusted, authority.cert]));
  after(() => setDefaultCACertificates(trusted));

  test("a receiver whose certificate is trusted gets its events at the address that was looked up, by its name", async () => {
    const { looked, deliveries, hosts } = await deliver(certificate({}));
    assert.deepEqual(looked, [host]);
    assert.deepEqual(hosts, [host]);
    assert.deepEqual(
      deliveries.map(({ status, httpStatus }) => [status, httpStatus]),
      [[Delivery_Status.DELIVERED, 200]],
    );
  });

  const refused: readonly [name: string, ReturnType<typeof certificate>, text: RegExp][] = [
    ["of an unknown authority", certificate({ issuer: foreign }), /not trusted \(UNABLE_TO_[A-Z_]+\)$/],
    [
      "that it has made itself",
      createCertificate({ name: host, hosts: [host] }),
      /not trusted \(DEPTH_ZERO_SELF_SIGNED_CERT\)$/,
    ],
    [
      "for another name",
      certificate({ hosts: ["other.example"] }),
      /not trusted \(ERR_TLS_CERT_ALTNAME_INVALID\)$/,
    ],
    ["that has expired", certificate({ validDays: [-9, -1] }), /not trusted \(CERT_HAS_EXPIRED\)$/],
  ];
  for (const [name, served, text] of refused) {
    test(`a receiver with a certificate ${name} gets nothing, and the delivery says why`, async () => {
      const { hosts, deliveries } = await deliver(served);
      assert.deepEqual(hosts, []);
      const [delivery] = deliveries;
      assert.equal(delivery?.status, Delivery_Status.DEAD);
      assert.equal(delivery.code, Code.Unavailable);
      assert.match(delivery.message, /^the certificate of the receiver is /);
      assert.match(delivery.message, text);
    });
  }
});

/** Delivers one event, in one try. */
async function deliver({ cert, key }: { readonly cert: string; readonly key: string }) {
  const looked: string[] = [];
  const store = memoryDispatchStore();
  const note = store.note.bind(store);
  const noted = new Handled<string>();
  store.note = async (delivery) => {
    await note(delivery);
    noted.add(delivery.status);
  };
  await using receiver = await startReceiver(undefined, { cert, key, host });
  await using rig = await startDispatch({
    webhooks: { ports: [receiver.port], allowAddresses: ["127.0.0.1"], delaysMs: [] },
    logDeliveries: "all",
    store,
    parts: {
      resolve: (name, _options, done) => {
        looked.push(name);
        done(null, [{ address: "127.0.0.1", family: 4 }]);
      },
    },
  });
  const subscriptions = rig.subscriptions();
  await subscriptions.createSubscription({
    subscriptionId: "partner",
    subscription: { target: { case: "webhook", value: { url: receiver.url } } },
  });
  await rig.publisher.publish(OrderPlacedSchema, { orderId: "7" });
  await noted.count(1);
  const { deliveries } = await subscriptions.listDeliveries({ subscriptionId: "partner" });
  const hosts = receiver.received.items.map(({ headers }) => String(headers.host).split(":")[0]);
  return { looked, deliveries, hosts };
}
