/** Murmur2 of 32 bits with the seed of Kafka's clients, which choose the partition of a key by it. */
export function murmur2(bytes: Uint8Array): number {
  const { length } = bytes;
  const whole = length & ~3;
  let hash = seed ^ length;
  for (let at = 0; at < whole; at += 4) {
    const word = Math.imul(wordAt(bytes, at), factor);
    hash = Math.imul(hash, factor) ^ Math.imul(word ^ (word >>> 24), factor);
  }
  if (whole < length) {
    for (let at = length - 1; at >= whole; at--) hash ^= (bytes[at] ?? 0) << ((at - whole) * 8);
    hash = Math.imul(hash, factor);
  }
  hash = Math.imul(hash ^ (hash >>> 13), factor);
  return hash ^ (hash >>> 15);
}

/** Four bytes, the first of which is the lowest. */
function wordAt(bytes: Uint8Array, at: number): number {
  const low = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);
  const high = (bytes[at + 2] ?? 0) | ((bytes[at + 3] ?? 0) << 8);
  return low | (high << 16);
}

/** The place of a key among `count` partitions or slots, as Kafka's clients choose it: 0 to `count − 1`. */
export function placeOf(key: string, count: number): number {
  return placeOfBytes(asciiOf(key) ?? encoder.encode(key), count);
}

/** The views of the scratch by their lengths. */
const ascii = new Uint8Array(64);
const asciiParts = Array.from({ length: ascii.length + 1 }, (_, length) => ascii.subarray(0, length));

/** The bytes of a short text of ASCII, until the next one is asked for; undefined for others. */
function asciiOf(text: string): Uint8Array | undefined {
  const { length } = text;
  const part = asciiParts[length];
  if (part === undefined) return undefined;
  for (let at = 0; at < length; at++) {
    const code = text.charCodeAt(at);
    if (code > 0x7f) return undefined;
    part[at] = code;
  }
  return part;
}

/** As `placeOf`, of a key in bytes. */
export function placeOfBytes(key: Uint8Array, count: number): number {
  return (murmur2(key) & 0x7fff_ffff) % count;
}

const encoder = new TextEncoder();
const seed = 0x9747b28c;
const factor = 0x5bd1e995;
