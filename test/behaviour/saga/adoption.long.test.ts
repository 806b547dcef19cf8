import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { PostgresServer, withoutPostgres } from "../../support/postgres-server.ts";
import { CountingService, SagaProgram } from "../../support/saga-programs.ts";

const leaseMs = 2_000;
/** A process's sagas go on elsewhere after its lease and 5 s; the engine looks for them every second. */
const adoptedMs = leaseMs + 5_000 + 2_000;

suite("sagas of several processes", { skip: withoutPostgres }, () => {
  let postgres: PostgresServer;
  let grpc: GrpcServer;
  let service: CountingService;
  let pool: ReturnType<PostgresServer["pool"]>;
  const programs: SagaProgram[] = [];

  const started = async (lease = leaseMs, code?: "old" | "new"): Promise<SagaProgram> => {
    const program = await SagaProgram.start(postgres.url, grpc.address?.port ?? 0, lease, code);
    programs.push(program);
    return program;
  };
  const state = async (id: string): Promise<string> => {
    const text = "select state from ts_ms_saga.saga where id = $1";
    const { rows } = await pool.query<{ state: string }>(text, [id]);
    return rows[0]?.state ?? "";
  };

  before(async () => {
    postgres = await PostgresServer.start();
    pool = postgres.pool();
    service = new CountingService();
    grpc = new GrpcServer({ port: 0 }).addService(service);
    await grpc.start();
  });
  after(async () => {
    await Promise.all(programs.map((program) => program.kill()));
    await grpc.gracefulStop({ graceMs: 0 });
    await postgres?.stop();
  });

  test("M27 kill -9 in each step and undo: another process goes on there, and nothing finished runs again", async () => {
    const [one, two] = [await started(), await started()];
    const steps = ["a", "b", "c"];
    const undos = ["b/undo", "a/undo"];
    const arrived = [
      ...steps.map((step) => service.hold(`good-${step}/${step}`)),
      ...undos.map((undo) => service.hold(`bad-${undo[0]}/${undo}`)),
    ];
    for (const step of steps) await one.tell(`begin good good-${step}`);
    for (const undo of undos) await one.tell(`begin bad bad-${undo[0]}`);
    await Promise.all(arrived);
    await one.kill();
    const killedMs = performance.now();
    for (const step of steps) service.release(`good-${step}/${step}`);
    for (const undo of undos) service.release(`bad-${undo[0]}/${undo}`);
    for (const step of steps) await two.tell(`result good-${step}`);
    const tookMs = performance.now() - killedMs;
    assert.ok(tookMs < adoptedMs + 3_000, `${tookMs} ms`);
    for (const undo of undos) await assert.rejects(two.tell(`result bad-${undo[0]}`), /refused/);
    for (const step of steps) {
      assert.deepEqual(service.ended(`good-${step}`), { a: 1, b: 1, c: 1 });
      assert.equal(service.of(`good-${step}/${step}`).calls, 2);
    }
    for (const undo of undos) {
      assert.deepEqual(service.ended(`bad-${undo[0]}`), { a: 1, b: 1, "b/undo": 1, "a/undo": 1 });
    }
    await two.kill();
  });

  test("a process that was frozen for longer than its lease loses its sagas, and goes on with others", async () => {
    const [one, two] = [await started(), await started()];
    const arrived = service.hold("frozen/b");
    await one.tell("begin good frozen");
    await arrived;
    one.freeze();
    service.release("frozen/b");
    await two.tell("result frozen");
    one.thaw();
    await one.tell("begin good thawed").catch(() => pause(3_000).then(() => one.tell("begin good thawed")));
    await one.tell("result thawed");
    assert.deepEqual(Object.keys(service.ended("frozen")).toSorted(), ["a", "b", "c"]);
    assert.equal(service.of("frozen/a").calls, 1);
    assert.equal(service.of("frozen/c").calls, 1);
    await Promise.all([one.kill(), two.kill()]);
  });

  test("M27 cancel of a saga that another process runs ends its call, and undoes it", async () => {
    const [one, two] = [await started(), await started()];
    const arrived = service.hold("cancelled/b");
    await one.tell("begin good cancelled");
    await arrived;
    const cancelledMs = performance.now();
    await two.tell("cancel cancelled");
    await assert.rejects(two.tell("result cancelled"), /the saga was cancelled: told so/);
    assert.ok(performance.now() - cancelledMs < 3_000);
    assert.equal(service.of("cancelled/b").aborted, 1);
    assert.deepEqual(service.ended("cancelled"), { a: 1, "a/undo": 1, "b/undo": 1 });
    await Promise.all([one.kill(), two.kill()]);
  });

  test("a stop lets running steps end, begins none, and others go on at once", async () => {
    const [one, two] = [await started(30_000), await started(30_000)];
    const arrived = service.hold("stopped/b");
    await one.tell("begin good stopped");
    await arrived;
    const stopping = one.tell("stop");
    await pause(300);
    service.release("stopped/b");
    const report = JSON.parse(await stopping) as { finished: number; cut: string[] };
    assert.deepEqual(report, { finished: 1, notified: [], cut: [] });
    const stoppedMs = performance.now();
    await two.tell("result stopped");
    assert.ok(performance.now() - stoppedMs < 6_000, "long before the lease would have ended");
    assert.deepEqual(service.ended("stopped"), { a: 1, b: 1, c: 1 });
    assert.equal(service.of("stopped/b").calls, 1);
    await Promise.all([one.kill(), two.kill()]);
  });

  test("M27 new code in between: a saga whose steps or version are other ones is stuck, and goes on with the old code", async () => {
    const one = await started();
    const arrived = [service.hold("old-good/b"), service.hold("old-bad/b")];
    await one.tell("begin good old-good");
    await one.tell("begin bad old-bad");
    await Promise.all(arrived);
    // Its outcome is on record, and then it waits in the next step.
    const next = service.hold("old-good/c");
    service.release("old-good/b");
    await next;
    await one.kill();
    service.release("old-good/c");
    service.release("old-bad/b");
    const two = await started(leaseMs, "new");
    while ((await state("old-good")) !== "STUCK" || (await state("old-bad")) !== "STUCK") await pause(200);
    const text = "select stuck from ts_ms_saga.saga where state = 'STUCK' order by id";
    const { rows } = await pool.query<{ stuck: { message: string } }>(text);
    assert.match(
      rows[0]?.stuck.message ?? "",
      /it is saga bad version 1, this process has saga good version 1, saga bad version 2/,
    );
    assert.match(
      rows[1]?.stuck.message ?? "",
      /the record has "step b" where the code has "step b2" \(good version 1\)/,
    );
    assert.equal(service.of("old-good/b2").calls, 0);
    await two.kill();
    const three = await started();
    await three.tell("retry old-good");
    await three.tell("retry old-bad");
    await three.tell("result old-good");
    await assert.rejects(three.tell("result old-bad"), /refused/);
    assert.deepEqual(service.ended("old-good"), { a: 1, b: 1, c: 1 });
    await three.kill();
  });

  test("M27 database away 30 s: calls that run are recorded when it is back, by their own process", async () => {
    const [one, two] = [await started(), await started()];
    const arrived = service.hold("away/b");
    await one.tell("begin good away");
    await arrived;
    await postgres.kill();
    service.release("away/b");
    await assert.rejects(
      two.tell("begin good none"),
      /the database of the sagas cannot be used|has no database/,
    );
    await pause(30_000);
    await postgres.restart();
    await one.tell("result away");
    assert.deepEqual(service.ended("away"), { a: 1, b: 1, c: 1 });
    for (const step of ["a", "b", "c"]) assert.equal(service.of(`away/${step}`).calls, 1);
    await Promise.all([one.kill(), two.kill()]);
  });
});
