import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { AuthFailure } from "../auth-failure.ts";
import type { Principal } from "../principal.ts";
import { wordSet } from "../word-sets.ts";
import type { CheckedJwtOptions } from "./jwt-options.ts";
import { malformed, type Token } from "./token.ts";

/** What claims and header of tokens must be like. */
export type ClaimRules = Pick<
  CheckedJwtOptions,
  "issuer" | "audiences" | "types" | "clockSkewMs" | "maxTokenAgeMs"
>;

/**
 * Checks type and claims of a token (RFC 7519 4.1, RFC 8725 3.8 to 3.11).
 *
 * @param nowMs time of day, in milliseconds since 1970
 * @throws AuthFailure
 */
export function checkClaims({ typ, claims }: Token, rules: ClaimRules, nowMs: number): void {
  if (rules.types.length > 0 && !rules.types.some((type) => sameType(type, typ))) {
    throw new AuthFailure("TOKEN_WRONG_TYPE", "the token is of another type");
  }
  checkIssuerAndAudience(claims, rules);
  checkTimes(claims, rules, nowMs);
}

/** Checks `iss` and `aud`. @throws AuthFailure */
export function checkIssuerAndAudience(
  claims: JsonObject,
  rules: Pick<ClaimRules, "issuer" | "audiences">,
): void {
  if (claims["iss"] !== rules.issuer) {
    throw new AuthFailure("TOKEN_WRONG_ISSUER", "the token is from another issuer");
  }
  checkAudience(claims["aud"], rules.audiences);
}

/** Checks `aud`, a text or a list of texts. @throws AuthFailure */
export function checkAudience(aud: JsonValue | undefined, audiences: readonly string[]): void {
  const found = Array.isArray(aud) ? aud : [aud];
  if (!found.some((name) => typeof name === "string" && audiences.includes(name))) {
    throw new AuthFailure("TOKEN_WRONG_AUDIENCE", "the token is for another audience");
  }
}

function checkTimes(claims: JsonObject, { clockSkewMs, maxTokenAgeMs }: ClaimRules, nowMs: number): void {
  const exp = timeOf(claims["exp"]);
  if (exp === undefined) throw malformed();
  if (exp * 1_000 + clockSkewMs <= nowMs) throw new AuthFailure("TOKEN_EXPIRED", "the token has expired");
  const nbf = timeOf(claims["nbf"]);
  if (nbf !== undefined && nbf * 1_000 - clockSkewMs > nowMs) {
    throw new AuthFailure("TOKEN_NOT_YET_VALID", "the token is not valid yet");
  }
  if (maxTokenAgeMs === 0) return;
  const iat = timeOf(claims["iat"]);
  if (iat === undefined || iat * 1_000 - clockSkewMs > nowMs) throw malformed();
  if (iat * 1_000 + maxTokenAgeMs + clockSkewMs <= nowMs) {
    throw new AuthFailure("TOKEN_EXPIRED", "the token is too old");
  }
}

/** A `NumericDate` in seconds; undefined without one. @throws AuthFailure for anything else than a number */
function timeOf(value: JsonValue | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "number" || !Number.isFinite(value)) throw malformed();
  return value;
}

function sameType(wanted: string, typ: string | undefined): boolean {
  return wanted.toLowerCase().replace(/^application\//, "") === typ;
}

/** How a principal is made of claims. */
export interface PrincipalRules extends Pick<CheckedJwtOptions, "scopesClaim" | "rolesClaim" | "idClaim"> {
  readonly provider: string;
  readonly kind: "jwt" | "introspection";
}

/**
 * The principal that claims describe.
 *
 * @throws AuthFailure if the claim of its id is missing
 */
export function principalOf(claims: JsonObject, rules: PrincipalRules): Principal {
  const id = claimAt(claims, rules.idClaim);
  if (typeof id !== "string" || id === "") throw malformed();
  const { iss, exp } = claims;
  const scopes =
    rules.scopesClaim === undefined ? (claims["scope"] ?? claims["scp"]) : claimAt(claims, rules.scopesClaim);
  return Object.freeze({
    id,
    provider: rules.provider,
    kind: rules.kind,
    issuer: typeof iss === "string" ? iss : undefined,
    scopes: wordSet(words(scopes)),
    roles: wordSet(words(claimAt(claims, rules.rolesClaim))),
    claims: Object.freeze(claims),
    expiresAtMs: typeof exp === "number" ? exp * 1_000 : undefined,
  });
}

/** A claim by its name, or by the path to it in objects, with dots. */
function claimAt(claims: JsonObject, path: string): JsonValue | undefined {
  if (Object.hasOwn(claims, path)) return claims[path];
  let value: JsonValue | undefined = claims;
  for (const name of path.split(".")) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    value = Object.hasOwn(value, name) ? value[name] : undefined;
  }
  return value;
}

function words(value: JsonValue | undefined): string[] {
  if (typeof value === "string") return value.split(" ").filter((word) => word !== "");
  return Array.isArray(value) ? value.filter((word) => typeof word === "string") : [];
}
