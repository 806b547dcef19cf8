import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { suite, test, type TestContext } from "node:test";
import { Code, createClient } from "@connectrpc/connect";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import {
  LocalReplayStore,
  readSignatureKeys,
  requestSigner,
  responseSigner,
  signatureGate,
  type SignatureGateOptions,
} from "../../../src/entries/signatures.ts";
import { dial, GrpcServer, type Interceptor } from "../../../src/index.ts";
import { principal } from "../../../src/core/security/principal.ts";
import { Echo } from "../../support/echo-service.ts";
import { startGateway } from "../../support/gateway-fixture.ts";

const { privateKey, publicKey } = generateKeyPairSync("ed25519");
const pem = publicKey.export({ type: "spki", format: "pem" });
const keys = readSignatureKeys(JSON.stringify([{ id: "gw-1", alg: "ed25519", key: pem }]), "keys.json");
const signer = requestSigner({ keyId: "gw-1", key: privateKey, components: ["content-type"] });

async function start(t: TestContext, options: Partial<SignatureGateOptions> = {}) {
  const principals: (string | undefined)[] = [];
  const look: Interceptor = (next) => (request) => {
    principals.push(principal({ values: request.contextValues })?.id);
    return next(request);
  };
  const gates = [signatureGate({ keys: () => keys, ...options })];
  const gateway = await startGateway({ gates, interceptors: [look] });
  t.after(() => gateway[Symbol.asyncDispose]());
  const url = `${gateway.url}/tsms.test.v1.EchoService/Echo`;
  const send = async (fields: readonly (readonly [string, string])[], body: Uint8Array<ArrayBuffer>) => {
    const headers = new Headers();
    for (const [name, value] of fields) headers.append(name, value);
    const response = await fetch(url, { method: "POST", headers, body });
    const { details = [], text } = (await response.json()) as {
      details?: { reason?: string }[];
      text?: string;
    };
    const retryAfter = response.headers.get("retry-after") ?? undefined;
    return { status: response.status, reason: details[0]?.reason, text, ...(retryAfter && { retryAfter }) };
  };
  return { gateway, url, send, principals };
}

const type = ["content-type", "application/json"] as const;
const body = new TextEncoder().encode('{"text":"signed"}');

/** The fields of a signed call. */
function signed(targetUri: string, sent = body): [string, string][] {
  const fields = signer.sign({ method: "POST", targetUri, fields: [type], body: sent });
  return [type, ...fields].map(([name, value]) => [name, value]);
}

test("M1, M3: a signed call passes, its principal is the key", async (t) => {
  const { url, send, principals } = await start(t);
  assert.deepEqual(await send(signed(url), body), { status: 200, reason: undefined, text: "signed" });
  assert.deepEqual(principals, ["gw-1"]);
});

test("M1: the digest is that of the bytes on the wire, before they are decompressed", async (t) => {
  const { gzipSync } = await import("node:zlib");
  const { url, send } = await start(t);
  const zipped = new Uint8Array(gzipSync(body));
  assert.equal((await send([...signed(url, zipped), ["content-encoding", "gzip"]], zipped)).status, 200);
  assert.equal(
    (await send([...signed(url, body), ["content-encoding", "gzip"]], zipped)).reason,
    "SIGNATURE_INVALID",
  );
});

