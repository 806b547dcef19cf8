import { checkOptions, checkRequired, show } from "../../config/check-options.ts";
import { nearestName } from "../../errors/nearest-name.ts";
import { SetupError } from "../../errors/setup-error.ts";

/** Algorithms by which tokens may be signed; those with shared secrets are not among them. */
export const jwtAlgorithms = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
] as const;

/** An algorithm by which tokens may be signed (RFC 7518 3.1, RFC 8037, RFC 9864). */
export type JwtAlgorithm = (typeof jwtAlgorithms)[number];

/** Which JWTs are good, and where the keys of their issuer are. */
export interface JwtOptions {
  /** `iss` of the tokens, exactly. Required. */
  readonly issuer: string;
  /** A token is good if its `aud` holds one of these. Required, at least one. */
  readonly audiences: readonly string[];
  /**
   * URL of the issuer's keys, by https, or by http to this host. Default: what
   * `ISSUER/.well-known/openid-configuration` says, else `/.well-known/oauth-authorization-server` (RFC 8414).
   */
  readonly jwksUri?: string | undefined;
  /** File of the issuer's keys, a JWK set (RFC 7517), read again when it changes. Default: none. */
  readonly jwksFile?: string | undefined;
  /** Algorithms that are accepted. Default: RS256, PS256, ES256, ES384, EdDSA. */
  readonly algorithms?: readonly JwtAlgorithm[];
  /** Values of `typ` that are accepted, such as `at+jwt` (RFC 9068). Default: none, any value and none. */
  readonly types?: readonly string[];
  /** How far the clocks of issuer and server may be apart, in milliseconds. Default: 30,000. */
  readonly clockSkewMs?: number;
  /** Age by `iat` beyond which a token is refused, in milliseconds; 0 for any. Default: 0. */
  readonly maxTokenAgeMs?: number;
  /** Claim of the scopes, a text with spaces or a list. Default: `scope`, else `scp`. */
  readonly scopesClaim?: string | undefined;
  /** Claim of the roles, a list or a text with spaces; a path with dots such as `realm_access.roles`. Default: `roles`. */
  readonly rolesClaim?: string;
  /** Claim of the principal's id. Default: `sub`. */
  readonly idClaim?: string;
  /** How long a good token is not verified again, in milliseconds; 0 verifies every call. Default: 60,000. */
  readonly cacheTtlMs?: number;
  /** Keys are fetched again before they are so old, in milliseconds. Default: 600,000. */
  readonly refreshMs?: number;
  /** Keys that cannot be fetched again count until they are so old, in milliseconds. Default: 86,400,000, a day. */
  readonly maxStaleMs?: number;
  /** A token of an unknown key has the keys fetched at most once in this time, in milliseconds. Default: 30,000. */
  readonly cooldownMs?: number;
  /** After this time a fetch is given up, in milliseconds. Default: 5,000. */
  readonly fetchTimeoutMs?: number;
  /** Certificates of the authorities that the issuer's server is trusted by, PEM. Default: those of Node. */
  readonly ca?: string | Uint8Array | undefined;
}

/** Options with every default. */
export type CheckedJwtOptions = Required<JwtOptions>;

/** Defaults of `JwtOptions`. */
export const jwtDefaults: Omit<CheckedJwtOptions, "issuer" | "audiences"> = Object.freeze({
  jwksUri: undefined,
  jwksFile: undefined,
  algorithms: Object.freeze(["RS256", "PS256", "ES256", "ES384", "EdDSA"] as const),
  types: Object.freeze([]),
  clockSkewMs: 30_000,
  maxTokenAgeMs: 0,
  scopesClaim: undefined,
  rolesClaim: "roles",
  idClaim: "sub",
  cacheTtlMs: 60_000,
  refreshMs: 600_000,
  maxStaleMs: 86_400_000,
  cooldownMs: 30_000,
  fetchTimeoutMs: 5_000,
  ca: undefined,
});

const owner = "jwt";

/** Checks options and adds the defaults. @throws SetupError naming the option */
export function checkJwtOptions(given: JwtOptions): CheckedJwtOptions {
  checkOptions<JwtOptions>(owner, given, { issuer: undefined, audiences: undefined, ...jwtDefaults });
  const options: CheckedJwtOptions = { ...jwtDefaults, ...withoutUndefined(given) };
  const { issuer, audiences, jwksUri, jwksFile } = options;
  checkRequired(owner, "issuer", issuer, isText(issuer), "the text of the claim iss");
  const isList = Array.isArray(audiences) && audiences.length > 0 && audiences.every(isText);
  checkRequired(owner, "audiences", audiences, isList, "a list of texts of the claim aud, at least one");
  if (jwksUri !== undefined && jwksFile !== undefined) {
    throw new SetupError(`${owner}: give the keys by jwksUri or by jwksFile, not by both`);
  }
  checkAlgorithms(options.algorithms);
  return options;
}

function checkAlgorithms(algorithms: readonly string[]): void {
  if (!Array.isArray(algorithms) || algorithms.length === 0) {
    throw new SetupError(
      `${owner}: the option algorithms must be a list such as ["RS256"], not ${show(algorithms)}`,
    );
  }
  for (const name of algorithms as readonly unknown[]) {
    if (jwtAlgorithms.some((known) => known === name)) continue;
    const near = typeof name === "string" ? nearestName(name, jwtAlgorithms) : undefined;
    const hint = near === undefined ? "" : `; did you mean ${near}?`;
    const all = jwtAlgorithms.join(", ");
    throw new SetupError(`${owner}: the algorithm ${show(name)} is none of ${all}${hint}`);
  }
}

function isText(value: unknown): boolean {
  return typeof value === "string" && value !== "";
}

/** What was really given: `undefined` in place of an option means its default. */
function withoutUndefined(given: JwtOptions): JwtOptions {
  return Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined),
  ) as unknown as JwtOptions; // The same members.
}
