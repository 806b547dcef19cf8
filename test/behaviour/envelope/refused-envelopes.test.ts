import assert from "node:assert/strict";
import { createSecretKey } from "node:crypto";
import { once } from "node:events";
import { suite, test } from "node:test";
import { deflateRawSync, gzipSync } from "node:zlib";
import { Code, createClient } from "@connectrpc/connect";
import { createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { base64url, CompactEncrypt, CompactSign } from "jose";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { createSecurity } from "../../../src/core/security/create-security.ts";
import { apiKeys } from "../../../src/entries/auth.ts";
import { envelopeGate, readEnvelopeKeys } from "../../../src/entries/envelope.ts";
import { dial, GrpcServer } from "../../../src/index.ts";
import { Echo } from "../../support/echo-service.ts";
import { startGateway } from "../../support/gateway-fixture.ts";
import { ask, connectPost, echoPath, jsonOf } from "../rpc-protocols/rpc-fixture.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";
import { client, jwe, jws, keySet, pair, server, signers, start } from "./envelope-fixture.ts";

const jose = { "content-type": "application/jose" };
const rest = "/test/v1/echo";
const content = '{"text":"secret"}';
const all = ["tsms.test.v1.*"];
const header = (members: object): string => base64url.encode(JSON.stringify(members));

/** A JWE with another protected header, which is part of what is authenticated: for what is refused before. */
const withHeader = async (members: object): Promise<string> => {
  const [, ...rest] = (await jwe(content)).split(".");
  return [header(members), ...rest].join(".");
};

/** A JWS with another header and the signature of a good one. */
const jwsWith = async (members: object): Promise<string> => {
  const [, ...rest] = (await jws(content)).split(".");
  return [header(members), ...rest].join(".");
};

const nested = async (text: string): Promise<string> => jwe(text, { cty: "JOSE" });
const usual = { alg: "ECDH-ES+A256KW", enc: "A256GCM", kid: "x25519" };

suite("M6: what is no good envelope is refused, once, and no handler runs", () => {
  const secret = createSecretKey(Buffer.alloc(32, 1));
  const rows: readonly (readonly [string, () => Promise<string> | string, number])[] = [
    ["JSON", () => content, 400],
    ["nothing but dots", () => "....", 400],
    ["a JWS", () => jws(content), 400],
    ["four parts", async () => (await jwe(content)).split(".").slice(0, 4).join("."), 400],
    ["six parts", async () => `${await jwe(content)}.x`, 400],
    ["the JSON form", async () => JSON.stringify({ protected: (await jwe(content)).split(".")[0] }), 400],
    [
      "a header that is no JSON",
      async () => (await jwe(content)).replace(/^[^.]*/, base64url.encode("x")),
      400,
    ],
    ["a key that is not known", () => jwe(content, { kid: "nobody" }), 400],
    ["another key than it names", () => jwe(content, { kid: "p256" }), 400],
    ["the key of a client", async () => jwe(content, {}, client), 400],
    ["the key of a signer", () => jwe(content, { kid: "ed" }), 400],
    ["alg none", () => withHeader({ ...usual, alg: "none" }), 400],
    ["alg of another kind of key", () => withHeader({ ...usual, alg: "RSA-OAEP-256" }), 400],
    ["ECDH-ES without a wrapped key", () => jwe(content, { alg: "ECDH-ES" }), 400],
    ["ECDH-ES+A128KW", () => jwe(content, { alg: "ECDH-ES+A128KW" }), 400],
    ["RSA-OAEP with SHA-1", () => withHeader({ ...usual, alg: "RSA-OAEP", kid: "rsa" }), 400],
    [
      "a password",
      () =>
        new CompactEncrypt(Buffer.from(content))
          .setProtectedHeader({ ...usual, alg: "PBES2-HS256+A128KW" })
          .encrypt(Buffer.from("x25519")),
      400,
    ],
    [
      "a secret",
      () =>
        new CompactEncrypt(Buffer.from(content)).setProtectedHeader({ ...usual, alg: "dir" }).encrypt(secret),
      400,
    ],
    ["A128GCM", () => jwe(content, { enc: "A128GCM" }), 400],
    ["A256CBC-HS512", () => jwe(content, { enc: "A256CBC-HS512" }), 400],
    ["crit", () => withHeader({ ...usual, crit: ["exp"], exp: 1 }), 400],
    ["zip", () => withHeader({ ...usual, zip: "DEF" }), 400],
    [
      "zip that jose has made",
      () =>
        jwe(deflateRawSync(Buffer.alloc(1 << 20)), { zip: "DEF" }).catch(() =>
          withHeader({ ...usual, zip: "DEF" }),
        ),
      400,
    ],
    ["a long header", () => jwe(content, { more: "x".repeat(10_000) }), 400],
    ["a text", () => jwe("text", { cty: "text/plain" }), 400],
    ["an envelope in an envelope", async () => nested(await jwe(content)), 401],
    ["JSON that is said to be a JWS", () => nested(content), 401],
    ["a JWS with alg none", async () => nested(await jwsWith({ alg: "none", kid: "ed" })), 401],
    [
      "a JWS without a signature",
      async () => nested(`${header({ alg: "none", kid: "ed" })}.${base64url.encode(content)}.`),
      401,
    ],
    ["a JWS without a kid", async () => nested(await jwsWith({ alg: "EdDSA" })), 401],
    [
      "a JWS of a key that is not known",
      async () => nested(await jws(content, "EdDSA", { kid: "eve" })),
      401,
    ],
    [
      "a JWS of another key than it names",
      async () => nested(await jws(content, "EdDSA", { kid: "es" })),
      401,
    ],
    [
      "a JWS with crit",
      async () => nested(await jwsWith({ alg: "EdDSA", kid: "ed", crit: ["x"], x: 1 })),
      401,
    ],
    ["a JWS with b64", async () => nested(await jws(content, "EdDSA", { b64: true, crit: ["b64"] })), 401],
    ["a JWS of a JWS", async () => nested(await jws(await jws(content), "EdDSA", { cty: "JOSE" })), 401],
    [
      "a JWS by HMAC with the public key as secret",
      async () =>
        nested(
          await new CompactSign(Buffer.from(content))
            .setProtectedHeader({ alg: "HS256", kid: "es" })
            .sign(Buffer.from(JSON.stringify(signers.ES256.publicJwk))),
        ),
      401,
    ],
    [
      "a JWS that brings its key",
      async () => {
        const eve = await pair("EdDSA");
        const own = new CompactSign(Buffer.from(content));
        return nested(
          await own.setProtectedHeader({ alg: "EdDSA", kid: "ed", jwk: eve.publicJwk }).sign(eve.privateKey),
        );
      },
      401,
    ],
  ];
  for (const [name, make, status] of rows) {
    test(name, async (t) => {
      const { port, seen, gateway } = await start(t);
      const body = await make();
      const refused =
        status === 401 ? "refused signature Unauthenticated" : "refused malformed InvalidArgument";
      const answer = await ask(port, rest, jose, body);
      assert.deepEqual([answer.status, jsonOf(answer)["details"]], [status, []]);
      assert.deepEqual(seen.splice(0), [refused]);
      const connect = await connectPost(port, body, jose);
      assert.deepEqual([connect.status, jsonOf(connect)["details"]], [status, undefined]);
      assert.deepEqual([seen, gateway.echo.calls], [[refused], 0]);
    });
  }

  for (const [part, name] of ["header", "wrapped key", "iv", "content", "tag"].entries()) {
    test(`I26: a changed ${name}`, async (t) => {
      const { port } = await start(t);
      const parts = (await jwe(content)).split(".");
      const bytes = Buffer.from(parts[part] ?? "", "base64url");
      bytes[bytes.length - 2] = (bytes[bytes.length - 2] ?? 0) ^ 1;
      parts[part] = bytes.toString("base64url");
      const answer = await ask(port, rest, jose, parts.join("."));
      assert.equal(answer.status, 400);
    });
  }

  test("all that fails has the same text", async (t) => {
    const { port } = await start(t);
    const texts = new Set<unknown>();
    for (const make of rows.filter(([name, , status]) => status === 400 && !name.startsWith("zip"))) {
      texts.add(jsonOf(await ask(port, rest, jose, await make[1]()))["message"]);
    }
    assert.equal(texts.size, 1);
  });

  test("bodies that are compressed or too large, before anything is decrypted", async (t) => {
    const { port, seen } = await start(t, {}, { maxBodyBytes: 2_000 });
    const body = await jwe(content);
    assert.equal(
      (await ask(port, rest, { ...jose, "content-encoding": "gzip" }, gzipSync(body))).status,
      415,
    );
    assert.deepEqual(seen.splice(0), ["refused malformed InvalidArgument"]);
    assert.equal((await ask(port, rest, jose, await jwe("x".repeat(3_000)))).status, 413);
    assert.deepEqual(seen, ["refused malformed ResourceExhausted"]);
  });
});

suite("M6: plain bodies for rpcs whose bodies must be encrypted", () => {
  test("415 at every door of the gateway", async (t) => {
    const { port, url, seen, gateway } = await start(t, { rpc: all });
    const statuses = [
      (await ask(port, rest, { "content-type": "application/json" }, content)).status,
      (await ask(port, rest, { "content-type": "application/proto" }, "x")).status,
      (await ask(port, rest, { "content-type": "application/jose+json" }, content)).status,
      (await ask(port, rest, { "content-type": "application/json", "transfer-encoding": "chunked" }, content))
        .status,
      (await connectPost(port, content)).status,
      (await ask(port, rest, { "content-type": "application/json", accept: "text/event-stream" }, content))
        .status,
      (await ask(port, "/test/v1/repeat/a?count=1")).status,
      (await ask(port, "/test/v1/repeat/a?count=1", { prefer: "wait=1" })).status,
      (await ask(port, "/test/v1/collect", { "content-type": "application/json" }, content)).status,
    ];
    assert.deepEqual(
      statuses,
      statuses.map(() => 415),
    );
    assert.deepEqual(
      seen,
      statuses.map(() => "refused malformed InvalidArgument"),
    );
    const web = createClient(EchoService, createGrpcWebTransport({ baseUrl: url, httpVersion: "1.1" }));
    await assert.rejects(web.echo({ text: "a" }), { code: Code.InvalidArgument });
    const grpc = createClient(EchoService, createGrpcTransport({ baseUrl: url }));
    await assert.rejects(grpc.echo({ text: "a" }), { code: Code.InvalidArgument });
    const socket = new WebSocket(`ws://127.0.0.1:${port}/test/v1/chat`);
    await once(socket, "error");
    assert.equal(gateway.echo.calls, 0);
  });

  test("gRPC at its own server is refused, calls of this process are not", async (t) => {
    const server = new GrpcServer({
      port: 0,
      logger: false,
      gates: [envelopeGate({ keys: () => keySet, rpc: all })],
    }).addService(new Echo());
    await server.start();
    t.after(() => server.gracefulStop({ graceMs: 0 }));
    const network = dial(`127.0.0.1:${server.address?.port}`);
    t.after(() => network.close());
    await assert.rejects(createClient(EchoService, network).echo({ text: "a" }), {
      code: Code.InvalidArgument,
    });
    assert.equal((await createClient(EchoService, dial(server)).echo({ text: "a" })).text, "a");
  });

  test("calls without a body pass, messages in a query of Connect do not", async (t) => {
    const { port } = await start(t, { rpc: ["tsms.test.v1.EchoService/Echo"] });
    assert.equal((await ask(port, `${rest}/open`)).status, 200);
    assert.equal((await ask(port, "/test/v1/repeat/a?count=1")).status, 200, "another rpc");
    assert.equal((await ask(port, `${echoPath}?connect=v1&encoding=json&message={}`)).status, 405);
  });

  test("without the gate, and without keys that open, such bodies are 415", async (t) => {
    await using plain = await startGateway();
    const body = await jwe(content);
    assert.equal((await ask(plain.port, rest, jose, body)).status, 415);
    assert.equal((await connectPost(plain.port, body, jose)).status, 415);
    const none = { ...keySet, decryption: new Map() };
    const { port } = await start(t, { keys: () => none });
    assert.equal((await ask(port, rest, jose, body)).status, 415);
    assert.equal((await connectPost(port, body, jose)).status, 415);
  });
});

suite("M7: errors stay readable, without details", () => {
  const failing = (failure: object): string => JSON.stringify({ text: "secret", behaviour: { failure } });

  test("those of handlers", async (t) => {
    const { port } = await start(t);
    const body = await jwe(failing({ code: 5, message: "gone", reasons: ["SECRET"] }));
    const headers = { ...jose, accept: "application/jose;kid=client" };
    const answer = await ask(port, rest, headers, body);
    assert.deepEqual([answer.status, jsonOf(answer)], [404, { code: 5, message: "gone", details: [] }]);
    assert.equal(answer.headers["content-type"], "application/json");
    const connect = await connectPost(port, body, headers);
    assert.deepEqual([connect.status, jsonOf(connect)], [404, { code: "not_found", message: "gone" }]);
    const plain = failing({ code: 5, message: "gone", reasons: ["SECRET"] });
    const kept = await ask(port, rest, { "content-type": "application/json" }, plain);
    assert.match(kept.body.toString(), /SECRET/);
  });

  test("those of contents that cannot be read do not repeat them", async (t) => {
    const { port } = await start(t);
    const unsaid = await jws("top"); // Its header does not say that there is a JWS.
    for (const wrong of ['{"number":"top secret"}', "top secret", '{"text":top}', '"top secret', unsaid]) {
      for (const answer of [
        await ask(port, rest, jose, await jwe(wrong)),
        await connectPost(port, await jwe(wrong), jose),
      ]) {
        assert.equal(answer.status, 400);
        assert.doesNotMatch(answer.body.toString(), /top/);
        assert.match(answer.body.toString(), /tsms\.test\.v1\.EchoRequest/);
      }
    }
  });
});

test("the signer of a content is not the principal: it says neither who sends it nor when", async (t) => {
  await using files = await TemporaryFiles.create();
  const keysFile = await files.write("keys.yaml", "[]");
  const security = await createSecurity({
    auth: { partners: apiKeys({ keysFile }) },
    access: { default: "authenticated" },
  });
  t.after(() => security.close());
  const gates = [...security.gates, envelopeGate({ keys: () => keySet })];
  await using gateway = await startGateway({ gates });
  const body = await jwe(await jws(content), { cty: "JOSE" });
  assert.equal((await ask(gateway.port, rest, jose, body)).status, 401);
});

test("files of keys: what is wrong is named, a key is never shown", async () => {
  const { privateJwk, publicJwk } = server.p256;
  const { d } = privateJwk;
  const signer = signers.EdDSA;
  const short = {
    kty: "RSA",
    kid: "a",
    use: "enc",
    e: "AQAB",
    n: Buffer.alloc(128, 255).toString("base64url"),
  };
  for (const [text, expected] of [
    ["x", /keys\.json: this is no JSON/],
    ["[]", /no JWK set/],
    [{ keys: [1] }, /key 1 is no JWK/],
    [{ keys: [{ ...privateJwk, kid: undefined }] }, /key 1 has no kid/],
    [{ keys: [privateJwk, privateJwk] }, /key 2: the kid "p256" is there twice/],
    [{ keys: [publicJwk] }, /key 1: a public key needs its use/],
    [{ keys: [{ ...privateJwk, use: "sig" }] }, /only its public part belongs here/],
    [{ keys: [{ kty: "oct", kid: "a", k: "c2VjcmV0", use: "enc" }] }, /a secret cannot be used/],
    [{ keys: [{ ...privateJwk, alg: "ECDH-ES" }] }, /alg of this key must be ECDH-ES\+A256KW, not "ECDH-ES"/],
    [{ keys: [{ ...signer.publicJwk, alg: "HS256" }] }, /alg of this key must be EdDSA, Ed25519/],
    [{ keys: [{ ...signer.publicJwk, use: "enc" }] }, /keys of this kind cannot be used/],
    [{ keys: [{ ...privateJwk, x: "AAAA" }] }, /no JWK of a key/],
    [{ keys: [short] }, /needs 2048 bits/],
  ] as const) {
    assert.throws(
      () => readEnvelopeKeys(typeof text === "string" ? text : JSON.stringify(text), "keys.json"),
      (error: Error) => expected.test(error.message) && !error.message.includes(String(d)),
      String(expected),
    );
  }
});
