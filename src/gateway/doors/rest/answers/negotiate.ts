import { mediaRanges } from "../../../http/media-type.ts";

/** Something that an `Accept` header can ask for. */
interface Offer {
  readonly contentType: string;
}

/**
 * The offer that a request prefers by its `Accept` header (RFC 9110, section 12.5.1); undefined where none of them is
 * acceptable.
 *
 * The best quality wins; of equals the one whose media range is the more exact, then the one that was named first, then
 * the one that is offered first. Without `Accept` it is the first offer.
 */
export function negotiate<T extends Offer>(accept: string | undefined, offers: readonly T[]): T | undefined {
  if (accept === undefined || accept === "*/*" || accept.trim() === "") return offers[0];
  const ranges = mediaRanges(accept);
  let best: T | undefined;
  let bestRank = noRank;
  for (const offer of offers) {
    const rank = rankOf(ranges, offer.contentType);
    if (rank.quality > 0 && isBetter(rank, bestRank)) [best, bestRank] = [offer, rank];
  }
  return best;
}

interface Rank {
  readonly quality: number;
  /** 2 for the type itself, 1 for its family, 0 for anything. */
  readonly exactness: number;
  /** Where in the header it stands. */
  readonly index: number;
}

const noRank: Rank = { quality: 0, exactness: 0, index: 0 };

function isBetter(a: Rank, b: Rank): boolean {
  if (a.quality !== b.quality) return a.quality > b.quality;
  if (a.exactness !== b.exactness) return a.exactness > b.exactness;
  return a.index < b.index;
}

function rankOf(ranges: ReturnType<typeof mediaRanges>, type: string): Rank {
  const family = `${type.slice(0, type.indexOf("/"))}/*`;
  for (const [less, wanted] of [type, family, "*/*"].entries()) {
    const index = ranges.findIndex((range) => range.type === wanted);
    const range = ranges[index];
    if (range !== undefined) return { quality: range.quality, exactness: 2 - less, index };
  }
  return noRank;
}
