import assert from "node:assert/strict";
import { scryptSync } from "node:crypto";
import { suite, test } from "node:test";
import { basic } from "../../../src/core/security/schemes/basic.ts";
import { fitsPassword, hashPassword, parsePasswordHash } from "../../../src/core/security/scrypt.ts";
import { Turns } from "../../../src/core/security/turns.ts";
import { Code } from "../../../src/core/errors/errors.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";
import { Judge, type Verdict } from "./judged.ts";

/** Cost and hash of the second vector of RFC 7914 12; its salt is shorter than ours may be. */
const vector =
  "$scrypt$ln=10,r=8,p=16$TmFDbE5hQ2w$/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWIurzDZLiKjiG/xCSedmDDaxyevuUqD7m2DYMvfoswGQA";

/** A hash that costs little to verify. */
function cheapHash(password: string): string {
  const salt = Buffer.from("saltsalt");
  const unpadded = (bytes: Buffer): string => bytes.toString("base64").replace(/=+$/, "");
  const hash = scryptSync(password, salt, 32, { N: 1_024, r: 1, p: 1 });
  return `$scrypt$ln=10,r=1,p=1$${unpadded(salt)}$${unpadded(hash)}`;
}

const failures = { count: 1_000_000, windowMs: 60_000 };

function pair(judge: Judge, name: string, password: string): Promise<Verdict> {
  const text = Buffer.from(`${name}:${password}`).toString("base64");
  return judge.judge({ headers: { authorization: `Basic ${text}` } });
}

suite("names and passwords:", () => {
  test("the second vector of RFC 7914 fits, another password does not", async () => {
    const hash = { ...parsePasswordHash(vector), salt: Buffer.from("NaCl") };
    assert.equal(await fitsPassword("password", hash), true);
    assert.equal(await fitsPassword("Password", hash), false);
  });

  test("a new hash is a PHC string that fits its password alone, in any Unicode form", async () => {
    const text = await hashPassword("pässword");
    assert.match(text, /^\$scrypt\$ln=15,r=8,p=1\$[\w+/]{22}\$[\w+/]{43}$/);
    const hash = parsePasswordHash(text);
    assert.equal(await fitsPassword("pa\u0308ssword", hash), true);
    assert.equal(await fitsPassword("passwort", hash), false);
  });

  for (const [text, expected] of [
    ["secret", /must be a scrypt hash such as/],
    ["$2b$12$abc", /must be a scrypt hash/],
    ["$scrypt$ln=15,r=8,p=1$c2FsdHNhbHQ=$AAAA", /must be a scrypt hash/],
    ["$scrypt$ln=4,r=8,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", /cost must be at least/],
    ["$scrypt$ln=24,r=8,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", /more than 256 MiB/],
    ["$scrypt$ln=15,r=8,p=99$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", /at most p=16/],
    ["$scrypt$ln=15,r=8,p=1$c2E$AAAAAAAAAAAAAAAAAAAAAA", /salt must have 8 bytes/],
    ["$scrypt$ln=15,r=8,p=1$c2FsdHNhbHQ$AAAA", /its hash 16/],
  ] as const) {
    test(`${text} is refused as a hash`, () => assert.throws(() => parsePasswordHash(text), expected));
  }

  test("good pairs are remembered for 60 s; wrong names and passwords are one refusal", async () => {
    await using files = await TemporaryFiles.create();
    const records = [{ id: "ada", hash: cheapHash("open: sesame"), roles: ["admin"] }];
    const usersFile = await files.write("users.json", records);
    let nowMs = 1_000_000;
    using judge = await Judge.open(
      { providers: { staff: basic({ usersFile, realm: "the library" }) }, failures },
      { wallMs: () => nowMs },
    );
    const first = await pair(judge, "ada", "open: sesame");
    assert.deepEqual(
      [first.who?.id, first.who?.kind, ...(first.who?.roles ?? [])],
      ["ada", "basic", "admin"],
    );
    const begin = process.cpuUsage();
    nowMs += 59_999;
    for (let n = 0; n < 100; n++) assert.equal((await pair(judge, "ada", "open: sesame")).reason, "OK");
    assert.ok(process.cpuUsage(begin).user < 2_000_000, "without scrypt");
    for (const [name, password] of [
      ["ada", "wrong"],
      ["bob", "open: sesame"],
      ["", ""],
    ] as const) {
      const verdict = await pair(judge, name, password);
      assert.deepEqual(
        [verdict.reason, verdict.message, verdict.code],
        ["PASSWORD_WRONG", "the name or the password is wrong", Code.Unauthenticated],
      );
      assert.equal(verdict.challenge, 'Basic realm="the library", charset="UTF-8"');
    }
    for (const [credential, expected] of [
      [Buffer.from("no colon").toString("base64"), "PASSWORD_WRONG"],
      [Buffer.from([0xff, 0x3a, 0xff]).toString("base64"), "PASSWORD_WRONG"],
      ["!", "CREDENTIALS_MALFORMED"],
      ["YTpi, YTpi", "CREDENTIALS_MALFORMED"],
    ] as const) {
      assert.equal(
        (await judge.judge({ headers: { authorization: `Basic ${credential}` } })).reason,
        expected,
      );
    }
  });

  test("passwords are verified two at a time; who waits for more than a second is told to come back", async () => {
    const clock = new VirtualClock();
    const turns = new Turns(2, clock);
    const [one, two] = await Promise.all([turns.begin(1_000), turns.begin(1_000)]);
    const third = turns.begin(1_000);
    const fourth = turns.begin(1_000);
    clock.advance(500);
    one?.();
    assert.ok((await third) !== undefined);
    clock.advance(500);
    assert.equal(await fourth, undefined);
    two?.();
    (await third)?.();
    assert.ok((await turns.begin(0)) !== undefined);
  });

  test("files that cannot be used are refused at the start, without showing a hash", async () => {
    await using files = await TemporaryFiles.create();
    const hash = cheapHash("x");
    for (const [records, expected] of [
      [[{ id: "a:b", hash }], /record 1: the id must not have a colon/],
      [[{ id: "a", hash: "plain" }], /record 1: the field hash is none: it must be a scrypt hash/],
      [
        [
          { id: "a", hash },
          { id: "a", hash },
        ],
        /record 2: another record has this id/,
      ],
      [[{ id: "a", password: "x" }], /unknown field "password"/],
    ] as const) {
      const usersFile = await files.write("users.json", records);
      await assert.rejects(Judge.open({ providers: { staff: basic({ usersFile }) } }), (error: Error) => {
        assert.match(error.message, expected);
        assert.ok(!error.message.includes(hash));
        return true;
      });
    }
    assert.throws(() => basic({ usersFile: "x", realm: 'a"b' }), /realm must be ASCII without quotes/);
  });
});
