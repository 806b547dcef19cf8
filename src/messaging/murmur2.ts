/** Murmur2 of 32 bits with the seed of Kafka's clients, which choose the partition of a key by it. */
export function murmur2(bytes: Uint8Array): number {
  const { length } = bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  const whole = length & ~3;
  let hash = seed ^ length;
  for (let at = 0; at < whole; at += 4) {
    const word = Math.imul(view.getInt32(at, true), factor);
    hash = Math.imul(hash, factor) ^ Math.imul(word ^ (word >>> 24), factor);
  }
  if (whole < length) {
    for (let at = length - 1; at >= whole; at--) hash ^= (bytes[at] ?? 0) << ((at - whole) * 8);
    hash = Math.imul(hash, factor);
  }
  hash = Math.imul(hash ^ (hash >>> 13), factor);
  return hash ^ (hash >>> 15);
}

/** The place of a key among `count` partitions or slots, as Kafka's clients choose it: 0 to `count − 1`. */
export function placeOf(key: string, count: number): number {
  return placeOfBytes(encoder.encode(key), count);
}

/** As `placeOf`, of a key in bytes. */
export function placeOfBytes(key: Uint8Array, count: number): number {
  return (murmur2(key) & 0x7fff_ffff) % count;
}

const encoder = new TextEncoder();
const seed = 0x9747b28c;
const factor = 0x5bd1e995;
