import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { after, before, test } from "node:test";
import { connectRedis, type Redis } from "../../src/core/redis/redis.ts";
import {
  readSignatureKeys,
  RedisReplayStore,
  requestSigner,
  signatureGate,
} from "../../src/entries/signatures.ts";
import { startGateway } from "../support/gateway-fixture.ts";
import { RedisServer } from "../support/redis-server.ts";

let server: RedisServer;
let redis: Redis;

before(async () => {
  server = await RedisServer.start();
  redis = await connectRedis({ url: server.url, commandTimeoutMs: 500 });
  assert.ok(await redis.whenReady(5_000));
});

after(async () => {
  redis.close();
  await server.stop();
});

test("M4 nonces in Redis count once for all processes, for as long as signatures may be old", async () => {
  const store = new RedisReplayStore(redis);
  const other = new RedisReplayStore(redis);
  assert.deepEqual([await store.claim("key a", 60_000), await other.claim("key a", 60_000)], [true, false]);
  assert.ok(await other.claim("key b", 60_000));
  const keys = (await redis.command(["KEYS", "ts-ms:nonce:*"])) as string[]; // KEYS returns a list of texts.
  assert.equal(keys.length, 2);
  for (const key of keys) {
    assert.ok(!key.includes("key"), "keys are hashes");
    const ttlMs = Number(await redis.command(["PTTL", key]));
    assert.ok(ttlMs > 50_000 && ttlMs <= 60_000);
  }
  const all = await Promise.all(Array.from({ length: 200 }, async () => store.claim("key c", 60_000)));
  assert.equal(all.filter((isFirst) => isFirst).length, 1);
  assert.ok(await store.claim("key d", 1));
  while (!(await store.claim("key d", 1))); // It is forgotten.
});

test("M4, I26: two gateways with one Redis; while it is away signed calls are 503, never open", async () => {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const key = publicKey.export({ type: "spki", format: "pem" });
  const known = readSignatureKeys(JSON.stringify([{ id: "gw-1", alg: "ed25519", key }]), "keys.json");
  const gate = () => signatureGate({ keys: () => known, replay: new RedisReplayStore(redis) });
  await using one = await startGateway({ gates: [gate()] });
  await using two = await startGateway({ gates: [gate()] });
  const signer = requestSigner({ keyId: "gw-1", key: privateKey });
  const targetUri = "http://shared.example/test/v1/echo/a";
  const signed = () => Object.fromEntries(signer.sign({ method: "GET", targetUri, fields: [] }));
  const send = async (port: number, headers: Record<string, string>) => {
    const { ask, jsonOf } = await import("../behaviour/rpc-protocols/rpc-fixture.ts");
    const answer = await ask(port, "/test/v1/echo/a", { host: "shared.example", ...headers });
    const [detail] = (jsonOf(answer)["details"] ?? []) as { reason?: string }[];
    return [answer.status, detail?.reason];
  };
  const headers = signed();
  assert.deepEqual(await send(one.port, headers), [200, undefined]);
  assert.deepEqual(await send(two.port, headers), [401, "REPLAYED"]);
  server.freeze();
  try {
    assert.deepEqual(await send(one.port, signed()), [503, "REPLAY_STORE_UNAVAILABLE"]);
  } finally {
    server.thaw();
  }
  assert.ok(await redis.whenReady(5_000));
  await server.kill();
  assert.deepEqual(await send(two.port, signed()), [503, "REPLAY_STORE_UNAVAILABLE"]);
});
