import { hash } from "node:crypto";
import { principalOf } from "../../../src/core/security/jwt/claims.ts";
import { readToken } from "../../../src/core/security/jwt/token.ts";
import type { RememberedCredentials } from "../../../src/core/security/remembered.ts";

const rules = {
  provider: "corp",
  kind: "jwt",
  scopesClaim: undefined,
  rolesClaim: "roles",
  idClaim: "sub",
} as const;

/** Remembers the token of a caller as the provider of JWTs does. */
export function remember(tokens: RememberedCredentials, id: number, claims: object): string {
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
