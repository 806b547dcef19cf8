import type { LimitClocks } from "./rate-rule.ts";

/** Clocks that are read once for each call, however many limits ask. */
export class CallClock implements LimitClocks {
  readonly nowMs: () => number;
  readonly wallMs: () => number;
  #call = 0;

  constructor(clocks: LimitClocks) {
    this.nowMs = this.#oncePerCall(clocks.nowMs);
    this.wallMs = this.#oncePerCall(clocks.wallMs);
  }

  /** What is asked from now on is about another call. */
  next(): void {
    this.#call++;
  }

  #oncePerCall(read: () => number): () => number {
    let ms = 0;
    let readFor = -1;
    return () => {
      if (readFor === this.#call) return ms;
      readFor = this.#call;
      return (ms = read());
    };
  }
}
