import type { Clock } from "../core/time/clock.ts";
import { WakeablePause } from "../core/time/wakeable-pause.ts";
import { inTransaction, type Sql, type SqlPool } from "./sql.ts";

/** How often a lease is renewed at least, in milliseconds. */
const renewMs = 5_000;
/** Pause after a renewal that has failed, in milliseconds. */
const retryMs = 500;
/** How often ended leases are looked for, in milliseconds: two looks and a second of the engine are less than 5 s. */
const lookMs = 1_900;

/** After which time of silence the database takes the lock from a process, in milliseconds. */
const frozenMs = 4_000;
/** How often the lock is kept from silence, in milliseconds. */
const beatMs = 1_000;

/** What leases are made with. */
export interface LeaseParts {
  readonly pool: SqlPool;
  readonly schema: string;
  /** Whose lease it is. */
  readonly executor: string;
  readonly leaseMs: number;
  readonly clock: Clock;
  /** The lease was taken by another process: what this one ran goes on elsewhere. */
  readonly onLost: () => void;
  /** Takes over all that an executor has left. @param still rejects if the lock is lost */
  readonly adopt: (executor: string, still: () => Promise<unknown>) => Promise<void>;
  /** Is called while this process is the one that adopts. */
  readonly sweep: () => Promise<void>;
}

/**
 * The lease of this process, which says that it lives, and those of others.
 *
 * A lease that has ended is taken when it was seen so twice: after an outage of the database all have ended, and their
 * holders renew them before. One that was given up is taken at once.
 *
 * ```
 *   held ── not renewed for leaseMs ──▶ ended ── renewed ──▶ held
 *                                         │ seen twice by the process with the advisory lock
 *                                         ▼
 *                                       taken ── its holder sees that it is gone ──▶ a new one
 * ```
 */
export class Leases {
  readonly #parts: LeaseParts;
  readonly #table: string;
  readonly #ended = new AbortController();
  readonly #renewal: WakeablePause;
  readonly #look: WakeablePause;
  /** Until when this process surely holds its lease, in milliseconds of the clock. */
  #heldUntilMs = -Infinity;
  readonly #waiting = new Set<() => void>();
  /** Leases that had ended when they were looked at last, and their ends. */
  #seen: ReadonlyMap<string, string> = new Map();
  #loops: Promise<unknown> = Promise.resolve();

  constructor(parts: LeaseParts) {
    this.#parts = parts;
    this.#table = `${parts.schema}.saga_lease`;
    this.#renewal = new WakeablePause(parts.clock);
    this.#look = new WakeablePause(parts.clock);
  }

  /** Takes the lease, and begins to renew it and to look for others. */
  async start(): Promise<void> {
    await this.#take();
    this.#loops = Promise.all([this.#renewing(), this.#looking()]);
  }

  get isHeld(): boolean {
    return this.#parts.clock.nowMs() < this.#heldUntilMs;
  }

  /** Resolves when it is held. */
  async held(): Promise<void> {
    while (!this.isHeld) await new Promise<void>((resolve) => void this.#waiting.add(resolve));
  }

  /** Gives the lease up: another process may take what is left at once. */
  async giveUp(): Promise<void> {
    this.#ended.abort();
    await this.#loops;
    this.#heldUntilMs = -Infinity;
    await this.#parts.pool.query(`update ${this.#table} set given_up = true where instance = $1`, [
      this.#parts.executor,
    ]);
  }

  async #renewing(): Promise<void> {
    const { signal } = this.#ended;
    const pauseMs = Math.min(renewMs, this.#parts.leaseMs / 3);
    let nextMs = pauseMs;
    while (!signal.aborted) {
      await this.#renewal.wait(nextMs, signal);
      if (signal.aborted) return;
      try {
        if (!(await this.#renew())) {
          this.#heldUntilMs = -Infinity;
          this.#parts.onLost();
          await this.#take();
        }
        nextMs = pauseMs;
      } catch {
        nextMs = retryMs; // The database is away; what runs goes on until the lease has ended.
      }
    }
  }

  /** @returns false if it was taken */
  async #renew(): Promise<boolean> {
    const { pool, executor, leaseMs, clock } = this.#parts;
    const sentMs = clock.nowMs();
    const { rowCount } = await pool.query(
      `update ${this.#table} set until = now() + $2 * interval '1 ms' where instance = $1`,
      [executor, leaseMs],
    );
    if (rowCount !== 1) return false;
    this.#isHeldUntil(sentMs + leaseMs);
    return true;
  }

  async #take(): Promise<void> {
    const { pool, executor, leaseMs, clock } = this.#parts;
    const sentMs = clock.nowMs();
    await pool.query(
      `insert into ${this.#table} (instance, until) values ($1, now() + $2 * interval '1 ms')
       on conflict (instance) do update set until = excluded.until, given_up = false`,
      [executor, leaseMs],
    );
    this.#isHeldUntil(sentMs + leaseMs);
  }

  #isHeldUntil(ms: number): void {
    this.#heldUntilMs = ms;
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }

  async #looking(): Promise<void> {
    const { signal } = this.#ended;
    while (!signal.aborted) {
      try {
        if (this.isHeld) await this.#lookOnce();
      } catch {
        this.#seen = new Map(); // The database is away: what it says when it is back is seen for the first time.
      }
      await this.#look.wait(lookMs, signal);
    }
  }

  async #lookOnce(): Promise<void> {
    const { pool, schema, sweep } = this.#parts;
    await inTransaction(pool, async (sql) => {
      // A process that is stopped here would keep all others from adopting.
      await sql.query(`set local idle_in_transaction_session_timeout = ${frozenMs}`);
      const lock = await sql.query("select pg_try_advisory_xact_lock(hashtext($1)) as mine", [
        `${schema}.saga adoption`,
      ]);
      if (lock.rows[0]?.["mine"] !== true) return;
      await this.#adopt(sql);
      await sweep();
    });
  }

  async #adopt(sql: Sql): Promise<void> {
    const { executor, adopt, clock } = this.#parts;
    const { rows } = await sql.query(
      `select instance, until::text as until, given_up from ${this.#table}
       where (given_up or until < now()) and instance <> $1 for update skip locked`,
      [executor],
    );
    const seen = new Map<string, string>();
    for (const row of rows) {
      const instance = String(row["instance"]);
      const until = String(row["until"]);
      if (row["given_up"] !== true && this.#seen.get(instance) !== until) {
        seen.set(instance, until);
        continue;
      }
      await whileKept(sql, clock, (still) => adopt(instance, still));
      await sql.query(`delete from ${this.#table} where instance = $1`, [instance]);
    }
    this.#seen = seen;
  }
}

/**
 * Does something during a transaction, which is not silent meanwhile: statements of other connections may have to wait
 * for longer than the database allows. A process that is stopped sends nothing, and loses the lock all the same.
 *
 * @param work gets what rejects once the transaction is lost
 */
async function whileKept(
  sql: Sql,
  clock: Clock,
  work: (still: () => Promise<unknown>) => Promise<void>,
): Promise<void> {
  let beats: Promise<unknown> = Promise.resolve();
  let cancel = (): void => {};
  const still = (): Promise<unknown> => (beats = beats.then(() => sql.query("select 1")));
  const beat = (): void => {
    still().catch(() => {}); // The next `still` of the work rejects.
    cancel = clock.after(beatMs, beat);
  };
  beat();
  try {
    await work(still);
  } finally {
    cancel();
    await beats.catch(() => {}); // A connection takes one statement at a time.
  }
}
