import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Code, ConnectError } from "../../src/core/errors/errors.ts";
import { retryAfterMsOf } from "../../src/core/errors/retry-info.ts";
import { Batches } from "../../src/messaging/batch.ts";
import { ConsumeBreaker } from "../../src/messaging/consume-breaker.ts";
import { oneLine } from "../../src/messaging/dead-letters.ts";
import { discard, gateVerdictOf, retryAfter, verdictOf } from "../../src/messaging/outcome.ts";
import { RetrySchedule } from "../../src/messaging/retry.ts";
import { SettleLedger } from "../../src/messaging/settle-ledger.ts";
import { seeded, VirtualClock } from "../support/virtual-clock.ts";

interface Entry {
  readonly id: string;
  readonly bytes: number;
  waitingBytes: number;
}

suite("the ledger of a subscription:", () => {
  for (let seed = 1; seed <= 100; seed++) {
    test(`21, 22: bytes and runs agree with a model: seed ${seed}`, () => {
      const random = seeded(seed);
      const pick = (below: number): number => Math.floor(random() * below);
      const ledger = new SettleLedger<Entry>({ maxBufferedBytes: 500 });
      const waiting = new Set<Entry>();
      const running = new Map<string, { entry: Entry; followers: Entry[] }>();
      let isFull = false;
      for (let step = 0; step < 500; step++) {
        const look = (): void => {
          const bytes = [...waiting].reduce((sum, entry) => sum + entry.bytes, 0);
          if (bytes > 500) isFull = true;
          if (bytes <= 250) isFull = false;
          assert.equal(ledger.bufferedBytes, bytes);
          assert.equal(ledger.buffered, waiting.size);
          assert.equal(ledger.isFull, isFull);
        };
        const [first] = waiting;
        const [id] = running.keys();
        const action = pick(3);
        if (action === 0) {
          const entry = { id: `m${pick(4)}`, bytes: 1 + pick(200), waitingBytes: -1 };
          waiting.add(entry);
          ledger.received(entry, entry.bytes);
        } else if (action === 1 && first !== undefined) {
          waiting.delete(first);
          const run = running.get(first.id);
          assert.equal(ledger.begin(first, first.id), run === undefined);
          if (run === undefined) running.set(first.id, { entry: first, followers: [] });
          else run.followers.push(first);
        } else if (id !== undefined) {
          const run = running.get(id);
          running.delete(id);
          const followers = ledger.end(id);
          assert.deepEqual(followers, run?.followers);
          for (const entry of [...followers, ...(run === undefined ? [] : [run.entry])]) ledger.gone(entry);
        }
        look();
        const kept =
          waiting.size + [...running.values()].reduce((sum, run) => sum + 1 + run.followers.length, 0);
        assert.equal(ledger.unsettled, kept);
      }
    });
  }
});

suite("outcomes:", () => {
  const error = (code: Code): ConnectError => new ConnectError("x", code);
  test("28 what this side has aborted is given back, whatever the code", () => {
    for (const code of [Code.Aborted, Code.Unavailable, Code.InvalidArgument]) {
      assert.equal(verdictOf(error(code), error(Code.Unavailable), []).kind, "release");
    }
    assert.equal(verdictOf(undefined, error(Code.Unavailable), []).kind, "ok");
  });

  test("28 the first outcome that is said counts", () => {
    const contract = new Map([[Code.NotFound, "retry" as const]]);
    const server = new Map([
      [Code.NotFound, "drop" as const],
      [Code.Internal, "dead" as const],
    ]);
    assert.equal(verdictOf(error(Code.NotFound), undefined, [contract, server]).kind, "retry");
    assert.equal(verdictOf(error(Code.Internal), undefined, [contract, server]).kind, "dead");
    assert.equal(verdictOf(error(Code.DataLoss), undefined, [contract, server]).kind, "dead");
    assert.equal(verdictOf(error(99 as Code), undefined, []).kind, "retry");
    assert.equal(verdictOf(discard("x"), undefined, [server]).kind, "drop");
  });

  test("25 gates: denied is dead, overloaded waits, the rest is an error", () => {
    assert.equal(gateVerdictOf(Code.Unauthenticated).kind, "dead");
    assert.equal(gateVerdictOf(Code.PermissionDenied).kind, "dead");
    assert.equal(gateVerdictOf(Code.ResourceExhausted).kind, "wait");
    assert.equal(gateVerdictOf(Code.Unavailable).kind, "wait");
    assert.equal(gateVerdictOf(Code.Internal).kind, "error");
  });

  test("retryAfter adds RetryInfo and keeps what there is", () => {
    const made = retryAfter(1_500, new ConnectError("busy", Code.Aborted, { "x-a": "1" }));
    assert.equal(retryAfterMsOf(made), 1_500);
    assert.deepEqual([made.rawMessage, made.code, made.metadata.get("x-a")], ["busy", Code.Aborted, "1"]);
  });
});

