/** Partitions by the names of their topics. */
export type Partitions = ReadonlyMap<string, readonly number[]>;

/** A reader of a group, as it has joined. */
export interface Member {
  readonly id: string;
  readonly topics: readonly string[];
  /** What it has read until now. */
  readonly owned: Partitions;
  /** Of which generation of the group that was; −1 for none. */
  readonly generation: number;
}

/**
 * Divides partitions among the readers of a group, equally for each topic: what a reader has it keeps where it can.
 *
 * @param counts how many partitions topics have
 */
export function assign(
  members: readonly Member[],
  counts: ReadonlyMap<string, number>,
): ReadonlyMap<string, Partitions> {
  const sorted = members.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const assigned = new Map(sorted.map(({ id }) => [id, new Map<string, number[]>()]));
  const loads = new Map(sorted.map(({ id }) => [id, 0]));
  for (const [topic, count] of [...counts].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const readers = sorted.filter(({ topics }) => topics.includes(topic));
    if (readers.length === 0) continue;
    for (const [id, partitions] of divide(topic, count, readers, loads)) {
      if (partitions.length === 0) continue;
      assigned.get(id)?.set(
        topic,
        partitions.toSorted((a, b) => a - b),
      );
      loads.set(id, (loads.get(id) ?? 0) + partitions.length);
    }
  }
  return assigned;
}

function divide(
  topic: string,
  count: number,
  readers: readonly Member[],
  loads: ReadonlyMap<string, number>,
): ReadonlyMap<string, number[]> {
  const share = Math.floor(count / readers.length);
  let larger = count % readers.length;
  const parts = new Map(readers.map(({ id }): [string, number[]] => [id, []]));
  const owners = ownersOf(topic, count, readers);
  const free: number[] = [];
  for (let partition = 0; partition < count; partition++) {
    const part = parts.get(owners.get(partition) ?? "");
    if (part !== undefined && part.length < share) part.push(partition);
    else if (part !== undefined && part.length === share && larger > 0) {
      part.push(partition);
      larger--;
    } else free.push(partition);
  }
  for (const partition of free) {
    const [least] = [...parts].toSorted(
      ([a, mine], [b, other]) =>
        mine.length - other.length || (loads.get(a) ?? 0) + mine.length - (loads.get(b) ?? 0) - other.length,
    );
    least?.[1].push(partition);
  }
  return parts;
}

/** Who has read each partition: of two that say so the one of the later generation; neither, where it is the same. */
function ownersOf(topic: string, count: number, readers: readonly Member[]): ReadonlyMap<number, string> {
  const owners = new Map<number, { readonly id: string; readonly generation: number }>();
  for (const { id, owned, generation } of readers) {
    for (const partition of owned.get(topic) ?? []) {
      const other = owners.get(partition);
      if (partition >= count || (other !== undefined && other.generation > generation)) continue;
      owners.set(partition, { id: other?.generation === generation ? "" : id, generation });
    }
  }
  return new Map([...owners].map(([partition, { id }]) => [partition, id]));
}
