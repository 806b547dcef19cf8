import { hash } from "node:crypto";
import type { CallHead } from "../admission/call-head.ts";

/** A credential as a client has presented it with one call. */
export class Presented {
  /** The token, the key, or what stands behind `Basic`; empty for a certificate, which is `call.peer`. */
  readonly credential: string;
  readonly call: CallHead;
  #digest: string | undefined;

  constructor(credential: string, call: CallHead) {
    this.credential = credential;
    this.call = call;
  }

  /**
   * SHA-256 of the credential, a character for each byte: what is remembered and counted in place of the credential.
   */
  get digest(): string {
    return (this.#digest ??= hash("sha256", this.credential, "latin1"));
  }
}
