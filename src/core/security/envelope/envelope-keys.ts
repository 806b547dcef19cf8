import { createPrivateKey, createPublicKey, KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import type { JWK } from "jose";
import { SetupError } from "../../errors/setup-error.ts";

/** How the key of the content is encrypted (RFC 7518, section 4). */
export type EnvelopeAlgorithm = "ECDH-ES+A256KW" | "RSA-OAEP-256";

/** A key of envelopes. */
export interface EnvelopeKey {
  /** Its id: `kid`. */
  readonly id: string | undefined;
  /** What it is used for, and nothing else: an `EnvelopeAlgorithm`, or one of signatures. */
  readonly algorithm: string;
  readonly key: KeyObject;
}

/** The keys of a server or a client, each by its id. */
export interface EnvelopeKeys {
  /** Private keys that open. */
  readonly decryption: ReadonlyMap<string, EnvelopeKey>;
  /** Public keys of those who sign contents. */
  readonly verification: ReadonlyMap<string, EnvelopeKey>;
  /** Public keys for which contents may be encrypted. */
  readonly recipients: ReadonlyMap<string, EnvelopeKey>;
}

/** A key: a JWK, a file with one, or a key object. */
export type EnvelopeKeyInput = JWK | KeyObject | { readonly file: string };

/** The use of a key, with which algorithms of JWKs may name it. */
type Use = "enc" | "sig";

const signing: Readonly<Record<string, readonly string[]>> = {
  ed25519: ["EdDSA", "Ed25519"],
  prime256v1: ["ES256"],
  secp384r1: ["ES384"],
  secp521r1: ["ES512"],
  rsa: ["PS256", "PS384", "PS512", "RS256", "RS384", "RS512"],
};

const encrypting: Readonly<Record<string, readonly EnvelopeAlgorithm[]>> = {
  x25519: ["ECDH-ES+A256KW"],
  prime256v1: ["ECDH-ES+A256KW"],
  secp384r1: ["ECDH-ES+A256KW"],
  secp521r1: ["ECDH-ES+A256KW"],
  rsa: ["RSA-OAEP-256"],
};

/** The shortest modulus of RSA, in bits. */
const shortestRsa = 2048;

/**
 * Reads a JWK set: private keys open envelopes, public ones of `use: sig` verify signed contents, those of `use: enc` are
 * for replies. Every key has a `kid`.
 *
 * @throws SetupError naming file and key; never shows a key
 */
export function readEnvelopeKeys(text: string, file: string): EnvelopeKeys {
  const set = parse(text, file);
  if (!isObject(set) || !Array.isArray(set["keys"])) {
    throw new SetupError(`${file}: this is no JWK set: {"keys":[…]}`);
  }
  const decryption = new Map<string, EnvelopeKey>();
  const verification = new Map<string, EnvelopeKey>();
  const recipients = new Map<string, EnvelopeKey>();
  for (const [index, jwk] of (set["keys"] as readonly unknown[]).entries()) {
    const place = `${file}: key ${index + 1}`;
    if (!isObject(jwk)) throw new SetupError(`${place} is no JWK`);
    const id = jwk["kid"];
    if (typeof id !== "string" || id === "") throw new SetupError(`${place} has no kid`);
    const [keys, key] = sorted(jwk, place, { decryption, verification, recipients });
    if (keys.has(id)) throw new SetupError(`${place}: the kid ${JSON.stringify(id)} is there twice`);
    keys.set(id, key);
  }
  return { decryption, verification, recipients };
}

type Sets = Readonly<Record<keyof EnvelopeKeys, Map<string, EnvelopeKey>>>;

function sorted(
  jwk: Readonly<Record<string, unknown>>,
  place: string,
  { decryption, verification, recipients }: Sets,
): [Map<string, EnvelopeKey>, EnvelopeKey] {
  const isPrivate = "d" in jwk;
  if (isPrivate && jwk["use"] === "sig") {
    throw new SetupError(
      `${place}: this is the private key of a signature; only its public part belongs here`,
    );
  }
  if (isPrivate) return [decryption, ofJwk(jwk, "enc", "private", place)];
  if (jwk["use"] === "sig") return [verification, ofJwk(jwk, "sig", "public", place)];
  if (jwk["use"] === "enc") return [recipients, ofJwk(jwk, "enc", "public", place)];
  throw new SetupError(`${place}: a public key needs its use: "sig" or "enc"`);
}

/** Reads a file with one public key for which contents are encrypted. @throws SetupError naming the file */
export function readRecipient(text: string, file: string): EnvelopeKey {
  return keyOf(asJwk(parse(text, file), file), "enc", "public", file);
}

/**
 * The key that an option of `owner` names.
 *
 * @throws SetupError for a key that cannot be used so; Error if its file cannot be read
 */
export function keyOf(
  given: EnvelopeKeyInput,
  use: Use,
  type: "public" | "private",
  owner: string,
): EnvelopeKey {
  if (given instanceof KeyObject) return checked(undefined, undefined, given, use, type, owner);
  if ("file" in given && typeof given.file === "string") {
    return keyOf(
      asJwk(parse(readFileSync(given.file, "utf8"), given.file), given.file),
      use,
      type,
      given.file,
    );
  }
  return ofJwk(given, use, type, owner);
}

function ofJwk(
  jwk: Readonly<Record<string, unknown>>,
  use: Use,
  type: "public" | "private",
  place: string,
): EnvelopeKey {
  if (jwk["kty"] === "oct") {
    throw new SetupError(`${place}: a secret cannot be used: envelopes have pairs of keys`);
  }
  if (jwk["use"] !== undefined && jwk["use"] !== use) {
    throw new SetupError(`${place}: the key has the use ${JSON.stringify(jwk["use"])}, not ${use}`);
  }
  const id = typeof jwk["kid"] === "string" ? jwk["kid"] : undefined;
  return checked(id, jwk["alg"], imported(jwk, type, place), use, type, place);
}

function imported(
  jwk: Readonly<Record<string, unknown>>,
  type: "public" | "private",
  place: string,
): KeyObject {
  if (type === "private" && !("d" in jwk)) throw new SetupError(`${place}: a private key is needed`);
  try {
    const input = { key: jwk, format: "jwk" } as const;
    return type === "private" ? createPrivateKey(input) : createPublicKey(input);
  } catch {
    throw new SetupError(`${place}: this is no JWK of a key`);
  }
}

function checked(
  id: string | undefined,
  named: unknown,
  key: KeyObject,
  use: Use,
  type: "public" | "private",
  place: string,
): EnvelopeKey {
  if (key.type !== type) throw new SetupError(`${place}: a ${type} key is needed`);
  const { namedCurve, modulusLength = shortestRsa } = key.asymmetricKeyDetails ?? {};
  const kind = namedCurve ?? key.asymmetricKeyType ?? "";
  const table: Readonly<Record<string, readonly string[]>> = use === "enc" ? encrypting : signing;
  const [usual, ...others] = Object.hasOwn(table, kind) ? (table[kind] ?? []) : [];
  if (usual === undefined) throw new SetupError(`${place}: keys of this kind cannot be used`);
  if (modulusLength < shortestRsa) {
    throw new SetupError(`${place}: a key of RSA needs ${shortestRsa} bits at least`);
  }
  if (named === undefined) return { id, algorithm: usual, key };
  if (typeof named === "string" && [usual, ...others].includes(named)) return { id, algorithm: named, key };
  const known = [usual, ...others].join(", ");
  throw new SetupError(`${place}: the alg of this key must be ${known}, not ${JSON.stringify(named)}`);
}

function asJwk(value: unknown, file: string): JWK {
  if (isObject(value) && !("keys" in value)) return value; // What it lacks is found when it is imported.
  throw new SetupError(`${file}: this is no JWK`);
}

function parse(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new SetupError(`${file}: this is no JSON`);
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
