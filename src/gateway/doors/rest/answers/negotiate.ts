import { noRank, type Rank, rankOf } from "../../../http/accept.ts";
import { weightedList } from "../../../http/weighted-list.ts";

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
