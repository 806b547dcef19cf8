import { invalidArgument } from "../../core/errors/errors.ts";
import { compileSelector, type Selector } from "./selector.ts";
import type { Entry } from "./entry.ts";
import type { Table } from "./table.ts";

/** By what connections are counted. */
export type GroupBy = "door" | "user" | "node" | `tag:${string}`;

/** How many connections there are. */
export interface Counts {
  readonly total: number;
  /** By the value of what they are counted by, empty where they have none. Without that: no groups. */
  readonly groups: Readonly<Record<string, number>>;
  /** Nodes that have not answered. */
  readonly unreachable: readonly string[];
}

/** Counts the connections that a selector selects. @throws ConnectError INVALID_ARGUMENT */
export async function countsOf(
  table: Table,
  node: string,
  selector: Selector,
  by: GroupBy | undefined,
): Promise<Counts> {
  const matches = compileSelector(selector, node);
  const groupOf = by === undefined ? undefined : grouping(by);
  const groups = new Map<string, number>();
  let total = 0;
  await table.each(0, (entry) => {
    if (!matches(entry)) return true;
    total++;
    if (groupOf === undefined) return true;
    const group = groupOf(entry) ?? "";
    groups.set(group, (groups.get(group) ?? 0) + 1);
    return true;
  });
  return { total, groups: Object.fromEntries(groups), unreachable: [] };
}

function grouping(by: GroupBy): (entry: Entry) => string | undefined {
  switch (by) {
    case "door":
    case "user":
    case "node":
      return (entry) => entry[by];
    default: {
      const name = String(by).startsWith("tag:") ? by.slice("tag:".length) : "";
      if (name === "") throw invalidArgument(`by: ${JSON.stringify(by)} is not door, user, node or tag:NAME`);
      return (entry) => entry.tag(name);
    }
  }
}
