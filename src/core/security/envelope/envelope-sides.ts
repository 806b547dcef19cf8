import { keyOf, type EnvelopeKey, type EnvelopeKeyInput } from "./envelope-keys.ts";
import { openEnvelope, type OpenedEnvelope, type OpeningKeys } from "./open-envelope.ts";
import { sealEnvelope } from "./seal-envelope.ts";

/** Options of `envelopeSealer`. */
export interface EnvelopeSealerOptions {
  /** The public key of the recipient: its `kid` is named in envelopes. */
  readonly to: EnvelopeKeyInput;
  /** The private key that signs contents, with a `kid`. Default: contents are not signed. */
  readonly sign?: EnvelopeKeyInput;
}

/** Makes envelopes of JSON. */
export interface EnvelopeSealer {
  /** @returns a JWE in the compact form, a body of `application/jose` */
  seal(json: string | Uint8Array): Promise<string>;
}

/**
 * What encrypts for one recipient, on either side.
 *
 * @throws SetupError for keys that cannot be used so; Error if a file cannot be read
 */
export function envelopeSealer({ to, sign }: EnvelopeSealerOptions): EnvelopeSealer {
  const keys = {
    to: keyOf(to, "enc", "public", "envelopeSealer: to"),
    sign: sign && keyOf(sign, "sig", "private", "envelopeSealer: sign"),
  };
  return { seal: (json) => sealEnvelope(json, keys) };
}

/** Options of `envelopeOpener`. */
export interface EnvelopeOpenerOptions {
  /** A private key that opens, or a set of keys that `readEnvelopeKeys` has read. */
  readonly keys: EnvelopeKeyInput | OpeningKeys;
}

/** Opens envelopes. */
export interface EnvelopeOpener {
  /** @throws EnvelopeError, by rejecting, for an envelope that is not for these keys or was changed */
  open(envelope: string | Uint8Array): Promise<OpenedEnvelope>;
}

/** What opens envelopes, on either side. @throws as `envelopeSealer` */
export function envelopeOpener({ keys }: EnvelopeOpenerOptions): EnvelopeOpener {
  const set = isSet(keys) ? keys : setOf(keyOf(keys, "enc", "private", "envelopeOpener: keys"));
  return {
    open: (envelope) => openEnvelope(typeof envelope === "string" ? Buffer.from(envelope) : envelope, set),
  };
}

function isSet(keys: EnvelopeKeyInput | OpeningKeys): keys is OpeningKeys {
  return "decryption" in keys && keys.decryption instanceof Map;
}

function setOf(key: EnvelopeKey): OpeningKeys {
  return { decryption: new Map([[key.id ?? "", key]]), verification: new Map<string, EnvelopeKey>() };
}
