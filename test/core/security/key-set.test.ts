import assert from "node:assert/strict";
import { writeFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { jwt } from "../../../src/core/security/schemes/jwt.ts";
import type { JwtOptions } from "../../../src/core/security/jwt/jwt-options.ts";
import { Code } from "../../../src/core/errors/errors.ts";
import { createIssuerKey, FakeIssuer } from "../../support/fake-issuer.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";
import { Judge } from "./judged.ts";

const one = await createIssuerKey("one");
const two = await createIssuerKey("two");

/** An issuer, and authentication by it on a clock that the test moves. */
class Rig implements AsyncDisposable {
  readonly clock = new VirtualClock(1_000_000);
  readonly issuer: FakeIssuer;
  readonly warnings: string[] = [];
  #judge: Judge | undefined;

  constructor(issuer: FakeIssuer) {
    this.issuer = issuer;
  }

  async open(options: Partial<JwtOptions> = {}): Promise<this> {
    const { issuer, clock } = this;
    const provider = jwt({
      issuer: issuer.url,
      audiences: ["library"],
      ca: issuer.ca || undefined,
      ...options,
    });
    const logger = {
      warn: (fields: Readonly<Record<string, unknown>>) => void this.warnings.push(String(fields["err"])),
    };
    const failures = { count: 1_000_000, windowMs: 60_000 };
    this.#judge = await Judge.open(
      { providers: { corp: provider }, failures },
      { clock, logger, random: () => 0.5 },
    );
    return this;
  }

  get judge(): Judge {
    return this.#judge ?? assert.fail("not open");
  }

  /** Lets time pass, and waits for the fetches that it has caused. */
  async pass(ms: number): Promise<void> {
    await this.clock.pass(ms);
    await this.judge.auth.ready();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#judge?.[Symbol.dispose]();
    await this.issuer[Symbol.asyncDispose]();
  }
}

