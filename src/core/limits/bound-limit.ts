import { itemStart, type Left } from "./headers.ts";
import type { Limit } from "./limit.ts";
import type { Verdict } from "./rate-rule.ts";

/**
 * How a limit takes part in the call that is being looked at.
 *
 * - `off`: it is not for this call, or its store is away and it allows all then;
 * - `local`, `open`, `lease`: a call is counted in its table, its open calls, its batch;
 * - `asked`: the store has counted the call;
 * - `over`: in shadow mode it would have refused the call, which it does not count;
 * - `denied`: its store is away, and it refuses all then;
 * - `ask`, `fetch`: the store has to be asked first, about the call or for a batch.
 */
export type Part = "off" | "local" | "open" | "lease" | "asked" | "over" | "denied" | "ask" | "fetch";

/**
 * A limit as the calls of one rpc meet it. The fields that change are of the call that is being looked at: they hold
 * until something waits.
 */
export class BoundLimit implements Left {
  readonly limit: Limit;
  /** How much a call of the rpc takes. */
  readonly cost: number;
  /** Which of the hashes of the rpc's keys is that of its key. */
  readonly hash: number;
  readonly name: string;
  readonly policy: string;
  readonly item: string;
  readonly headers: Left["headers"];
  readonly quota: number;
  readonly verdict: Verdict = { allowed: true, remaining: 0, resetMs: 0, retryMs: 0 };
  remaining = 0;
  resetMs: number | undefined;
  part: Part = "off";
  /** Whether the call is decided without the store, because it is away. */
  isDegraded = false;
  high = 0;
  low = 0;
  entry = -1;
  /** What `giveBack` of the rule needs. */
  taken = 0;

  constructor(limit: Limit, costOfRpc: number, hash: number) {
    this.limit = limit;
    this.cost = limit.kind === "rate" ? (limit.options.cost ?? 1) * costOfRpc : 1;
    this.hash = hash;
    this.name = limit.name;
    this.policy = limit.policy;
    this.item = itemStart(limit.name);
    this.headers = limit.options.headers;
    this.quota = limit.quota;
  }
}
