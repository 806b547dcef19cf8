import type { Principal } from "./principal.ts";

/** A credential that was found good. */
export interface Remembered {
  readonly principal: Principal;
  /** Until when it counts, in milliseconds since 1970. */
  readonly untilMs: number;
  /** SHA-256 in lower-case hex of the certificate that it is bound to; undefined for none. */
  readonly boundTo: string | undefined;
}

/** Credentials that were found good, by their digests. The oldest makes room for a new one. */
export class RememberedCredentials {
  readonly #entries = new Map<string, Remembered>();
  readonly #max: number;

  /** @param max how many at most */
  constructor(max = 10_000) {
    this.#max = max;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** What is remembered of a credential at a time in milliseconds since 1970. */
  get(digest: string, nowMs: number): Remembered | undefined {
    const entry = this.#entries.get(digest);
    if (entry === undefined || nowMs < entry.untilMs) return entry;
    this.#entries.delete(digest);
    return undefined;
  }

  set(digest: string, entry: Remembered): void {
    if (this.#entries.size >= this.#max && !this.#entries.has(digest)) {
      const [oldest] = this.#entries.keys();
      if (oldest !== undefined) this.#entries.delete(oldest);
    }
    this.#entries.set(digest, entry);
  }

  clear(): void {
    this.#entries.clear();
  }
}
