import type { SqlPool } from "./postgres-client.ts";
import { withClient } from "./postgres-connections.ts";
import type { SqlValue } from "./store-sql.ts";

const never = new AbortController().signal;

/** Runs a statement in a transaction of its own. @throws as `withClient` */
export function queryPostgres(
  pool: SqlPool,
  text: string,
  values: readonly SqlValue[],
): Promise<readonly Readonly<Record<string, unknown>>[]> {
  // `pg` takes no other bytes than those of a Buffer.
  const given = values.map((value) =>
    value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : value,
  );
  return withClient(pool, never, async (client) => (await client.query(text, given)).rows);
}

/** Makes tables that are missing, under a lock: any number of processes may do so at any time. */
export async function makeTables(
  pool: SqlPool,
  lock: string,
  tables: readonly string[],
  statements: string,
): Promise<void> {
  await withClient(pool, never, async (client) => {
    await client.query("begin");
    await client.query("select pg_advisory_xact_lock($1)", [lock]);
    // Who may not make tables may find them made.
    const { rows } = await client.query(
      "select to_regclass(t) is null as missing from unnest($1::text[]) t",
      [tables],
    );
    if (rows.some(({ missing }) => missing === true)) await client.query(statements);
    await client.query("commit");
  });
}