suite("keys of issuers:", () => {
  test("are discovered by OpenID, over TLS with an authority of one's own", async () => {
    await using rig = await new Rig(await FakeIssuer.startTls(one)).open();
    assert.equal((await rig.judge.bearer(await rig.issuer.token(one))).reason, "OK");
    assert.deepEqual(rig.issuer.calls, ["/.well-known/openid-configuration", "/jwks"]);
  });

  test("are not fetched from a server whose authority is not trusted", async () => {
    await using rig = await new Rig(await FakeIssuer.startTls(one)).open({ ca: undefined });
    const verdict = await rig.judge.bearer(await rig.issuer.token(one));
    assert.deepEqual([verdict.reason, verdict.code], ["KEYS_UNAVAILABLE", Code.Unavailable]);
    assert.match(rig.warnings[0] ?? "", /certificate/);
  });

  test("are discovered by RFC 8414 where there is no OpenID", async () => {
    await using rig = new Rig(await FakeIssuer.start(one));
    const path = "/tenant/7";
    const issuer = `${rig.issuer.url}${path}`;
    rig.issuer.script = (at, response) => {
      if (at !== `/.well-known/oauth-authorization-server${path}`) return false;
      response.end(JSON.stringify({ issuer, jwks_uri: `${rig.issuer.url}/jwks` }));
      return true;
    };
    await rig.open({ issuer });
    assert.equal((await rig.judge.bearer(await rig.issuer.token(one, { iss: issuer }))).reason, "OK");
    assert.deepEqual(rig.issuer.calls, [
      `${path}/.well-known/openid-configuration`,
      `/.well-known/oauth-authorization-server${path}`,
      "/jwks",
    ]);
  });

  const badDocuments: readonly (readonly [what: string, document: object, expected: RegExp])[] = [
    [
      "of another issuer",
      { issuer: "https://evil.example", jwks_uri: "https://evil.example/k" },
      /of another issuer/,
    ],
    ["without keys", { issuer: "SELF" }, /no jwks_uri/],
    [
      "with keys over plain http elsewhere",
      { issuer: "SELF", jwks_uri: "http://id.example/k" },
      /must begin with https/,
    ],
    [
      "with keys in a file",
      { issuer: "SELF", jwks_uri: "file:///etc/passwd" },
      /must be a URL that begins with https/,
    ],
  ];
  for (const [what, document, expected] of badDocuments) {
    test(`metadata ${what} is not used`, async () => {
      await using rig = new Rig(await FakeIssuer.start(one));
      rig.issuer.script = (path, response) => {
        if (!path.startsWith("/.well-known/")) return false;
        response.end(JSON.stringify(document).replace("SELF", rig.issuer.url));
        return true;
      };
      await rig.open();
      assert.equal((await rig.judge.bearer(await rig.issuer.token(one))).reason, "KEYS_UNAVAILABLE");
      assert.match(rig.warnings[0] ?? "", expected);
      assert.equal(rig.issuer.fetches, 0);
    });
  }

  const badKeys: readonly (readonly [
    what: string,
    status: number,
    headers: object,
    body: string,
    expected: RegExp,
  ])[] = [
    ["status 500", 500, {}, "{}", /status 500/],
    ["HTML", 200, {}, "<html>sign in</html>", /not JSON/],
    ["a list", 200, {}, "[]", /not a JSON object/],
    ["no list of keys", 200, {}, '{"keys":{}}', /no set of keys/],
    ["5 MiB", 200, {}, `{"keys":[],"x":"${"x".repeat(5 * 1024 * 1024)}"}`, /larger than 262144 bytes/],
    [
      "101 keys",
      200,
      {},
      JSON.stringify({ keys: Array.from({ length: 101 }, () => one.jwk) }),
      /more than 100 keys/,
    ],
    [
      "a redirect to another origin",
      302,
      { location: "http://127.0.0.2:1/jwks" },
      "",
      /redirect to another origin/,
    ],
    [
      "a redirect to another scheme",
      302,
      { location: "file:///etc/passwd" },
      "",
      /redirect to another origin/,
    ],
    ["redirects without end", 302, { location: "/jwks" }, "", /one redirect too many/],
  ];
  for (const [what, status, headers, body, expected] of badKeys) {
    test(`I06, I22: a set of keys that is ${what}: 503 before the first good one, the old one after it`, async () => {
      await using rig = new Rig(await FakeIssuer.start(one));
      const bad: FakeIssuer["script"] = (path, response) => {
        if (path !== "/jwks") return false;
        response.writeHead(status, { ...headers }).end(body);
        return true;
      };
      rig.issuer.script = bad;
      await rig.open();
      const token = await rig.issuer.token(one);
      const first = await rig.judge.bearer(token);
      assert.deepEqual([first.reason, first.code], ["KEYS_UNAVAILABLE", Code.Unavailable]);
      assert.equal(first.retryAfterMs, 1_000);
      assert.match(rig.warnings[0] ?? "", expected);
      rig.issuer.script = () => false;
      await rig.pass(1_000);
      assert.equal((await rig.judge.bearer(token)).reason, "OK");
      rig.issuer.script = bad;
      await rig.pass(480_000);
      assert.ok(rig.warnings.length >= 2, "the refresh at 80 % has failed");
      assert.equal((await rig.judge.bearer(await rig.issuer.token(one, { sub: "bob" }))).reason, "OK");
    });
  }

  test("I06 a redirect on the same origin is followed", async () => {
    await using rig = new Rig(await FakeIssuer.start(one));
    rig.issuer.script = (path, response) => {
      if (path !== "/old") return false;
      response.writeHead(307, { location: "/jwks" }).end();
      return true;
    };
    await rig.open({ jwksUri: `${rig.issuer.url}/old` });
    assert.equal((await rig.judge.bearer(await rig.issuer.token(one))).reason, "OK");
  });

  test("I06 a slow issuer is given up in time; calls wait no longer", async () => {
    await using rig = new Rig(await FakeIssuer.start(one));
    rig.issuer.script = () => true;
    await rig.open({ fetchTimeoutMs: 100, jwksUri: `${rig.issuer.url}/jwks` });
    assert.equal((await rig.judge.bearer(await rig.issuer.token(one))).reason, "KEYS_UNAVAILABLE");
    assert.match(rig.warnings[0] ?? "", /no answer within 100 ms/);
  });

  test("I06 an issuer that is down is asked after 1, 2, 4, 5, 5 s until it is there", async () => {
    await using rig = new Rig(await FakeIssuer.start(one));
    rig.issuer.script = (_path, response) => {
      response.writeHead(503).end();
      return true;
    };
    await rig.open({ jwksUri: `${rig.issuer.url}/jwks` });
    await rig.pass(0);
    const token = await rig.issuer.token(one);
    for (const [index, ms] of [1_000, 2_000, 4_000, 5_000, 5_000].entries()) {
      assert.equal(rig.issuer.fetches, index + 1);
      assert.equal((await rig.judge.bearer(token)).retryAfterMs, ms);
      await rig.pass(ms - 1);
      assert.equal(rig.issuer.fetches, index + 1, "not before");
      await rig.pass(1);
    }
    rig.issuer.script = () => false;
    await rig.pass(5_000);
    assert.equal((await rig.judge.bearer(token)).reason, "OK");
  });

  test("I06 keys count until they are too old, then 503; one good fetch brings them back", async () => {
    await using rig = await new Rig(await FakeIssuer.start(one)).open({ maxStaleMs: 3_600_000 });
    assert.equal((await rig.judge.bearer(await rig.issuer.token(one))).reason, "OK");
    rig.issuer.script = (_path, response) => {
      response.writeHead(503).end();
      return true;
    };
    for (let minutes = 0; minutes < 59; minutes++) await rig.pass(60_000);
    assert.equal((await rig.judge.bearer(await rig.issuer.token(one, { n: 1 }))).reason, "OK");
    for (let minutes = 0; minutes < 3; minutes++) await rig.pass(60_000);
    assert.equal((await rig.judge.bearer(await rig.issuer.token(one, { n: 2 }))).reason, "KEYS_UNAVAILABLE");
    rig.issuer.script = () => false;
    for (let turn = 0; turn < 3; turn++) await rig.pass(60_000);
    assert.equal((await rig.judge.bearer(await rig.issuer.token(one, { n: 2 }))).reason, "OK");
  });

  test("I22 1,000 unknown keys in 10 s cause one fetch in a cooldown; callers that caused it wait for it", async () => {
    await using rig = await new Rig(await FakeIssuer.start(one)).open();
    assert.equal((await rig.judge.bearer(await rig.issuer.token(one))).reason, "OK");
    assert.equal(rig.issuer.fetches, 1);
    const tokens = await Promise.all(
      Array.from({ length: 1_000 }, (_, index) =>
        rig.issuer.token(two, { n: index }, { kid: `kid ${index}` }),
      ),
    );
    for (let at = 0; at < tokens.length; at += 50) {
      const verdicts = await Promise.all(tokens.slice(at, at + 50).map((token) => rig.judge.bearer(token)));
      assert.ok(verdicts.every(({ reason }) => reason === "TOKEN_UNKNOWN_KEY"));
      await rig.pass(500);
    }
    assert.equal(rig.issuer.fetches, 2);
    rig.issuer.keys = [one.jwk, two.jwk];
    assert.equal(
      (await rig.judge.bearer(await rig.issuer.token(two))).reason,
      "TOKEN_UNKNOWN_KEY",
      "in the cooldown",
    );
    await rig.pass(20_000);
    const waiting = await Promise.all(
      [1, 2, 3].map(async (n) => rig.judge.bearer(await rig.issuer.token(two, { n }))),
    );
    assert.deepEqual(
      waiting.map(({ reason }) => reason),
      ["OK", "OK", "OK"],
    );
    assert.equal(rig.issuer.fetches, 3);
  });

  test("I22 a key that is withdrawn counts no longer after the refresh, remembered tokens included", async () => {
    const rig = new Rig(await FakeIssuer.start(one, two));
    await using _ = rig;
    await rig.open({ refreshMs: 60_000, cacheTtlMs: 3_600_000 });
    const token = await rig.issuer.token(one);
    assert.equal((await rig.judge.bearer(token)).reason, "OK");
    rig.issuer.keys = [two.jwk];
    await rig.pass(47_999);
    assert.equal((await rig.judge.bearer(token)).reason, "OK");
    await rig.pass(1);
    assert.equal((await rig.judge.bearer(token)).reason, "TOKEN_UNKNOWN_KEY");
  });

  test("a set that is the same keeps what is remembered", async () => {
    await using rig = await new Rig(await FakeIssuer.start(one)).open({
      refreshMs: 60_000,
      cacheTtlMs: 3_600_000,
    });
    const token = await rig.issuer.token(one);
    const { who } = await rig.judge.bearer(token);
    await rig.pass(48_000);
    assert.equal(rig.issuer.fetches, 2);
    assert.equal((await rig.judge.bearer(token)).who, who);
  });

  test("keys of a file are read again when it changes, and a broken file changes nothing", async () => {
    const dir = await mkdtemp(join(tmpdir(), "keys-"));
    const jwksFile = join(dir, "jwks.json");
    await writeFile(jwksFile, JSON.stringify({ keys: [one.jwk] }));
    await using issuer = await FakeIssuer.start(one);
    const options = { issuer: issuer.url, audiences: ["library"], jwksFile };
    const clock = new VirtualClock(1_000_000);
    const warnings: string[] = [];
    const logger = {
      warn: (fields: Readonly<Record<string, unknown>>) => void warnings.push(String(fields["err"])),
    };
    const failures = { count: 1_000_000, windowMs: 60_000 };
    using judge = await Judge.open({ providers: { corp: jwt(options) }, failures }, { clock, logger });
    /** Lets the file be looked at every second until this holds; reading it takes real time. */
    const until = async (holds: () => Promise<boolean> | boolean): Promise<void> => {
      while (!(await holds())) await clock.pass(1_000);
    };
    const old = await issuer.token(one);
    const next = await issuer.token(two);
    assert.equal((await judge.bearer(old)).reason, "OK");
    assert.equal((await judge.bearer(next)).reason, "TOKEN_UNKNOWN_KEY");
    await writeFile(jwksFile, '{"keys": [');
    await until(() => warnings.length > 0);
    assert.match(warnings[0] ?? "", /jwks.json: this is not JSON/);
    assert.equal((await judge.bearer(old)).reason, "OK");
    await writeFile(jwksFile, JSON.stringify({ keys: [two.jwk] }));
    await until(async () => (await judge.bearer(next)).reason === "OK");
    assert.equal((await judge.bearer(old)).reason, "TOKEN_UNKNOWN_KEY");
    assert.deepEqual(issuer.calls, []);
    await rm(dir, { recursive: true });
  });

  for (const [what, text, expected] of [
    ["is no JSON", "{", /jwks.json: this is not JSON/],
    ["holds no key", '{"keys":[]}', /no key of the set can verify tokens/],
  ] as const) {
    test(`a file of keys that ${what} is refused at the start`, async () => {
      const dir = await mkdtemp(join(tmpdir(), "keys-"));
      const jwksFile = join(dir, "jwks.json");
      await writeFile(jwksFile, text);
      const provider = jwt({ issuer: "corp", audiences: ["library"], jwksFile });
      await assert.rejects(Judge.open({ providers: { corp: provider } }), expected);
      await rm(dir, { recursive: true });
    });
  }
});
