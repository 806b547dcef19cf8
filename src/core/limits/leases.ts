import { KeyTable } from "./key-table.ts";
import type { Verdict } from "./rate-rule.ts";
import type { LimitStore, StoredRule } from "./store.ts";

/** Share of a batch that is left when the next one is fetched: calls that come meanwhile take of the rest. */
const fetchAtShare = 0.5;
/** Share of a batch whose calls have to wait for the next one, so that the one after that is fetched with a whole batch left. */
const rushShare = 0.25;
/** Bits of an entry: a batch is being fetched; calls come faster than half a batch lasts. */
const isFetching = 1;
const isRushed = 2;
/** A batch that is being fetched. */
interface Fetch {
  readonly verdict: Promise<Verdict>;
  /** How many calls have asked for it since. */
  waiting: number;
}

/** The least time for which tokens of a bucket are kept, in milliseconds. */
const leastLeaseMs = 1_000;

/**
 * Calls taken from the store in batches: of a key, how many of them are left here, and until when they count. `a` of an
 * entry is the end of the batch, `b` what is left of it, and `c` what the store has had left.
 */
export class Leases {
  readonly #store: LimitStore;
  readonly #rule: StoredRule;
  readonly #batch: number;
  readonly #now: () => number;
  readonly #table: KeyTable;
  /** Batches that are being fetched, by both halves of the hash of their key. */
  readonly #fetching = new Map<string, Fetch>();
  #nowMs = 0;

  /** @param now a clock that never goes back, in milliseconds */
  constructor(store: LimitStore, rule: StoredRule, batch: number, maxKeys: number, now: () => number) {
    this.#store = store;
    this.#rule = rule;
    this.#batch = batch;
    this.#now = now;
    this.#table = new KeyTable(maxKeys, true);
  }

  /** Whether enough is here for a call. @param verdict is filled in if it is */
  look(high: number, low: number, cost: number, verdict: Verdict): boolean {
    const table = this.#table;
    const entry = table.find(high, low);
    this.#nowMs = this.#now();
    if (entry < 0) return false;
    const leftMs = (table.a[entry] ?? 0) - this.#nowMs;
    const here = table.b[entry] ?? 0;
    if (leftMs <= 0 || here < cost) return false;
    verdict.allowed = true;
    verdict.remaining = here + (table.c[entry] ?? 0);
    verdict.resetMs = leftMs;
    verdict.retryMs = 0;
    return true;
  }

  /** Counts a call that `look` has found enough for. @returns whether the next batch should be fetched */
  take(high: number, low: number, cost: number): boolean {
    const table = this.#table;
    const entry = table.find(high, low);
    if (entry < 0) return false;
    table.use(entry);
    const here = (table.b[entry] ?? 0) - cost;
    table.b[entry] = here;
    const bits = table.bits[entry] ?? 0;
    const fetchAt = bits & isRushed ? this.#batch : this.#batch * fetchAtShare;
    return here <= fetchAt && (bits & isFetching) === 0 && (table.c[entry] ?? 0) > 0;
  }

  /** Undoes `take`, as far as the batch is still there. */
  giveBack(high: number, low: number, cost: number): void {
    const entry = this.#table.find(high, low);
    if (entry >= 0) this.#table.b[entry] = (this.#table.b[entry] ?? 0) + cost;
  }

  /**
   * Fetches a batch; calls of the same key share it.
   *
   * @param key makes the key in Redis; called for a batch that is not being fetched
   * @returns what the store says, of which `allowed` is whether `least` was there
   * @throws as `LimitStore.take`
   */
  fetch(key: () => string, high: number, low: number, least: number): Promise<Verdict> {
    const id = `${high} ${low}`;
    const fetching = this.#fetching.get(id);
    if (fetching !== undefined) {
      fetching.waiting++;
      return fetching.verdict;
    }
    const entry = this.#table.find(high, low);
    if (entry >= 0) this.#table.bits[entry] = (this.#table.bits[entry] ?? 0) | isFetching;
    const verdict = this.#fetch(key(), high, low, least).finally(() => this.#fetched(id, high, low));
    this.#fetching.set(id, { verdict, waiting: 0 });
    return verdict;
  }

  #fetched(id: string, high: number, low: number): void {
    const waiting = this.#fetching.get(id)?.waiting ?? 0;
    this.#fetching.delete(id);
    const entry = this.#table.find(high, low);
    if (entry < 0) return;
    const bits = this.#table.bits[entry] ?? 0;
    // Once calls come that fast, it stays so while they use half a batch in the time of a fetch.
    const hasLeft = (this.#table.b[entry] ?? 0) > this.#batch * (1 + fetchAtShare);
    const stays = (bits & isRushed) !== 0 && !hasLeft;
    this.#table.bits[entry] = stays || waiting >= this.#batch * rushShare ? isRushed : 0;
  }

  async #fetch(key: string, high: number, low: number, least: number): Promise<Verdict> {
    const want = Math.max(this.#batch, least);
    const askedMs = this.#now();
    const [answer] = await this.#store.take([{ key, rule: this.#rule, least, want, shadow: false }]);
    if (answer === undefined) throw new Error("the script of limits has answered nothing");
    const { allowed, granted, remaining, resetMs, retryMs } = answer;
    if (granted > 0) {
      const table = this.#table;
      const found = table.find(high, low);
      const entry = found < 0 ? table.add(high, low) : found;
      table.use(entry);
      const isOver = (table.a[entry] ?? 0) <= this.#now();
      table.b[entry] = (isOver ? 0 : (table.b[entry] ?? 0)) + granted;
      table.c[entry] = remaining;
      // Counted from the question, so that no call of the next window takes what is of this one.
      table.a[entry] = askedMs + (this.#rule[0] === "bucket" ? Math.max(leastLeaseMs, resetMs) : resetMs);
    }
    return { allowed, remaining, resetMs, retryMs };
  }

  /** Forgets what is here of a key. */
  forget(high: number, low: number): void {
    const entry = this.#table.find(high, low);
    if (entry >= 0) this.#table.a[entry] = 0;
  }
}
