import type { PresenceChanges, PresenceEntry, PresenceList } from "../../../gen/ts_ms/hub/v1/presence_pb.ts";

/** What others say, and how more of it is asked for. */
export interface OthersEntriesKit {
  /** A node says these entries. @param isAll whether it has no others */
  readonly said: (node: string, entries: readonly PresenceEntry[], isAll: boolean) => void;
  /** Asks a node for all entries. Never throws. */
  readonly ask: (node: string) => void;
}

/**
 * What is known of one other node.
 *
 * ```
 *   unknown ── its number is 0 ──▶ known ◀── last page ── listing
 *      │                            │                        ▲
 *      └────── other number ───▶ asking ◀── number missed    │
 *                                   └────── first page ──────┘
 * ```
 */
type State =
  | { readonly is: "unknown" | "asking" }
  | { readonly is: "known"; readonly number: bigint }
  | {
      readonly is: "listing";
      readonly number: bigint;
      readonly entries: PresenceEntry[];
      pages: number;
      /** How many pages there were at the last heartbeat. */
      pagesHeard: number;
      /** Changes behind the list that have come before its end. */
      readonly later: PresenceChanges[];
    };

/** What the other nodes have said: what is missing is asked for, and what comes twice is left out. */
export class OthersEntries {
  readonly #kit: OthersEntriesKit;
  readonly #states = new Map<string, State>();

  constructor(kit: OthersEntriesKit) {
    this.#kit = kit;
  }

  /** A node repeats its last number: something may be missing here. */
  heard(node: string, number: bigint): void {
    const state = this.#stateOf(node);
    if (state.is === "known" && state.number >= number) return;
    if (state.is === "listing" && state.pages > state.pagesHeard) {
      state.pagesHeard = state.pages;
      return;
    }
    if (state.is === "unknown" && number === 0n) this.#states.set(node, { is: "known", number });
    else this.#ask(node); // Again, where the answer was lost.
  }

  changes(node: string, changes: PresenceChanges): void {
    const state = this.#stateOf(node);
    if (state.is === "listing") state.later.push(changes);
    else if (state.is !== "known") {
      if (state.is === "unknown") this.#ask(node);
    } else if (changes.number === state.number + 1n) {
      this.#states.set(node, { is: "known", number: changes.number });
      this.#kit.said(node, changes.entries, false);
    } else if (changes.number > state.number) this.#ask(node);
  }

  list(node: string, { number, page, more, entries }: PresenceList): void {
    const before = this.#stateOf(node);
    let state = before;
    if (page === 0 && before.is === "asking") {
      state = { is: "listing", number, entries: [], pages: 0, pagesHeard: 0, later: [] };
      this.#states.set(node, state);
    }
    if (state.is !== "listing") return; // It was not asked for, or has come already.
    if (state.number !== number || state.pages !== page) {
      this.#ask(node); // A page is lost.
      return;
    }
    state.pages++;
    for (const entry of entries) state.entries.push(entry);
    if (more) return;
    this.#states.set(node, { is: "known", number });
    this.#kit.said(node, state.entries, true);
    for (const changes of state.later) this.changes(node, changes);
  }

  /** A node is no more. */
  gone(node: string): void {
    if (this.#states.delete(node)) this.#kit.said(node, [], true);
  }

  /** What is known says nothing of a topic that is declared now: all nodes are asked when they are heard next. */
  forget(): void {
    for (const node of this.#states.keys()) this.#states.set(node, { is: "unknown" });
  }

  /** No other node is heard any more. */
  clear(): void {
    for (const node of [...this.#states.keys()]) this.gone(node);
  }

  #stateOf(node: string): State {
    return this.#states.get(node) ?? { is: "unknown" };
  }

  #ask(node: string): void {
    this.#states.set(node, { is: "asking" });
    this.#kit.ask(node);
  }
}
