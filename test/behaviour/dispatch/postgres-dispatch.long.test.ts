import { after, before, describe, test } from "node:test";
import type pg from "pg";
import { SqlDispatchStore } from "../../../src/dispatch/sql-dispatch-store.ts";
import { postgresStore } from "../../../src/outbox/postgres-store.ts";
import { dispatchStoreCases } from "../../support/dispatch-store-cases.ts";
import { PostgresServer, withoutPostgres } from "../../support/postgres-server.ts";

describe("subscriptions and deliveries in PostgreSQL", { skip: withoutPostgres }, () => {
  let server: PostgresServer;
  let pool: pg.Pool;

  before(async () => {
    server = await PostgresServer.start();
    pool = server.pool();
  });
  after(() => server?.stop());

  for (const [place, [name, run]] of dispatchStoreCases.entries()) {
    test(name, async () => {
      const store = new SqlDispatchStore(postgresStore(pool, { prefix: `case_${place}_` }).sql);
      await store.migrate();
      await run(store);
    });
  }
});
