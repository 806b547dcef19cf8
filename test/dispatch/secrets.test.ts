import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { suite, test } from "node:test";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { WebhookTarget_Signature as Signature } from "../../gen/ts_ms/dispatch/v1/dispatch_pb.ts";
import { Code, ConnectError } from "../../src/core/errors/errors.ts";
import { SecretBox } from "../../src/dispatch/secret-box.ts";
import { rotated, secretFor } from "../../src/dispatch/webhook-secrets.ts";

const key = randomBytes(32).toString("base64");

suite("secrets of webhooks, 53, 56:", () => {
  test("a secret is encrypted, each time anew, and bound to its subscription", () => {
    const box = new SecretBox(key, true);
    const [one, two] = [box.seal("a", "whsec_x"), box.seal("a", "whsec_x")];
    assert.notDeepEqual(one.value, two.value);
    assert.ok(!Buffer.from(one.value).includes("whsec_"));
    assert.equal(box.open("a", one), "whsec_x");
    assert.throws(() => box.open("b", one), /secretKey/);
    const changed = { ...one, value: one.value.map((byte, at) => (at === 14 ? byte ^ 1 : byte)) };
    assert.throws(() => box.open("a", changed), { code: Code.DataLoss });
    assert.throws(() => new SecretBox(randomBytes(32).toString("base64"), true).open("a", one), ConnectError);
  });

  test("without a key a store that outlives the process gets none", () => {
    assert.throws(() => new SecretBox(undefined, true).seal("a", "x"), { code: Code.FailedPrecondition });
    const box = new SecretBox(undefined, false);
    assert.equal(box.open("a", box.seal("a", "x")), "x");
  });

  test("a new one is whsec_ or, for Ed25519, whsk_, of which the public key is shown", () => {
    const hmac = secretFor({ secret: "", signature: Signature.SIGNATURE_UNSPECIFIED });
    assert.match(hmac.text, /^whsec_/);
    assert.equal(hmac.shown, hmac.text);
    const ed25519 = secretFor({ secret: "", signature: Signature.ED25519 });
    assert.match(ed25519.text, /^whsk_/);
    assert.match(ed25519.shown, /^whpk_[A-Za-z0-9+/]{43}=$/);
  });

  const refused: readonly [secret: string, signature: Signature][] = [
    ["secret", Signature.SIGNATURE_UNSPECIFIED],
    ["whsec_eA==", Signature.HMAC_SHA256],
    [`whsec_${randomBytes(32).toString("base64")}`, Signature.ED25519],
    [`whsk_${randomBytes(32).toString("base64")}`, Signature.HMAC_SHA256],
  ];
  for (const [secret, signature] of refused) {
    test(`${secret.slice(0, 6)} is refused for signature ${signature}, and is not shown`, () => {
      assert.throws(
        () => secretFor({ secret, signature }),
        (error) => error instanceof ConnectError && !error.message.includes(secret.slice(8) || "none"),
      );
    });
  }

  test("a rotated one ends after 24 hours, whatever is rotated after it", () => {
    const box = new SecretBox(key, true);
    const first = rotated("a", [], "one", box, 0);
    const second = rotated("a", first, "two", box, 1_000);
    const third = rotated("a", second, "three", box, 3_600_000);
    assert.deepEqual(
      third.map((secret) => [box.open("a", secret), secret.until && timestampMs(secret.until)]),
      [
        ["three", undefined],
        ["two", 90_000_000],
        ["one", 86_401_000],
      ],
    );
    assert.equal(rotated("a", third, "four", box, 87_000_000).length, 3);
  });
});
