import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import { describe, test } from "node:test";
import { Webhook } from "standardwebhooks";
import { SetupError } from "../../src/core/errors/setup-error.ts";
import { newWebhookSecret, rotatedForMs, webhookId, WebhookSigner } from "../../src/dispatch/signature.ts";

const body = Buffer.from('{"orderId":"7","note":"Ä"}');
const id = webhookId("/shop", "7", "partner");

describe("signatures of webhooks", () => {
  test("the id is the same in every try, has no full stop, and no two deliveries have one", () => {
    assert.match(id, /^[\w-]{43}$/);
    assert.equal(id, webhookId("/shop", "7", "partner"));
    const ids = [
      ["/shop", "7", "partner"],
      ["/shop", "7", "other"],
      ["/shop7", "", "partner"],
      ["/shop", "7partner", ""],
      ['/shop","7', "", "partner"],
    ].map(([source = "", event = "", subscription = ""]) => webhookId(source, event, subscription));
    assert.equal(new Set(ids).size, ids.length);
  });

  test("a receiver with the library of Standard Webhooks takes it, of a changed body or id not", () => {
    const secret = newWebhookSecret();
    const headers = new WebhookSigner([{ text: secret, untilMs: undefined }]).headersOf(id, body, Date.now());
    const receiver = new Webhook(secret);
    assert.deepEqual(receiver.verify(body.toString(), headers), { orderId: "7", note: "Ä" });
    assert.throws(() => receiver.verify(`${body.toString()} `, headers));
    assert.throws(() => receiver.verify(body.toString(), { ...headers, "webhook-id": "other" }));
    assert.throws(() => new Webhook(newWebhookSecret()).verify(body.toString(), headers));
  });

  test("for a day after a rotation both secrets sign", () => {
    const [old, current] = [newWebhookSecret(), newWebhookSecret()];
    const rotatedMs = Date.now();
    const signer = new WebhookSigner([
      { text: current, untilMs: undefined },
      { text: old, untilMs: rotatedMs + rotatedForMs },
    ]);
    const during = signer.headersOf(id, body, rotatedMs);
    for (const secret of [old, current]) new Webhook(secret).verify(body.toString(), during);
    const after = signer.headersOf(id, body, rotatedMs + rotatedForMs);
    assert.equal(after["webhook-signature"]?.split(" ").length, 1);
  });

  test("Ed25519", () => {
    const { privateKey } = generateKeyPairSync("ed25519");
    const seed = privateKey.export({ format: "der", type: "pkcs8" }).subarray(-32);
    const signer = new WebhookSigner([{ text: `whsk_${seed.toString("base64")}`, untilMs: undefined }]);
    const headers = signer.headersOf(id, body, 1_790_000_000_123);
    assert.equal(headers["webhook-timestamp"], "1790000000");
    const signature = Buffer.from(headers["webhook-signature"]?.replace(/^v1a,/, "") ?? "", "base64");
    const content = Buffer.concat([Buffer.from(`${id}.1790000000.`), body]);
    assert.ok(verify(null, content, createPublicKey(privateKey), signature));
  });

  test("what is no secret is refused, and not shown", () => {
    const short = Buffer.alloc(23).toString("base64");
    for (const text of [
      "",
      "secret",
      "whsec_",
      `whsec_${short}`,
      `whsk_${short}`,
      "whsec_!!!",
      `whpk_${short}`,
    ]) {
      assert.throws(
        () => new WebhookSigner([{ text, untilMs: undefined }]),
        (reason) => reason instanceof SetupError && (text.length < 12 || !reason.message.includes(text)),
      );
    }
  });
});
