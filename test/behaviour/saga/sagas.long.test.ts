import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import {
  EchoRequestSchema,
  type EchoResponse,
  EchoResponseSchema,
  EchoService,
  RepeatRequestSchema,
} from "../../../gen/tsms/test/v1/echo_pb.ts";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import type { PartialService } from "../../../src/core/call/service.ts";
import { GrpcServer } from "../../../src/core/grpc-server.ts";
import { createClient, dial } from "../../../src/index.ts";
import { saga, Sagas } from "../../../src/entries/saga.ts";
import { PostgresServer, withoutPostgres } from "../../support/postgres-server.ts";

const types = { input: EchoRequestSchema, output: EchoResponseSchema };

suite("sagas on PostgreSQL", { skip: withoutPostgres }, () => {
  let postgres: PostgresServer;
  let grpc: GrpcServer;
  let sagas: Sagas;
  const seen: { text: string; key: string | null; trace: string | null }[] = [];
  let undoCode: Code | undefined;
  let undoMs = 0;
  let cancelled = 0;

  const service: PartialService<typeof EchoService> = {
    descriptor: EchoService,
    echo: async (request, { requestHeader, signal }) => {
      seen.push({
        text: request.text,
        key: requestHeader.get("idempotency-key"),
        trace: requestHeader.get("traceparent"),
      });
      signal.addEventListener("abort", () => cancelled++);
      if (request.text === "undo") await pause(undoMs);
      if (request.text === "undo" && undoCode !== undefined) throw new ConnectError("gone", undoCode);
      if (request.text === "refuse") throw new ConnectError("refused", Code.FailedPrecondition);
      return { text: `${request.text}!`, payload: new Uint8Array([0, 255]), number: 2n ** 60n };
    },
  };
  const echo = createClient(EchoService, dial((grpc = new GrpcServer({ port: 0 }))));

  const plain = saga({ name: "plain", version: 1, ...types }, async (s, input) => {
    const first = await s.step("first", (call) => echo.echo({ text: input.text }, call));
    const { text } = await s.wait(RepeatRequestSchema);
    await s.sleep(1);
    return { ...first, text: `${first.text} ${text}` };
  });
  const failing = saga({ name: "failing", version: 1, ...types }, async (s) => {
    await s.step("a", (call) => echo.echo({ text: "a" }, call), {
      undo: (call) => echo.echo({ text: "undo" }, call),
    });
    await s.step("b", (call) => echo.echo({ text: "refuse" }, call));
    return {};
  });
  const pivoting = saga({ name: "pivoting", version: 1, ...types }, async (s) => {
    await s.step("a", (call) => echo.echo({ text: "a" }, call), { pivot: true });
    await s.wait(RepeatRequestSchema);
    return {};
  });

  before(async () => {
    postgres = await PostgresServer.start();
    grpc.addService(service);
    await grpc.start();
    sagas = new Sagas({ databaseUrl: postgres.url, sagas: [plain, failing, pivoting] });
    await sagas.start();
  });
  after(async () => {
    await sagas?.gracefulStop();
    await grpc.gracefulStop();
    await postgres?.stop();
  });

  test("a saga runs to its end, waits for a signal, and gives its output whole", async () => {
    const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const context = { requestHeader: new Headers({ traceparent: trace }) };
    const handle = await sagas.begin(plain, { text: "one" }, { id: "order-1", timeoutMs: 60_000, context });
    assert.equal(handle.isNew, true);
    await sagas.signal("order-1", RepeatRequestSchema, { text: "go" });
    const result = await handle.result({ timeoutMs: 10_000 });
    const expected = { text: "one! go", payload: new Uint8Array([0, 255]), number: 2n ** 60n };
    assert.deepEqual(result, create(EchoResponseSchema, expected));
    const call = seen.find(({ text }) => text === "one");
    assert.equal(call?.key, "order-1/first");
    assert.equal(call?.trace?.slice(0, 36), trace.slice(0, 36));
    const status = await sagas.status("order-1");
    assert.equal(status?.state, "DONE");
    assert.equal(status.saga, "plain");
  });

  test("a known id with an equal input is the same saga; another input or saga is refused", async () => {
    const again = await sagas.begin(plain, { text: "one" }, { id: "order-1" });
    assert.equal(again.isNew, false);
    assert.equal((await again.result()).text, "one! go");
    await assert.rejects(sagas.begin(plain, { text: "two" }, { id: "order-1" }), {
      code: Code.AlreadyExists,
      rawMessage: "saga order-1 has begun with another input",
    });
    await assert.rejects(sagas.begin(failing, { text: "one" }, { id: "order-1" }), {
      code: Code.AlreadyExists,
      rawMessage: "the saga id order-1 is that of a saga plain",
    });
  });

  test("a step that fails for good: what is done is undone, and the result is the failure", async () => {
    const handle = await sagas.begin(failing, {}, { id: "failing-1" });
    await assert.rejects(handle.result({ timeoutMs: 10_000 }), {
      code: Code.FailedPrecondition,
      rawMessage: "refused",
    });
    const undo = seen.filter(({ key }) => key === "failing-1/a/undo");
    assert.equal(undo.length, 1);
    assert.equal((await sagas.status("failing-1"))?.state, "UNDONE");
  });

  test("an undo that fails for good makes it stuck, until retry", async () => {
    undoCode = Code.NotFound;
    const handle = await sagas.begin(failing, {}, { id: "failing-2" });
    await assert.rejects(handle.result({ timeoutMs: 3_000 }), {
      code: Code.DeadlineExceeded,
      rawMessage: "saga failing-2 has not ended: it is STUCK",
    });
    const status = await sagas.status("failing-2");
    assert.deepEqual(status?.stuck, { step: "undo a", code: Code.NotFound, message: "NOT_FOUND gone" });
    assert.deepEqual(
      (await sagas.list({ state: "STUCK" })).map(({ id }) => id),
      ["failing-2"],
    );
    undoCode = undefined;
    await sagas.retry("failing-2");
    await assert.rejects(handle.result({ timeoutMs: 10_000 }), { rawMessage: "refused" });
    await assert.rejects(sagas.retry("failing-2"), {
      code: Code.FailedPrecondition,
      rawMessage: "saga failing-2 is not stuck: it is UNDONE",
    });
    assert.equal(seen.filter(({ key }) => key === "failing-2/a").length, 1);
  });

  test("cancel undoes; after a pivot it is refused", async () => {
    const waiting = await sagas.begin(plain, { text: "cancelled" }, { id: "order-2" });
    await sagas.cancel("order-2", "the customer left");
    await assert.rejects(waiting.result({ timeoutMs: 10_000 }), {
      code: Code.Canceled,
      rawMessage: "the saga was cancelled: the customer left",
    });
    assert.equal((await sagas.status("order-2"))?.cancelWhy, "the customer left");
    const forward = await sagas.begin(pivoting, {}, { id: "pivot-1" });
    while ((await sagas.status("pivot-1"))?.pivot === undefined);
    await assert.rejects(sagas.cancel("pivot-1", "too late"), {
      code: Code.FailedPrecondition,
      rawMessage: "saga pivot-1 cannot be cancelled: it is RUNNING, past its pivot a",
    });
    await sagas.signal("pivot-1", RepeatRequestSchema, {});
    await forward.result({ timeoutMs: 10_000 });
    await assert.rejects(sagas.signal("pivot-1", RepeatRequestSchema, {}), { code: Code.FailedPrecondition });
  });

  test("M27 a deadline that passes in an undo does not end it", async () => {
    undoMs = 1_500;
    const handle = await sagas.begin(failing, {}, { id: "failing-3", timeoutMs: 1_000 });
    await assert.rejects(handle.result({ timeoutMs: 10_000 }), { rawMessage: "refused" });
    undoMs = 0;
    assert.equal(seen.filter(({ key }) => key === "failing-3/a/undo").length, 1);
    assert.equal(cancelled, 0);
  });

  test("what is unknown is NOT_FOUND, and what cannot be an id INVALID_ARGUMENT", async () => {
    await assert.rejects(sagas.cancel("none", "no"), { code: Code.NotFound });
    await assert.rejects(sagas.signal("none", RepeatRequestSchema, {}), { code: Code.NotFound });
    await assert.rejects(sagas.retry("none"), { code: Code.NotFound });
    await assert.rejects(sagas.result("none"), { code: Code.NotFound });
    assert.equal(await sagas.status("none"), undefined);
    await assert.rejects(sagas.begin(plain, {}, { id: "a b" }), { code: Code.InvalidArgument });
  });

  test("sagas are listed newest first, page by page", async () => {
    const all = await sagas.list();
    const first = await sagas.list({ limit: 2 });
    const rest = await sagas.list({ before: first[1] });
    assert.deepEqual([...first, ...rest], all);
    assert.deepEqual(
      (await sagas.list({ saga: "failing" })).map(({ id }) => id),
      ["failing-3", "failing-2", "failing-1"],
    );
  });

  test("there is one Sagas in a process at a time; another goes on with what it has left", async () => {
    const other = new Sagas({ databaseUrl: postgres.url, sagas: [plain], leaseMs: 60_000 });
    await assert.rejects(other.start(), /DBOS runs in this process already: give all sagas to one Sagas/);
    await assert.rejects(other.begin(plain, {}), { code: Code.Unavailable });
    await sagas.begin(plain, { text: "left" }, { id: "left-1" });
    while (!seen.some(({ key }) => key === "left-1/first")) await pause(10);
    assert.deepEqual(await sagas.gracefulStop(), { finished: 0, notified: [], cut: [] });
    await assert.rejects(sagas.begin(plain, {}), { code: Code.Unavailable });
    sagas = new Sagas({ databaseUrl: postgres.url, sagas: [plain, failing, pivoting] });
    await sagas.start();
    await assert.rejects(
      sagas.begin(
        saga({ name: "unlisted", version: 1, ...types }, async () => ({})),
        {},
      ),
      {
        message: "Sagas: saga unlisted version 1 is not among `sagas`",
      },
    );
    await sagas.signal("left-1", RepeatRequestSchema, { text: "again" });
    const result = await sagas.result("left-1", { timeoutMs: 15_000 });
    assert.equal((result as EchoResponse).text, "left! again");
    assert.equal(seen.filter(({ key }) => key === "left-1/first").length, 1);
  });

  test("what has ended is forgotten after retentionMs, with all that is on record of it; what is open stays", async () => {
    const pool = postgres.pool();
    const ended = "state in ('DONE', 'UNDONE')";
    const countOf = async (table: string, where: string): Promise<number> => {
      const { rows } = await pool.query<{ count: string }>(
        `select count(*) from ts_ms_saga.${table} where ${where}`,
      );
      return Number(rows[0]?.count);
    };
    await sagas.begin(plain, { text: "open" }, { id: "open-1" });
    while (!seen.some(({ key }) => key === "open-1/first")) await pause(10);
    assert.ok((await countOf("operation_outputs", "workflow_uuid = 'order-1'")) > 0);
    const stuck = await countOf("saga", "state = 'STUCK'");
    await pool.query(
      `insert into ts_ms_saga.saga (id, name, version, input, state, begun_ms, changed_ms, trace, runs)
       select 'old-' || n, 'plain', 1, '', 'DONE', n, n, '', 1 from generate_series(1, 2500) as n`,
    );
    await sagas.gracefulStop();
    await pause(1_000); // The time that they are kept.
    sagas = new Sagas({ databaseUrl: postgres.url, sagas: [plain, failing, pivoting], retentionMs: 1_000 });
    await sagas.start();
    for (let look = 0; look < 200 && (await countOf("saga", ended)) > 0; look++) await pause(100);
    assert.equal(await countOf("saga", ended), 0);
    for (const table of ["operation_outputs", "workflow_status", "workflow_input"])
      assert.equal(await countOf(table, "workflow_uuid in ('order-1', 'failing-1')"), 0, table);
    assert.equal(await sagas.status("order-1"), undefined);
    assert.equal(await countOf("saga", "state = 'STUCK'"), stuck);
    await sagas.signal("open-1", RepeatRequestSchema, { text: "still" });
    assert.equal(((await sagas.result("open-1", { timeoutMs: 15_000 })) as EchoResponse).text, "open! still");
    assert.equal((await sagas.begin(plain, { text: "other" }, { id: "order-1" })).isNew, true);
  });
});
