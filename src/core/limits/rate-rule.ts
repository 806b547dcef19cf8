import type { KeyTable } from "./key-table.ts";

/** What a limit says of a call. */
export interface Verdict {
  /** Whether the call may go on. */
  allowed: boolean;
  /** How many calls of cost 1 may follow at once, before this one is counted. */
  remaining: number;
  /** Time until all of the limit is there again, when the call is counted, in milliseconds. */
  resetMs: number;
  /** Time until a refused call may go on, in milliseconds; 0 for an allowed one. */
  retryMs: number;
}

/**
 * How calls of a key are counted, in the two numbers that a table keeps of the key.
 *
 * `look` and `take` belong together: nothing else may be asked of the rule between them.
 */
export interface RateRule {
  /** What a call of this cost meets. @param entry of the key; -1 for a key without one */
  look(table: KeyTable, entry: number, cost: number, verdict: Verdict): void;
  /** Counts the call that was looked at. @returns what `giveBack` needs */
  take(table: KeyTable, entry: number, cost: number): number;
  /** Undoes `take`. @param taken what it has returned */
  giveBack(table: KeyTable, entry: number, cost: number, taken: number): void;
}

/** The clocks of rules, in milliseconds. */
export interface LimitClocks {
  /** Never goes back. */
  readonly nowMs: () => number;
  /** Since 1970, for calendar periods. */
  readonly wallMs: () => number;
}

/** The clocks of this process. */
export const limitClocks: LimitClocks = Object.freeze({ nowMs: () => performance.now(), wallMs: Date.now });
