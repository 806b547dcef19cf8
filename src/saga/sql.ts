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
  on(event: "error", listener: (error: Error) => void): unknown;
  off(event: "error", listener: (error: Error) => void): unknown;
}

/** A pool of clients. */
export interface SqlPool extends Sql {
  connect(): Promise<SqlPoolClient>;
}

/** Runs statements in one transaction. @throws what `run` throws, with a rollback */
export async function inTransaction<T>(pool: SqlPool, run: (sql: Sql) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  client.on("error", nothing); // While it is lent, the pool does not listen; the next statement fails.
  let isBroken = false;
  try {
    await client.query("begin");
    const result = await run(client);
    await client.query("commit");
    return result;
  } catch (reason) {
    await client.query("rollback").catch(() => (isBroken = true));
    throw reason;
  } finally {
    client.off("error", nothing);
    client.release(isBroken);
  }
}

function nothing(): void {}
