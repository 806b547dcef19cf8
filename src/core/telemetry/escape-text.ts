const safe = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

/** A text for a line: `"`, `\`, control characters and bytes that are not ASCII as `\xHH`, so that it is one line. */
export function escapeText(text: string): string {
  if (safe.test(text)) return text;
  let escaped = "";
  for (const byte of Buffer.from(text)) {
    const isSafe = byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c;
    escaped += isSafe ? String.fromCharCode(byte) : `\\x${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return escaped;
}
