import { create, type MessageShape } from "@bufbuild/protobuf";
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import {
  type StoredSubscription_SecretSchema,
  StoredSubscription_SecretSchema as schema,
} from "../../gen/ts_ms/dispatch/v1/task_pb.ts";
import { parseBase64 } from "../core/codec/base64-text.ts";
import { Code, ConnectError } from "../core/errors/errors.ts";

/** A secret as it is kept. */
export type KeptSecret = MessageShape<typeof StoredSubscription_SecretSchema>;

const nonceBytes = 12;
const tagBytes = 16;

/** Encrypts secrets for a store: AES-256-GCM, bound to the subscription that they are of. */
export class SecretBox {
  readonly #key: Uint8Array | undefined;
  readonly #mustEncrypt: boolean;

  /**
   * @param key 32 bytes in base64; undefined for none
   * @param isDurable whether secrets are kept longer than the process lives
   */
  constructor(key: string | undefined, isDurable: boolean) {
    this.#key = key === undefined ? undefined : parseBase64(key);
    this.#mustEncrypt = isDurable;
  }

  /** @throws ConnectError FAILED_PRECONDITION where there must be a key, and is none */
  seal(uid: string, secret: string): KeptSecret {
    if (this.#key === undefined) {
      if (!this.#mustEncrypt) return create(schema, { value: Buffer.from(secret) });
      throw new ConnectError(
        "webhooks cannot be kept: EventDispatcher needs the option secretKey for their secrets",
        Code.FailedPrecondition,
      );
    }
    const nonce = randomBytes(nonceBytes);
    const cipher = createCipheriv("aes-256-gcm", this.#key, nonce).setAAD(Buffer.from(uid));
    const parts = [nonce, cipher.update(secret, "utf8"), cipher.final(), cipher.getAuthTag()];
    return create(schema, { value: Buffer.concat(parts), encrypted: true });
  }

  /** @throws ConnectError DATA_LOSS for one that was encrypted by another key, or changed */
  open(uid: string, { value, encrypted }: KeptSecret): string {
    if (!encrypted) return Buffer.from(value).toString();
    try {
      const nonce = value.subarray(0, nonceBytes);
      const decipher = createDecipheriv("aes-256-gcm", this.#key ?? new Uint8Array(32), nonce);
      decipher.setAAD(Buffer.from(uid)).setAuthTag(value.subarray(-tagBytes));
      const inside = value.subarray(nonceBytes, -tagBytes);
      return Buffer.concat([decipher.update(inside), decipher.final()]).toString();
    } catch (cause) {
      const text = "the secret of a webhook cannot be decrypted: is secretKey another one?";
      throw new ConnectError(text, Code.DataLoss, undefined, undefined, cause);
    }
  }
}
