/** How many blocks a connection keeps. */
const slots = 4;
/** Longer blocks are not kept, in bytes. */
const mostBytes = 512;

interface Kept<T> {
  readonly bytes: Buffer;
  readonly meaning: T;
}

/**
 * The last few header blocks of a connection with what they mean: servers answer call after call with the same bytes,
 * which need not be decoded again while the table stays as it is.
 */
export class BlockMemo<T> {
  #version = 0;
  #kept: Kept<T>[] = [];
  #next = 0;

  /** The meaning of the block `bytes[start, end)` with a table of this version; undefined if it is not kept. */
  find(bytes: Buffer, start: number, end: number, version: number): T | undefined {
    if (version !== this.#version) return undefined;
    for (const { bytes: kept, meaning } of this.#kept) {
      if (kept.length === end - start && isSame(kept, bytes, start)) return meaning;
    }
    return undefined;
  }

  /** Keeps a block that changed no table, in place of the oldest one. The meaning must never change. */
  keep(bytes: Buffer, start: number, end: number, version: number, meaning: T): void {
    if (end - start > mostBytes) return;
    if (version !== this.#version) {
      this.#version = version;
      this.#kept = [];
      this.#next = 0;
    }
    this.#kept[this.#next] = { bytes: Buffer.from(bytes.subarray(start, end)), meaning };
    this.#next = (this.#next + 1) % slots;
  }
}

function isSame(kept: Buffer, bytes: Buffer, start: number): boolean {
  // The last byte first: that is where blocks of the same length differ.
  for (let i = kept.length - 1; i >= 0; i--) if (kept[i] !== bytes[start + i]) return false;
  return true;
}
