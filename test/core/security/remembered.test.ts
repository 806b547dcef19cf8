import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { principalOf } from "../../../src/core/security/jwt/claims.ts";
import { readToken } from "../../../src/core/security/jwt/token.ts";
import { RememberedCredentials, rememberedBytes } from "../../../src/core/security/remembered.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void; // As the flag says.

const max = 5_000;
const rules = {
  provider: "corp",
  kind: "jwt",
  scopesClaim: undefined,
  rolesClaim: "roles",
  idClaim: "sub",
} as const;

/** What each token says beside its owner. */
const shapes = {
  "a few claims": (id: number) => ({
    scope: "books:read books:write",
    roles: ["reader"],
    jti: `token-${id}`,
  }),
  "a list of groups": (id: number) => ({
    groups: Array.from({ length: 40 }, (_, at) => `group-${id}-${at}`),
  }),
  "long texts": (id: number) => ({ picture: `${id}`.padEnd(4_000, "x"), name: `Ω${id}`.padEnd(500, "y") }),
  "many small values": (id: number) =>
    Object.fromEntries(
      Array.from({ length: 60 }, (_, at) => [`claim${at}`, at % 2 === 0 ? id + at : [`${id}`]]),
    ),
};

/** Memory of what lives. */
function liveBytes(): number {
  for (let round = 0; round < 3; round++) collect();
  return process.memoryUsage().heapUsed;
}

/** Remembers the token of a caller as the provider of JWTs does. */
function remember(tokens: RememberedCredentials, id: number, claims: object): string {
  const all = { iss: "https://id.example", aud: "shop", sub: `user-${id}`, exp: 2_000_000_000, ...claims };
  const token = `${part({ alg: "RS256" })}.${part(all)}.c2ln`;
  const digest = hash("sha256", token, "latin1");
  tokens.set(digest, {
    principal: principalOf(readToken(token).claims, rules),
    untilMs: 1_000,
    boundTo: undefined,
  });
  return digest;
}

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

for (const [name, claims] of Object.entries(shapes)) {
  test(`U7 remembered tokens need a kibibyte each, with ${name}`, () => {
    const tokens = new RememberedCredentials(max);
    const before = liveBytes();
    let last = "";
    for (let id = 0; id < 2 * max; id++) last = remember(tokens, id, claims(id));
    const bytes = liveBytes() - before;
    assert.ok(bytes <= max * rememberedBytes, `${Math.round(bytes / max)} bytes for each of ${max} places`);
    assert.ok(bytes >= 0.3 * max * rememberedBytes, `${bytes} bytes: tokens are forgotten too early`);
    assert.ok(tokens.size <= max);
    assert.equal(tokens.get(last, 0)?.principal.id, `user-${2 * max - 1}`);
  });
}

test("U7 the oldest of the remembered tokens are forgotten first, and those whose time is over", () => {
  const tokens = new RememberedCredentials(2);
  const [one, two, three] = [1, 2, 3].map((id) => remember(tokens, id, {}));
  assert.ok(one !== undefined && two !== undefined && three !== undefined);
  assert.deepEqual(
    [one, two, three].map((digest) => tokens.get(digest, 0)?.principal.id),
    [undefined, "user-2", "user-3"],
  );
  assert.equal(tokens.get(two, 1_000), undefined);
  assert.equal(tokens.size, 1);
  tokens.clear();
  assert.equal(tokens.size, 0);
});
