import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { CallContext } from "../../../src/core/call/context.ts";
import { Code } from "../../../src/core/errors/errors.ts";
import { createApiKey } from "../../../src/core/security/api-keys.ts";
import { apiKeys } from "../../../src/core/security/schemes/api-keys.ts";
import { introspection } from "../../../src/core/security/schemes/introspection.ts";
import { jwt } from "../../../src/core/security/schemes/jwt.ts";
import { mtls } from "../../../src/core/security/schemes/mtls.ts";
import { EchoService } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { createIssuerKey, FakeIssuer } from "../../support/fake-issuer.ts";
import { callHead, peer } from "../../support/call-heads.ts";
import { TemporaryFiles } from "../../support/temporary-files.ts";
import { VirtualClock } from "../../support/virtual-clock.ts";
import { Judge } from "./judged.ts";

const key = await createIssuerKey("one");
const partner = createApiKey("partner");

/** Tokens, keys and certificates, all at once. */
class Rig implements AsyncDisposable {
  readonly issuer: FakeIssuer;
  readonly files: TemporaryFiles;
  readonly judge: Judge;
  readonly clock: VirtualClock;
  readonly #now: { ms: number };

  private constructor(
    issuer: FakeIssuer,
    files: TemporaryFiles,
    judge: Judge,
    clock: VirtualClock,
    now: { ms: number },
  ) {
    this.issuer = issuer;
    this.files = files;
    this.judge = judge;
    this.clock = clock;
    this.#now = now;
  }

  static async start(more: { readonly revoked?: string; readonly failures?: number } = {}): Promise<Rig> {
    const issuer = await FakeIssuer.start(key);
    const files = await TemporaryFiles.create();
    const clock = new VirtualClock();
    const now = { ms: Date.now() };
    const keysFile = await files.write("keys.json", [{ id: "partner", hash: partner.hash }]);
    const revokedFile = more.revoked === undefined ? undefined : await files.write("revoked", more.revoked);
    const judge = await Judge.open(
      {
        providers: {
          corp: jwt({ issuer: issuer.url, audiences: ["library"] }),
          legacy: introspection({ endpoint: `${issuer.url}/introspect`, clientId: "a", clientSecret: "b" }),
          partners: apiKeys({ keysFile }),
          mesh: mtls({
            names: { "spiffe://example/billing": { roles: ["billing"], scopes: ["s"] }, "b.example": {} },
          }),
        },
        revokedFile,
        ...(more.failures === undefined ? {} : { failures: { count: more.failures, windowMs: 60_000 } }),
      },
      { clock, wallMs: () => now.ms },
    );
    return new Rig(issuer, files, judge, clock, now);
  }

  pass(ms: number): Promise<void> {
    this.#now.ms += ms;
    return this.clock.pass(ms);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.judge[Symbol.dispose]();
    await this.issuer[Symbol.asyncDispose]();
    await this.files[Symbol.asyncDispose]();
  }
}

const challenges = (bearer: string): string =>
  `Bearer realm="corp"${bearer}, resource_metadata="https://library.example/.well-known/oauth-protected-resource", ` +
  `ApiKey realm="partners", header="x-api-key", Certificate realm="mesh"`;