suite("I26: what was signed and what came differ", () => {
  type Fields = [string, string][];
  const without = (fields: Fields, name: string) => fields.filter(([field]) => field !== name);
  const replaced = (fields: Fields, name: string, change: (value: string) => string): Fields =>
    fields.map(([field, value]) => [field, field === name ? change(value) : value]);
  const rows: readonly [string, (fields: Fields) => Fields, Uint8Array<ArrayBuffer>?][] = [
    ["no signature", () => [[...type]]],
    ["a body altered by one byte", (fields) => fields, new TextEncoder().encode('{"text":"sjgned"}')],
    ["no digest", (fields) => without(fields, "content-digest")],
    ["a header added twice", (fields) => [...fields, ["content-digest", "sha-256=:AAAA:"]]],
    ["Signature without -Input", (fields) => without(fields, "signature-input")],
    ["-Input without Signature", (fields) => without(fields, "signature")],
    [
      "another label",
      (fields) =>
        replaced(
          replaced(fields, "signature", (v) => v.replace("sig1", "sig2")),
          "signature-input",
          (v) => v.replace("sig1", "sig2"),
        ),
    ],
    ["an unknown key", (fields) => replaced(fields, "signature-input", (v) => v.replace("gw-1", "gw-2"))],
    [
      "another algorithm",
      (fields) => replaced(fields, "signature-input", (v) => v.replace("ed25519", "hmac-sha256")),
    ],
    [
      "another nonce",
      (fields) => replaced(fields, "signature-input", (v) => v.replace(/nonce="./, 'nonce="!')),
    ],
    ["a signature cut short", (fields) => replaced(fields, "signature", (v) => v.replace(/=:..../, "=:"))],
    [
      "a header that says another thing",
      (fields) => replaced(fields, "content-type", () => "application/json; charset=utf-8"),
    ],
    ["nonsense", (fields) => replaced(fields, "signature-input", () => "sig1=((((")],
  ];
  for (const [name, change, sent = body] of rows) {
    test(name, async (t) => {
      const { url, send } = await start(t);
      assert.deepEqual(await send(change(signed(url)), sent), {
        status: 401,
        reason: "SIGNATURE_INVALID",
        text: undefined,
      });
    });
  }
  test("a target other than the signed one", async (t) => {
    const { url, send } = await start(t);
    assert.equal((await send(signed(`${url}?x=1`), body)).reason, "SIGNATURE_INVALID");
  });
  for (const [name, seconds] of [
    ["clock -10 min", -600],
    ["clock +10 s", 10],
  ] as const) {
    test(name, async (t) => {
      const { url, send } = await start(t);
      t.mock.timers.enable({ apis: ["Date"], now: Date.now() + seconds * 1000 });
      const fields = signed(url);
      t.mock.timers.reset();
      assert.equal((await send(fields, body)).reason, "SIGNATURE_INVALID");
    });
  }
});

test("M4, I26: a nonce counts once; a store that is away refuses with 503", async (t) => {
  const { url, send } = await start(t);
  const fields = signed(url);
  assert.equal((await send(fields, body)).status, 200);
  assert.deepEqual(await send(fields, body), { status: 401, reason: "REPLAYED", text: undefined });
  const away = await start(t, { replay: { claim: () => Promise.reject(new Error("away")) } });
  const refused = await away.send(signed(away.url), body);
  const { status, reason, retryAfter } = refused;
  assert.deepEqual([status, reason, retryAfter], [503, "REPLAY_STORE_UNAVAILABLE", "1"]);
});

test("M4: a full store refuses, and forgets what is over", () => {
  let now = 0;
  const store = new LocalReplayStore(2, () => now);
  assert.deepEqual([store.claim("a", 10), store.claim("b", 10), store.claim("a", 10)], [true, true, false]);
  assert.throws(() => store.claim("c", 10), /too many nonces/);
  now = 11;
  assert.deepEqual([store.claim("c", 10), store.claim("a", 10)], [true, true]);
});

test("M1: gRPC calls are signed by dial, streams only where their headers are enough", async (t) => {
  const run = async (options: Partial<SignatureGateOptions>) => {
    const gates = [signatureGate({ keys: () => keys, ...options })];
    const server = new GrpcServer({ port: 0, gates, logger: false }).addService(new Echo());
    await server.start();
    const target = `127.0.0.1:${server.address?.port}`;
    const transport = dial(target, { sign: signer });
    const unsigned = dial(target);
    t.after(async () => {
      transport.close();
      unsigned.close();
      await server.gracefulStop({ graceMs: 0 });
    });
    return { client: createClient(EchoService, transport), unsigned: createClient(EchoService, unsigned) };
  };
  const { client, unsigned } = await run({});
  assert.equal((await client.echo({ text: "a" })).text, "a");
  assert.equal((await client.echo({ text: "a" })).text, "a");
  await assert.rejects(unsigned.echo({ text: "a" }), { code: Code.Unauthenticated });
  const repeat = async (from: typeof client) => {
    let count = 0;
    for await (const _ of from.repeat({ text: "a", count: 2 })) count++;
    return count;
  };
  await assert.rejects(repeat(client), { code: Code.Unauthenticated });
  const open = await run({ streams: "headers" });
  assert.equal(await repeat(open.client), 2);
  await assert.rejects(repeat(open.unsigned), { code: Code.Unauthenticated });
});

test("M5: an answer is signed with its status, digest and the method of its request", async () => {
  const { verifySignature } = await import("http-message-sig");
  const { schemes } = await import("../../../src/core/security/signatures/algorithms.ts");
  const request = { method: "POST", targetUri: "https://a.example/x", fields: [] };
  const fields = responseSigner({ keyId: "gw-1", key: privateKey }).sign({
    status: 200,
    fields: [type],
    body,
    request,
  });
  const message = {
    kind: "response",
    status: 200,
    fields: [type, ...fields].map(([name, value]) => ({ name, value })),
    request: { kind: "request", ...request },
  } as const;
  const verified = await verifySignature(message, {
    policy: {
      algorithms: ["ed25519"],
      requiredComponents: ["@status", "content-digest"],
      requiredParameters: ["nonce"],
    },
    resolveVerifier: () => ({
      algorithm: "ed25519",
      verify: (data, bytes) => schemes.ed25519.verify(publicKey, data, bytes),
    }),
  });
  assert.deepEqual(
    verified.components.map(({ name, parameters }) => [name, parameters["req"] === true]),
    [
      ["@status", false],
      ["@method", true],
      ["content-digest", false],
    ],
  );
});
