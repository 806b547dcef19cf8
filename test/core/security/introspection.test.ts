import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { introspection } from "../../../src/core/security/schemes/introspection.ts";
import type { IntrospectionOptions } from "../../../src/core/security/introspection.ts";
import { Code } from "../../../src/core/errors/errors.ts";
import { FakeIssuer } from "../../support/fake-issuer.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";
import { Judge } from "./judged.ts";

const failures = { count: 1_000_000, windowMs: 60_000 };

/** An issuer, and authentication that asks it, on clocks that the test moves. */
class Rig implements AsyncDisposable {
  readonly clock = new VirtualClock(1_000_000);
  readonly issuer: FakeIssuer;
  wallMs = Date.now();
  readonly judge: Judge;

  private constructor(issuer: FakeIssuer, open: (rig: Rig) => Judge) {
    this.issuer = issuer;
    this.judge = open(this);
  }

  static async start(options: Partial<IntrospectionOptions> = {}): Promise<Rig> {
    const issuer = await FakeIssuer.start();
    const provider = introspection({
      endpoint: `${issuer.url}/introspect`,
      clientId: "gate way",
      clientSecret: "s&c:ret",
      audiences: ["library"],
      ...options,
    });
    const made: { rig?: Rig } = {};
    const clock = { nowMs: () => made.rig?.clock.nowMs() ?? 0, after: () => () => {} };
    const wallMs = (): number => made.rig?.wallMs ?? 0;
    const judge = await Judge.open({ providers: { legacy: provider }, failures }, { clock, wallMs });
    return (made.rig = new Rig(issuer, () => judge));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.judge[Symbol.dispose]();
    await this.issuer[Symbol.asyncDispose]();
  }
}

