/** Many open sagas of a process that was killed. */
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { PostgresServer, withoutPostgres } from "../../support/postgres-server.ts";
import { SagaProgram } from "../../support/saga-programs.ts";

const count = 10_000;
const leaseMs = 5_000;
const schema = "ts_ms_saga";
const first = "waiting-first";

type Pool = ReturnType<PostgresServer["pool"]>;

suite("many open sagas", { skip: withoutPostgres }, () => {
  let postgres: PostgresServer;
  let one: SagaProgram;
  let two: SagaProgram | undefined;

  before(async () => {
    postgres = await PostgresServer.start();
    one = await SagaProgram.start(postgres.url, 0, leaseMs);
    await one.tell(`begin waiting ${first}`);
    await copySaga(postgres.pool());
  });
  after(async () => {
    await Promise.all([one?.kill(), two?.kill()]);
    await postgres?.stop();
  });

  test("10,000 open ones of a killed process go on in another within 60 s, its lease included", async (t) => {
    const pool = postgres.pool();
    const resumed = async (): Promise<number> => {
      const { rows } = await pool.query<{ count: string }>(
        `select count(*) from ${schema}.saga where runs >= 2 and state = 'RUNNING'`,
      );
      return Number(rows[0]?.count);
    };
    two = await SagaProgram.start(postgres.url, 0, leaseMs);
    await one.kill();
    const killedMs = performance.now();
    const elapsedMs = (): number => performance.now() - killedMs;
    while ((await resumed()) < count && elapsedMs() < 100_000) await pause(100);
    t.diagnostic(`${await resumed()} of ${count} after ${Math.round(elapsedMs())} ms`);
    assert.ok(elapsedMs() <= 60_000, `${await resumed()} of ${count} went on`);
    // They are sagas as any other.
    await two.tell(`cancel waiting-${count - 1}`);
    await assert.rejects(two.tell(`result waiting-${count - 1}`), /told so/);
  });
});

/**
 * Copies the rows of a saga that waits, in our tables and in those of DBOS: 10,000 that are begun one by one take minutes,
 * and what is tried here is what follows.
 */
async function copySaga(pool: Pool): Promise<void> {
  while ((await rowsOf(pool, "operation_outputs")) === 0) await pause(20); // Its step is on record.
  for (const { table, key } of await tablesOf(pool)) {
    const { rows } = await pool.query<{ column_name: string; data_type: string }>(
      `select column_name, data_type from information_schema.columns
       where table_schema = $1 and table_name = $2 and is_identity = 'NO' and is_generated = 'NEVER'`,
      [schema, table],
    );
    const names = rows.map(({ column_name: name }) => `"${name}"`).join();
    // Inputs name the saga, too.
    const values = rows.map(({ column_name: name, data_type: type }) =>
      type === "text" ? `replace("${name}", '${first}', 'waiting-' || n)` : `"${name}"`,
    );
    await pool.query(
      `insert into ${schema}."${table}" (${names})
       select ${values.join()} from ${schema}."${table}", generate_series(1, ${count - 1}) n where "${key}" = $1`,
      [first],
    );
  }
}

async function rowsOf(pool: Pool, table: string): Promise<number> {
  const { rowCount } = await pool.query(`select from ${schema}."${table}" where workflow_uuid = $1`, [first]);
  return rowCount ?? 0;
}

/** The tables with rows of a saga, those first that others refer to. */
async function tablesOf(pool: Pool): Promise<readonly { readonly table: string; readonly key: string }[]> {
  const { rows } = await pool.query<{ table_name: string }>(
    `select table_name from information_schema.columns join information_schema.tables using (table_schema, table_name)
     where table_schema = $1 and column_name = 'workflow_uuid' and table_type = 'BASE TABLE'
     order by table_name <> 'workflow_status'`,
    [schema],
  );
  return [
    { table: "saga", key: "id" },
    ...rows.map((row) => ({ table: row.table_name, key: "workflow_uuid" })),
  ];
}
