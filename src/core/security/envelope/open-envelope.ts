import type * as Jose from "jose";
import { loadJose } from "../jose.ts";
import { EnvelopeError } from "./envelope-error.ts";
import type { EnvelopeKey, EnvelopeKeys } from "./envelope-keys.ts";

/** What was in an envelope. */
export interface OpenedEnvelope {
  readonly content: Uint8Array;
  /** The id of the key that has signed the content; undefined for one that is not signed. */
  readonly signer: string | undefined;
}

/** The keys with which envelopes are opened. */
export type OpeningKeys = Pick<EnvelopeKeys, "decryption" | "verification">;

/** The longest protected header that is looked at, in characters. */
const longestHeader = 8_192;

/** A header of JOSE, as far as it is looked at. */
type Header = Readonly<Record<string, unknown>>;

/**
 * Opens a JWE in the compact form: its content is JSON, or with `cty: JOSE` a JWS in the compact form of JSON. The header
 * chooses among the keys; what is done with a key, the key alone decides.
 *
 * @throws EnvelopeError for all that is not exactly so; SetupError without the package `jose`
 */
export async function openEnvelope(bytes: Uint8Array, keys: OpeningKeys): Promise<OpenedEnvelope> {
  const jose = await loadJose();
  const text = ascii(bytes);
  const header = headerOf(jose, text, 5);
  if (header === undefined) throw new EnvelopeError("malformed");
  if ("zip" in header) throw new EnvelopeError("compressed");
  const key = chosen(keys.decryption, header["kid"]);
  if (
    !isPlain(header) ||
    key === undefined ||
    key.algorithm !== header["alg"] ||
    header["enc"] !== "A256GCM"
  ) {
    throw new EnvelopeError("malformed");
  }
  const { plaintext } = await jose
    .compactDecrypt(text, key.key, {
      keyManagementAlgorithms: [key.algorithm],
      contentEncryptionAlgorithms: ["A256GCM"],
    })
    .catch(() => {
      throw new EnvelopeError("malformed");
    });
  if (isJson(header["cty"])) return { content: plaintext, signer: undefined };
  if (isMediaType(header["cty"], "jose")) return verified(jose, ascii(plaintext), keys);
  throw new EnvelopeError("malformed");
}

async function verified(
  jose: typeof Jose,
  text: string,
  { verification }: OpeningKeys,
): Promise<OpenedEnvelope> {
  const header = headerOf(jose, text, 3);
  const id = header?.["kid"];
  const key = typeof id === "string" ? verification.get(id) : undefined;
  if (header === undefined || key === undefined || !isPlain(header) || !isJson(header["cty"])) {
    throw new EnvelopeError("signature");
  }
  if (key.algorithm !== header["alg"] || "b64" in header) throw new EnvelopeError("signature");
  const { payload } = await jose.compactVerify(text, key.key, { algorithms: [key.algorithm] }).catch(() => {
    throw new EnvelopeError("signature");
  });
  return { content: payload, signer: key.id };
}

/** Compact forms are ASCII; another byte makes the text one that has no such form. */
function ascii(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

/** The protected header of a compact form of so many parts; undefined for any other text. */
function headerOf(jose: typeof Jose, text: string, parts: number): Header | undefined {
  const end = text.indexOf(".");
  if (end < 1 || end > longestHeader || text.split(".", parts + 1).length !== parts) return undefined;
  try {
    return jose.decodeProtectedHeader(`${text.slice(0, end)}..`);
  } catch {
    return undefined;
  }
}

/** Whether a header demands nothing that has to be understood beside what is known here (RFC 7515, section 4.1.11). */
function isPlain(header: Header): boolean {
  return !("crit" in header);
}

/** The key that a header names; the only one, if it names none. */
function chosen(keys: ReadonlyMap<string, EnvelopeKey>, id: unknown): EnvelopeKey | undefined {
  if (typeof id === "string") return keys.get(id);
  const [only, ...others] = keys.values();
  return id === undefined && others.length === 0 ? only : undefined;
}

function isJson(contentType: unknown): boolean {
  return contentType === undefined || isMediaType(contentType, "json");
}

/** Whether `cty` is a type below `application/`, which may be left out. */
function isMediaType(contentType: unknown, name: string): boolean {
  if (typeof contentType !== "string") return false;
  const lower = contentType.toLowerCase();
  return lower === name || lower === `application/${name}`;
}
