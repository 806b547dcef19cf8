import assert from "node:assert/strict";
import { createPublicKey, createSecretKey, generateKeyPairSync, type KeyObject } from "node:crypto";
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

const rsaPss = createPublicKey(`-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAr4tmm3r20Wd/PbqvP1s2
+QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct+Lh1GH45x28Rw3Ry53mm+
oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHq
gDsznjPFmTOtCEcN2Z1FpWgchwuYLPL+Wokqltd11nqqzi+bJ9cvSKADYdUAAN5W
Utzdpiy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4
aOT9v6d+nb4bnNkQVklLQ3fVAvJm+xdDOp9LCNCN48V2pnDOkFV6+U9nV5oyc6XI
2wIDAQAB
-----END PUBLIC KEY-----
`);
const eccP256 = createPublicKey({
  format: "jwk",
  key: {
    kty: "EC",
    crv: "P-256",
    x: "qIVYZVLCrPZHGHjP17CTW0_-D9Lfw0EkjqF7xB4FivA",
    y: "Mc4nN9LTDOBhfoUeg8Ye9WedFRhnZXZJA12Qp0zZ6F0",
  },
});

suite("the vectors of RFC 9421, appendix B.2", () => {
  const rows = [
    {
      name: "B.2.3, full coverage, RSA-PSS-SHA512",
      label: "sig-b23",
      key: rsaPss,
      input:
        '("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-rsa-pss"',
      signature:
        "bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768ZrCUb38K0fUxN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1xMy7JA1ipwvKvfrs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5fTIztsDZKEgM4cUA==",
    },
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

type Message = Exclude<Parameters<typeof verifySignature>[0], Request | Response>;

/** Verifies a vector whose signature is `label`, among the fields. */
function verifyVector(message: Message, label: string, key: KeyObject, signed: string) {
  const algorithm = algorithmOf(key, label);
  const [input = "", signature = ""] = signed.split("\n");
  const fields = [
    ...message.fields,
    { name: "signature-input", value: `${label}=${input}` },
    { name: "signature", value: `${label}=:${signature}:` },
  ];
  return verifySignature(
    { ...message, fields },
    {
      label,
      policy: {
        algorithms: [algorithm],
        requiredComponents: [],
        requiredParameters: ["keyid"],
        now: 1618884474,
      },
      resolveVerifier: () => ({
        algorithm,
        verify: (data, bytes) => schemes[algorithm].verify(key, data, bytes),
      }),
    },
  );
}

const request = {
  kind: "request",
  method: "POST",
  targetUri: "https://example.com/foo?param=Value&Pet=dog",
  fields,
} as const;

test("B.2.1, a minimal signature, RSA-PSS-SHA512; it covers nothing", async () => {
  const signed = `();created=1618884473;keyid="test-key-rsa-pss";nonce="b3k2pp5k7z-50gnwp.yemd"
d2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/lkbbHAve4cRAtx31Iq786U7it++wgGxbtRxf8Udx7zFZsckzXaJMkA7ChG52eSkFxykJeNqsrWH5S+oxNFlD4dzVuwe8DhTSja8xxbR/Z2cOGdCbzR72rgFWhzx2VjBqJzsPLMIQKhO4DGezXehhWwE56YCE+O6c0mKZsfxVrogUvA4HELjVKWmAvtl6UnCh8jYzuVG5WSb/QEVPnP5TmcAnLH1g+s++v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPYTU8IU1bLhdxO5Nyt8C8ssinQ98Xw9Q==`;
  assert.deepEqual((await verifyVector(request, "sig-b21", rsaPss, signed)).components, []);
  await assert.rejects(verifyVector(request, "sig-b21", rsaPss, signed.replace("b3k2", "b3k3")));
});

test("B.2.2, selective components: @query-param is not supported, and refused", async () => {
  const signed = `("@authority" "content-digest" "@query-param";name="Pet");created=1618884473;keyid="test-key-rsa-pss";tag="header-example"
LjbtqUbfmvjj5C5kr1Ugj4PmLYvx9wVjZvD9GsTT4F7GrcQEdJzgI9qHxICagShLRiLMlAJjtq6N4CDfKtjvuJyE5qH7KT8UCMkSowOB4+ECxCmT8rtAmj/0PIXxi0A0nxKyB09RNrCQibbUjsLS/2YyFYXEu4TRJQzRw1rLEuEfY17SARYhpTlaqwZVtR8NV7+4UKkjqpcAoFqWFQh62s7Cl+H2fjBSpqfZUJcsIk4N6wiKYd4je2U/lankenQ99PZfB4jY3I5rSV2DSBVkSFsURIjYErOs0tFTQosMTAoxk//0RoKUqiYY8Bh0aaUEb0rQl3/XaVe4bXTugEjHSw==`;
  await assert.rejects(verifyVector(request, "sig-b22", rsaPss, signed), /@query-param/);
});

test("B.2.4, an answer, ECDSA P-256", async () => {
  const signed = `("@status" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-ecc-p256"
wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgyahnzDnDAUy5eCdlYUEkLIj+32oiasw==`;
  const answer = {
    kind: "response",
    status: 200,
    fields: [
      { name: "content-type", value: "application/json" },
      {
        name: "content-digest",
        value:
          "sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:",
      },
      { name: "content-length", value: "23" },
    ],
  } as const;
  assert.equal((await verifyVector(answer, "sig-b24", eccP256, signed)).algorithm, "ecdsa-p256-sha256");
  await assert.rejects(verifyVector({ ...answer, status: 201 }, "sig-b24", eccP256, signed));
  assert.ok(isDigestOf(answer.fields[1].value, Buffer.from('{"message": "good dog"}\n').subarray(0, 23)));
});

test("B.3, a proxy that ends TLS, with the client's certificate", async () => {
  const value =
    ":MIIBqDCCAU6gAwIBAgIBBzAKBggqhkjOPQQDAjA6MRswGQYDVQQKDBJMZXQncyBBdXRoZW50aWNhdGUxGzAZBgNVBAMMEkxBIEludGVybWVkaWF0ZSBDQTAeFw0yMDAxMTQyMjU1MzNaFw0yMTAxMjMyMjU1MzNaMA0xCzAJBgNVBAMMAkJDMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8YnXXfaUgmnMtOXU/IncWalRhebrXmckC8vdgJ1p5Be5F/3YC8OthxM4+k1M6aEAEFcGzkJiNy6J84y7uzo9M6NyMHAwCQYDVR0TBAIwADAfBgNVHSMEGDAWgBRm3WjLa38lbEYCuiCPct0ZaSED2DAOBgNVHQ8BAf8EBAMCBsAwEwYDVR0lBAwwCgYIKwYBBQUHAwIwHQYDVR0RAQH/BBMwEYEPYmRjQGV4YW1wbGUuY29tMAoGCCqGSM49BAMCA0gAMEUCIBHda/r1vaL6G3VliL4/Di6YK0Q6bMjeSkC3dFCOOB8TAiEAx/kHSB4urmiZ0NX5r5XarmPk0wmuydBVoU4hBVZ1yhk=:";
  const signed = `("@path" "@query" "@method" "@authority" "client-cert");created=1618884473;keyid="test-key-ecc-p256"
xVMHVpawaAC/0SbHrKRs9i8I3eOs5RtTMGCWXm/9nvZzoHsIg6Mce9315T6xoklyy0yzhD9ah4JHRwMLOgmizw==`;
  const message = {
    ...request,
    targetUri: "https://service.internal.example/foo?param=Value&Pet=dog",
    fields: [{ name: "client-cert", value }],
  };
  assert.equal((await verifyVector(message, "ttrp", eccP256, signed)).label, "ttrp");
  const other = { ...message, fields: [{ name: "client-cert", value: ":AAAA:" }] };
  await assert.rejects(verifyVector(other, "ttrp", eccP256, signed));
});

test("B.4, what a message may become on its way", async () => {
  const signed = `("@method" "@path" "@authority" "accept");created=1618884473;keyid="test-key-ed25519"
ZT1kooQsEHpZ0I1IjCqtQppOmIqlJPeo7DHR3SoMn0s5JZ1eRGS0A+vyYP9t/LXlh5QMFFQ6cpLt2m0pmj3NDA==`;
  const message = (method: string, target: string, ...accept: readonly string[]) =>
    ({
      kind: "request",
      method,
      targetUri: `https://${target}`,
      fields: accept.map((value) => ({ name: "accept", value })),
    }) as const;
  const original = message("GET", "example.org/demo?name1=Value1&Name2=value2", "application/json", "*/*");
  const same = [
    original,
    message("GET", "example.org/demo?name1=Value1&Name2=value2&param=added", "application/json", "*/*"),
    message("GET", "example.org/demo?name1=Value1&Name2=value2", "application/json, */*"),
    message("GET", "EXAMPLE.org/demo?name1=Value1&Name2=value2", " application/json ", " */*"),
  ];
  for (const one of same) assert.ok(await verifyVector(one, "transform", ed25519, signed));
  for (const other of [
    message("POST", "example.com/demo?name1=Value1&Name2=value2", "application/json", "*/*"),
    message("GET", "example.org/demo?name1=Value1&Name2=value2", "*/*", "application/json"),
    message("GET", "example.org/other", "application/json", "*/*"),
  ]) {
    await assert.rejects(verifyVector(other, "transform", ed25519, signed));
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