suite("the gate of authentication:", () => {
  test("I01 no credentials: 401 with a challenge for each scheme and without error", async () => {
    await using rig = await Rig.start();
    const verdict = await rig.judge.judge();
    assert.deepEqual([verdict.reason, verdict.code], ["CREDENTIALS_MISSING", Code.Unauthenticated]);
    assert.equal(verdict.challenge, challenges(""));
    assert.match(
      verdict.message,
      /a token, as authorization: Bearer TOKEN, or a key in the header x-api-key/,
    );
  });

  test("a bad token is named in the challenge of its provider", async () => {
    await using rig = await Rig.start();
    const verdict = await rig.judge.bearer(await rig.issuer.token(key, { exp: 1 }));
    const error = ', error="invalid_token", error_description="the token has expired"';
    assert.equal(verdict.challenge, challenges(error));
    const grpc = await rig.judge.judge({ door: "grpc" });
    assert.ok(!grpc.challenge?.includes("resource_metadata"), "gRPC clients know no documents");
    const evil = await rig.judge.judge({ authority: 'evil", x="y' });
    assert.ok(!evil.challenge?.includes("evil"), "a host cannot end the quotes");
  });

  const bad: readonly (readonly [what: string, authorization: string, reason: string])[] = [
    ["two headers", "Bearer a.b.c, Bearer d.e.f", "CREDENTIALS_MALFORMED"],
    ["Bearer alone", "Bearer", "CREDENTIALS_UNSUPPORTED"],
    ["an empty token", "Bearer ", "CREDENTIALS_MALFORMED"],
    ["a token with a space", "Bearer a b", "CREDENTIALS_MALFORMED"],
    ["two spaces", "Bearer  abc", "CREDENTIALS_MALFORMED"],
    ["a token over 16 KiB", `Bearer ${"a".repeat(16_385)}`, "CREDENTIALS_MALFORMED"],
    ["a token without a scheme", "aaaa", "CREDENTIALS_UNSUPPORTED"],
    ["a scheme that no provider takes", "Basic YTpi", "CREDENTIALS_UNSUPPORTED"],
    ["a scheme that is unknown", "Negotiate YTpi", "CREDENTIALS_UNSUPPORTED"],
    ["an opaque token that is not active", "Bearer opaque", "TOKEN_INACTIVE"],
  ];
  for (const [what, authorization, reason] of bad) {
    test(`I01 ${what}: 401 ${reason}`, async () => {
      await using rig = await Rig.start();
      // Headers of Node trim values; a gate must not rely on it.
      const verdict = await rig.judge.judge({
        header: (name) => (name === "authorization" ? authorization : undefined),
      });
      assert.deepEqual([verdict.reason, verdict.code], [reason, Code.Unauthenticated]);
    });
  }

  test("all credentials must be good, and the first by precedence is the principal", async () => {
    await using rig = await Rig.start();
    const token = await rig.issuer.token(key);
    const billing = peer({ uris: ["spiffe://example/billing"] });
    rig.issuer.active.set("opaque", { active: true, sub: "bob" });
    const rows = [
      [{ authorization: `Bearer ${token}`, "x-api-key": partner.key }, billing, "ada", "OK"],
      [{ authorization: "Bearer opaque", "x-api-key": partner.key }, billing, "bob", "OK"],
      [{ "x-api-key": partner.key }, billing, "partner", "OK"],
      [{}, billing, "spiffe://example/billing", "OK"],
      [{ authorization: `Bearer ${token}`, "x-api-key": "wrong" }, billing, undefined, "KEY_UNKNOWN"],
      [
        { authorization: `Bearer ${token}` },
        peer({ uris: ["spiffe://other"], fingerprint: "01".repeat(32) }),
        undefined,
        "CERTIFICATE_UNKNOWN",
      ],
      [{ authorization: "Bearer x.y.z", "x-api-key": partner.key }, billing, undefined, "TOKEN_MALFORMED"],
    ] as const;
    for (const [headers, client, id, reason] of rows) {
      const verdict = await rig.judge.judge({ headers, peer: client });
      assert.deepEqual([verdict.who?.id, verdict.reason], [id, reason], JSON.stringify(headers));
    }
  });

  test("I20 a certificate is known by its first URI, else its first DNS name, whole", async () => {
    await using rig = await Rig.start();
    const rows = [
      [{ uris: ["spiffe://example/billing"], dnsNames: ["x"] }, "spiffe://example/billing"],
      [{ dnsNames: ["b.example"] }, "b.example"],
      [{ uris: ["spiffe://example/billing/2"] }, undefined],
      [{ uris: ["spiffe://example/other", "spiffe://example/billing"] }, undefined],
      [{ dnsNames: ["*.example"] }, undefined],
      [{ dnsNames: ["B.example"] }, undefined],
      [{ emails: ["a@b.example"] }, undefined],
    ] as const;
    for (const [index, [names, id]] of rows.entries()) {
      const client = peer({ ...names, fingerprint: String(index).repeat(64) });
      const { who, reason } = await rig.judge.judge({ peer: client });
      assert.deepEqual([who?.id, reason], [id, id === undefined ? "CERTIFICATE_UNKNOWN" : "OK"]);
    }
  });

  test("on a public rpc nothing is looked at; on an optional one a bad credential is still 401", async () => {
    await using rig = await Rig.start();
    rig.judge.need = "none";
    assert.equal((await rig.judge.bearer("x.y.z")).reason, "OK");
    rig.judge.need = "optional";
    assert.equal((await rig.judge.bearer("x.y.z")).reason, "TOKEN_MALFORMED");
    const anonymous = await rig.judge.judge();
    assert.deepEqual([anonymous.reason, anonymous.who], ["OK", undefined]);
    assert.equal((await rig.judge.bearer(await rig.issuer.token(key))).who?.id, "ada");
  });

  test("a remembered token costs no promise", async () => {
    await using rig = await Rig.start();
    const headers = { authorization: `Bearer ${await rig.issuer.token(key)}` };
    const first = rig.judge.auth.gate.admit(callHead({ headers }));
    assert.ok(first instanceof Promise);
    await first;
    assert.equal(rig.judge.auth.gate.admit(callHead({ headers })), undefined);
  });

  test("after too many bad credentials an address gets 429 before any verification, for a minute", async () => {
    await using rig = await Rig.start({ failures: 5 });
    const known = await rig.issuer.token(key);
    assert.equal((await rig.judge.bearer(known)).reason, "OK");
    for (let n = 0; n < 5; n++)
      assert.equal((await rig.judge.bearer(`opaque-${n}`)).reason, "TOKEN_INACTIVE");
    const calls = rig.issuer.calls.length;
    const limited = await rig.judge.bearer("opaque-6");
    assert.deepEqual(
      [limited.reason, limited.code],
      ["AUTHENTICATION_FAILURES_EXCEEDED", Code.ResourceExhausted],
    );
    assert.ok((limited.retryAfterMs ?? 0) > 59_000);
    assert.equal(
      (await rig.judge.judge({ headers: { "x-api-key": partner.key } })).code,
      Code.ResourceExhausted,
    );
    assert.equal(rig.issuer.calls.length, calls, "nothing was asked");
    assert.equal((await rig.judge.bearer(known)).reason, "OK", "what is remembered needs no verification");
    const elsewhere = { client: { ip: "192.0.2.2", trusted: false } };
    assert.equal(
      (await rig.judge.judge({ ...elsewhere, headers: { "x-api-key": partner.key } })).reason,
      "OK",
    );
    await rig.pass(60_000);
    assert.equal((await rig.judge.judge({ headers: { "x-api-key": partner.key } })).reason, "OK");
  });

  test("one bad credential is limited from all addresses together, and IPv6 by its network", async () => {
    await using rig = await Rig.start({ failures: 3 });
    for (const ip of ["192.0.2.1", "192.0.2.2", "192.0.2.3"]) {
      const verdict = await rig.judge.judge({
        client: { ip, trusted: false },
        headers: { "x-api-key": "guess" },
      });
      assert.equal(verdict.reason, "KEY_UNKNOWN");
    }
    const fourth = { client: { ip: "192.0.2.4", trusted: false }, headers: { "x-api-key": "guess" } };
    assert.equal((await rig.judge.judge(fourth)).code, Code.ResourceExhausted);
    for (const [ip, code] of [
      ["2001:db8:1:2::1", Code.Unauthenticated],
      ["2001:0db8:0001:0002::2", Code.Unauthenticated],
      ["2001:db8:1:2:ffff::3", Code.Unauthenticated],
      ["2001:db8:1:2::4", Code.ResourceExhausted],
      ["2001:db8:1:3::4", Code.Unauthenticated],
      ["::ffff:192.0.2.4", Code.Unauthenticated],
    ] as const) {
      const verdict = await rig.judge.judge({
        client: { ip, trusted: false },
        headers: { "x-api-key": `of ${ip}` },
      });
      assert.equal(verdict.code, code, ip);
    }
  });

  test("a revocation counts within 5 s, for remembered tokens too", async () => {
    await using rig = await Rig.start({ revoked: "# none yet\n" });
    const token = await rig.issuer.token(key, { jti: "t-1" });
    const other = await rig.issuer.token(key, { sub: "bob" });
    assert.equal((await rig.judge.bearer(token)).reason, "OK");
    assert.equal((await rig.judge.bearer(other)).reason, "OK");
    const billing = peer({ uris: ["spiffe://example/billing"] });
    const stamp = billing.fingerprint.toUpperCase().replace(/(..)(?=.)/g, "$1:");
    await rig.files.write("revoked", `jti:t-1\nsub: bob\nkey:partner\ncert:${stamp}\n`);
    await waitUntil(rig, async () => (await rig.judge.bearer(token)).reason === "TOKEN_REVOKED");
    assert.equal((await rig.judge.bearer(other)).reason, "TOKEN_REVOKED");
    assert.equal((await rig.judge.judge({ headers: { "x-api-key": partner.key } })).reason, "KEY_REVOKED");
    assert.equal((await rig.judge.judge({ peer: billing })).reason, "CERTIFICATE_REVOKED");
    assert.equal((await rig.judge.bearer(await rig.issuer.token(key, { sub: "cy" }))).reason, "OK");
    await rig.files.write("revoked", "jti:t-1\nnonsense\n");
    await rig.pass(1_000);
    assert.equal((await rig.judge.bearer(other)).reason, "TOKEN_REVOKED", "a broken file changes nothing");
    await rig.files.write("revoked", "");
    await waitUntil(rig, async () => (await rig.judge.bearer(token)).reason === "OK");
  });

  test("open streams end at exp and skew, and when they are revoked", async () => {
    await using rig = await Rig.start({ revoked: "" });
    const exp = Math.floor(Date.now() / 1_000) + 60;
    const open = async (claims: object): Promise<CallContext> => {
      const method = EchoService.method.repeat;
      const context = new CallContext({ method, protocolName: "grpc", requestHeader: new Headers() });
      const token = await rig.issuer.token(key, { exp, ...claims });
      await rig.judge.bearer(token, { method, context });
      return context;
    };
    const [ada, bob] = [await open({ sub: "ada" }), await open({ sub: "bob" })];
    await rig.files.write("revoked", "sub:bob\n");
    await waitUntil(rig, () => Promise.resolve(endOf(bob) !== undefined));
    assert.deepEqual(endOf(bob), [Code.Unauthenticated, "the credentials of the call are revoked"]);
    assert.equal(endOf(ada), undefined);
    await rig.pass(exp * 1_000 - Date.now() + 20_000);
    assert.equal(endOf(ada), undefined, "within the skew");
    await rig.pass(12_000);
    assert.deepEqual(endOf(ada), [Code.Unauthenticated, "the credentials of the call have expired"]);
  });

  test("a reload keeps keys, forgets tokens, and ends streams whose provider is gone", async () => {
    await using rig = await Rig.start();
    const token = await rig.issuer.token(key);
    const { who } = await rig.judge.bearer(token);
    const method = EchoService.method.repeat;
    const context = new CallContext({ method, protocolName: "grpc", requestHeader: new Headers() });
    await rig.judge.judge({ method, context, headers: { "x-api-key": partner.key } });
    const corp = (): object => ({ corp: jwt({ issuer: rig.issuer.url, audiences: ["library"] }) });
    await assert.rejects(
      rig.judge.auth.reload({ providers: { ...corp(), x: apiKeys({ keysFile: "/no/such/file" }) } }),
      /\/no\/such\/file/,
    );
    assert.equal((await rig.judge.judge({ headers: { "x-api-key": partner.key } })).reason, "OK");
    const fetches = rig.issuer.fetches;
    await rig.judge.auth.reload({ providers: corp() as never });
    const again = await rig.judge.bearer(token);
    assert.ok(
      again.who !== undefined && again.who !== who,
      "the token is verified again (U7), by the same keys",
    );
    assert.equal(rig.issuer.fetches, fetches);
    assert.equal(
      (await rig.judge.judge({ headers: { "x-api-key": partner.key } })).reason,
      "CREDENTIALS_MISSING",
    );
    await rig.pass(1_000);
    assert.equal(context.reason?.code, Code.PermissionDenied);
  });

  test("providers that stand in each other's way are refused by name", async () => {
    const asked = introspection({ endpoint: "https://id.example", clientId: "a", clientSecret: "b" });
    await assert.rejects(
      Judge.open({ providers: { a: asked, b: asked } }),
      /auth.providers.b: auth.providers.a takes/,
    );
    await assert.rejects(Judge.open({ providers: { "a b": asked } }), /a name must be 1 to 64 letters/);
    await assert.rejects(Judge.open({ provider: {} } as never), /did you mean providers/);
  });
});

/** Code and text with which a call was ended; undefined while it goes on. */
function endOf({ reason }: CallContext): readonly [Code, string] | undefined {
  return reason === undefined ? undefined : [reason.code, reason.rawMessage];
}

/** Lets the clocks of a rig go on until something is so, for 5 s at most. */
async function waitUntil(rig: Rig, isSo: () => Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 5; turn++) {
    await rig.pass(1_000);
    // The file is read by the thread pool, which no clock of ours moves.
    for (let wait = 0; wait < 20; wait++) {
      if (await isSo()) return;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
  assert.fail("not within 5 s");
}
