import { randomBytes } from "node:crypto";

/**
 * HalfSipHash-1-3 with a result of 64 bits ("SipHash: a fast short-input PRF", the variant for 32-bit words), over texts
 * that are joined without ambiguity. With a secret seed clients cannot find keys that share a place.
 *
 * The object is used again and again: `begin`, `add` for each text, `end`, then `high` and `low`.
 */
export class KeyedHash {
  /** The result, in two halves. */
  high = 0;
  low = 0;
  readonly #seed0: number;
  readonly #seed1: number;
  #v0 = 0;
  #v1 = 0;
  #v2 = 0;
  #v3 = 0;
  #words = 0;

  /** @param seed 8 secret bytes. Default: random ones */
  constructor(seed: Buffer = randomBytes(8)) {
    this.#seed0 = seed.readInt32LE(0);
    this.#seed1 = seed.readInt32LE(4);
  }

  begin(): void {
    this.#v0 = this.#seed0;
    this.#v1 = this.#seed1 ^ 0xee;
    this.#v2 = 0x6c796765 ^ this.#seed0;
    this.#v3 = 0x74656462 ^ this.#seed1;
    this.#words = 0;
  }

  /** Keeps what was added so far in five numbers of a list, from `at` on. */
  save(list: Int32Array, at: number): void {
    list[at] = this.#v0;
    list[at + 1] = this.#v1;
    list[at + 2] = this.#v2;
    list[at + 3] = this.#v3;
    list[at + 4] = this.#words;
  }

  /** Begins with what `save` has kept there. */
  resume(list: Int32Array, at: number): void {
    this.#v0 = list[at] ?? 0;
    this.#v1 = list[at + 1] ?? 0;
    this.#v2 = list[at + 2] ?? 0;
    this.#v3 = list[at + 3] ?? 0;
    this.#words = list[at + 4] ?? 0;
  }

  /** Adds a text with a tag below 32,768: its length counts, so that two texts are never taken for one. */
  add(tag: number, text: string): void {
    const { length } = text;
    // In variables of this function: fields would be read and written in each step.
    let v0 = this.#v0;
    let v1 = this.#v1;
    let v2 = this.#v2;
    let v3 = this.#v3;
    let word = (tag << 16) | (length & 0xffff);
    for (let at = 0; ; at += 2) {
      v3 ^= word;
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
      v0 ^= word;
      if (at >= length) break;
      // Two UTF-16 units a word.
      word = text.charCodeAt(at) << 16;
      if (at + 1 < length) word |= text.charCodeAt(at + 1);
    }
    this.#v0 = v0;
    this.#v1 = v1;
    this.#v2 = v2;
    this.#v3 = v3;
    this.#words += 1 + ((length + 1) >> 1);
  }

  end(): void {
    const word = this.#words << 24;
    let v0 = this.#v0;
    let v1 = this.#v1;
    let v2 = this.#v2;
    let v3 = this.#v3 ^ word;
    for (let round = 1; round <= 7; round++) {
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
      if (round === 1) {
        v0 ^= word;
        v2 ^= 0xee;
      } else if (round === 4) {
        this.high = (v1 ^ v3) | 0;
        v1 ^= 0xdd;
      }
    }
    this.low = (v1 ^ v3) | 0;
  }
}
