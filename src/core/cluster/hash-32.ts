/**
 * A hash of 32 bits of a text (MurmurHash3, over UTF-16 units), the same in all processes.
 *
 * @param seed another one gives other hashes
 */
export function hash32(text: string, seed = 0): number {
  let hash = seed | 0;
  for (let at = 0; at < text.length; at += 2) {
    const next = at + 1 < text.length ? text.charCodeAt(at + 1) : 0;
    let part = Math.imul(text.charCodeAt(at) | (next << 16), 0xcc9e2d51);
    part = Math.imul((part << 15) | (part >>> 17), 0x1b873593);
    hash ^= part;
    hash = Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64;
  }
  return mix32(hash ^ text.length);
}

/** Spreads the bits of a number over all 32 bits. */
export function mix32(value: number): number {
  let mixed = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
