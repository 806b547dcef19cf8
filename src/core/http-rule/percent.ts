/**
 * How escapes in path captures are decoded; single-segment captures are decoded whole in every mode.
 *
 * - `spec`: multi-segment captures keep `%2F`, in the client's letter case (google/api/http.proto).
 * - `reserved`: multi-segment captures keep every reserved character of RFC 6570 encoded, and escapes that are
 *   malformed or not UTF-8 stay as they are (Envoy's default).
 * - `all`: everything is decoded (`fully_decode_reserved_expansion` of a service configuration).
 */
export type PathDecoding = "spec" | "reserved" | "all";

const encodedSlash = /%(2f)/gi;
const encodedReserved = /%(2[1346789abcf]|3[abdf]|40|5[bd])/gi;
const malformedEscape = /%(?![0-9a-f]{2})/gi;
const escapeRun = /(?:%[0-9a-f]{2})+/gi;
const dotSegment = /(?:^|[/\\])\.\.?(?:[/\\]|$)/;

/**
 * Decodes every escape of `raw`, once, and checks that the bytes are UTF-8 (RFC 3986 section 2.1; overlong forms and
 * surrogates are refused). `raw` is part of a request target as Node provides it, with one character for each byte, so
 * unescaped bytes from 0x80 up are decoded as UTF-8 too.
 *
 * @returns the text, or `undefined` when an escape is malformed or the bytes are not UTF-8
 */
export function percentDecode(raw: string): string | undefined {
  if (!hasEscapeOrByte(raw)) return raw;
  const ascii = escapeRawBytes(raw);
  if (ascii === undefined) return undefined;
  try {
    return decodeURIComponent(ascii);
  } catch {
    return undefined;
  }
}

/**
 * Decodes the captured value of a path variable.
 *
 * @param raw the captured bytes, still encoded
 * @param multiSegment whether the variable's pattern may span several segments
 * @returns the value, or `undefined` when `raw` is malformed or not UTF-8 (never in mode `reserved`)
 */
export function decodeCapture(
  raw: string,
  multiSegment: boolean,
  decoding: PathDecoding,
): string | undefined {
  if (!hasEscapeOrByte(raw)) return raw;
  // An escape that must be kept is escaped once more: decoding once then restores it in its original letter case.
  if (decoding === "reserved") {
    const strict = raw.replace(malformedEscape, "%25");
    return decodeLeniently(multiSegment ? strict.replace(encodedReserved, "%25$1") : strict);
  }
  if (decoding === "spec" && multiSegment) return percentDecode(raw.replace(encodedSlash, "%25$1"));
  return percentDecode(raw);
}

/**
 * Whether a captured path has a part that is `.` or `..` after decoding everything. Encoded slashes and backslashes
 * separate parts here, because a service that maps names to files may interpret them as separators.
 *
 * @param raw the captured bytes, still encoded; malformed escapes are kept as literal text
 */
export function hasDotSegment(raw: string): boolean {
  if (!raw.includes("%")) return isDotted(raw);
  const text = percentDecode(raw) ?? decodeLeniently(raw.replace(malformedEscape, "%25"));
  return isDotted(text);
}

/** As `hasDotSegment`, for a text that is not encoded. */
export function isDotted(text: string): boolean {
  return text.includes(".") && dotSegment.test(text);
}

/**
 * Normalises a literal segment for comparison: escapes of unreserved characters are decoded, other escapes get
 * upper-case digits (RFC 3986 section 6.2.2), bytes from 0x80 up are escaped.
 *
 * @param raw one segment of a request target, one character for each byte
 * @returns `undefined` when an escape is malformed
 */
export function normalizeLiteral(raw: string): string | undefined {
  let out = "";
  for (let i = 0; i < raw.length; i++) {
    const byte = raw.charCodeAt(i);
    if (byte === 0x25) {
      const value = hexByte(raw, i + 1);
      if (value === -1) return undefined;
      out += isUnreserved(value) ? String.fromCharCode(value) : escapeByte(value);
      i += 2;
    } else if (byte > 0xff) {
      return undefined;
    } else {
      out += byte < 0x80 ? raw.charAt(i) : escapeByte(byte);
    }
  }
  return out;
}

/** Whether `raw` needs decoding: it contains a `%` or a non-ASCII character. */
export function hasEscapeOrByte(raw: string): boolean {
  for (let i = 0; i < raw.length; i++) {
    const code = raw.charCodeAt(i);
    if (code === 0x25 || code >= 0x80) return true;
  }
  return false;
}

/** Decodes well-formed escapes, but keeps each run of escapes that is not valid UTF-8. */
function decodeLeniently(raw: string): string {
  const ascii = escapeRawBytes(raw) ?? raw;
  return ascii.replace(escapeRun, (run) => percentDecode(run) ?? run);
}

/** Escapes the unescaped bytes from 0x80 up; `undefined` when a character is not a byte. */
function escapeRawBytes(raw: string): string | undefined {
  let out = "";
  let done = 0;
  for (let i = 0; i < raw.length; i++) {
    const code = raw.charCodeAt(i);
    if (code < 0x80) continue;
    if (code > 0xff) return undefined;
    out += raw.slice(done, i) + escapeByte(code);
    done = i + 1;
  }
  return done === 0 ? raw : out + raw.slice(done);
}

/** The byte of the two hexadecimal digits at `at`, or -1. */
function hexByte(raw: string, at: number): number {
  const high = hexDigit(raw.charCodeAt(at));
  const low = hexDigit(raw.charCodeAt(at + 1));
  return high === -1 || low === -1 ? -1 : high * 16 + low;
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/** Unreserved characters of RFC 3986 section 2.3. */
function isUnreserved(code: number): boolean {
  const letter = code | 0x20;
  if (letter >= 0x61 && letter <= 0x7a) return code < 0x80;
  return (code >= 0x30 && code <= 0x39) || code === 0x2d || code === 0x2e || code === 0x5f || code === 0x7e;
}

function escapeByte(byte: number): string {
  return `%${byte < 16 ? "0" : ""}${byte.toString(16).toUpperCase()}`;
}
