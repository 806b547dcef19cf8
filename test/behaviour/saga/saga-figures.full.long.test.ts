import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { EchoRequestSchema, EchoResponseSchema } from "../../../gen/tsms/test/v1/echo_pb.ts";
import { saga, Sagas } from "../../../src/entries/saga.ts";
import { PostgresServer, withoutPostgres } from "../../support/postgres-server.ts";
import { threadMs } from "../../support/thread-time.ts";

const steps = ["a", "b", "c", "d", "e"];

suite("what a saga costs", { skip: withoutPostgres }, () => {
  let postgres: PostgresServer;
  let sagas: Sagas;
  const five = saga(
    { name: "five", version: 1, input: EchoRequestSchema, output: EchoResponseSchema },
    async (s, { text }) => {
      for (const step of steps)
        await s.step(step, async () => create(EchoResponseSchema, { text }), { undo: async () => {} });
      return { text };
    },
  );

  before(async () => {
    postgres = await PostgresServer.start();
    sagas = new Sagas({ databaseUrl: postgres.url, sagas: [five] });
    await sagas.start();
  });
  after(async () => {
    await sagas?.gracefulStop();
    await postgres?.stop();
  });

  test("5: one of five steps takes at most 10 ms of its process", async (t) => {
    const runMany = async (count: number): Promise<void> => {
      const lane = async (): Promise<void> => {
        for (let each = 0; each < count / 20; each++)
          await (await sagas.begin(five, { text: "x" })).result({ timeoutMs: 30_000 });
      };
      await Promise.all(Array.from({ length: 20 }, lane));
    };
    await runMany(100);
    let best = Infinity;
    for (let round = 0; round < 5; round++) {
      const beganMs = threadMs();
      await runMany(40);
      best = Math.min(best, (threadMs() - beganMs) / 40);
    }
    t.diagnostic(`${best.toFixed(1)} ms`);
    assert.ok(best <= 10, `${best} ms`);
  });
});
