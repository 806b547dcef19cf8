import type { CryptoKey, JWK } from "jose";
import { loadJose } from "./jose-module.ts";

/** A key of an issuer that can verify tokens. */
export interface VerificationKey {
  readonly kid: string | undefined;
  /** Algorithms that it is for. */
  readonly algorithms: readonly string[];
  /** The key as one of its algorithms uses it. Rejects if it cannot be used, such as an RSA key that is too short. */
  forAlgorithm(alg: string): Promise<CryptoKey>;
}

/** The keys of a set, and what it holds that is not one of them. */
export interface ReadKeys {
  readonly keys: readonly VerificationKey[];
  /** What was skipped, for the log: `a symmetric key`. */
  readonly skipped: readonly string[];
}

/** More keys make a set unusable. */
const maxKeys = 100;

/** Shorter RSA keys are skipped, in bits (RFC 7518 3.3). */
const minRsaBits = 2048;

const rsa = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];

const curves: Readonly<Record<string, readonly string[]>> = {
  "P-256": ["ES256"],
  "P-384": ["ES384"],
  "P-521": ["ES512"],
  Ed25519: ["EdDSA", "Ed25519"],
};

/**
 * Reads a JWK set (RFC 7517 5). Symmetric and private keys, those for encryption and those of unknown kinds are
 * skipped.
 *
 * @throws Error for anything that is no set of keys
 */
export function readKeys(set: unknown): ReadKeys {
  const list = typeof set === "object" && set !== null && "keys" in set ? set.keys : undefined;
  if (!Array.isArray(list)) throw new Error("this is no set of keys: it has no list keys");
  if (list.length > maxKeys) throw new Error(`the set has more than ${maxKeys} keys`);
  const keys: VerificationKey[] = [];
  const skipped: string[] = [];
  for (const item of list as readonly unknown[]) {
    const jwk = typeof item === "object" && item !== null ? (item as JWK) : {}; // Its members are checked below.
    const problem = problemOf(jwk);
    if (problem === undefined) keys.push(verificationKey(jwk));
    else skipped.push(problem);
  }
  return { keys, skipped };
}

function problemOf(jwk: JWK): string | undefined {
  if (jwk.kty === "oct" || jwk.k !== undefined) return "a symmetric key";
  if (jwk.d !== undefined) return "a private key";
  if (jwk.kid !== undefined && typeof jwk.kid !== "string") return "a key whose kid is no text";
  if (jwk.use !== undefined && jwk.use !== "sig") return "a key that is not for signatures";
  if (jwk.key_ops !== undefined && !(Array.isArray(jwk.key_ops) && jwk.key_ops.includes("verify"))) {
    return "a key that is not for verifying";
  }
  if (algorithmsOf(jwk).length === 0) return "a key of another kind";
  if (jwk.kty === "RSA" && bitsOf(jwk.n) < minRsaBits) return `an RSA key of less than ${minRsaBits} bits`;
  return undefined;
}

function algorithmsOf({ kty, crv, alg }: JWK): readonly string[] {
  const all = kty === "RSA" ? rsa : kty === "EC" || kty === "OKP" ? (curves[String(crv)] ?? []) : [];
  if (alg === undefined) return all;
  // Both names mean Ed25519 (RFC 9864).
  const names = alg === "EdDSA" || alg === "Ed25519" ? ["EdDSA", "Ed25519"] : [alg];
  return all.filter((name) => names.includes(name));
}

function bitsOf(modulus: unknown): number {
  return typeof modulus === "string" ? Buffer.from(modulus, "base64url").length * 8 : 0;
}

function verificationKey(jwk: JWK): VerificationKey {
  const imported = new Map<string, Promise<CryptoKey>>();
  return {
    kid: jwk.kid,
    algorithms: algorithmsOf(jwk),
    forAlgorithm(alg) {
      let key = imported.get(alg);
      if (key === undefined) imported.set(alg, (key = importKey(jwk, alg)));
      return key;
    },
  };
}

async function importKey(jwk: JWK, alg: string): Promise<CryptoKey> {
  const { importJWK } = await loadJose();
  const { kty, n, e, crv, x, y } = jwk;
  // The public members alone: others could contradict what was checked.
  const bare = kty === "RSA" ? { kty, n, e } : { kty, crv, x, y };
  const key = await importJWK(JSON.parse(JSON.stringify(bare)) as JWK, alg); // Without members that are undefined.
  if (key instanceof Uint8Array) throw new TypeError("a symmetric key was skipped before");
  return key;
}
