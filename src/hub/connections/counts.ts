import { invalidArgument } from "../../core/errors/errors.ts";
import type { Entry } from "./entry.ts";
import type { Matches } from "./selectable.ts";
import type { Table } from "./table.ts";

/** By what connections are counted. */
export type GroupBy = "door" | "user" | "topic" | "room" | "node" | `tag:${string}`;

/** How many connections there are. */
export interface Counts {
  readonly total: number;
  /**
   * By the value of what they are counted by, empty where they have none; a connection is in each group of its rooms.
   * Without that: no groups.
   */
  readonly groups: Readonly<Record<string, number>>;
  /** Nodes that have not answered. */
  readonly unreachable: readonly string[];
}

/** Counts the connections that a selector selects. @throws ConnectError INVALID_ARGUMENT */
export async function countsOf(table: Table, matches: Matches, by: GroupBy | undefined): Promise<Counts> {
  const groupOf = by === undefined ? undefined : grouping(by);
  const groups = new Map<string, number>();
  let total = 0;
  await table.each(0, (entry) => {
    if (!entry.isSelected(matches)) return true;
    total++;
    if (groupOf === undefined) return true;
    for (const group of groupOf(entry)) groups.set(group, (groups.get(group) ?? 0) + 1);
    return true;
  });
  return { total, groups: Object.fromEntries(groups), unreachable: [] };
}

/** Counts of several nodes as one. */
export function sumCounts(all: readonly Counts[]): Counts {
  const sums = new Map<string, number>();
  for (const [group, count] of all.flatMap(({ groups }) => Object.entries(groups))) {
    sums.set(group, (sums.get(group) ?? 0) + count);
  }
  const total = all.reduce((sum, counts) => sum + counts.total, 0);
  return { total, groups: Object.fromEntries(sums), unreachable: [] };
}

function grouping(by: GroupBy): (entry: Entry) => readonly string[] {
  switch (by) {
    case "door":
    case "user":
    case "node":
      return (entry) => [entry[by] ?? ""];
    case "room":
      return ({ rooms }) => rooms;
    case "topic":
      return ({ topics }) => topics;
    default: {
      const name = String(by).startsWith("tag:") ? by.slice("tag:".length) : "";
      if (name === "")
        throw invalidArgument(`by: ${JSON.stringify(by)} is not door, user, topic, room, node or tag:NAME`);
      return (entry) => [entry.tag(name) ?? ""];
    }
  }
}
