import { br } from "./br.ts";
import type { Coding } from "./coding.ts";
import { deflate } from "./deflate.ts";
import { gzip } from "./gzip.ts";
import { zstd } from "./zstd.ts";

/** Every content coding there is. Which of them a protocol offers, and in which order, is said where the protocol is. */
export const codings = Object.freeze({ gzip, deflate, br, zstd });

/**
 * Codings by the names that headers give them.
 *
 * @param offered those of one protocol. Default: all of `codings`, in its order.
 */
export function codingsByName(
  offered: readonly Coding[] = Object.values(codings),
): ReadonlyMap<string, Coding> {
  return new Map(offered.map((coding) => [coding.name, coding]));
}
