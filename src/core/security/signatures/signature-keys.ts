import { createPrivateKey, createPublicKey, createSecretKey, type KeyObject } from "node:crypto";
import { SetupError } from "../../errors/setup-error.ts";
import { readRecords, textField } from "../record-file.ts";
import { algorithmOf, type SignatureAlgorithm, schemes } from "./algorithms.ts";

/** A key with its name. */
export interface SignatureKey {
  readonly id: string;
  readonly algorithm: SignatureAlgorithm;
  readonly key: KeyObject;
}

/** The shortest secret of HMAC, in bytes. */
const shortestSecret = 32;

/**
 * Reads a file of keys that verify: a list with `id`, `alg` and `key`, a public key in PEM or a secret in base64.
 *
 * @throws SetupError naming file and record; never shows a key
 */
export function readSignatureKeys(text: string, file: string): ReadonlyMap<string, SignatureKey> {
  const keys = new Map<string, SignatureKey>();
  for (const record of readRecords(text, file, ["id", "alg", "key"])) {
    const id = textField(record, "id");
    const algorithm = textField(record, "alg");
    if (!isAlgorithm(algorithm)) {
      throw new SetupError(`${record.place}: alg must be one of ${Object.keys(schemes).join(", ")}`);
    }
    if (keys.has(id)) throw new SetupError(`${record.place}: the id ${JSON.stringify(id)} is there twice`);
    const key =
      algorithm === "hmac-sha256"
        ? secretOf(textField(record, "key"), record.place)
        : publicKeyOf(textField(record, "key"), record.place);
    if (algorithmOf(key, record.place) !== algorithm) {
      throw new SetupError(`${record.place}: the key is none of ${algorithm}`);
    }
    keys.set(id, { id, algorithm, key });
  }
  return keys;
}

function isAlgorithm(name: string): name is SignatureAlgorithm {
  return Object.hasOwn(schemes, name);
}

function publicKeyOf(pem: string, place: string): KeyObject {
  if (pem.includes("PRIVATE KEY")) {
    throw new SetupError(`${place}: this is a private key; only its public part belongs here`);
  }
  try {
    return createPublicKey(pem);
  } catch {
    throw new SetupError(`${place}: the key is no public key in PEM`);
  }
}

function secretOf(base64: string, place: string): KeyObject {
  const secret = Buffer.from(base64, "base64");
  if (secret.length < shortestSecret) {
    throw new SetupError(`${place}: a secret needs ${shortestSecret} bytes at least, in base64`);
  }
  return createSecretKey(secret);
}

/** A private key, or a secret, that signs. @throws SetupError */
export function signingKey(key: KeyObject | string | Uint8Array, place: string): KeyObject {
  if (typeof key === "string") {
    try {
      return createPrivateKey(key);
    } catch {
      throw new SetupError(`${place}: the key is no private key in PEM`);
    }
  }
  if (key instanceof Uint8Array) return secretOf(Buffer.from(key).toString("base64"), place);
  if (key.type !== "public") return key;
  throw new SetupError(`${place}: a public key cannot sign`);
}
