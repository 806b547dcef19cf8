import type { OutboxRow } from "./outbox-row.ts";
import type { Tables } from "./schema-sql.ts";
import { isLocked, openDatabase, type SqliteConnection, type SqliteValue } from "./sqlite-connection.ts";
import type { Exclusions, Leadership, ReadOptions } from "./store.ts";

const never = new AbortController().signal;
/** Locks of databases in the memory of this process, by their connections. */
const inMemory = new WeakSet<SqliteConnection>();

/** The lock of the relays: a file beside the database, whose lock the system gives up when its process ends. */
export function leadSqlite(
  connection: SqliteConnection,
  tables: Tables,
  lock: string,
): Leadership | undefined {
  const { path } = connection;
  if (path === ":memory:" || path === "") {
    if (inMemory.has(connection)) return undefined;
    inMemory.add(connection);
    return new SqliteLeadership(connection, tables, () => inMemory.delete(connection));
  }
  const file = openDatabase(`${path}-${lock.replaceAll(/[^\w.-]/g, "_")}`);
  try {
    file.exec("begin exclusive");
  } catch (reason) {
    file.close();
    if (isLocked(reason)) return undefined;
    throw reason;
  }
  return new SqliteLeadership(connection, tables, () => file.close());
}

class SqliteLeadership implements Leadership {
  readonly #connection: SqliteConnection;
  readonly #tables: Tables;
  readonly #unlock: () => void;
  readonly #lost = new AbortController();

  constructor(connection: SqliteConnection, tables: Tables, unlock: () => void) {
    this.#connection = connection;
    this.#tables = tables;
    this.#unlock = unlock;
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  read({ limit, maxBytes, except }: ReadOptions): Promise<readonly OutboxRow[]> {
    const values: SqliteValue[] = [];
    const some = `select * from ${this.#tables.outbox} ${where(except, values)} order by seq limit ?`;
    const text = `select seq, id, topic, key, type, headers, body, unixepoch('subsec') * 1000 - created_at as age_ms
      from (select *, sum(coalesce(length(body), 0)) over (order by seq) - coalesce(length(body), 0) as before
            from (${some})) where before < ? order by seq`;
    return this.#connection.read(never, () =>
      this.#connection
        .prepare(text)
        .all(...values, limit, maxBytes)
        .map(rowFrom),
    );
  }

  async remove(seqs: readonly bigint[]): Promise<void> {
    const text = `delete from ${this.#tables.outbox} where seq in (select value from json_each(?))`;
    await this.#connection.write(never, () => this.#connection.prepare(text).run(`[${seqs.join(",")}]`));
  }

  async bury(seq: bigint, code: number, reason: string): Promise<void> {
    const { outbox, dead } = this.#tables;
    const columns = "seq, id, topic, key, type, headers, body, created_at";
    await this.#connection.write(never, () => {
      this.#connection
        .prepare(
          `insert into ${dead} (${columns}, code, reason) select ${columns}, ?, ? from ${outbox} where seq = ?`,
        )
        .run(code, reason, seq);
      this.#connection.prepare(`delete from ${outbox} where seq = ?`).run(seq);
    });
  }

  measure(): Promise<{ readonly pending: number; readonly oldestMs: number }> {
    const { outbox } = this.#tables;
    const text = `select count(*) as pending,
      unixepoch('subsec') * 1000 - (select created_at from ${outbox} order by seq limit 1) as oldest_ms from ${outbox}`;
    return this.#connection.read(never, () => {
      const row = this.#connection.prepare(text).get();
      return { pending: Number(row?.["pending"]), oldestMs: Number(row?.["oldest_ms"] ?? 0) };
    });
  }

  async close(): Promise<void> {
    if (this.#lost.signal.aborted) return;
    this.#lost.abort();
    this.#unlock();
  }
}

/** The condition for rows that are not excluded. @param values gets the values that it needs */
function where({ topics, seqs, keys }: Exclusions, values: SqliteValue[]): string {
  const tests: string[] = [];
  const list = (json: string): string => {
    values.push(json);
    return "(select value from json_each(?))";
  };
  if (topics.length > 0) tests.push(`topic not in ${list(JSON.stringify(topics))}`);
  if (seqs.length > 0) tests.push(`seq not in ${list(`[${seqs.join(",")}]`)}`);
  if (keys.length > 0) {
    const lanes = keys.map(({ topic, key }) => JSON.stringify([topic, key]));
    tests.push(`(key is null or json_array(topic, key) not in ${list(JSON.stringify(lanes))})`);
  }
  return tests.length === 0 ? "" : `where ${tests.join(" and ")}`;
}

function rowFrom(row: Record<string, unknown>): OutboxRow {
  const { seq, id, topic, key, type, headers, body, age_ms } = row;
  return {
    seq: BigInt(Number(seq)),
    id: String(id),
    topic: String(topic),
    key: typeof key === "string" ? key : null,
    type: String(type),
    headers: String(headers),
    body: body instanceof Uint8Array ? body : null,
    ageMs: Number(age_ms),
  };
}
