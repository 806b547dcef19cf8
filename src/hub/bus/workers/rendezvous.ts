import type { ChannelRoll } from "../../../core/workers/channel-roll.ts";

/** Which of the members owns a key: the same for all that know the same members. Undefined without members. */
export function ownerOf(key: string, members: readonly number[]): number | undefined {
  let owner: number | undefined;
  let highest = -1;
  for (const member of members) {
    const weight = weightOf(`${member} ${key}`);
    if (weight > highest || (weight === highest && owner !== undefined && member < owner)) {
      highest = weight;
      owner = member;
    }
  }
  return owner;
}

/** FNV-1a of 32 bits, mixed as the end of MurmurHash3 does: members whose ids are near each other get equal shares. */
function weightOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** The owner of a cursor, and who would own it without that one. */
export function pairOf(
  key: string,
  roll: ChannelRoll | undefined,
): readonly [owner: number | undefined, second: number | undefined] {
  if (roll === undefined) return [undefined, undefined];
  const owner = ownerOf(key, roll.live);
  const others = roll.live.filter((member) => member !== owner);
  return [owner, ownerOf(key, others)];
}

/** All members, those that leave too. */
export function idsOf({ live, leaving }: ChannelRoll): readonly number[] {
  return [...live, ...leaving];
}
