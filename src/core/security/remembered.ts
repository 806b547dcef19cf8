import type { JsonValue } from "@bufbuild/protobuf";
import { BoundedMap } from "./bounded-map.ts";
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

/**
 * Credentials that were found good, by their digests. The oldest make room for a new one, where there are too many or
 * they need too much memory: `rememberedBytes` for each.
 */
export class RememberedCredentials {
  readonly #entries: BoundedMap<Remembered>;

  /** @param max how many at most */
  constructor(max = 10_000) {
    this.#entries = new BoundedMap({ entries: max, bytes: max * rememberedBytes });
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

  set(digest: string, remembered: Remembered): void {
    this.#entries.set(digest, remembered, entryBytes + sizeOf(remembered.principal.claims));
  }

  clear(): void {
    this.#entries.clear();
  }
}

/** The memory of a JSON value in V8, roughly and rather too much than too little, in bytes. */
function sizeOf(value: JsonValue | undefined): number {
  if (typeof value === "string") return 32 + (/[^\0-\xff]/.test(value) ? 2 : 1) * value.length;
  if (typeof value !== "object" || value === null) return 24;
  const values: readonly (JsonValue | undefined)[] = Array.isArray(value) ? value : Object.values(value);
  return values.reduce<number>((sum, one) => sum + sizeOf(one), 64);
}
