import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type pg from "pg";
import { OutboxRelay, postgresStore, type PostgresStore } from "../../../src/entries/outbox.ts";
import { eventMessage, publishIn } from "../../support/outbox-messages.ts";
import { PostgresServer, withoutPostgres } from "../../support/postgres-server.ts";
import { ScriptedBroker } from "../../support/scripted-broker.ts";

/** The figures of the specification, by a broker that confirms at once; aims are shown. */
describe(
  "figures of a relay of PostgreSQL, whose commits wait for the disk",
  { skip: withoutPostgres },
  () => {
    let server: PostgresServer;
    let pool: pg.Pool;
    let store: PostgresStore;

    before(async () => {
      server = await PostgresServer.start([]);
      pool = server.pool();
      store = postgresStore(pool);
      await store.migrate();
    });
    after(() => server?.stop());

    test("3,000 rows a second at least", async (t) => {
      const rows = 20_000;
      await pool.query(
        `insert into ts_ms_outbox (id, topic, key, type, headers, body)
       select n, 'orders', n % 1000, 'shop.v1.OrderPlaced', '{"ce_source":"/shop","content-type":"application/protobuf"}', $1
       from generate_series(1, ${rows}) n`,
        [Buffer.alloc(200)],
      );
      const broker = new ScriptedBroker();
      broker.answer = () => "confirm";
      const relay = new OutboxRelay({ store, broker });
      const beganMs = performance.now();
      await relay.start();
      await broker.confirms(rows);
      const perSecond = rows / ((performance.now() - beganMs) / 1_000);
      await relay.gracefulStop();
      t.diagnostic(`${Math.round(perSecond)} rows a second; aim 8000`);
      assert.ok(perSecond >= 3_000, `${perSecond} rows a second`);
      assert.deepEqual(broker.ids.slice(0, 3), ["1", "2", "3"]);
    });

    test("from commit to broker 50 ms at most in 99 of 100, in one process", async (t) => {
      const broker = new ScriptedBroker();
      const committedMs = new Map<string, number>();
      const tookMs: number[] = [];
      broker.answer = ({ event }) => {
        tookMs.push(performance.now() - (committedMs.get(event?.id ?? "") ?? performance.now()));
        return "confirm";
      };
      const relay = new OutboxRelay({ store, broker });
      await relay.start();
      const transactions = 500;
      for (let at = 0; at < transactions; at++) {
        await store.transact(undefined, async (tx) => publishIn(tx, eventMessage(String(at))));
        committedMs.set(String(at), performance.now());
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      await broker.confirms(transactions);
      await relay.gracefulStop();
      const [p50 = 0, p99 = 0] = [0.5, 0.99].map(
        (share) => tookMs.toSorted((a, b) => a - b)[share * transactions],
      );
      t.diagnostic(`p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`);
      assert.ok(p99 <= 50, `p99 ${p99} ms`);
    });
  },
);
