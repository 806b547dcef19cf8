import { isSame, type Known, type Present } from "./present.ts";

/** What has changed for watchers, net: each of them is in one list. */
export interface Differences {
  readonly left: readonly Known[];
  readonly joined: readonly Known[];
  readonly updated: readonly Known[];
  /** Those of whom nothing is left, whether watchers knew them or not. */
  readonly gone: readonly Present[];
  /** How many connections there are more; fewer where it is negative. */
  readonly connections: number;
}

/** Compares what is with what watchers know, who know it from then on. */
export function differences(changed: readonly Present[]): Differences {
  const left: Known[] = [];
  const joined: Known[] = [];
  const updated: Known[] = [];
  const gone: Present[] = [];
  let connections = 0;
  for (const present of changed) {
    present.isChanged = false;
    const { known: before } = present;
    const now = present.now();
    if (now === undefined) {
      gone.push(present);
      if (before !== undefined) left.push(before);
    } else if (before === undefined) joined.push(now);
    else if (!isSame(before, now)) updated.push(now);
    else continue;
    connections += (now?.connections ?? 0) - (before?.connections ?? 0);
    present.known = now;
  }
  return { left, joined, updated, gone, connections };
}
