/** A position of a hub: the epoch of a room's stream and the number of a message in it. */
const pattern = /^([0-9A-Za-z]{8})\.(\d+)$/;

/**
 * Whether a message at a position has come before, as messages do when a client resumes from a position twice. Ids that are
 * no positions of one room say so only when they are the same.
 */
export function isKnown(position: string, last: string | undefined): boolean {
  if (last === undefined || position === last) return position === last;
  const [, epoch, number = ""] = pattern.exec(position) ?? [];
  const [, lastEpoch, lastNumber = ""] = pattern.exec(last) ?? [];
  return epoch !== undefined && epoch === lastEpoch && BigInt(number) <= BigInt(lastNumber);
}
