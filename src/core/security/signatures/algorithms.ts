import { constants, createHmac, type KeyObject, sign, timingSafeEqual, verify } from "node:crypto";
import { SetupError } from "../../errors/setup-error.ts";

/** Algorithms of RFC 9421 3.3 that are known here. */
export type SignatureAlgorithm = "ed25519" | "ecdsa-p256-sha256" | "rsa-pss-sha512" | "hmac-sha256";

interface Scheme {
  sign(key: KeyObject, data: Uint8Array): Buffer;
  verify(key: KeyObject, data: Uint8Array, signature: Uint8Array): boolean;
}

const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 64 };
const flat = { dsaEncoding: "ieee-p1363" } as const;

/** How messages are signed, by algorithm. */
export const schemes: Readonly<Record<SignatureAlgorithm, Scheme>> = {
  ed25519: {
    sign: (key, data) => sign(null, data, key),
    verify: (key, data, signature) => verify(null, data, key, signature),
  },
  "ecdsa-p256-sha256": {
    sign: (key, data) => sign("sha256", data, { key, ...flat }),
    verify: (key, data, signature) => verify("sha256", data, { key, ...flat }, signature),
  },
  "rsa-pss-sha512": {
    sign: (key, data) => sign("sha512", data, { key, ...pss }),
    verify: (key, data, signature) => verify("sha512", data, { key, ...pss }, signature),
  },
  "hmac-sha256": {
    sign: hmac,
    verify(key, data, signature) {
      const expected = hmac(key, data);
      return expected.length === signature.length && timingSafeEqual(expected, signature);
    },
  },
};

function hmac(key: KeyObject, data: Uint8Array): Buffer {
  return createHmac("sha256", key).update(data).digest();
}

/** The algorithm of a key. @throws SetupError for a key of another kind */
export function algorithmOf(key: KeyObject, place: string): SignatureAlgorithm {
  if (key.type === "secret") return "hmac-sha256";
  const { namedCurve } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case "ed25519":
      return "ed25519";
    case "ec":
      if (namedCurve === "prime256v1") return "ecdsa-p256-sha256";
      break;
    case "rsa":
    case "rsa-pss":
      return "rsa-pss-sha512";
    default:
  }
  throw new SetupError(`${place}: keys of signatures are Ed25519, ECDSA on P-256, RSA or secrets`);
}
