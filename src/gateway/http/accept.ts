import type { Weighted } from "./weighted-list.ts";

/** How a media type fits a header `Accept`. */
export interface Rank {
  readonly quality: number;
  /** 2 for the type itself, 1 for its family, 0 for anything. */
  readonly exactness: number;
  /** The position of the range in the header. */
  readonly index: number;
}

/** The rank of types that are not acceptable. */
export const noRank: Rank = Object.freeze({ quality: 0, exactness: 0, index: 0 });

/** The rank of a media type by its most specific range (RFC 9110, section 12.5.1). */
export function rankOf(ranges: readonly Weighted[], type: string): Rank {
  const family = `${type.slice(0, type.indexOf("/"))}/*`;
  for (const [less, wanted] of [type, family, "*/*"].entries()) {
    const index = ranges.findIndex(({ name }) => name === wanted);
    const range = ranges[index];
    if (range !== undefined) return { quality: range.quality, exactness: 2 - less, index };
  }
  return noRank;
}
