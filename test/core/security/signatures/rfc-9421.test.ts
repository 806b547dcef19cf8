import assert from "node:assert/strict";
import { createPublicKey, createSecretKey, generateKeyPairSync } from "node:crypto";
import { suite, test } from "node:test";
import { verifySignature } from "http-message-sig";
import { algorithmOf, schemes } from "../../../../src/core/security/signatures/algorithms.ts";
import { contentDigest, isDigestOf } from "../../../../src/core/security/signatures/content-digest.ts";
import { readSignatureKeys } from "../../../../src/core/security/signatures/signature-keys.ts";

// The request of RFC 9421, appendix B.2, and its keys of B.1.
const body = Buffer.from('{"hello": "world"}');
const fields = [
  { name: "host", value: "example.com" },
  { name: "date", value: "Tue, 20 Apr 2021 02:07:55 GMT" },
  { name: "content-type", value: "application/json" },
  {
    name: "content-digest",
    value:
      "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",
  },
  { name: "content-length", value: "18" },
];
const ed25519 = createPublicKey(
  "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=\n-----END PUBLIC KEY-----\n",
);
const sharedSecret = createSecretKey(
  Buffer.from(
    "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==",
    "base64",
  ),
);

suite("the vectors of RFC 9421, appendix B.2", () => {
  const rows = [
    {
      name: "B.2.5, HMAC-SHA256",
      label: "sig-b25",
      key: sharedSecret,
      input: '("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"',
      signature: "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=",
    },
    {
      name: "B.2.6, Ed25519",
      label: "sig-b26",
      key: ed25519,
      input:
        '("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"',
      signature: "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==",
    },
  ];
  for (const { name, label, key, input, signature } of rows) {
    const algorithm = algorithmOf(key, name);
    const verify = (changed: readonly { name: string; value: string }[]) =>
      verifySignature(
        {
          kind: "request",
          method: "POST",
          targetUri: "https://example.com/foo?param=Value&Pet=dog",
          fields: [
            ...changed,
            { name: "signature-input", value: `${label}=${input}` },
            { name: "signature", value: `${label}=:${signature}:` },
          ],
        },
        {
          label,
          policy: {
            algorithms: [algorithm],
            requiredComponents: ["@authority"],
            requiredParameters: ["keyid"],
            now: 1618884474,
          },
          resolveVerifier: () => ({
            algorithm,
            verify: (data, bytes) => schemes[algorithm].verify(key, data, bytes),
          }),
        },
      );
    test(name, async () => {
      assert.equal((await verify(fields)).label, label);
      const other = fields.map((field) => (field.name === "date" ? { ...field, value: "today" } : field));
      await assert.rejects(verify(other));
    });
  }
});

test("every algorithm verifies what it signs, and nothing else", () => {
  const keys = {
    ed25519: generateKeyPairSync("ed25519"),
    "ecdsa-p256-sha256": generateKeyPairSync("ec", { namedCurve: "P-256" }),
    "rsa-pss-sha512": generateKeyPairSync("rsa", { modulusLength: 2048 }),
    "hmac-sha256": { privateKey: sharedSecret, publicKey: sharedSecret },
  } as const;
  for (const [name, { privateKey, publicKey }] of Object.entries(keys)) {
    const algorithm = algorithmOf(publicKey, name);
    assert.equal(algorithm, name);
    const data = Buffer.from("text");
    const signature = schemes[algorithm].sign(privateKey, data);
    assert.ok(schemes[algorithm].verify(publicKey, data, signature), name);
    assert.ok(!schemes[algorithm].verify(publicKey, Buffer.from("other"), signature), name);
    assert.ok(!schemes[algorithm].verify(publicKey, data, signature.subarray(1)), name);
  }
});

test("digests of RFC 9530", () => {
  const digest = fields.find(({ name }) => name === "content-digest")?.value ?? "";
  assert.ok(isDigestOf(digest, body));
  assert.ok(!isDigestOf(digest, Buffer.from('{"hello": "World"}')));
  assert.equal(contentDigest(body), "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:");
  assert.ok(isDigestOf(`${contentDigest(body)}, ${digest}`, body));
  assert.ok(isDigestOf(`md5=:AAAA:, ${digest}`, body));
  for (const wrong of [
    "",
    "sha-256=x",
    "md5=:AAAA:",
    "sha-256=:AAAA:",
    `${digest}, sha-256=:AAAA:`,
    "constructor=:AAAA:",
  ]) {
    assert.ok(!isDigestOf(wrong, body), wrong);
  }
});

test("files of keys: what is wrong is named, a key is never shown", () => {
  const pem = ed25519.export({ type: "spki", format: "pem" });
  const keys = readSignatureKeys(JSON.stringify([{ id: "a", alg: "ed25519", key: pem }]), "keys.json");
  assert.equal(keys.get("a")?.algorithm, "ed25519");
  const secret = "c2VjcmV0";
  for (const [record, expected] of [
    [{ id: "a", alg: "rs256", key: pem }, /record 1: alg must be one of ed25519/],
    [{ id: "a", alg: "rsa-pss-sha512", key: pem }, /record 1: the key is none of rsa-pss-sha512/],
    [{ id: "a", alg: "hmac-sha256", key: secret }, /a secret needs 32 bytes/],
    [{ id: "a", alg: "ed25519", key: secret }, /no public key in PEM/],
    [{ id: "a", alg: "ed25519", key: "-----BEGIN PRIVATE KEY-----" }, /this is a private key/],
  ] as const) {
    assert.throws(
      () => readSignatureKeys(JSON.stringify([record]), "keys.json"),
      (error: Error) => expected.test(error.message) && !error.message.includes(secret),
    );
  }
});
