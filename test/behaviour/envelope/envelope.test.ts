import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Code, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import type { UniversalClientFn } from "@connectrpc/connect/protocol";
import { createTransport } from "@connectrpc/connect/protocol-connect";
import { compactDecrypt, decodeProtectedHeader } from "jose";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { envelopeFetch, envelopeOpener, envelopeSealer } from "../../../src/entries/envelope.ts";
import { restTransport } from "../../../src/entries/rest.ts";
import { ask, connectPost, jsonOf, type Answer } from "../rpc-protocols/rpc-fixture.ts";
import { client, jwe, jws, rsaClient, server, signers, start } from "./envelope-fixture.ts";

const jose = { "content-type": "application/jose" };
const rest = "/test/v1/echo";
const content = '{"text":"secret"}';

const openedBy = async ({ body }: Answer, { privateKey }: typeof client): Promise<{ text?: string }> => {
  const { plaintext } = await compactDecrypt(body.toString(), privateKey);
  return JSON.parse(Buffer.from(plaintext).toString()) as { text?: string };
};

suite("M6: a body made by jose is opened", () => {
  for (const [name, key] of Object.entries(server)) {
    test(`for a key of ${name}`, async (t) => {
      const { port, seen } = await start(t, { rpc: ["tsms.test.v1.*"] });
      const alg = name === "rsa" ? "RSA-OAEP-256" : "ECDH-ES+A256KW";
      const body = await jwe(content, { alg, cty: "json" }, key);
      assert.equal(jsonOf(await ask(port, rest, jose, body))["text"], "secret");
      assert.equal(jsonOf(await connectPost(port, body, jose))["text"], "secret");
      assert.deepEqual(seen, ["started", "finished", "started", "finished"]);
    });
  }

  for (const alg of ["EdDSA", "ES256", "PS256"] as const) {
    test(`with a JWS of ${alg} in it: handlers see who has signed`, async (t) => {
      const { port, signedBy } = await start(t);
      for (const cty of ["JOSE", "jose", "application/jose"]) {
        const body = await jwe(await jws(content, alg), { cty });
        assert.equal(jsonOf(await ask(port, rest, jose, body))["text"], "secret");
      }
      const plain = await jwe(content);
      assert.equal(jsonOf(await connectPost(port, plain, jose))["text"], "secret");
      const kid = signers[alg].publicJwk.kid;
      assert.deepEqual(signedBy, [kid, kid, kid, undefined]);
    });
  }

  test("without a kid, where there is one key only", async (t) => {
    const keys = {
      decryption: new Map([["only", { id: "only", algorithm: "ECDH-ES+A256KW", key: await keyOf() }]]),
      verification: new Map(),
      recipients: new Map(),
    };
    const body = await jwe(content, { kid: undefined });
    const { port } = await start(t, { keys: () => keys });
    assert.equal((await ask(port, rest, jose, body)).status, 200);
    const { port: other } = await start(t);
    assert.equal((await ask(other, rest, jose, body)).status, 400);
  });
});

async function keyOf() {
  const { createPrivateKey } = await import("node:crypto");
  return createPrivateKey({ key: server.x25519.privateJwk, format: "jwk" });
}

suite("M6: Accept encrypts the reply", () => {
  const rows: readonly [string, string, typeof client][] = [
    ["a key of X25519", 'application/jose;kid="client"', client],
    ["a key of RSA", "application/jose; kid=rsa-client, application/json;q=0.5", rsaClient],
  ];
  for (const [name, accept, key] of rows) {
    test(`for ${name}, by REST, by GET and by Connect`, async (t) => {
      const { port } = await start(t, {}, { etag: true, compression: true, compressionThresholdBytes: 1 });
      const headers = { accept, "accept-encoding": "gzip" };
      const sealed = await jwe(content);
      for (const answer of [
        await ask(port, rest, { ...headers, ...jose }, sealed),
        await ask(port, rest, { ...headers, "content-type": "application/json" }, content),
        await ask(port, `${rest}/secret`, headers),
        await connectPost(port, sealed, { ...headers, ...jose }),
        await connectPost(port, content, headers),
      ]) {
        assert.equal(answer.status, 200);
        assert.equal(answer.headers["content-type"], "application/jose");
        assert.equal(answer.headers["cache-control"], "no-store");
        assert.equal(answer.headers["etag"], undefined);
        assert.equal(answer.headers["content-encoding"], undefined);
        assert.equal((await openedBy(answer, key)).text, "secret");
        const { enc, kid, zip } = decodeProtectedHeader(answer.body.toString());
        assert.deepEqual([enc, kid, zip], ["A256GCM", key.publicJwk.kid, undefined]);
      }
    });
  }

  test("encrypt_to is the key of all replies", async (t) => {
    const { createPublicKey } = await import("node:crypto");
    const key = createPublicKey({ key: client.publicJwk, format: "jwk" });
    const to = { id: "client", algorithm: "ECDH-ES+A256KW", key };
    const { port } = await start(t, { encryptTo: () => to });
    for (const accept of ["application/jose", "application/jose;kid=rsa-client"]) {
      assert.equal((await openedBy(await ask(port, `${rest}/secret`, { accept }), client)).text, "secret");
    }
  });

  test("plain JSON where that is preferred, or nothing is said", async (t) => {
    const { port } = await start(t);
    for (const accept of [
      "application/json",
      "*/*",
      "application/jose;q=0",
      "application/jose;kid=client;q=0.5, application/json",
      'application/json;x="application/jose"',
    ]) {
      const answer = await ask(port, `${rest}/secret`, { accept });
      assert.equal(answer.headers["content-type"], "application/json", accept);
    }
  });

  test("406 for a key that is not known, or not named", async (t) => {
    const { port, seen } = await start(t);
    for (const accept of ["application/jose", "application/jose;kid=nobody", "application/jose;kid=ed"]) {
      assert.equal((await ask(port, `${rest}/secret`, { accept })).status, 406);
      assert.deepEqual(seen.splice(0), ["refused malformed InvalidArgument"]);
    }
    const proto = { accept: "application/jose;kid=client", "content-type": "application/proto" };
    const answer = await connectPost(port, new Uint8Array(), proto);
    assert.deepEqual([answer.status, jsonOf(answer)["code"]], [400, "invalid_argument"]);
  });
});

