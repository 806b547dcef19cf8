import assert from "node:assert/strict";
import { test } from "node:test";
import {
  eventStreams,
  grpcCalls,
  restCalls,
  socketStreams,
  SteadyLoad,
  uploadCalls,
} from "../support/steady-load.ts";
import { eventually, sample, startWorkers } from "../support/worker-program.ts";

test(
  "E15: SIGHUP ten times under 200 calls a second of every protocol loses none of 20,000",
  { timeout: 280_000 },
  async () => {
    await using running = await startWorkers();
    using rest = restCalls(running.http, 16);
    using grpc = grpcCalls(running.grpc);
    using uploads = uploadCalls(running.http);
    using events = eventStreams(running.http);
    using load = new SteadyLoad([rest, grpc, uploads, events, socketStreams(running.http)], 40, 50);
    for (let round = 1; round <= 10; round++) {
      running.program.kill("SIGHUP");
      await eventually(
        `round ${round} is over`,
        async () =>
          sample(await running.metrics(), 'ts_ms_worker_restarts_total{cause="reload"}') === 2 * round
            ? true
            : undefined,
        120_000,
      );
    }
    await eventually("20,000 calls", () => (load.done >= 20_000 ? true : undefined), 200_000);
    const { lost } = await load.stop();
    assert.deepEqual(lost, []);
  },
);
