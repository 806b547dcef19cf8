import type { RecordedFailure, TakenSignal } from "./journal.ts";
import type { SagaFilter, SagaState, SagaStatus } from "./saga-status.ts";
import type { SqlPool } from "./sql.ts";

/** A saga that is to begin. */
export interface NewSaga {
  readonly id: string;
  readonly name: string;
  readonly version: number;
  /** Protobuf binary. */
  readonly input: Uint8Array;
  readonly begunMs: number;
  readonly deadlineMs: number | undefined;
  readonly traceparent: string;
}

/** A saga as an execution takes it up. */
export interface TakenSaga extends NewSaga {
  /** How many executions there have been; the number of this one. Those before it can write no more. */
  readonly runs: number;
  readonly pivot: string | undefined;
  readonly cancelWhy: string | undefined;
}

/** What stops a saga. */
export interface Stuck {
  readonly step: string;
  readonly code: number;
  readonly message: string;
}

/** The table of sagas: what can be asked about them from outside. Its truth is the engine's record. */
export class SagaRows {
  readonly #pool: SqlPool;
  readonly #table: string;
  readonly #signals: string;
  readonly #epochMs: () => number;

  constructor(pool: SqlPool, schema: string, epochMs: () => number) {
    this.#pool = pool;
    this.#table = `${schema}.saga`;
    this.#signals = `${schema}.saga_signal`;
    this.#epochMs = epochMs;
  }

  /** @returns whether it is new: undefined then, else what is known under its id */
  async add(saga: NewSaga): Promise<(NewSaga & { readonly runs: number }) | undefined> {
    const { id, name, version, input, begunMs, deadlineMs, traceparent } = saga;
    const { rowCount } = await this.#pool.query(
      `insert into ${this.#table} (id, name, version, input, state, begun_ms, deadline_ms, changed_ms, trace)
       values ($1, $2, $3, $4, 'RUNNING', $5, $6, $5, $7) on conflict (id) do nothing`,
      [id, name, version, Buffer.from(input), begunMs, deadlineMs ?? null, traceparent],
    );
    if (rowCount === 1) return undefined;
    const { rows } = await this.#pool.query(`select * from ${this.#table} where id = $1`, [id]);
    return toTaken(rows[0] ?? {});
  }

  /** An execution begins: from now on none before it can write. Undefined for a saga that has ended. */
  async take(id: string, executor: string): Promise<TakenSaga | undefined> {
    const { rows } = await this.#pool.query(
      `update ${this.#table} set runs = runs + 1, executor = $2, wake = false, stuck = null,
         state = case when failure is null then 'RUNNING' else 'UNDOING' end
       where id = $1 and state not in ('DONE', 'UNDONE') returning *`,
      [id, executor],
    );
    return rows[0] && toTaken(rows[0]);
  }

  /** Notes the pivot. @returns `cancelled` if the saga was before, `fenced` if the execution is no more the last */
  async pass(id: string, runs: number, pivot: string): Promise<"passed" | "cancelled" | "fenced"> {
    const { rows } = await this.#pool.query(
      `update ${this.#table} set pivot = case when cancel_why is null then $3 else pivot end
       where id = $1 and runs = $2 returning pivot`,
      [id, runs, pivot],
    );
    if (rows[0] === undefined) return "fenced";
    return rows[0]["pivot"] === null ? "cancelled" : "passed";
  }

  /** @returns false if the execution is no more the last */
  undoing(id: string, runs: number, failure: RecordedFailure): Promise<boolean> {
    return this.#change(id, runs, "state = 'UNDOING', failure = $4", [JSON.stringify(failure)]);
  }

  /** @returns as `undoing` */
  stuck(id: string, runs: number, stuck: Stuck): Promise<boolean> {
    return this.#change(id, runs, "state = 'STUCK', stuck = $4", [JSON.stringify(stuck)]);
  }

  /** @returns as `undoing` */
  done(id: string, runs: number, output: Uint8Array): Promise<boolean> {
    return this.#change(id, runs, "state = 'DONE', output = $4, executor = null", [Buffer.from(output)]);
  }

  /** @returns as `undoing` */
  undone(id: string, runs: number): Promise<boolean> {
    return this.#change(id, runs, "state = 'UNDONE', executor = null", []);
  }

  /** The sagas of an executor that were cancelled or signalled since the last call. */
  async woken(executor: string): Promise<readonly { id: string; cancelWhy: string | undefined }[]> {
    const { rows } = await this.#pool.query(
      `update ${this.#table} set wake = false where executor = $1 and wake returning id, cancel_why`,
      [executor],
    );
    return rows.map((row) => ({ id: String(row["id"]), cancelWhy: textOf(row["cancel_why"]) }));
  }

  /** Notes a cancellation. @returns its executor where there is one; undefined if the saga cannot be cancelled */
  async cancel(id: string, why: string): Promise<{ readonly executor: string | undefined } | undefined> {
    const { rows } = await this.#pool.query(
      `update ${this.#table} set cancel_why = coalesce(cancel_why, $2), wake = true
       where id = $1 and state in ('RUNNING', 'STUCK') and pivot is null returning executor`,
      [id, why],
    );
    return rows[0] && { executor: textOf(rows[0]["executor"]) };
  }

  /** Adds a signal. @returns as `cancel` */
  async signal(
    id: string,
    type: string,
    body: Uint8Array,
  ): Promise<{ readonly executor: string | undefined } | undefined> {
    const { rows } = await this.#pool.query(
      `with saga as (update ${this.#table} set wake = true where id = $1 and state in ('RUNNING', 'STUCK')
                     returning id, executor),
            added as (insert into ${this.#signals} (saga_id, type, body) select id, $2, $3 from saga)
       select executor from saga`,
      [id, type, Buffer.from(body)],
    );
    return rows[0] && { executor: textOf(rows[0]["executor"]) };
  }

  async firstSignal(id: string, type: string, taken: readonly string[]): Promise<TakenSignal | undefined> {
    const { rows } = await this.#pool.query(
      `select seq, body from ${this.#signals}
       where saga_id = $1 and type = $2 and seq <> all ($3::bigint[]) order by seq limit 1`,
      [id, type, taken],
    );
    return rows[0] && { seq: String(rows[0]["seq"]), bytes: bytesOf(rows[0]["body"]) };
  }

  /** Sagas whose begin was cut off before the engine knew them. */
  async neverBegun(beforeMs: number): Promise<readonly string[]> {
    const { rows } = await this.#pool.query(
      `select id from ${this.#table} where runs = 0 and begun_ms < $1 order by begun_ms limit 100`,
      [beforeMs],
    );
    return rows.map((row) => String(row["id"]));
  }

  /** Up to so many sagas that have ended before a time, those first that ended first. */
  async endedBefore(ms: number, limit: number): Promise<readonly string[]> {
    const { rows } = await this.#pool.query(
      `select id from ${this.#table} where state in ('DONE', 'UNDONE') and changed_ms < $1 order by changed_ms limit $2`,
      [ms, limit],
    );
    return rows.map((row) => String(row["id"]));
  }

  /** Forgets sagas that have ended, with their signals. */
  async forget(ids: readonly string[]): Promise<void> {
    await this.#pool.query(`delete from ${this.#table} where id = any ($1) and state in ('DONE', 'UNDONE')`, [
      ids,
    ]);
  }

  async status(id: string): Promise<(SagaStatus & { readonly output: Uint8Array | undefined }) | undefined> {
    const { rows } = await this.#pool.query(`select * from ${this.#table} where id = $1`, [id]);
    const [row] = rows;
    return row && { ...toStatus(row), output: row["output"] === null ? undefined : bytesOf(row["output"]) };
  }

  async list({ saga, state, limit, before }: SagaFilter): Promise<readonly SagaStatus[]> {
    const { rows } = await this.#pool.query(
      `select * from ${this.#table}
       where ($1::text is null or name = $1) and ($2::text is null or state = $2)
         and ($3::bigint is null or (begun_ms, id) < ($3, $4))
       order by begun_ms desc, id desc limit $5`,
      [saga ?? null, state ?? null, before?.begunAt.getTime() ?? null, before?.id ?? null, limit ?? 100],
    );
    return rows.map(toStatus);
  }

  /** How many sagas of each name are stuck. */
  async countStuck(): Promise<ReadonlyMap<string, number>> {
    const { rows } = await this.#pool.query(
      `select name, count(*) as count from ${this.#table} where state = 'STUCK' group by name`,
    );
    return new Map(rows.map((row) => [String(row["name"]), Number(row["count"])]));
  }

  async #change(id: string, runs: number, what: string, values: readonly unknown[]): Promise<boolean> {
    const { rowCount } = await this.#pool.query(
      `update ${this.#table} set changed_ms = $3, ${what} where id = $1 and runs = $2`,
      [id, runs, this.#epochMs(), ...values],
    );
    return rowCount === 1;
  }
}

