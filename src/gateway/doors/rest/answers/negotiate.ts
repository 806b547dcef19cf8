import { noRank, type Rank, rankOf } from "../../../http/accept.ts";
import { weightedList } from "../../../http/weighted-list.ts";

/** A media type that an `Accept` header can select. */
interface Offer {
  readonly contentType: string;
}

/**
 * The offer that a request prefers by its `Accept` header (RFC 9110, section 12.5.1); undefined if none of them is
 * acceptable.
 *
 * The best quality wins; of equal ones the more exact media range, then the earlier one in the header, then the earlier
 * offer. Without `Accept` it is the first offer.
 */
export function negotiate<T extends Offer>(accept: string | undefined, offers: readonly T[]): T | undefined {
  if (accept === undefined || accept === "*/*" || accept.trim() === "") return offers[0];
  const ranges = weightedList(accept);
  let best: T | undefined;
  let bestRank = noRank;
  for (const offer of offers) {
    const rank = rankOf(ranges, offer.contentType);
    if (rank.quality > 0 && isBetter(rank, bestRank)) [best, bestRank] = [offer, rank];
  }
  return best;
}

function isBetter(a: Rank, b: Rank): boolean {
  if (a.quality !== b.quality) return a.quality > b.quality;
  if (a.exactness !== b.exactness) return a.exactness > b.exactness;
  return a.index < b.index;
}
