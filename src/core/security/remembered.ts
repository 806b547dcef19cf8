import type { JsonValue } from "@bufbuild/protobuf";
import type { Principal } from "./principal.ts";

/** A credential that was found good. */
export interface Remembered {
  readonly principal: Principal;
  /** Until when it counts, in milliseconds since 1970. */
  readonly untilMs: number;
  /** SHA-256 in lower-case hex of the certificate that it is bound to; undefined for none. */
  readonly boundTo: string | undefined;
}

/** Memory for one credential, in bytes: one that needs more takes the place of several. */
export const rememberedBytes = 1024;

/** What an entry needs beside claims: its digest, its place, the principal without them; in bytes. */
const entryBytes = 400;

interface Kept extends Remembered {
  readonly bytes: number;
}

/**
 * Credentials that were found good, by their digests. The oldest make room for a new one, where there are too many or
 * they need too much memory: `rememberedBytes` for each.
 */
export class RememberedCredentials {
  readonly #entries = new Map<string, Kept>();
  readonly #max: number;
  /** Memory of all entries, in bytes, as `sizeOf` estimates it. */
  #bytes = 0;

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
    this.#drop(digest, entry);
    return undefined;
  }

  set(digest: string, { principal, untilMs, boundTo }: Remembered): void {
    const before = this.#entries.get(digest);
    if (before !== undefined) this.#drop(digest, before);
    const bytes = entryBytes + sizeOf(principal.claims);
    for (const [oldest, entry] of this.#entries) {
      if (this.#entries.size < this.#max && this.#bytes + bytes <= this.#max * rememberedBytes) break;
      this.#drop(oldest, entry);
    }
    this.#entries.set(digest, { principal, untilMs, boundTo, bytes });
    this.#bytes += bytes;
  }

  clear(): void {
    this.#entries.clear();
    this.#bytes = 0;
  }

  #drop(digest: string, { bytes }: Kept): void {
    this.#entries.delete(digest);
    this.#bytes -= bytes;
  }
}

/** The memory of a JSON value in V8, roughly and rather too much than too little, in bytes. */
function sizeOf(value: JsonValue | undefined): number {
  if (typeof value === "string") return 32 + (/[^\0-\xff]/.test(value) ? 2 : 1) * value.length;
  if (typeof value !== "object" || value === null) return 24;
  const values: readonly (JsonValue | undefined)[] = Array.isArray(value) ? value : Object.values(value);
  return values.reduce<number>((sum, one) => sum + sizeOf(one), 64);
}
