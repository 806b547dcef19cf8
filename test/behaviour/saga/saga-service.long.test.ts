import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import {
  EchoRequestSchema,
  EchoResponseSchema,
  RepeatRequestSchema,
} from "../../../gen/tsms/test/v1/echo_pb.ts";
import { Saga_State, SagaService } from "../../../gen/ts_ms/saga/v1/saga_pb.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { saga, Sagas, sagaService } from "../../../src/entries/saga.ts";
import { Metrics } from "../../../src/entries/telemetry.ts";
import { createClient, dial, GrpcServer, HttpServer } from "../../../src/index.ts";
import { PostgresServer, withoutPostgres } from "../../support/postgres-server.ts";

const types = { input: EchoRequestSchema, output: EchoResponseSchema };
const waiting = saga({ name: "waiting", version: 2, ...types }, async (s) => {
  const { text } = await s.wait(RepeatRequestSchema);
  return { text };
});
let isBroken = true;
const stuck = saga({ name: "stuck", version: 1, ...types }, async (s) => {
  const undo = async (): Promise<void> => {
    if (isBroken) throw new ConnectError("gone", Code.NotFound);
  };
  await s.step("a", async () => {}, { undo });
  throw new ConnectError("declined", Code.FailedPrecondition);
});

suite("the service of sagas", { skip: withoutPostgres }, () => {
  let postgres: PostgresServer;
  let sagas: Sagas;
  let grpc: GrpcServer;
  let http: HttpServer;
  let isAllowed = true;
  const rest = async (
    path: string,
    body?: object,
  ): Promise<{ status: number; body: Record<string, unknown> }> => {
    const response = await fetch(`http://127.0.0.1:${http.address?.port}/saga/v1/sagas${path}`, {
      ...(body && {
        method: "POST",
        body: JSON.stringify(body),
        headers: { "content-type": "application/json" },
      }),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }; // All answers are objects.
  };

  before(async () => {
    postgres = await PostgresServer.start();
    sagas = new Sagas({ databaseUrl: postgres.url, sagas: [waiting, stuck] });
    await sagas.start();
    const allow = (): void => {
      if (!isAllowed) throw new ConnectError("not you", Code.PermissionDenied);
    };
    grpc = new GrpcServer({ port: 0 }).addService(
      sagaService(sagas, { allow, signals: [RepeatRequestSchema] }),
    );
    http = new HttpServer({ port: 0, upstream: grpc });
    http.addService(SagaService);
    await grpc.start();
    await http.start();
  });
  after(async () => {
    await http?.gracefulStop();
    await grpc?.gracefulStop();
    await sagas?.gracefulStop();
    await postgres?.stop();
  });

  test("over REST: list, get, signal, cancel, retry", async () => {
    await sagas.begin(waiting, {}, { id: "w1", timeoutMs: 60_000 });
    const second = await sagas.begin(waiting, {}, { id: "w2" });
    await sagas.begin(stuck, {}, { id: "s1" });
    while ((await sagas.status("s1"))?.state !== "STUCK");
    const metrics = new Metrics({ processMetrics: false });
    const end = sagas.watch(metrics);
    assert.match(await metrics.page(), /^ts_ms_saga_open\{saga="waiting"\} 2$/m);
    // The database is asked for it as a page is read.
    while (!(await metrics.page()).includes('ts_ms_saga_stuck{saga="stuck"} 1\n')) await pause(10);
    end();
    const first = await rest("?pageSize=2");
    const token = String(first.body["nextPageToken"]);
    const rest2 = await rest(`?pageSize=2&pageToken=${token}`);
    const ids = [first, rest2].flatMap(({ body }) => (body["sagas"] as { id: string }[]).map(({ id }) => id));
    assert.deepEqual(ids, ["s1", "w2", "w1"]);
    const got = await rest("/w1");
    assert.equal(got.body["name"], "waiting");
    assert.equal(got.body["version"], 2);
    assert.equal(got.body["state"], "STATE_RUNNING");
    assert.deepEqual(await rest("/w1:signal", { type: RepeatRequestSchema.typeName, json: { text: "go" } }), {
      status: 200,
      body: {},
    });
    assert.deepEqual(
      await sagas.result("w1", { timeoutMs: 10_000 }).then(({ $typeName }) => $typeName),
      EchoResponseSchema.typeName,
    );
    assert.equal((await rest("/w1:cancel", {})).status, 400);
    assert.equal((await rest("/none")).status, 404);
    assert.equal((await rest("/w2:cancel", { reason: "late" })).status, 200);
    await assert.rejects(second.result({ timeoutMs: 10_000 }), {
      rawMessage: "the saga was cancelled: late",
    });
    const stuckSaga = (await rest("/s1")).body["stuck"] as { step: string; error: object };
    assert.deepEqual(stuckSaga, {
      step: "undo a",
      error: { code: 5, message: "NOT_FOUND gone", details: [] },
    });
    isBroken = false;
    assert.equal((await rest("/s1:retry", {})).status, 200);
    await assert.rejects(sagas.result("s1", { timeoutMs: 10_000 }), { rawMessage: "declined" });
  });

  test("what it cannot take is refused with the name of the field", async () => {
    const client = createClient(SagaService, dial(grpc));
    const message = { case: "binary", value: new Uint8Array([255]) } as const;
    await assert.rejects(client.signalSaga({ id: "w1", type: "shop.v1.No", message }), {
      code: Code.InvalidArgument,
      rawMessage: 'type: "shop.v1.No" is no type of signals; there are: tsms.test.v1.RepeatRequest',
    });
    await assert.rejects(
      client.signalSaga({ id: "w1", type: RepeatRequestSchema.typeName, message }),
      /message: /,
    );
    await assert.rejects(
      client.listSagas({ pageToken: "x" }),
      /page_token: is none that this service has given/,
    );
    await assert.rejects(client.listSagas({ pageSize: -1 }), /page_size: -1 must not be negative/);
    const { sagas: undone } = await client.listSagas({ name: "stuck", state: Saga_State.UNDONE });
    assert.deepEqual(
      undone.map(({ id, failure }) => [id, failure?.message]),
      [["s1", "declined"]],
    );
  });

  test("who may not is refused, and without a decision there is no service", async () => {
    isAllowed = false;
    await assert.rejects(createClient(SagaService, dial(grpc)).getSaga({ id: "w1" }), {
      code: Code.PermissionDenied,
    });
    isAllowed = true;
    // @ts-expect-error -- Programs in JavaScript may leave it out.
    assert.throws(() => sagaService(sagas, {}), /the option allow must be a function/);
  });

  test("metrics say what was begun, has ended, was undone and is stuck", async () => {
    const metrics = new Metrics();
    sagas.watch(metrics);
    const page = await metrics.page();
    assert.match(page, /^ts_ms_saga_begun_total\{saga="waiting"\} 2$/m);
    assert.match(page, /^ts_ms_saga_ended_total\{saga="waiting",outcome="done"\} 1$/m);
    assert.match(page, /^ts_ms_saga_ended_total\{saga="stuck",outcome="undone"\} 1$/m);
    assert.match(page, /^ts_ms_saga_undone_total\{saga="stuck",step="a"\} 1$/m);
  });
});
