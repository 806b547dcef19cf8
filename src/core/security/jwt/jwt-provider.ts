import type * as Jose from "jose";
import { AuthFailure } from "../auth-failure.ts";
import type { AuthProvider, ProviderKit } from "../auth-provider.ts";
import type { Presented } from "../presented.ts";
import type { Principal } from "../principal.ts";
import { RememberedCredentials, type Remembered } from "../remembered.ts";
import { watchFile, type WatchedFile } from "../watched-file.ts";
import { certificateOf, checkBinding } from "./binding.ts";
import { checkClaims, principalOf, type PrincipalRules } from "./claims.ts";
import { loadJose } from "./jose-module.ts";
import type { CheckedJwtOptions } from "./jwt-options.ts";
import { KeySet } from "./key-set.ts";
import { networkKeySource, parseKeyFile } from "./key-source.ts";
import { isCompactJws, malformed, readToken, type Token } from "./token.ts";
import type { VerificationKey } from "./verification-keys.ts";

/** Opens a provider of JWTs. @throws SetupError for options, a file of keys, or a missing package */
export async function openJwt(
  options: CheckedJwtOptions,
  name: string,
  kit: ProviderKit,
): Promise<AuthProvider> {
  const jose = await loadJose();
  const { jwksFile } = options;
  if (jwksFile === undefined) {
    const source = networkKeySource(options, `auth.providers.${name}`);
    return new JwtProvider(name, options, jose, kit, new KeySet(name, source, options, kit));
  }
  const changed = (): void => keys.refresh();
  const init = {
    path: jwksFile,
    maxBytes: 256 * 1024,
    isSecret: false,
    parse: parseKeyFile,
    onChange: changed,
  };
  const file = await watchFile(init, kit);
  // A file does not grow old: it is read again when it changes.
  const times = { ...options, maxStaleMs: Number.POSITIVE_INFINITY };
  const keys = new KeySet(name, () => Promise.resolve(file.value), times, kit);
  return new JwtProvider(name, options, jose, kit, keys, file);
}

/** Verifies JWTs of one issuer (RFC 7519, 8725, 9068). */
class JwtProvider implements AuthProvider {
  readonly name: string;
  readonly kind = "jwt";
  readonly place = Object.freeze({ in: "bearer" });
  readonly issuer: string;
  readonly skewMs: number;
  readonly #options: CheckedJwtOptions;
  readonly #rules: PrincipalRules;
  readonly #jose: typeof Jose;
  readonly #kit: ProviderKit;
  readonly #keys: KeySet;
  readonly #file: WatchedFile<unknown> | undefined;
  readonly #remembered = new RememberedCredentials();
  /** Version of the keys that verified what is remembered. */
  #version = 0;

  constructor(
    name: string,
    options: CheckedJwtOptions,
    jose: typeof Jose,
    kit: ProviderKit,
    keys: KeySet,
    file?: WatchedFile<unknown>,
  ) {
    this.name = name;
    this.issuer = options.issuer;
    this.skewMs = options.clockSkewMs;
    const { scopesClaim, rolesClaim, idClaim } = options;
    this.#rules = { provider: name, kind: "jwt", scopesClaim, rolesClaim, idClaim };
    this.#options = options;
    this.#jose = jose;
    this.#kit = kit;
    this.#keys = keys;
    this.#file = file;
  }

  recall({ digest, call }: Presented): Principal | undefined {
    if (this.#version !== this.#keys.version) this.forget();
    const found = this.#remembered.get(digest, this.#kit.wallMs());
    if (found === undefined) return undefined;
    if (found.boundTo !== undefined) checkBinding(found.boundTo, call.peer?.fingerprint);
    return found.principal;
  }

  verify(presented: Presented): Promise<Principal> | undefined {
    if (!isCompactJws(presented.credential)) return undefined;
    const token = readToken(presented.credential);
    return token.claims["iss"] === this.issuer ? this.#verify(token, presented) : undefined;
  }

  ready(): Promise<void> {
    return this.#keys.settled();
  }

  forget(): void {
    this.#remembered.clear();
    this.#version = this.#keys.version;
  }

  close(): void {
    this.#keys.close();
    this.#file?.close();
  }

  async #verify(token: Token, { digest, call }: Presented): Promise<Principal> {
    const options = this.#options;
    if (!options.algorithms.some((alg) => alg === token.alg)) {
      throw new AuthFailure(
        "TOKEN_WRONG_ALGORITHM",
        "the token is signed by an algorithm that is not accepted",
      );
    }
    const nowMs = this.#kit.wallMs();
    checkClaims(token, options, nowMs);
    const boundTo = certificateOf(token.claims);
    checkBinding(boundTo, call.peer?.fingerprint);
    const { keys, version } = await this.#keys.find(token.kid, token.alg);
    if (!(await this.#isSignedBy(keys, token)))
      throw new AuthFailure("TOKEN_BAD_SIGNATURE", "the signature of the token is wrong");
    const principal = principalOf(token.claims, this.#rules);
    if (this.#kit.revocations.has(principal)) {
      throw new AuthFailure("TOKEN_REVOKED", "the token is revoked");
    }
    const endMs = (principal.expiresAtMs ?? nowMs) + options.clockSkewMs;
    const untilMs = Math.min(endMs, nowMs + options.cacheTtlMs);
    if (untilMs > nowMs) this.#remember(digest, { principal, untilMs, boundTo }, version);
    return principal;
  }

  /** Remembers a token, unless the set that has verified it was replaced meanwhile. */
  #remember(digest: string, entry: Remembered, version: number): void {
    if (version !== this.#keys.version) return;
    if (version !== this.#version) this.forget();
    this.#remembered.set(digest, entry);
  }

  async #isSignedBy(keys: readonly VerificationKey[], { text, alg }: Token): Promise<boolean> {
    for (const key of keys) {
      try {
        await this.#jose.compactVerify(text, await key.forAlgorithm(alg), { algorithms: [alg] });
        return true;
      } catch (error) {
        this.#explain(error);
      }
    }
    return false;
  }

  /** Returns for a signature that does not fit, and for a key that cannot be used, which is logged. */
  #explain(error: unknown): void {
    const { errors } = this.#jose;
    if (error instanceof errors.JWSSignatureVerificationFailed) return;
    if (error instanceof errors.JWSInvalid) throw malformed();
    this.#kit.logger?.warn({ err: error, provider: this.name }, "a key of a token issuer cannot be used");
  }
}
