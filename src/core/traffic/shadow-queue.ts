import type { RequestBatch } from "../call/batches.ts";

/** Bytes that are held for shadows, of all calls of a mirror together. */
export interface HeldBytes {
  /** Whether so many more may be held; they are counted then. */
  hold(bytes: number): boolean;
  release(bytes: number): void;
}

/** Requests of a stream between the caller, who is never slowed, and a shadow, which may be slow. */
export class ShadowQueue implements AsyncIterableIterator<RequestBatch, void, undefined> {
  readonly #held: HeldBytes;
  readonly #batches: Uint8Array[][] = [];
  #bytes = 0;
  #isEnded = false;
  #wake: (() => void) | undefined;

  constructor(held: HeldBytes) {
    this.#held = held;
  }

  /** @returns false if there is no room for it: the shadow is too slow */
  push(batch: Uint8Array[]): boolean {
    if (this.#isEnded) return true;
    const bytes = sizeOf(batch);
    if (!this.#held.hold(bytes)) return false;
    this.#bytes += bytes;
    this.#batches.push(batch);
    this.#wake?.();
    return true;
  }

  /** No more requests follow. */
  end(): void {
    this.#isEnded = true;
    this.#wake?.();
  }

  async next(): Promise<IteratorResult<RequestBatch, void>> {
    while (this.#batches.length === 0 && !this.#isEnded) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = undefined;
    }
    const batch = this.#batches.shift();
    if (batch === undefined) return { done: true, value: undefined };
    this.#release(sizeOf(batch));
    return { done: false, value: batch };
  }

  async return(): Promise<IteratorResult<RequestBatch, void>> {
    this.drop();
    return { done: true, value: undefined };
  }

  /** Forgets what is left. */
  drop(): void {
    this.#batches.length = 0;
    this.#release(this.#bytes);
    this.end();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #release(bytes: number): void {
    this.#bytes -= bytes;
    this.#held.release(bytes);
  }
}

function sizeOf(batch: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const { length } of batch) bytes += length;
  return bytes;
}