suite("retries:", () => {
  const options = { delaysMs: [1_000, 5_000, 30_000], mode: "auto", jitter: 0.2 } as const;
  const half = (): number => 0.5;

  test("29 hold where there is an order, later elsewhere, one attempt more than delays", () => {
    for (const [ordering, mode] of [
      ["key", "hold"],
      ["partition", "hold"],
      ["none", "later"],
    ] as const) {
      const schedule = new RetrySchedule(options, ordering, undefined, half);
      assert.equal(schedule.mode, mode);
      assert.equal(schedule.attempts, 4);
      assert.deepEqual(schedule.queueDelaysMs, mode === "later" ? options.delaysMs : []);
      assert.equal(schedule.after(4, undefined).kind, "over");
    }
  });

  test("29 delays, their jitter, and more attempts than delays", () => {
    const schedule = new RetrySchedule(options, "key", 6, half);
    const delays = [1, 2, 3, 4, 5, 6].map((attempt) => schedule.after(attempt, undefined));
    const ms = delays.map((next) => (next.kind === "hold" ? next.ms : next.kind));
    assert.deepEqual(ms, [1_000, 5_000, 30_000, 30_000, 30_000, "over"]);
    const low = new RetrySchedule(options, "key", undefined, () => 0).after(1, undefined);
    const high = new RetrySchedule(options, "key", undefined, () => 1).after(1, undefined);
    assert.deepEqual(
      [low, high],
      [
        { kind: "hold", ms: 800 },
        { kind: "hold", ms: 1_200 },
      ],
    );
    assert.equal(schedule.longestHeldMs, 1.2 * (1_000 + 5_000 + 3 * 30_000));
  });

  test("29 any number of attempts, and attempts without an end", () => {
    const many = new RetrySchedule(options, "key", 4_294_967_295, half);
    assert.equal(many.longestHeldMs, 1.2 * (1_000 + 5_000 + 4_294_967_292 * 30_000));
    const endless = new RetrySchedule(options, "key", Number.POSITIVE_INFINITY, half);
    assert.ok(endless.isEndless && !many.isEndless);
    assert.equal(endless.longestHeldMs, Number.POSITIVE_INFINITY);
    assert.deepEqual(endless.after(1_000_000, undefined), { kind: "hold", ms: 30_000 });
    const later = new RetrySchedule(options, "none", Number.POSITIVE_INFINITY, half);
    assert.equal(later.longestHeldMs, 0);
  });

  test("29 RetryInfo: a lane keeps it up to 10 minutes, queues the shortest not below it", () => {
    const hold = new RetrySchedule(options, "key", undefined, half);
    assert.deepEqual(hold.after(1, 7_000), { kind: "hold", ms: 7_000 });
    assert.deepEqual(hold.after(1, 3_600_000), { kind: "hold", ms: 600_000 });
    const later = new RetrySchedule(options, "none", undefined, half);
    assert.deepEqual(later.after(1, 5_000), { kind: "later", delayMs: 5_000 });
    assert.deepEqual(later.after(1, 5_001), { kind: "later", delayMs: 30_000 });
    assert.deepEqual(later.after(1, 99_000), { kind: "later", delayMs: 30_000 });
    assert.deepEqual(new RetrySchedule({ ...options, delaysMs: [] }, "none", 3, half).after(1, 1), {
      kind: "over",
    });
  });
});

suite("batches:", () => {
  test("24 full by number, or when the first has waited; each place for itself", () => {
    const clock = new VirtualClock();
    const full: [string, number[]][] = [];
    const batches = new Batches<number>({ max: 3, waitMs: 200 }, clock, (place, items) =>
      full.push([place, items]),
    );
    for (const item of [1, 2, 3, 4]) batches.add("a", item);
    batches.add("b", 5);
    assert.deepEqual(full, [["a", [1, 2, 3]]]);
    clock.advance(100);
    batches.add("a", 6);
    clock.advance(100);
    assert.deepEqual(full.slice(1), [
      ["a", [4, 6]],
      ["b", [5]],
    ]);
    batches.add("a", 7);
    batches.add("a", 8);
    assert.deepEqual(
      batches.take((item) => item === 7),
      [7],
    );
    assert.equal(batches.size, 1);
    assert.deepEqual(
      batches.take(() => true),
      [8],
    );
    clock.advance(1_000);
    assert.equal(full.length, 3);
  });
});

suite("the breaker of a subscription:", () => {
  test("26 opens above the ratio, wakes for a probe, doubles its time, and closes by a good probe", async () => {
    const clock = new VirtualClock();
    let woken = 0;
    const breaker = new ConsumeBreaker({}, { clock, random: () => 0.5 }, () => woken++);
    const run = (error: ConnectError | undefined) => breaker.judge(breaker.acquire(), error);
    const away = new ConnectError("x", Code.Unavailable);
    for (let i = 0; i < 19; i++) assert.equal(run(away), "counts");
    assert.equal(run(new ConnectError("x", Code.NotFound)), "counts");
    assert.equal(breaker.state.kind, "open");
    assert.equal(breaker.admits, false);
    clock.advance(4_999);
    assert.equal(woken, 0);
    clock.advance(1);
    assert.equal(woken, 1);
    assert.equal(breaker.admits, true);
    assert.equal(run(away), "outage");
    assert.equal(breaker.admits, false);
    clock.advance(9_999);
    assert.equal(woken, 1);
    clock.advance(1);
    assert.equal(breaker.admits, true);
    assert.equal(run(undefined), "counts");
    await Promise.resolve();
    assert.equal(woken, 3);
    assert.equal(breaker.state.kind, "closed");
    breaker.close();
  });
});

test("30 texts of headers are one line of valid UTF-8 within their bytes", () => {
  assert.equal(oneLine("  a\r\n\tb\u0000 ", 100), "a b");
  assert.equal(oneLine("ä".repeat(10), 5), "ää");
  assert.equal(oneLine("\ud83d", 10), "\ufffd");
  assert.equal(oneLine("x", -1), "");
});
