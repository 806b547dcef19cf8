/** The longest `grpc-message` that is sent, in bytes after percent-encoding. */
export const maxMessageBytes = 4096;

/** Upper bound of the bytes of one UTF-16 unit after encoding. */
const longestUnit = 9;

/**
 * `text` as a text that `encodeURI` can percent-encode into a `grpc-message`: lone surrogates become U+FFFD, and the
 * text is truncated between two characters to at most 4 KiB after encoding.
 */
export function toStatusMessage(text: string): string {
  const whole = text.toWellFormed();
  if (whole.length * longestUnit <= maxMessageBytes) return whole;
  let bytes = 0;
  let end = 0;
  for (const character of whole) {
    bytes += encodeURI(character).length;
    if (bytes > maxMessageBytes) break;
    end += character.length;
  }
  return whole.slice(0, end);
}
