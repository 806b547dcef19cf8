import type { Clock } from "../core/time/clock.ts";
import type { Inbox, InboxKey, InboxOptions } from "../messaging/inbox.ts";
import type { Tables } from "./schema-sql.ts";
import type { SqliteConnection } from "./sqlite-connection.ts";
import { recordsAtOnce, Sweeper } from "./sweeper.ts";

const never = new AbortController().signal;

/** The inbox of SQLite. */
export class SqliteInbox implements Inbox {
  readonly #connection: SqliteConnection;
  readonly #tables: Tables;
  readonly #retentionMs: number;
  readonly #sweeper: Sweeper;

  constructor(connection: SqliteConnection, tables: Tables, retentionMs: number, clock: Clock) {
    this.#connection = connection;
    this.#tables = tables;
    this.#retentionMs = retentionMs;
    this.#sweeper = new Sweeper(clock, () => this.#deleteSome());
  }

  done(keys: readonly InboxKey[], { signal }: InboxOptions): Promise<readonly InboxKey[]> {
    const text = `select 1 from ${this.#tables.inbox} where group_name = ? and source = ? and id = ?`;
    return this.#connection.read(signal, () => {
      const statement = this.#connection.prepare(text);
      return keys.filter(({ group, source, id }) => statement.get(group, source, id) !== undefined);
    });
  }

  async record(keys: readonly InboxKey[], { signal }: InboxOptions): Promise<void> {
    await this.#connection.write(signal, () => this.recordNew(keys));
    this.sweep();
  }

  /** Records messages in the transaction at hand. @returns those that were recorded before */
  recordNew(keys: readonly InboxKey[]): readonly InboxKey[] {
    const text = `insert into ${this.#tables.inbox} (group_name, source, id) values (?, ?, ?) on conflict do nothing`;
    const statement = this.#connection.prepare(text);
    return keys.filter(({ group, source, id }) => Number(statement.run(group, source, id).changes) === 0);
  }

  noteRun({ group, source, id }: InboxKey, { signal }: InboxOptions): Promise<number> {
    const text = `insert into ${this.#tables.runs} as r (group_name, source, id, runs) values (?, ?, ?, 1)
      on conflict do update set runs = r.runs + 1 returning runs`;
    return this.#connection.write(signal, () =>
      Number(this.#connection.prepare(text).get(group, source, id)?.["runs"]),
    );
  }

  async forgetRuns({ group, source, id }: InboxKey, { signal }: InboxOptions): Promise<void> {
    const text = `delete from ${this.#tables.runs} where group_name = ? and source = ? and id = ?`;
    await this.#connection.write(signal, () => this.#connection.prepare(text).run(group, source, id));
  }

  /** A record was made: old ones go now and then. */
  sweep(): void {
    this.#sweeper.used();
  }

  #deleteSome(): Promise<number> {
    const key = "group_name, source, id";
    const old = (table: string, column: string): string => `delete from ${table} where (${key}) in (
      select ${key} from ${table} where ${column} < unixepoch('subsec') * 1000 - ? limit ${recordsAtOnce})`;
    const { inbox, runs } = this.#tables;
    return this.#connection.write(never, () => {
      this.#connection.prepare(old(runs, "noted_at")).run(this.#retentionMs);
      return Number(this.#connection.prepare(old(inbox, "done_at")).run(this.#retentionMs).changes);
    });
  }
}
