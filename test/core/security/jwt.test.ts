import assert from "node:assert/strict";
import { generateKeyPairSync, createHmac, createPublicKey, type KeyObject } from "node:crypto";
import { after, before, suite, test } from "node:test";
import { SignJWT, UnsecuredJWT, type JWK } from "jose";
import type { JsonObject } from "@bufbuild/protobuf";
import { jwt } from "../../../src/core/security/schemes/jwt.ts";
import type { JwtOptions } from "../../../src/core/security/jwt/jwt-options.ts";
import { Code } from "../../../src/core/errors/errors.ts";
import { createIssuerKey, FakeIssuer, signToken, type IssuerKey } from "../../support/fake-issuer.ts";
import { peer } from "../../support/call-heads.ts";
import { Judge } from "./judged.ts";

const now = (): number => Math.floor(Date.now() / 1_000);

/** A part of a token. */
function part(object: object): string {
  return Buffer.from(JSON.stringify(object)).toString("base64url");
}

suite("tokens:", () => {
  let issuer: FakeIssuer;
  let keys: Readonly<Record<"rs" | "ps" | "es" | "es384" | "ed" | "rogue", IssuerKey>>;
  let judge: Judge;

  const open = (options: Partial<JwtOptions> = {}): Promise<Judge> =>
    Judge.open({
      providers: { corp: jwt({ issuer: issuer.url, audiences: ["library", "shop"], ...options }) },
      failures: { count: 1_000_000, windowMs: 60_000 },
    });

  before(async () => {
    const [rs, ps, es, es384, ed, rogue] = await Promise.all([
      createIssuerKey("rs", "RS256"),
      createIssuerKey("ps", "PS256"),
      createIssuerKey("es", "ES256"),
      createIssuerKey("es384", "ES384"),
      createIssuerKey("ed", "EdDSA"),
      createIssuerKey("rs", "RS256"),
    ]);
    keys = { rs, ps, es, es384, ed, rogue };
    issuer = await FakeIssuer.start(rs, ps, es, es384, ed);
    judge = await open();
  });

  after(async () => {
    judge[Symbol.dispose]();
    await issuer[Symbol.asyncDispose]();
  });

  test("of each accepted algorithm are good, twice", async () => {
    for (const name of ["rs", "ps", "es", "es384", "ed"] as const) {
      const token = await issuer.token(keys[name], { scope: "a b", roles: ["admin"] });
      const first = await judge.bearer(token);
      assert.equal(first.reason, "OK", name);
      assert.deepEqual([...(first.who?.scopes ?? [])], ["a", "b"]);
      assert.deepEqual([...(first.who?.roles ?? [])], ["admin"]);
      assert.deepEqual(
        [first.who?.id, first.who?.provider, first.who?.kind, first.who?.issuer],
        ["ada", "corp", "jwt", issuer.url],
      );
      assert.equal((await judge.bearer(token)).who, first.who, "the second time it is remembered");
    }
  });

  test("are read with any letter case of the scheme", async () => {
    const token = await issuer.token(keys.es);
    for (const scheme of ["bearer", "BEARER", "Bearer"]) {
      assert.equal((await judge.judge({ headers: { authorization: `${scheme} ${token}` } })).reason, "OK");
    }
  });

  const claimRows: readonly (readonly [what: string, claims: () => JsonObject, reason: string])[] = [
    ["expired", () => ({ exp: now() - 31 }), "TOKEN_EXPIRED"],
    ["expired within the skew of clocks", () => ({ exp: now() - 20 }), "OK"],
    ["not valid yet", () => ({ nbf: now() + 40 }), "TOKEN_NOT_YET_VALID"],
    ["not valid yet within the skew", () => ({ nbf: now() + 20 }), "OK"],
    ["of another issuer", () => ({ iss: "https://evil.example" }), "TOKEN_WRONG_ISSUER"],
    ["of an issuer with a slash more", () => ({ iss: `${issuer.url}/` }), "TOKEN_WRONG_ISSUER"],
    ["without an issuer", () => ({ iss: undefined as never }), "TOKEN_WRONG_ISSUER"],
    ["whose issuer is a list", () => ({ iss: [issuer.url] }), "TOKEN_WRONG_ISSUER"],
    ["for another audience", () => ({ aud: "billing" }), "TOKEN_WRONG_AUDIENCE"],
    ["for a longer audience", () => ({ aud: "library2" }), "TOKEN_WRONG_AUDIENCE"],
    ["for several audiences", () => ({ aud: ["billing", "shop"] }), "OK"],
    ["for none", () => ({ aud: undefined as never }), "TOKEN_WRONG_AUDIENCE"],
    ["for an empty list", () => ({ aud: [] }), "TOKEN_WRONG_AUDIENCE"],
    ["without an end", () => ({ exp: undefined as never }), "TOKEN_MALFORMED"],
    ["whose end is a text", () => ({ exp: String(now() + 60) }), "TOKEN_MALFORMED"],
    ["whose begin is a text", () => ({ nbf: "0" }), "TOKEN_MALFORMED"],
    ["without a subject", () => ({ sub: undefined as never }), "TOKEN_MALFORMED"],
    ["whose subject is a number", () => ({ sub: 7 }), "TOKEN_MALFORMED"],
    ["bound to a key of DPoP", () => ({ cnf: { jkt: "x" } }), "TOKEN_WRONG_BINDING"],
    ["bound in two ways", () => ({ cnf: { "x5t#S256": "x", jkt: "x" } }), "TOKEN_WRONG_BINDING"],
    ["bound to nothing", () => ({ cnf: {} }), "TOKEN_WRONG_BINDING"],
    [
      "bound to a certificate that is not there",
      () => ({ cnf: { "x5t#S256": "q6s" } }),
      "TOKEN_WRONG_BINDING",
    ],
  ];
  for (const [what, claims, reason] of claimRows) {
    test(`I02 one that is ${what}: ${reason}`, async () => {
      const made = JSON.parse(
        JSON.stringify({ iss: issuer.url, aud: "library", sub: "ada", exp: now() + 60, ...claims() }),
      ) as JsonObject; // Members that are undefined are gone.
      const { reason: found, code } = await judge.bearer(await signToken(keys.es, made));
      assert.equal(found, reason);
      assert.equal(code, reason === "OK" ? 0 : Code.Unauthenticated);
    });
  }

  test("a token that is bound to a certificate is good with that one alone, also when remembered", async () => {
    const fingerprint = "cd".repeat(32);
    const thumbprint = Buffer.from(fingerprint, "hex").toString("base64url");
    const token = await issuer.token(keys.es, { cnf: { "x5t#S256": thumbprint } });
    assert.equal((await judge.bearer(token, { peer: peer({ fingerprint }) })).reason, "OK");
    assert.equal((await judge.bearer(token, { peer: peer({ fingerprint }) })).reason, "OK");
    assert.equal((await judge.bearer(token, { peer: peer() })).reason, "TOKEN_WRONG_BINDING");
    assert.equal((await judge.bearer(token)).reason, "TOKEN_WRONG_BINDING");
  });

  const forgeries: readonly (readonly [
    what: string,
    make: () => string | Promise<string>,
    reason: string,
  ])[] = [
    ["without a signature, alg none", () => unsecured("none"), "TOKEN_WRONG_ALGORITHM"],
    ["alg None", () => unsecured("None"), "TOKEN_WRONG_ALGORITHM"],
    ["alg nOnE with a signature", () => `${unsecured("nOnE")}AAAA`, "TOKEN_WRONG_ALGORITHM"],
    ["HS256 by the text of the RSA public key", () => hmacOfPublicKey("spki"), "TOKEN_WRONG_ALGORITHM"],
    ["HS256 by the JWK of the RSA public key", () => hmacOfPublicKey("jwk"), "TOKEN_WRONG_ALGORITHM"],
    ["ES256 with r = s = 0", () => withSignature(Buffer.alloc(64)), "TOKEN_BAD_SIGNATURE"],
    ["ES256 with a signature of DER", () => withSignature(Buffer.alloc(70, 0x30)), "TOKEN_BAD_SIGNATURE"],
    ["ES256 with an empty signature", () => withSignature(Buffer.alloc(0)), "TOKEN_BAD_SIGNATURE"],
    [
      "by a key of another party under the issuer's kid",
      () => issuer.token(keys.rogue),
      "TOKEN_BAD_SIGNATURE",
    ],
    [
      "RS256 under the kid of an EC key",
      () => issuer.token(keys.rogue, {}, { kid: "es" }),
      "TOKEN_UNKNOWN_KEY",
    ],
    [
      "PS256 under the kid of a key for RS256",
      () => issuer.token(keys.ps, {}, { kid: "rs" }),
      "TOKEN_UNKNOWN_KEY",
    ],
    ["RS512, which is not accepted", () => rs512(), "TOKEN_WRONG_ALGORITHM"],
    ["an unknown crit", () => withCrit(["exp2"], { exp2: 1 }), "TOKEN_MALFORMED"],
    ["crit b64, which jose knows", () => withCrit(["b64"], { b64: true }), "TOKEN_MALFORMED"],
    ["crit that is empty", () => rawHeader({ alg: "ES256", kid: "es", crit: [] }), "TOKEN_MALFORMED"],
    ["its own key in the header", () => withOwnKey(), "TOKEN_BAD_SIGNATURE"],
    [
      "a URL of keys in the header",
      () => issuer.token(keys.rogue, {}, { jku: "https://evil.example/jwks" }),
      "TOKEN_BAD_SIGNATURE",
    ],
    ["a kid of a path", () => issuer.token(keys.es, {}, { kid: "../../dev/null" }), "TOKEN_UNKNOWN_KEY"],
    ["a kid of SQL", () => issuer.token(keys.es, {}, { kid: "' OR 1=1 --" }), "TOKEN_UNKNOWN_KEY"],
    ["a kid of 257 characters", () => issuer.token(keys.es, {}, { kid: "k".repeat(257) }), "TOKEN_MALFORMED"],
    ["a kid that is a number", () => rawHeader({ alg: "ES256", kid: 7 }), "TOKEN_MALFORMED"],
    ["without alg", () => rawHeader({ kid: "es" }), "TOKEN_MALFORMED"],
    ["a header that is a list", () => `${part([])}.${part({})}.AAAA`, "TOKEN_MALFORMED"],
    ["a payload that is no JSON", () => `${part({ alg: "ES256" })}.AAAA.AAAA`, "TOKEN_MALFORMED"],
    [
      "a payload that is no UTF-8",
      () => `${part({ alg: "ES256" })}.${Buffer.from('{"iss":"\xff"}', "latin1").toString("base64url")}.AAAA`,
      "TOKEN_MALFORMED",
    ],
    ["two parts", () => "AAAA.BBBB", "TOKEN_MALFORMED"],
    ["four parts", () => "AAAA.BBBB.CCCC.DDDD", "TOKEN_MALFORMED"],
    ["five parts, an encrypted one", () => "AAAA.BBBB.CCCC.DDDD.EEEE", "TOKEN_MALFORMED"],
    ["an altered payload", () => altered(), "TOKEN_BAD_SIGNATURE"],
  ];
  for (const [what, make, reason] of forgeries) {
    test(`I02 a token with ${what}: ${reason}`, async () => {
      const token = await make();
      const verdict = await judge.bearer(token);
      assert.deepEqual([verdict.reason, verdict.code], [reason, Code.Unauthenticated]);
      assert.ok(!verdict.message.includes(token.slice(0, 12)), "the text does not repeat the token");
    });
  }

  function good(): JsonObject {
    return { iss: issuer.url, aud: "library", sub: "eve", exp: now() + 60 };
  }

  function unsecured(alg: string): string {
    const made = new UnsecuredJWT(good()).encode();
    return `${part({ alg })}.${made.split(".")[1]}.`;
  }

  async function hmacOfPublicKey(form: "spki" | "jwk"): Promise<string> {
    const { jwk } = keys.rs;
    const publicKey: KeyObject = createPublicKey({ key: jwk, format: "jwk" });
    const secret = form === "spki" ? publicKey.export({ type: "spki", format: "pem" }) : JSON.stringify(jwk);
    const text = `${part({ alg: "HS256", kid: "rs" })}.${part(good())}`;
    return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
  }

  function withSignature(signature: Buffer): string {
    return `${part({ alg: "ES256", kid: "es" })}.${part(good())}.${signature.toString("base64url")}`;
  }

  function rawHeader(header: object): string {
    return `${part(header)}.${part(good())}.${Buffer.alloc(64).toString("base64url")}`;
  }

  async function rs512(): Promise<string> {
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    return new SignJWT(good()).setProtectedHeader({ alg: "RS512", kid: "rs" }).sign(privateKey);
  }

  async function withCrit(crit: string[], more: object): Promise<string> {
    return new SignJWT(good())
      .setProtectedHeader({ alg: "ES256", kid: "es", crit, ...more })
      .sign(keys.es.privateKey, { crit: { exp2: true } })
      .catch(() => rawHeader({ alg: "ES256", kid: "es", crit, ...more }));
  }

  async function withOwnKey(): Promise<string> {
    const { jwk } = keys.rogue;
    return issuer.token(keys.rogue, {}, { jwk, x5c: ["AAAA"], x5u: "https://evil.example" });
  }

  async function altered(): Promise<string> {
    const [head, , signature] = (await issuer.token(keys.es)).split(".");
    return `${head}.${part({ ...good(), sub: "root" })}.${signature}`;
  }

  test("a token without kid is verified by the keys that fit its algorithm", async () => {
    assert.equal((await judge.bearer(await issuer.token(keys.ed, {}, { kid: undefined }))).reason, "OK");
  });

  test("types, age, names of claims are as the options say", async () => {
    using strict = await open({
      types: ["at+jwt"],
      maxTokenAgeMs: 60_000,
      rolesClaim: "realm_access.roles",
      scopesClaim: "https://x/perm.s",
      idClaim: "client.id",
    });
    const claims = {
      realm_access: { roles: ["r"] },
      "https://x/perm.s": ["s"],
      client: { id: "c" },
      __proto__: { admin: true },
    };
    const typ = { typ: "application/AT+JWT" };
    const found = await strict.bearer(await issuer.token(keys.es, claims, typ));
    assert.deepEqual(
      [found.who?.id, ...(found.who?.roles ?? []), ...(found.who?.scopes ?? [])],
      ["c", "r", "s"],
    );
    assert.equal((await strict.bearer(await issuer.token(keys.es, claims))).reason, "TOKEN_WRONG_TYPE");
    const old = { ...claims, iat: now() - 91 };
    assert.equal((await strict.bearer(await issuer.token(keys.es, old, typ))).reason, "TOKEN_EXPIRED");
    const future = { ...claims, iat: now() + 60 };
    assert.equal((await strict.bearer(await issuer.token(keys.es, future, typ))).reason, "TOKEN_MALFORMED");
  });

  test("keys that cannot verify are not used: symmetric, private, short, for encryption", async () => {
    const short = generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey.export({ format: "jwk" });
    const symmetric: JWK = {
      kty: "oct",
      k: "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U",
      kid: "oct",
      alg: "HS256",
    };
    await using other = await FakeIssuer.start(keys.es);
    other.keys = [
      symmetric,
      { ...(short as JWK), kid: "short" },
      { ...keys.rs.jwk, use: "enc" },
      { ...keys.ed.jwk, d: "AAAA" },
      { ...keys.ps.jwk, key_ops: ["encrypt"] },
      keys.es.jwk,
    ];
    const warnings: unknown[] = [];
    using strict = await Judge.open(
      { providers: { corp: jwt({ issuer: other.url, audiences: ["library"] }) } },
      { logger: { warn: (fields) => warnings.push(fields["skipped"]) } },
    );
    for (const name of ["rs", "ps", "ed"] as const) {
      assert.equal((await strict.bearer(await other.token(keys[name]))).reason, "TOKEN_UNKNOWN_KEY", name);
    }
    assert.equal((await strict.bearer(await other.token(keys.es))).reason, "OK");
    assert.deepEqual(warnings, [
      [
        "a symmetric key",
        "an RSA key of less than 2048 bits",
        "a key that is not for signatures",
        "a private key",
        "a key that is not for verifying",
      ],
    ]);
  });

  test("a provider with wrong options is refused by name", async () => {
    const rows: readonly (readonly [options: object, expected: RegExp])[] = [
      [{ audiences: ["a"] }, /jwt: the option issuer is missing/],
      [{ issuer: "https://a", audiences: [] }, /jwt: the option audiences must be a list/],
      [{ issuer: "https://a", audiences: ["a"], algorithms: ["HS256"] }, /HS256.* is none of .*did you mean/],
      [{ issuer: "https://a", audiences: ["a"], algorithms: ["none"] }, /is none of/],
      [{ issuer: "https://a", audiences: ["a"], jwksuri: "x" }, /did you mean jwksUri/],
      [{ issuer: "https://a", audiences: ["a"], jwksUri: "https://a", jwksFile: "b" }, /not by both/],
    ];
    for (const [options, expected] of rows) assert.throws(() => jwt(options as JwtOptions), expected);
    const plain = jwt({ issuer: "http://id.example", audiences: ["a"] });
    await assert.rejects(
      Judge.open({ providers: { corp: plain } }),
      /auth.providers.corp: the issuer.* must begin with https/,
    );
    const two = {
      a: jwt({ issuer: issuer.url, audiences: ["a"] }),
      b: jwt({ issuer: issuer.url, audiences: ["b"] }),
    };
    await assert.rejects(
      Judge.open({ providers: two }),
      /auth.providers.b: auth.providers.a takes tokens of the issuer/,
    );
  });
});
