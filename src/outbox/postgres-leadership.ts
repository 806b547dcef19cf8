import type { OutboxRow } from "./outbox-row.ts";
import type { SqlPool } from "./postgres-client.ts";
import { toOwnError } from "./postgres-client.ts";
import { bounded, type Lent, takeClient } from "./postgres-connections.ts";
import type { Tables } from "./schema-sql.ts";
import type { Exclusions, Leadership, LeadOptions, ReadOptions } from "./store.ts";
import { untilAborted } from "./until-aborted.ts";

/** How long a lock that is given up may take, in milliseconds. */
const unlockMs = 1_000;

/**
 * Takes the advisory lock of the relays, on a connection of its own: PostgreSQL gives it up when that ends.
 *
 * @param key of the lock, a number of 64 bits
 */
export async function leadPostgres(
  pool: SqlPool,
  tables: Tables,
  key: string,
  { signal, notified }: LeadOptions,
): Promise<Leadership | undefined> {
  const lost = new AbortController();
  const lent = await takeClient(pool, signal, () => lost.abort());
  const leadership = new PostgresLeadership(lent, tables, key, lost);
  try {
    if (!(await untilAborted(leadership.hasLock(), signal))) {
      lent.giveBack();
      return undefined;
    }
    await untilAborted(leadership.prepare(notified), signal);
  } catch (reason) {
    lent.giveBack(true); // A lock that was taken ends with it.
    throw toOwnError(reason);
  }
  return leadership;
}

class PostgresLeadership implements Leadership {
  readonly #lent: Lent;
  readonly #tables: Tables;
  readonly #key: string;
  readonly #lost: AbortController;
  #notified: (() => void) | undefined;

  constructor(lent: Lent, tables: Tables, key: string, lost: AbortController) {
    this.#lent = lent;
    this.#tables = tables;
    this.#key = key;
    this.#lost = lost;
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Takes the lock, once more where it is held already. */
  async hasLock(): Promise<boolean> {
    const { rows } = await this.#query("select pg_try_advisory_lock($1) as held", [this.#key]);
    return rows[0]?.["held"] === true;
  }

  /** Listens for rows, where that is asked for; without, no commit is to pay for it. */
  async prepare(notified: (() => void) | undefined): Promise<void> {
    const { client } = this.#lent;
    const { outbox } = this.#tables;
    const channel = `"${outbox.replaceAll('"', "")}"`;
    const trigger = "ts_ms_outbox_notify";
    const { rows } = await this.#query(
      "select count(*)::int as triggers from pg_trigger where tgrelid = $1::regclass and tgname = $2",
      [outbox, trigger],
    );
    const isThere = rows[0]?.["triggers"] === 1;
    if (notified === undefined) {
      if (isThere) await this.#query(`drop trigger if exists ${trigger} on ${outbox}`);
      return;
    }
    if (!isThere) await this.#query(notifySql(outbox, trigger, channel));
    await this.#query(`listen ${channel}`);
    this.#notified = notified;
    client.on?.("notification", notified);
  }

  async read({ limit, maxBytes, except }: ReadOptions): Promise<readonly OutboxRow[]> {
    if (!(await this.hasLock())) {
      this.#lost.abort();
      throw new Error("the lock of the relay is another one's");
    }
    const values: unknown[] = [limit, maxBytes];
    const oldest = `select * from ${this.#tables.outbox} o ${where(except, values)} order by seq limit $1`;
    const text = `select seq::text, id, topic, key, type, headers::text, body,
        extract(epoch from clock_timestamp() - created_at)::float8 * 1000 as age_ms
      from (select *, sum(coalesce(octet_length(body), 0)) over (order by seq) - coalesce(octet_length(body), 0) as preceding
            from (${oldest}) oldest) counted
      where preceding < $2 order by counted.seq`;
    const { rows } = await this.#query(text, values);
    return rows.map(rowFrom);
  }

  async remove(seqs: readonly bigint[]): Promise<void> {
    await this.#query(`delete from ${this.#tables.outbox} where seq = any($1::bigint[])`, [seqs.map(String)]);
  }

  async bury(seq: bigint, code: number, reason: string): Promise<void> {
    const { outbox, dead } = this.#tables;
    const columns = "seq, id, topic, key, type, headers, body, created_at";
    const text = `with gone as (delete from ${outbox} where seq = $1 returning *)
      insert into ${dead} (${columns}, code, reason) select ${columns}, $2, $3 from gone on conflict do nothing`;
    await this.#query(text, [String(seq), code, reason]);
  }

  async measure(): Promise<{ readonly pending: number; readonly oldestMs: number }> {
    const { outbox } = this.#tables;
    const oldest = `select created_at from ${outbox} order by seq limit 1`;
    const { rows } = await this.#query(
      `select (select count(*) from ${outbox})::float8 as pending,
        extract(epoch from clock_timestamp() - (${oldest}))::float8 * 1000 as oldest_ms`,
    );
    return { pending: Number(rows[0]?.["pending"]), oldestMs: Number(rows[0]?.["oldest_ms"] ?? 0) };
  }

  async close(): Promise<void> {
    if (this.#notified !== undefined) this.#lent.client.off?.("notification", this.#notified);
    this.#lost.abort();
    // The next one is not to wait until the session has ended, with which the lock ends too.
    await bounded(this.#lent.client.query("select pg_advisory_unlock_all()"), unlockMs);
    this.#lent.giveBack(true);
  }

  async #query(text: string, values?: unknown[]) {
    try {
      return await this.#lent.client.query(text, values);
    } catch (reason) {
      throw toOwnError(reason);
    }
  }
}

/** The condition for rows that are not excluded. @param values gets the values that it needs */
function where({ topics, seqs, keys }: Exclusions, values: unknown[]): string {
  const tests: string[] = [];
  const place = (list: readonly unknown[]): string => `$${values.push(list)}`;
  if (topics.length > 0) tests.push(`topic <> all(${place(topics)}::text[])`);
  if (seqs.length > 0) tests.push(`seq <> all(${place(seqs.map(String))}::bigint[])`);
  if (keys.length > 0) {
    const lists = [keys.map(({ topic }) => topic), keys.map(({ key }) => key)].map(place);
    tests.push(
      `not exists (select from unnest(${lists[0]}::text[], ${lists[1]}::text[]) h(t, k) where h.t = topic and h.k = key)`,
    );
  }
  return tests.length === 0 ? "" : `where ${tests.join(" and ")}`;
}

/** Statements for a trigger that tells of each statement with rows, when it commits. */
function notifySql(outbox: string, trigger: string, channel: string): string {
  const fn = `${outbox.slice(0, -1)}_notify"`;
  return `create or replace function ${fn}() returns trigger language plpgsql as
    $$ begin perform pg_notify('${channel.slice(1, -1)}', ''); return null; end $$;
  create trigger ${trigger} after insert on ${outbox} for each statement execute function ${fn}();`;
}

function rowFrom(row: Record<string, unknown>): OutboxRow {
  const { seq, id, topic, key, type, headers, age_ms } = row as Record<string, string>; // All but these are texts.
  const { body } = row;
  return {
    seq: BigInt(seq ?? ""),
    id: id ?? "",
    topic: topic ?? "",
    key: key ?? null,
    type: type ?? "",
    headers: headers ?? "",
    body: body instanceof Uint8Array ? new Uint8Array(body.buffer, body.byteOffset, body.byteLength) : null,
    ageMs: Number(age_ms),
  };
}
