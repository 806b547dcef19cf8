import type { CallContext } from "../../core/call/context.ts";
import type { HubOutcome } from "./close.ts";
import type { Entry } from "./entry.ts";
import type { Matches } from "./selectable.ts";
import type { Table } from "./table.ts";

/** Which calls of a connection: all of it, or calls of a WebSocket that are of other users than it. */
export type SelectedCalls = "all" | readonly CallContext[];

/** With how many connections something is done at once. */
const atOnce = 256;

/**
 * Does something with each connection that a selector selects now.
 *
 * @param work resolves with whether it could be done. Never rejects
 */
export async function forSelected(
  table: Table,
  matches: Matches,
  work: (entry: Entry, calls: SelectedCalls) => Promise<boolean>,
): Promise<HubOutcome> {
  const found: { readonly entry: Entry; readonly calls: SelectedCalls }[] = [];
  await table.each(0, (entry) => {
    const calls = entry.selected(matches);
    if (calls === "all" || calls.length > 0) found.push({ entry, calls });
    return true;
  });
  let done = 0;
  for (let first = 0; first < found.length; first += atOnce) {
    const some = found.slice(first, first + atOnce);
    const results = await Promise.all(some.map(({ entry, calls }) => work(entry, calls)));
    done += results.filter(Boolean).length;
  }
  return { selected: found.length, done, failed: found.length - done, unreachable: [] };
}
