import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { after, before, suite, test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { compactDecrypt, CompactEncrypt } from "jose";
import { SessionRecordSchema } from "../../../gen/ts_ms/session/v1/session_pb.ts";
import { SetupError } from "../../../src/core/errors/setup-error.ts";
import { sessions } from "../../../src/gateway/session/sessions.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";
import { cookieOf, SessionSite, textOf } from "./session-site.ts";

suite("sessions in cookies:", () => {
  let site: SessionSite;
  let files: TemporaryFiles;
  let key: Buffer;
  let keysFile: string;
  let nowMs = Date.now();

  before(async () => {
    files = await TemporaryFiles.create();
    key = randomBytes(32);
    keysFile = await files.write("keys", "");
    await writeFile(keysFile, `# of sessions\n${key.toString("base64")}\n`);
    site = await SessionSite.start({ options: { keysFile }, parts: { wallMs: () => nowMs } });
  });

  after(async () => {
    await site[Symbol.asyncDispose]();
    await files[Symbol.asyncDispose]();
  });

  async function loggedIn(id = "ada"): Promise<string> {
    return cookieOf(await site.get(`login~${id}`));
  }

  test("S1 the cookie is Secure, HttpOnly, SameSite=Lax, of this host and any path", async () => {
    const { headers } = await site.get("login~ada");
    const [, ...attributes] = (headers.get("set-cookie") ?? "").split("; ");
    assert.match(headers.get("set-cookie") ?? "", /^__Host-session=/);
    assert.deepEqual(attributes.toSorted(), [
      "HttpOnly",
      "Max-Age=86400",
      "Path=/",
      "SameSite=Lax",
      "Secure",
    ]);
  });

  test("S1 the cookie is a compact JWE that jose decrypts, and one of jose is taken", async () => {
    const cookie = await loggedIn();
    const token = cookie.slice("__Host-session=".length);
    const { plaintext, protectedHeader } = await compactDecrypt(token, key);
    assert.deepEqual([protectedHeader.alg, protectedHeader.enc], ["dir", "A256GCM"]);
    const record = fromBinary(SessionRecordSchema, plaintext);
    assert.equal(record.principal?.id, "ada");
    assert.ok(record.exp > record.idle && record.jti.length === 43);
    const again = await new CompactEncrypt(plaintext).setProtectedHeader(protectedHeader).encrypt(key);
    assert.notEqual(again, token);
    assert.equal(textOf(await site.get("private", `__Host-session=${again}`)), "ada:");
  });

  test("S1 a cookie that is too large is INTERNAL at its handler, and the old one stays good", async () => {
    const cookie = await loggedIn();
    const answer = await site.post("much~5000", cookie, "-H", "sec-fetch-site: same-origin");
    assert.equal(answer.status, 500);
    assert.equal(answer.headers.get("set-cookie"), undefined);
    assert.equal(textOf(await site.get("private", cookie)), "ada:");
  });

  test("S1 a session ends when it is idle, and after its ttl however much it is used", async () => {
    const start = nowMs;
    let cookie = await loggedIn();
    nowMs += 29 * 60_000;
    const renewed = await site.get("private", cookie);
    assert.equal(textOf(renewed), "ada:");
    assert.notEqual(cookieOf(renewed), "", "a used session is renewed");
    nowMs += 2 * 60_000;
    assert.equal((await site.get("private", cookie)).status, 401);
    cookie = cookieOf(renewed);
    while (nowMs < start + 24 * 3_600_000 - 60_000) {
      const answer = await site.get("private", cookie);
      assert.equal(textOf(answer), "ada:");
      cookie = cookieOf(answer) || cookie;
      nowMs += 25 * 60_000;
    }
    nowMs = start + 24 * 3_600_000;
    assert.equal((await site.get("private", cookie)).status, 401);
  });

  test("S1 keys are turned over: the first encrypts, all decrypt, a removed one ends its sessions", async () => {
    await using own = await TemporaryFiles.create();
    const file = await own.write("keys", "");
    const [one, two] = [randomBytes(32).toString("base64url"), randomBytes(32).toString("base64")];
    await writeFile(file, one);
    const start = () => SessionSite.start({ options: { keysFile: file } });
    let cookie: string;
    {
      await using first = await start();
      cookie = cookieOf(await first.get("login~ada"));
    }
    await writeFile(file, `${two}\n${one}\n`);
    {
      await using both = await start();
      assert.equal(textOf(await both.get("private", cookie)), "ada:");
    }
    await writeFile(file, two);
    await using last = await start();
    const answer = await last.get("private", cookie);
    assert.equal(answer.status, 401);
    assert.match(answer.headers.get("set-cookie") ?? "", /^__Host-session=; Max-Age=0;/);
  });

  test("S1 wrong options and keys are errors of the start", async () => {
    assert.throws(() => sessions({}, { NODE_ENV: "production" }), /NODE_ENV=production the option keysFile/);
    assert.throws(() => sessions({ domain: "a.example", name: "__Host-a" }), /__Host-, which has no domain/);
    assert.throws(() => sessions({ store: "redis" }), /needs the option redis/);
    assert.throws(() => sessions({ idleMs: 1 }), SetupError);
    const bad = await files.write("bad", "c2hvcnQ=");
    await assert.rejects(SessionSite.start({ options: { keysFile: bad } }), /bad:1: a key must be 32 bytes/);
  });

  test("S1 with a domain the name begins with __Secure-", async () => {
    await using wide = await SessionSite.start({ options: { domain: "example.com", sameSite: "none" } });
    const { headers } = await wide.get("login~ada");
    assert.match(
      headers.get("set-cookie") ?? "",
      /^__Secure-session=.*; Domain=example\.com;.*SameSite=None/,
    );
  });

  test("S3 login takes a new name and destroys the old session; what it holds stays", async () => {
    const cart = cookieOf(await site.get("add~x"));
    assert.equal(textOf(await site.get("show", cart)), "anonymous:x");
    const logged = await site.get("login~ada", cart);
    assert.equal(textOf(logged), "ada:x");
    assert.equal(textOf(await site.get("show", cookieOf(logged))), "ada:x");
    const old = await site.get("show", cart);
    assert.equal(textOf(old), "anonymous:");
    assert.match(old.headers.get("set-cookie") ?? "", /^__Host-session=; Max-Age=0;/);
  });

  test("I25 S3 S4 a cookie of nobody: 401 where a principal is needed, deleted, never an error by itself", async () => {
    const good = await loggedIn();
    const gone = await loggedIn("gone");
    assert.equal(textOf(await site.get("logout", gone)), "anonymous:");
    const token = good.slice("__Host-session=".length);
    await using others = await SessionSite.start();
    const foreign = cookieOf(await others.get("login~eve"));
    const broken = [
      gone,
      foreign,
      `__Host-session=${"A".repeat(5 * 1024)}`,
      "__Host-session=",
      "__Host-session=....",
    ];
    for (let at = 0; at < token.length; at += 23) {
      const other = token[at] === "A" ? "B" : "A";
      broken.push(`__Host-session=${token.slice(0, at)}${other}${token.slice(at + 1)}`);
    }
    const end = token.at(-1) ?? "";
    const bit = String.fromCharCode(end.charCodeAt(0) + 1); // The bits behind the last byte.
    broken.push(`__Host-session=${token.slice(0, -1)}${bit}`, `__Host-session=${token.slice(0, -9)}`);
    for (const cookie of broken) {
      const needed = await site.get("private", cookie);
      assert.equal(needed.status, 401, cookie);
      assert.match(needed.headers.get("set-cookie") ?? "", /^__Host-session=; Max-Age=0;/);
      const open = await site.get("show", cookie);
      assert.equal(textOf(open), "anonymous:", cookie);
    }
    const renamed = await site.get("private", `session=${token}`);
    assert.deepEqual([renamed.status, renamed.headers.get("set-cookie")], [401, undefined]);
    assert.equal(textOf(await site.get("private", good)), "ada:");
  });

  test("S5 cookies are read, and several that are set stay several", async () => {
    const response = await fetch(`${site.origin}/test/v1/echo/cookies`, {
      headers: { cookie: "given=a%20b; other=1" },
    });
    assert.equal(((await response.json()) as { text: string }).text, "a b");
    assert.deepEqual(response.headers.getSetCookie(), [
      "one=a%20b%3Bc; Path=/; HttpOnly; Secure; SameSite=Lax",
      "two=2; Max-Age=5; Path=/; HttpOnly; Secure; SameSite=Strict",
      "three=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=Lax",
    ]);
  });
});