function toTaken(row: Record<string, unknown>): TakenSaga {
  return {
    id: String(row["id"]),
    name: String(row["name"]),
    version: Number(row["version"]),
    input: bytesOf(row["input"]),
    begunMs: Number(row["begun_ms"]),
    deadlineMs: row["deadline_ms"] === null ? undefined : Number(row["deadline_ms"]),
    traceparent: String(row["trace"]),
    runs: Number(row["runs"]),
    pivot: textOf(row["pivot"]),
    cancelWhy: textOf(row["cancel_why"]),
  };
}

function toStatus(row: Record<string, unknown>): SagaStatus {
  const failure = row["failure"] as RecordedFailure | null; // Written by `undoing`.
  const stuck = row["stuck"] as Stuck | null; // Written by `stuck`.
  return {
    id: String(row["id"]),
    saga: String(row["name"]),
    version: Number(row["version"]),
    state: row["state"] as SagaState, // No other is written.
    begunAt: new Date(Number(row["begun_ms"])),
    changedAt: new Date(Number(row["changed_ms"])),
    deadline: row["deadline_ms"] === null ? undefined : new Date(Number(row["deadline_ms"])),
    pivot: textOf(row["pivot"]),
    cancelWhy: textOf(row["cancel_why"]),
    failure: failure === null ? undefined : { code: failure.code, message: failure.message },
    stuck: stuck ?? undefined,
  };
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function bytesOf(value: unknown): Uint8Array {
  return value instanceof Uint8Array ? Uint8Array.from(value) : new Uint8Array();
}
