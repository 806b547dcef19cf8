/** The part of a PostgreSQL client that is used; `pg` of the engine has it. */
export interface Sql {
  query(text: string, values?: unknown[]): Promise<SqlResult>;
}

/** What a statement gives. */
export interface SqlResult {
  readonly rows: readonly Record<string, unknown>[];
  readonly rowCount: number | null;
}

/** A client of a pool. */
export interface SqlPoolClient extends Sql {
  release(destroy?: boolean): void;
}

/** A pool of clients. */
export interface SqlPool extends Sql {
  connect(): Promise<SqlPoolClient>;
}

/** Runs statements in one transaction. @throws what `run` throws, with a rollback */
export async function inTransaction<T>(pool: SqlPool, run: (sql: Sql) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  try {
    await client.query("begin");
    const result = await run(client);
    await client.query("commit");
    client.release();
    return result;
  } catch (reason) {
    const isBroken = await client.query("rollback").then(
      () => false,
      () => true,
    );
    client.release(isBroken);
    throw reason;
  }
}
