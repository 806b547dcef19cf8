import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { PostgresServer, withoutPostgres } from "../../support/postgres-server.ts";
import { SagaProgram } from "../../support/saga-programs.ts";

const count = 10_000;
const leaseMs = 5_000;

suite("many open sagas", { skip: withoutPostgres }, () => {
  let postgres: PostgresServer;
  let one: SagaProgram;
  let two: SagaProgram | undefined;

  before(async () => {
    postgres = await PostgresServer.start();
    one = await SagaProgram.start(postgres.url, 0, leaseMs);
    await one.tell(`many ${count}`);
  });
  after(async () => {
    await Promise.all([one?.kill(), two?.kill()]);
    await postgres?.stop();
  });

  test("10,000 open ones of a killed process go on in another within 60 s, its lease included", async (t) => {
    const pool = postgres.pool();
    const resumed = async (): Promise<number> => {
      const { rows } = await pool.query<{ count: string }>(
        "select count(*) from ts_ms_saga.saga where runs >= 2 and state = 'RUNNING'",
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
    await two.tell(`cancel waiting-${count - 1}`);
    await assert.rejects(two.tell(`result waiting-${count - 1}`), /told so/);
  });
});
