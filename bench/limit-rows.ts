import { runDuel } from "./duel.ts";
import { overHttp } from "./over-wire.ts";
import type { Row } from "./rig.ts";
import { send } from "./works.ts";

const program = { file: "limited-gateway.ts" };
const table = [
  ["l1", "three local limits with headers", "limits", 0.93, 0.97],
  ["l2", "one limit in Redis, batch 1", "redis-1", 0.45, 0.6],
  ["l3", "one limit in Redis, batch 50", "redis-50", 0.9, 0.95],
  ["l4", "overload control, unloaded", "overload", 0.98, 0.99],
] as const;

/** What limits and overload control cost a call that passes. */
export const limitRows: readonly Row[] = table.map(([id, what, how, must, aim]) => ({
  id,
  work: "REST → handler in process, small POST",
  subject: `gateway with ${what}`,
  reference: "the same without",
  better: "higher",
  must,
  aim,
  measure: (rig) =>
    runDuel({ subject: { ...program, args: [how] }, reference: program, ...overHttp(send) }, rig),
}));
