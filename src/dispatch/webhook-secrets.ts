import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { generateKeyPairSync } from "node:crypto";
import {
  type WebhookTarget,
  WebhookTarget_Signature as Signature,
} from "../../gen/ts_ms/dispatch/v1/dispatch_pb.ts";
import { type ConnectError, invalidArgument } from "../core/errors/errors.ts";
import type { KeptSecret, SecretBox } from "./secret-box.ts";
import { newWebhookSecret, privateKeyText, rotatedForMs, verifyingKey, WebhookSigner } from "./signature.ts";

/** The most secrets by which one webhook is signed: rotated ones go when there are more. */
const mostSecrets = 4;

/**
 * The secret of a new webhook, or a new one of a webhook.
 *
 * @returns the secret, and what its owner is shown of it
 * @throws ConnectError INVALID_ARGUMENT for a given secret that is none
 */
export function secretFor({ secret, signature }: Pick<WebhookTarget, "secret" | "signature">): {
  readonly text: string;
  readonly shown: string;
} {
  const isEd25519 = signature === Signature.ED25519;
  const text = secret || (isEd25519 ? newEd25519Secret() : newWebhookSecret());
  try {
    void new WebhookSigner([{ text, untilMs: undefined }]);
  } catch (reason) {
    throw wrong(reason instanceof Error ? reason.message : String(reason));
  }
  if (signature !== Signature.SIGNATURE_UNSPECIFIED && isEd25519 !== text.startsWith("whsk_"))
    throw wrong("it is not of the kind that signature says");
  return { text, shown: text.startsWith("whsk_") ? verifyingKey(text) : text };
}

/** The secrets behind a rotation: the new one, and those before it for 24 hours. */
export function rotated(
  uid: string,
  secrets: readonly KeptSecret[],
  text: string,
  box: SecretBox,
  nowMs: number,
): KeptSecret[] {
  const until = timestampFromMs(nowMs + rotatedForMs);
  const before = secrets
    .filter((secret) => secret.until === undefined || timestampMs(secret.until) > nowMs)
    .map((secret) => ({ ...secret, until: secret.until ?? until }));
  return [box.seal(uid, text), ...before].slice(0, mostSecrets);
}

function newEd25519Secret(): string {
  return privateKeyText(generateKeyPairSync("ed25519").privateKey);
}

function wrong(why: string): ConnectError {
  const path = "subscription.webhook.secret";
  return invalidArgument(`${path}: ${why}`, [{ field: path, description: why }]);
}
