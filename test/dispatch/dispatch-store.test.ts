import { suite, test } from "node:test";
import { memoryDispatchStore } from "../../src/dispatch/memory-dispatch-store.ts";
import { SqlDispatchStore } from "../../src/dispatch/sql-dispatch-store.ts";
import { sqliteStore } from "../../src/outbox/sqlite-store.ts";
import { dispatchStoreCases } from "../support/dispatch-store-cases.ts";

suite("subscriptions and deliveries in memory:", () => {
  for (const [name, run] of dispatchStoreCases) test(name, () => run(memoryDispatchStore()));
});

suite("subscriptions and deliveries in SQLite:", () => {
  for (const [name, run] of dispatchStoreCases) {
    test(name, async () => {
      const database = sqliteStore(":memory:");
      const store = new SqlDispatchStore(database.sql);
      await store.migrate();
      await run(store);
      await database.close();
    });
  }
});
