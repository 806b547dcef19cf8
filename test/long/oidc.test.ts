/** Tokens of an OpenID provider by other authors: discovery, keys and their rotation, introspection, revocation. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient } from "../../src/core/call/client.ts";
import { EchoService } from "../../gen/tsms/test/v1/echo_pb.ts";
import { dial } from "../../src/core/dial.ts";
import { introspection, jwt } from "../../src/core/security/auth-schemes.ts";
import { curl, Guarded } from "../behaviour/security/whoami.ts";
import { audiences, newIssuerKey, OidcIssuer } from "../support/oidc-issuer.ts";

/** Servers that take tokens of an issuer: JWTs for one audience, opaque ones for another. */
const guardedBy = (issuer: OidcIssuer): Promise<Guarded> =>
  Guarded.start({
    providers: {
      shop: jwt({ issuer: issuer.url, audiences: [audiences.jwt], types: ["at+jwt"], cooldownMs: 50 }),
      legacy: introspection({
        ...issuer.introspection,
        audiences: [audiences.opaque],
        cacheTtlMs: 200,
        negativeTtlMs: 50,
      }),
    },
    failures: { count: 1_000, windowMs: 60_000 },
  });

const bearer = (token: string): string[] => ["-H", `authorization: Bearer ${token}`];
const statusOf = async (guarded: Guarded, token: string): Promise<number> =>
  (await curl(`http://${guarded.authority}/test/v1/echo/a`, ...bearer(token))).status;

async function until(check: () => Promise<boolean>): Promise<void> {
  const endMs = Date.now() + 10_000;
  while (!(await check())) assert.ok(Date.now() < endMs, "it takes too long");
}

test("U5 U6 tokens of the form at+jwt: keys are discovered once, audience and type must fit", async () => {
  await using issuer = await OidcIssuer.start([newIssuerKey()]);
  await using guarded = await guardedBy(issuer);
  const token = await issuer.token(audiences.jwt);
  const answer = await curl(`http://${guarded.authority}/test/v1/echo/a`, ...bearer(token));
  assert.equal(answer.status, 200);
  assert.match(answer.body, /"text":"billing"/);
  const echo = createClient(EchoService, dial(guarded.grpcAuthority));
  assert.equal((await echo.echo({}, { headers: { authorization: `Bearer ${token}` } })).text, "billing");
  for (let i = 0; i < 10; i++) {
    assert.equal(await statusOf(guarded, await issuer.token(audiences.jwt)), 200);
  }
  assert.equal(issuer.asked.get("/jwks"), 1);
  assert.equal(issuer.asked.get("/.well-known/openid-configuration"), 1);
  const elsewhere = await issuer.token("urn:another");
  const refused = await curl(`http://${guarded.authority}/test/v1/echo/a`, ...bearer(elsewhere));
  assert.equal(refused.status, 401);
  assert.match(refused.body, /TOKEN_WRONG_AUDIENCE/);
  const [head, claims, signature] = token.split(".");
  const forged = [head, Buffer.from(`{"iss":"${issuer.url}","sub":"root"}`).toString("base64url"), signature];
  assert.equal(await statusOf(guarded, forged.join(".")), 401);
  assert.equal(await statusOf(guarded, [head, claims, "AAAA"].join(".")), 401);
});

test("U6 a key of a restarted issuer is fetched when it is first seen, and tokens of the old one end", async () => {
  const [before, after] = [newIssuerKey(), newIssuerKey()];
  const first = await OidcIssuer.start([before]);
  await using guarded = await guardedBy(first);
  const old = await first.token(audiences.jwt);
  assert.equal(await statusOf(guarded, old), 200);
  await first[Symbol.asyncDispose]();
  assert.equal(await statusOf(guarded, old), 200, "known keys go on while the issuer is away");
  await using second = await OidcIssuer.start([after], Number(new URL(first.url).port));
  const fresh = await second.token(audiences.jwt);
  await until(async () => (await statusOf(guarded, fresh)) === 200);
  assert.equal(second.asked.get("/jwks"), 1);
  assert.equal(await statusOf(guarded, old), 401, "it was remembered as good, and its key is gone");
});

test("U6 keys that follow one another are both good for as long as the issuer has both", async () => {
  const keys = [newIssuerKey(), newIssuerKey()] as const;
  const first = await OidcIssuer.start([keys[0]]);
  await using guarded = await guardedBy(first);
  const old = await first.token(audiences.jwt);
  assert.equal(await statusOf(guarded, old), 200);
  await first[Symbol.asyncDispose]();
  await using second = await OidcIssuer.start([keys[1], keys[0]], Number(new URL(first.url).port));
  const fresh = await second.token(audiences.jwt);
  await until(async () => (await statusOf(guarded, fresh)) === 200);
  assert.equal(await statusOf(guarded, old), 200);
});

test("opaque tokens: the issuer is asked once for many calls, and not for a while after", async () => {
  await using issuer = await OidcIssuer.start([newIssuerKey()]);
  await using guarded = await guardedBy(issuer);
  const token = await issuer.token(audiences.opaque);
  assert.doesNotMatch(token, /\./);
  const statuses = await Promise.all(Array.from({ length: 5 }, () => statusOf(guarded, token)));
  assert.deepEqual(statuses, [200, 200, 200, 200, 200]);
  assert.ok((issuer.asked.get("/token/introspection") ?? 0) <= 2);
  assert.equal(await statusOf(guarded, "no-such-token"), 401);
  await issuer.revoke(token);
  await until(async () => (await statusOf(guarded, token)) === 401);
});

test("an opaque token for another audience is refused, and one of an issuer that is away is 503", async () => {
  const issuer = await OidcIssuer.start([newIssuerKey()]);
  await using guarded = await guardedBy(issuer);
  const token = await issuer.token(audiences.opaque);
  await issuer[Symbol.asyncDispose]();
  assert.equal(await statusOf(guarded, token), 503);
});