suite("M6: typed clients", () => {
  const transports = [
    ["restTransport", (url: string, send: typeof fetch) => restTransport({ baseUrl: url, fetch: send })],
    [
      "Connect by fetch",
      (url: string, send: typeof fetch) =>
        createTransport({
          baseUrl: url,
          httpClient: fetching(send),
          useBinaryFormat: false,
          interceptors: [],
          acceptCompression: [],
          sendCompression: null,
          compressMinBytes: 0,
          readMaxBytes: 1 << 20,
          writeMaxBytes: 1 << 20,
        }),
    ],
  ] as const;
  for (const [name, make] of transports) {
    test(`${name} with envelopeFetch`, async (t) => {
      const { url, signedBy } = await start(t, { rpc: ["tsms.test.v1.EchoService/Echo"] });
      const types: (string | null)[] = [];
      const watched: typeof fetch = async (input, init) => {
        const response = await fetch(input, init);
        types.push(response.headers.get("content-type"));
        return response;
      };
      const send = envelopeFetch({
        to: server.rsa.publicJwk,
        sign: signers.EdDSA.privateJwk,
        key: client.privateJwk,
        fetch: watched,
      });
      const api = createClient(EchoService, make(url, send));
      assert.equal((await api.echo({ text: "typed" })).text, "typed");
      assert.deepEqual([types, signedBy], [["application/jose"], ["ed"]]);
      const failure = { code: Code.NotFound, message: "gone", reasons: ["SECRET"] };
      await assert.rejects(api.echo({ text: "x", behaviour: { failure } }), {
        code: Code.NotFound,
        rawMessage: "gone",
        details: [],
      });
    });
  }

  test("envelopeFetch does not take a plain reply, nor a body that is no JSON", async (t) => {
    const { url } = await start(t);
    const plain: typeof fetch = (input) => fetch(input);
    const keys = { to: server.p256.publicJwk, key: client.privateJwk };
    await assert.rejects(envelopeFetch({ ...keys, fetch: plain })(`${url}${rest}/a`), /not encrypted/);
    const text = { method: "POST", body: "text" };
    await assert.rejects(envelopeFetch(keys)(`${url}${rest}`, text), /only JSON/);
  });

  test("a client that knows nothing of envelopes", async (t) => {
    const { url } = await start(t, { rpc: ["tsms.test.v1.EchoService/Echo"] });
    const api = createClient(EchoService, createConnectTransport({ baseUrl: url, httpVersion: "1.1" }));
    await assert.rejects(api.echo({ text: "x" }), { code: Code.InvalidArgument });
  });

  test("sealers and openers of both sides", async () => {
    const sealer = envelopeSealer({ to: client.publicJwk, sign: signers.ES256.privateJwk });
    const verification = new Map([["es", { id: "es", algorithm: "ES256", key: await publicKey() }]]);
    const { createPrivateKey } = await import("node:crypto");
    const key = createPrivateKey({ key: client.privateJwk, format: "jwk" });
    const decryption = new Map([["client", { id: "client", algorithm: "ECDH-ES+A256KW", key }]]);
    const opener = envelopeOpener({ keys: { decryption, verification } });
    const { content: opened, signer } = await opener.open(await sealer.seal(content));
    assert.deepEqual([Buffer.from(opened).toString(), signer], [content, "es"]);
    const unsigned = envelopeOpener({ keys: client.privateJwk });
    await assert.rejects(unsigned.open(await sealer.seal(content)), { problem: "signature" });
    assert.equal(
      (await unsigned.open(await envelopeSealer({ to: client.publicJwk }).seal(content))).signer,
      undefined,
    );
  });
});

/** Sends what Connect's own transport makes by `fetch`, as its transport of browsers does. */
function fetching(send: typeof fetch): UniversalClientFn {
  return async ({ url, method, header, body, signal }) => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of body ?? []) chunks.push(chunk);
    const sent = Buffer.concat(chunks);
    const response = await send(url, { method, headers: header, body: sent, ...(signal && { signal }) });
    return {
      status: response.status,
      header: response.headers,
      body: response.body,
      trailer: new Headers(),
    } as never;
  };
}

async function publicKey() {
  const { createPublicKey } = await import("node:crypto");
  return createPublicKey({ key: signers.ES256.publicJwk, format: "jwk" });
}
