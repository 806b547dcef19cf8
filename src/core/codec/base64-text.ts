/** The digits of standard base64 by the six bits that they stand for. */
export const base64Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** The six bits of every base64 digit by its character code below 256, both alphabets; 64 for other characters. */
export const base64Digits: Uint8Array = Uint8Array.from({ length: 256 }, (_, code) => {
  const digit = base64Alphabet.indexOf(String.fromCharCode(code));
  return digit >= 0 ? digit : code === 0x2d ? 62 : code === 0x5f ? 63 : 64;
});

const standardText = /^[A-Za-z0-9+/]*={0,2}$/;
const eitherText = /^[A-Za-z0-9+/_-]*={0,2}$/;

/** What `parseBase64` takes, as a pattern for schemas: padding is taken where it is due, and may be left out. */
export const base64Pattern = "^(?:[A-Za-z0-9+/_-]{4})*(?:[A-Za-z0-9+/_-]{2}(?:==)?|[A-Za-z0-9+/_-]{3}=?)?$";

/**
 * Whether a text is base64; up to two characters of padding may follow, whether or not they are due.
 *
 * @param alphabet `either` takes the URL-safe digits `-` and `_` too
 */
export function isBase64(text: string, alphabet: "standard" | "either" = "standard"): boolean {
  if (!(alphabet === "standard" ? standardText : eitherText).test(text)) return false;
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  return (text.length - padding) % 4 !== 1; // One digit alone is no byte.
}

/** Whether a header of binary metadata is base64: one value, or several joined by commas. */
export function isBase64Header(
  header: string | readonly string[],
  alphabet: "standard" | "either" = "standard",
): boolean {
  return String(header)
    .split(",")
    .every((value) => isBase64(value.trim(), alphabet));
}

/** Decodes standard or URL-safe base64, padded or not; undefined where the text is neither. */
export function parseBase64(text: string): Uint8Array | undefined {
  let end = text.length;
  if (end % 4 === 0 && text.endsWith("=")) end -= text.endsWith("==") ? 2 : 1;
  if (end % 4 === 1) return undefined;
  const bytes = new Uint8Array((end * 3) >> 2);
  let bits = 0;
  let filled = 0;
  let length = 0;
  for (let pos = 0; pos < end; pos++) {
    const digit = base64Digits[text.charCodeAt(pos)] ?? 64;
    if (digit === 64) return undefined;
    bits = ((bits & 0x3f) << 6) | digit;
    filled += 6;
    if (filled >= 8) {
      filled -= 8;
      bytes[length++] = bits >> filled;
    }
  }
  return bytes;
}

/** The two digits of every twelve bits. */
const base64Pairs = Array.from(
  { length: 4096 },
  (_, bits) => `${base64Alphabet[bits >> 6]}${base64Alphabet[bits & 63]}`,
);

/** From this length on, the call into native code costs less than it saves. */
const nativeBase64Length = 48;

/** Prints bytes as standard base64 with padding. */
export function formatBase64(bytes: Uint8Array): string {
  const { length } = bytes;
  if (length >= nativeBase64Length) {
    return Buffer.from(bytes.buffer, bytes.byteOffset, length).toString("base64");
  }
  let text = "";
  for (let i = 0; i < length; i += 3) {
    const bits = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    text += `${base64Pairs[bits >> 12]}${base64Pairs[bits & 0xfff]}`;
  }
  if (length % 3 === 0) return text;
  return length % 3 === 1 ? `${text.slice(0, -2)}==` : `${text.slice(0, -1)}=`;
}