suite("introspection:", () => {
  test("asks once with form-encoded credentials, and remembers a good token for cacheTtlMs", async () => {
    await using rig = await Rig.start();
    rig.issuer.active.set("opaque-1", {
      active: true,
      sub: "ada",
      aud: "library",
      scope: "a b",
      client_id: "c",
    });
    const many = await Promise.all(Array.from({ length: 20 }, () => rig.judge.bearer("opaque-1")));
    assert.ok(many.every(({ reason }) => reason === "OK"));
    assert.deepEqual(
      [many[0]?.who?.id, many[0]?.who?.kind, ...(many[0]?.who?.scopes ?? [])],
      ["ada", "introspection", "a", "b"],
    );
    assert.deepEqual(rig.issuer.calls, ["/introspect"], "equal tokens share one request");
    const pair = Buffer.from((rig.issuer.credentials[0] ?? "").slice(6), "base64").toString();
    assert.equal(pair, "gate+way:s%26c%3Aret");
    rig.wallMs += 29_999;
    await rig.judge.bearer("opaque-1");
    assert.equal(rig.issuer.calls.length, 1);
    rig.wallMs += 1;
    rig.issuer.active.delete("opaque-1");
    assert.equal((await rig.judge.bearer("opaque-1")).reason, "TOKEN_INACTIVE");
    assert.equal(rig.issuer.calls.length, 2);
  });

  test("a token that is not active is not asked about again for negativeTtlMs", async () => {
    await using rig = await Rig.start();
    for (let n = 0; n < 5; n++) {
      const verdict = await rig.judge.bearer("unknown");
      assert.deepEqual([verdict.reason, verdict.code], ["TOKEN_INACTIVE", Code.Unauthenticated]);
    }
    assert.equal(rig.issuer.calls.length, 1);
    rig.wallMs += 5_000;
    await rig.judge.bearer("unknown");
    assert.equal(rig.issuer.calls.length, 2);
  });

  test("a token is remembered no longer than it lives", async () => {
    await using rig = await Rig.start({ clockSkewMs: 0 });
    const exp = Math.floor(rig.wallMs / 1_000) + 10;
    rig.issuer.active.set("short", { active: true, sub: "ada", aud: "library", exp });
    assert.equal((await rig.judge.bearer("short")).reason, "OK");
    rig.wallMs += 11_000;
    assert.equal((await rig.judge.bearer("short")).reason, "TOKEN_EXPIRED");
  });

  const seconds = (ms: number): number => Math.floor((Date.now() + ms) / 1_000);
  for (const [what, answer, reason, code] of [
    [
      'active: "true"',
      { active: "true", sub: "ada", aud: "library" },
      "INTROSPECTION_UNAVAILABLE",
      Code.Unavailable,
    ],
    ["active: 1", { active: 1, sub: "ada", aud: "library" }, "INTROSPECTION_UNAVAILABLE", Code.Unavailable],
    ["no active", { sub: "ada", aud: "library" }, "INTROSPECTION_UNAVAILABLE", Code.Unavailable],
    [
      "another audience",
      { active: true, sub: "ada", aud: "billing" },
      "TOKEN_WRONG_AUDIENCE",
      Code.Unauthenticated,
    ],
    ["no audience", { active: true, sub: "ada" }, "TOKEN_WRONG_AUDIENCE", Code.Unauthenticated],
    [
      "a past end",
      { active: true, sub: "ada", aud: "library", exp: seconds(-60_000) },
      "TOKEN_EXPIRED",
      Code.Unauthenticated,
    ],
    [
      "a future begin",
      { active: true, sub: "ada", aud: "library", nbf: seconds(3_600_000) },
      "TOKEN_NOT_YET_VALID",
      Code.Unauthenticated,
    ],
    [
      "another issuer",
      { active: true, sub: "ada", aud: "library", iss: "evil" },
      "TOKEN_WRONG_ISSUER",
      Code.Unauthenticated,
    ],
    [
      "a binding to a key",
      { active: true, sub: "ada", aud: "library", cnf: { jkt: "x" } },
      "TOKEN_WRONG_BINDING",
      Code.Unauthenticated,
    ],
    ["nobody", { active: true, aud: "library" }, "TOKEN_MALFORMED", Code.Unauthenticated],
    ["a client alone", { active: true, client_id: "batch", aud: ["library"] }, "OK", 0],
  ] as const) {
    test(`I23 an answer with ${what}: ${reason}`, async () => {
      await using rig = await Rig.start({ issuer: "https://id.example" });
      rig.issuer.active.set("t", answer as never);
      const verdict = await rig.judge.bearer("t");
      assert.deepEqual([verdict.reason, verdict.code], [reason, code]);
    });
  }

  for (const [what, status, headers, body] of [
    ["status 302", 302, { location: "/introspect" }, ""],
    ["status 401", 401, {}, '{"active":true}'],
    ["HTML", 200, {}, "<html>sign in</html>"],
    ["a list", 200, {}, '[{"active":true}]'],
    ["65 KiB", 200, {}, `{"active":true,"sub":"ada","aud":"library","x":"${"x".repeat(66_000)}"}`],
  ] as const) {
    test(`I23 an answer of ${what} is 503, never open`, async () => {
      await using rig = await Rig.start();
      rig.issuer.script = (_path, response) => {
        response.writeHead(status, headers).end(body);
        return true;
      };
      const verdict = await rig.judge.bearer("t");
      assert.deepEqual([verdict.reason, verdict.code], ["INTROSPECTION_UNAVAILABLE", Code.Unavailable]);
      assert.equal(verdict.retryAfterMs, 1_000);
    });
  }

  test("I23 an endpoint that takes 10 s is given up after timeoutMs", async () => {
    await using rig = await Rig.start({ timeoutMs: 100 });
    rig.issuer.script = () => true;
    const begin = performance.now();
    assert.equal((await rig.judge.bearer("t")).reason, "INTROSPECTION_UNAVAILABLE");
    assert.ok(performance.now() - begin < 2_000);
  });

  test("after five failures the endpoint is asked once a second until it is back", async () => {
    await using rig = await Rig.start();
    rig.issuer.script = (_path, response) => {
      response.writeHead(500).end();
      return true;
    };
    for (let n = 0; n < 20; n++) await rig.judge.bearer(`t${n}`);
    assert.equal(rig.issuer.calls.length, 5);
    rig.clock.advance(999);
    await rig.judge.bearer("a");
    assert.equal(rig.issuer.calls.length, 5);
    rig.clock.advance(1);
    await Promise.all([rig.judge.bearer("b"), rig.judge.bearer("c"), rig.judge.bearer("d")]);
    assert.equal(rig.issuer.calls.length, 6, "one probe");
    rig.issuer.script = () => false;
    rig.issuer.active.set("good", { active: true, sub: "ada", aud: "library" });
    rig.clock.advance(1_000);
    assert.equal((await rig.judge.bearer("good")).reason, "OK");
    assert.equal((await rig.judge.bearer("other")).reason, "TOKEN_INACTIVE");
  });

  test("wrong options are refused by name, and the secret is never shown", () => {
    const good = { endpoint: "https://id.example/introspect", clientId: "a", clientSecret: "hush" };
    for (const [options, expected] of [
      [{ ...good, endpoint: "http://id.example" }, /the endpoint must begin with https/],
      [{ ...good, endpoint: undefined }, /the option endpoint is missing/],
      [{ ...good, clientSecret: 7 }, /the option clientSecret is missing/],
      [{ ...good, timeout: 1 }, /did you mean timeoutMs/],
    ] as const) {
      assert.throws(
        () => introspection(options as never),
        (error: Error) => expected.test(error.message) && !error.message.includes("hush"),
      );
    }
  });
});
