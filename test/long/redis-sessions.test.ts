import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { connectRedis, type Redis } from "../../src/core/redis/redis.ts";
import { cookieOf, SessionSite, textOf } from "../behaviour/session/session-site.ts";
import { RedisServer } from "../support/redis-server.ts";
import { TemporaryFiles } from "../support/temporary-files.ts";

let server: RedisServer;
let redis: Redis;

before(async () => {
  server = await RedisServer.start();
  redis = await connectRedis({ url: server.url, commandTimeoutMs: 2_000 });
  assert.ok(await redis.whenReady(5_000));
});

after(async () => {
  redis.close();
  await server.stop();
});

const own = ["-H", "sec-fetch-site: same-origin"];

test("S2 S3 sessions in Redis: by the hash of their id, written when they change, gone after the logout", async () => {
  await using one = await SessionSite.start({ options: { store: "redis", redis } });
  await using two = await SessionSite.start({ options: { store: "redis", redis } });
  const cookie = cookieOf(await one.get("login~ada"));
  const id = cookie.slice("__Host-session=".length);
  assert.match(id, /^[\w-]{43}$/);
  const keys = (await redis.command(["KEYS", "ts-ms:session:*"])) as string[]; // KEYS returns a list of texts.
  assert.equal(keys.length, 1);
  assert.ok(keys.every((key) => !key.includes(id)));
  assert.equal(textOf(await two.post("add~x", cookie, ...own)), "ada:x");
  const before = await redis.command(["GET", keys[0] ?? ""]);
  const read = await one.get("private", cookie);
  assert.deepEqual([textOf(read), read.headers.get("set-cookie")], ["ada:x", undefined]);
  assert.equal(await redis.command(["GET", keys[0] ?? ""]), before);
  const large = await one.post("much~20000", cookie, ...own);
  assert.equal(textOf(large).length, "ada:".length + 20_000);
  const again = cookieOf(await two.get("login~eve", cookie));
  assert.equal((await one.get("private", cookie)).status, 401);
  assert.match(textOf(await one.get("private", again)), /^eve:/);
  assert.equal(textOf(await one.get("logout", again)), "anonymous:");
  assert.equal((await two.get("private", again)).status, 401);
  const left = (await redis.command(["KEYS", "ts-ms:session:*"])) as string[]; // As above.
  assert.deepEqual(
    left.filter((key) => !key.startsWith("ts-ms:session:ended:")),
    [],
  );
});

for (const store of ["redis", "cookie"] as const) {
  test(`S3 C14 a logout in one process ends open streams in another one (store ${store})`, async () => {
    await using files = await TemporaryFiles.create();
    const keysFile = await files.write("keys", "");
    await writeFile(keysFile, randomBytes(32).toString("base64"));
    const options = store === "redis" ? { store, redis } : { store, redis, keysFile };
    await using one = await SessionSite.start({ options });
    await using two = await SessionSite.start({ options });
    const cookie = cookieOf(await one.get("login~ada"));
    const other = cookieOf(await one.get("login~eve"));
    const [socket, still] = await Promise.all([
      two.socket("hold", cookie).open(),
      two.socket("hold", other).open(),
    ]);
    assert.equal((await socket.json())["text"], "ada");
    await one.get("logout", cookie);
    const begin = Date.now();
    assert.equal((await socket.closed).code, 4016);
    assert.ok(Date.now() - begin < 5_000, `${Date.now() - begin} ms`);
    assert.equal((await still.json())["text"], "eve");
    assert.equal(still.ws.readyState, still.ws.OPEN);
  });
}

test("S3 with cookies as store Redis has the logouts, for all processes", async () => {
  const keysFile = undefined;
  await using one = await SessionSite.start({ options: { redis, keysFile } });
  const cookie = cookieOf(await one.get("login~ada"));
  assert.equal(textOf(await one.get("private", cookie)), "ada:");
  const ended = async () => ((await redis.command(["KEYS", "ts-ms:session:ended:*"])) as string[]).length; // A list of texts.
  const before = await ended();
  await one.get("logout", cookie);
  assert.equal(await ended(), before + 1);
  assert.equal((await one.get("private", cookie)).status, 401);
});

test("S2 while Redis is away sessions are UNAVAILABLE, and calls without one go on", async () => {
  await using site = await SessionSite.start({ options: { store: "redis", redis } });
  const cookie = cookieOf(await site.get("login~ada"));
  await server.kill();
  const needed = await site.get("private", cookie);
  assert.equal(needed.status, 503);
  assert.match(needed.body, /SESSIONS_UNAVAILABLE/);
  assert.equal(needed.headers.get("set-cookie"), undefined);
  assert.equal(textOf(await site.get("show")), "anonymous:");
});
