import {
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  randomBytes,
  sign,
} from "node:crypto";
import { parseBase64 } from "../core/codec/base64-text.ts";
import { SetupError } from "../core/errors/setup-error.ts";

/**
 * The key by which webhooks of a subscription are signed, as Standard Webhooks writes it: `whsec_` and base64 of 24 to 64
 * bytes for HMAC-SHA256, `whsk_` and base64 of the 32 bytes of a private key for Ed25519.
 */
export interface WebhookSecret {
  readonly text: string;
  /** Until when it signs, in milliseconds since 1970: a rotated one for 24 hours more. Undefined: it is the current one. */
  readonly untilMs: number | undefined;
}

/** How long a rotated secret still signs, in milliseconds. */
export const rotatedForMs = 86_400_000;

/** What begins the DER form (PKCS #8) of a private key of Ed25519, before its 32 bytes (RFC 8410). */
const ed25519Der = Buffer.from("302e020100300506032b657004220420", "hex");

/** A new secret for HMAC-SHA256, of 256 random bits. */
export function newWebhookSecret(): string {
  return `whsec_${randomBytes(32).toString("base64")}`;
}

/** The secret of a private key of Ed25519: `whsk_…`. */
export function privateKeyText(key: KeyObject): string {
  const der = key.export({ format: "der", type: "pkcs8" });
  return `whsk_${der.subarray(ed25519Der.length).toString("base64")}`;
}

/** What a receiver verifies the signatures of a secret `whsk_…` by: `whpk_` and base64 of the public key. @throws SetupError */
export function verifyingKey(secret: string): string {
  const seed = Buffer.from(parseBase64(secret.slice("whsk_".length)) ?? []);
  const der = createPublicKey(privateKeyOf(seed)).export({ format: "der", type: "spki" });
  return `whpk_${der.subarray(-32).toString("base64")}`;
}

/**
 * The header `webhook-id`: the same in every try of an event for a subscription, another one for any other. It has no `.`,
 * which ends it in what is signed.
 */
export function webhookId(source: string, id: string, subscription: string): string {
  return createHash("sha256")
    .update(JSON.stringify([source, id, subscription]))
    .digest("base64url");
}

/** Signs the webhooks of one subscription, by Standard Webhooks (https://www.standardwebhooks.com). */
export class WebhookSigner {
  readonly #keys: readonly { readonly untilMs: number; readonly sign: (content: Buffer) => string }[];

  /** @throws SetupError for a secret that is none; it never shows the secret */
  constructor(secrets: readonly WebhookSecret[]) {
    this.#keys = secrets.map(({ text, untilMs = Infinity }) => ({ untilMs, sign: signerOf(text) }));
  }

  /**
   * The headers of one try.
   *
   * @param id of `webhookId`
   * @param nowMs when it is tried, in milliseconds since 1970
   */
  headersOf(id: string, body: Uint8Array, nowMs: number): Readonly<Record<string, string>> {
    const timestamp = String(Math.floor(nowMs / 1_000));
    const content = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body]);
    const signatures = this.#keys.filter(({ untilMs }) => untilMs > nowMs).map((key) => key.sign(content));
    return {
      "webhook-id": id,
      "webhook-timestamp": timestamp,
      "webhook-signature": signatures.join(" "),
    };
  }
}

function signerOf(text: string): (content: Buffer) => string {
  const [kind, encoded = ""] = text.split("_", 2);
  const read = text === `${kind}_${encoded}` ? parseBase64(encoded) : undefined;
  const bytes = Buffer.from(read ?? []);
  if (kind === "whsec" && bytes.length >= 24 && bytes.length <= 64) {
    return (content) => `v1,${createHmac("sha256", bytes).update(content).digest("base64")}`;
  }
  if (kind === "whsk" && bytes.length === 32) {
    const key = privateKeyOf(bytes);
    return (content) => `v1a,${sign(null, content, key).toString("base64")}`;
  }
  throw new SetupError(
    "a secret of webhooks must be whsec_ with base64 of 24 to 64 bytes, or whsk_ with base64 of the 32 bytes of an Ed25519 key",
  );
}

function privateKeyOf(seed: Buffer): KeyObject {
  return createPrivateKey({ key: Buffer.concat([ed25519Der, seed]), format: "der", type: "pkcs8" });
}
