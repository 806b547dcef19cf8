import { loadJose } from "../jose.ts";
import type { EnvelopeKey } from "./envelope-keys.ts";

/** Whose keys make an envelope. */
export interface SealingKeys {
  /** The public key of the recipient. */
  readonly to: EnvelopeKey;
  /** The private key that signs the content; undefined for a content that is not signed. */
  readonly sign?: EnvelopeKey | undefined;
}

/** Encrypts JSON: a JWE in the compact form, of the content or of its JWS. @throws SetupError without the package `jose` */
export async function sealEnvelope(content: string | Uint8Array, { to, sign }: SealingKeys): Promise<string> {
  const { CompactEncrypt, CompactSign } = await loadJose();
  const bytes = typeof content === "string" ? Buffer.from(content) : content;
  const signed = sign && (await new CompactSign(bytes).setProtectedHeader(headOf(sign, {})).sign(sign.key));
  const header = headOf(to, { enc: "A256GCM", cty: sign === undefined ? "json" : "JOSE" });
  return new CompactEncrypt(signed === undefined ? bytes : Buffer.from(signed))
    .setProtectedHeader(header)
    .encrypt(to.key);
}

function headOf<T extends object>(
  { algorithm, id }: EnvelopeKey,
  more: T,
): T & { alg: string; kid?: string } {
  return { alg: algorithm, ...(id !== undefined && { kid: id }), ...more };
}
