import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
  type KeyObject,
} from "node:crypto";
import type { JsonObject } from "@bufbuild/protobuf";
import { SetupError } from "../errors/setup-error.ts";
import type { Principal } from "./principal.ts";

/** How long an assertion counts, in seconds. */
const lifeSeconds = 60;

/** An assertion is used again for so long, in milliseconds: what it has left then is enough for any hop. */
const reusedMs = 30_000;

/** Assertions of one principal are kept for as many servers. */
const maxAudiences = 100;

interface Kept {
  readonly token: string;
  readonly untilMs: number;
}

/**
 * Says to the servers behind who makes a call: by a JWT of this server in place of the client's credentials, signed by
 * ES256 (RFC 7518 3.4), for 60 s and one audience.
 */
export class AssertionSigner {
  readonly #key: KeyObject;
  readonly #issuer: string;
  readonly #wallMs: () => number;
  readonly #head: string;
  readonly #jwk: JsonObject;
  readonly #kept = new WeakMap<Principal, Map<string, Kept>>();

  /**
   * @param issuer `iss` of the assertions
   * @param key private key of the curve P-256, PEM. Default: a new one
   * @throws SetupError for another key
   */
  constructor(issuer: string, wallMs: () => number, key?: string) {
    this.#issuer = issuer;
    this.#wallMs = wallMs;
    this.#key =
      key === undefined ? generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey : readKey(key);
    const { x, y } = createPublicKey(this.#key).export({ format: "jwk" });
    // The thumbprint of RFC 7638: members in this order, without spaces.
    const thumbprint = createHash("sha256").update(JSON.stringify({ crv: "P-256", kty: "EC", x, y }));
    const kid = thumbprint.digest("base64url");
    this.#jwk = { kty: "EC", crv: "P-256", x: x ?? "", y: y ?? "", kid, alg: "ES256", use: "sig" };
    this.#head = encoded({ alg: "ES256", typ: "JWT", kid });
  }

  /** The public key, as a JWK set (RFC 7517 5). */
  get keySet(): JsonObject {
    return { keys: [this.#jwk] };
  }

  /**
   * The assertion of a principal.
   *
   * @param audience the server that it is for, such as `users:42001`
   */
  assertionOf(principal: Principal, audience: string): string {
    const nowMs = this.#wallMs();
    let kept = this.#kept.get(principal);
    if (kept === undefined) this.#kept.set(principal, (kept = new Map<string, Kept>()));
    const known = kept.get(audience);
    if (known !== undefined && nowMs < known.untilMs) return known.token;
    const token = this.#sign(principal, audience, Math.floor(nowMs / 1_000));
    if (kept.size >= maxAudiences) kept.clear();
    kept.set(audience, { token, untilMs: nowMs + reusedMs });
    return token;
  }

  #sign({ id, provider, scopes, roles, expiresAtMs }: Principal, audience: string, iat: number): string {
    const endsAt = expiresAtMs === undefined ? Number.POSITIVE_INFINITY : Math.ceil(expiresAtMs / 1_000);
    const claims: JsonObject = {
      iss: this.#issuer,
      sub: id,
      aud: audience,
      iat,
      exp: Math.max(iat + 1, Math.min(iat + lifeSeconds, endsAt)),
      provider,
      ...(scopes.size === 0 ? {} : { scope: [...scopes].join(" ") }),
      ...(roles.size === 0 ? {} : { roles: [...roles] }),
    };
    const text = `${this.#head}.${encoded(claims)}`;
    const signature = sign("sha256", Buffer.from(text), { key: this.#key, dsaEncoding: "ieee-p1363" });
    return `${text}.${signature.toString("base64url")}`;
  }
}

function readKey(pem: string): KeyObject {
  let key: KeyObject | undefined;
  try {
    key = createPrivateKey(pem);
  } catch {
    // The error could show a part of the file.
  }
  if (key?.asymmetricKeyDetails?.namedCurve === "prime256v1") return key;
  throw new SetupError("the key of assertions must be a private key of the curve P-256, PEM");
}

function encoded(object: JsonObject): string {
  return Buffer.from(JSON.stringify(object)).toString("base64url");
}
