/** The longest `grpc-message` that is sent, in bytes after percent-encoding. */
export const maxMessageBytes = 4096;

/** No character needs more than this after encoding, counted per UTF-16 unit. */
const longestUnit = 9;

/**
 * `text` as a text that `encodeURI` can percent-encode into a `grpc-message`: lone surrogates become U+FFFD, and what
 * does not fit into 4 KiB after encoding is cut off between two characters.
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
