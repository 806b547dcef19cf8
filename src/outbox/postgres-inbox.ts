import type { Clock } from "../core/time/clock.ts";
import type { Inbox, InboxKey, InboxOptions } from "../messaging/inbox.ts";
import { type SqlClient, type SqlPool, toOwnError } from "./postgres-client.ts";
import { withClient } from "./postgres-connections.ts";
import type { Tables } from "./schema-sql.ts";
import { recordsAtOnce, Sweeper } from "./sweeper.ts";

/** How long a deletion of old records may take, in milliseconds. */
const sweepMs = 30_000;

/** The inbox of PostgreSQL. */
export class PostgresInbox implements Inbox {
  readonly #pool: SqlPool;
  readonly #tables: Tables;
  readonly #retentionMs: number;
  readonly #sweeper: Sweeper;

  constructor(pool: SqlPool, tables: Tables, retentionMs: number, clock: Clock) {
    this.#pool = pool;
    this.#tables = tables;
    this.#retentionMs = retentionMs;
    this.#sweeper = new Sweeper(clock, () => this.#deleteSome());
  }

  done(keys: readonly InboxKey[], { signal }: InboxOptions): Promise<readonly InboxKey[]> {
    const text = `select k.at from unnest($1::text[], $2::text[], $3::text[]) with ordinality k(g, s, i, at)
      join ${this.#tables.inbox} on group_name = k.g and source = k.s and id = k.i`;
    return withClient(this.#pool, signal, async (client) => {
      const { rows } = await client.query(text, columnsOf(keys));
      const found = new Set(rows.map(({ at }) => Number(at) - 1));
      return keys.filter((_, at) => found.has(at));
    });
  }

  async record(keys: readonly InboxKey[], { signal }: InboxOptions): Promise<void> {
    await withClient(this.#pool, signal, (client) => this.recordNew(client, keys));
    this.sweep();
  }

  /**
   * Records messages in the transaction of a client. It waits for transactions that record the same.
   *
   * @returns those that were recorded before
   */
  async recordNew(client: SqlClient, keys: readonly InboxKey[]): Promise<readonly InboxKey[]> {
    // In the order of the keys of the table, so that two batches do not wait for one another.
    const text = `insert into ${this.#tables.inbox} (group_name, source, id)
      select distinct g, s, i from unnest($1::text[], $2::text[], $3::text[]) k(g, s, i) order by g, s, i
      on conflict do nothing returning group_name, source, id`;
    try {
      const { rows } = await client.query(text, columnsOf(keys));
      const fresh = new Set(
        rows.map(({ group_name, source, id }) => JSON.stringify([group_name, source, id])),
      );
      return keys.filter(({ group, source, id }) => !fresh.has(JSON.stringify([group, source, id])));
    } catch (reason) {
      throw toOwnError(reason);
    }
  }

  noteRun({ group, source, id }: InboxKey, { signal }: InboxOptions): Promise<number> {
    const text = `insert into ${this.#tables.runs} as r (group_name, source, id, runs) values ($1, $2, $3, 1)
      on conflict (group_name, source, id) do update set runs = r.runs + 1, noted_at = clock_timestamp()
      returning runs`;
    return withClient(this.#pool, signal, async (client) => {
      const { rows } = await client.query(text, [group, source, id]);
      return Number(rows[0]?.["runs"]);
    });
  }

  async forgetRuns({ group, source, id }: InboxKey, { signal }: InboxOptions): Promise<void> {
    const text = `delete from ${this.#tables.runs} where group_name = $1 and source = $2 and id = $3`;
    await withClient(this.#pool, signal, (client) => client.query(text, [group, source, id]));
  }

  /** A record was made: old ones go now and then. */
  sweep(): void {
    this.#sweeper.used();
  }

  #deleteSome(): Promise<number> {
    const { inbox, runs } = this.#tables;
    const old = (table: string, column: string): string => `delete from ${table} where ctid = any(array(
      select ctid from ${table} where ${column} < clock_timestamp() - $1 * interval '1 ms'
      limit ${recordsAtOnce} for update skip locked))`;
    return withClient(this.#pool, AbortSignal.timeout(sweepMs), async (client) => {
      await client.query(old(runs, "noted_at"), [this.#retentionMs]);
      const { rowCount } = await client.query(old(inbox, "done_at"), [this.#retentionMs]);
      return rowCount ?? 0;
    });
  }
}

function columnsOf(keys: readonly InboxKey[]): string[][] {
  return [keys.map(({ group }) => group), keys.map(({ source }) => source), keys.map(({ id }) => id)];
}
