import { mostBytesOf, type FieldList, type HpackEncoder } from "./encoder.ts";

interface PreparedBlock {
  readonly bytes: Uint8Array;
  /** Of the encoder's table; with another one the block is invalid. */
  readonly version: number;
  /** The most bytes that the block can have. */
  readonly most: number;
}

/** Blocks of lists that many heads of one connection share: they are encoded once, while the table stays as it is. */
export class PreparedBlocks {
  readonly #encoder: HpackEncoder;
  readonly #blocks = new Map<FieldList, PreparedBlock>();

  constructor(encoder: HpackEncoder) {
    this.#encoder = encoder;
  }

  /**
   * Writes the block of a list; returns the offset after it.
   *
   * @param fields One of few objects, which must not change.
   */
  write(fields: FieldList, into: Uint8Array, at: number): number {
    const encoder = this.#encoder;
    const known = this.#blocks.get(fields);
    if (known !== undefined && known.version === encoder.version) {
      const { bytes } = known;
      for (let i = 0; i < bytes.length; i++) into[at + i] = bytes[i] ?? 0; // They are short.
      return at + bytes.length;
    }
    const { version } = encoder;
    const end = encoder.writeShared(fields, into, at);
    if (encoder.version === version) {
      const bytes = new Uint8Array(into.subarray(at, end));
      this.#blocks.set(fields, { bytes, version, most: mostBytesOf(fields) });
    }
    return end;
  }

  /** The most bytes that `write` writes, whatever happens to the table before. */
  mostBytes(fields: FieldList): number {
    return this.#blocks.get(fields)?.most ?? mostBytesOf(fields);
  }
}
