import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { RetryInfoSchema } from "../../../src/entries/errors.ts";
import { unavailableFor } from "../../../src/core/errors/retry-info.ts";
import { parseRetryAfter, pushbackOf } from "../../../src/core/resilience/pushback.ts";
import { RetryBudget } from "../../../src/core/resilience/retry-budget.ts";
import { Retries, type FailedAttempt, type RetryRules } from "../../../src/core/resilience/retry.ts";
import { ReplayBuffer, ReplayMemory } from "../../../src/core/resilience/replay-buffer.ts";

const backoff = { initialMs: 50, maxMs: 1_000, multiplier: 2, jitter: 0.2 };
const rules: RetryRules = {
  maxAttempts: 3,
  backoff,
  codes: new Set([Code.Unavailable]),
  maySendAgain: true,
};
const failed: FailedAttempt = {
  code: Code.Unavailable,
  progress: "maybe",
  pushback: undefined,
  timedOut: false,
  handedOver: false,
  isReplayable: true,
  nowMs: 0,
  deadlineMs: Infinity,
};

function retries(more: Partial<RetryRules> = {}, budget = new RetryBudget()): Retries {
  return new Retries({ ...rules, ...more }, budget, () => 0.5);
}

const again = (afterMs: number) => ({ kind: "again", afterMs, isTransparent: false });
const atOnce = { kind: "again", afterMs: 0, isTransparent: true };
const final = { kind: "final", isExhausted: false, denied: undefined };
const usedUp = { kind: "final", isExhausted: true, denied: undefined };
const denied = (why: string) => ({ kind: "final", isExhausted: true, denied: why });

suite("what follows a failed attempt", () => {
  test("attempts with growing pauses until they are used up", () => {
    const call = retries({ maxAttempts: 8 });
    const pauses = Array.from({ length: 7 }, () => call.next(failed));
    assert.deepEqual(
      pauses,
      [50, 100, 200, 400, 800, 1_000, 1_000].map((ms) => again(ms)),
    );
    assert.equal(call.attempts, 8);
    assert.deepEqual(call.next(failed), usedUp);
  });

  for (const [name, more, attempt, expected] of [
    ["a code that is not listed", {}, { code: Code.NotFound }, final],
    ["an rpc that may not be sent again", { maySendAgain: false }, {}, final],
    ["max_attempts 1", { maxAttempts: 1 }, {}, final],
    ["what has been handed over", {}, { handedOver: true }, denied("committed")],
    ["a request that is not whole", {}, { isReplayable: false }, denied("buffer")],
    ["a pause that ends after the deadline", {}, { nowMs: 100, deadlineMs: 150 }, denied("deadline")],
    ["a pause that ends before the deadline", {}, { nowMs: 100, deadlineMs: 151 }, again(50)],
    ["a server that asks for none", {}, { pushback: "never" }, denied("pushback")],
    ["a server that asks for more than 30 s", {}, { pushback: 30_001 }, denied("pushback")],
    ["a server that asks for 30 s", {}, { pushback: 30_000 }, again(30_000)],
    ["a server that asks for no pause", {}, { pushback: 0 }, again(0)],
    [
      "a server's pause that ends after the deadline",
      {},
      { pushback: 500, deadlineMs: 500 },
      denied("deadline"),
    ],
    ["a timeout of the attempt", {}, { timedOut: true, code: Code.DeadlineExceeded }, again(50)],
    [
      "a timeout of the attempt where nothing may be sent again",
      { maySendAgain: false },
      { timedOut: true, code: Code.DeadlineExceeded },
      final,
    ],
    ["what was never sent", { maySendAgain: false, maxAttempts: 1 }, { progress: "unsent" }, atOnce],
    [
      "what was never sent, behind the deadline",
      {},
      { progress: "unsent", nowMs: 9, deadlineMs: 9 },
      denied("deadline"),
    ],
  ] as const) {
    test(name, () => {
      assert.deepEqual(retries(more).next({ ...failed, ...attempt }), expected);
    });
  }

  test("what was not processed is made again at once, but only once, and counts in neither", () => {
    const budget = new RetryBudget({ reserve: 1, ratio: 0 });
    const call = retries({ maySendAgain: false }, budget);
    const refused = { ...failed, progress: "unprocessed" } as const;
    assert.deepEqual(call.next(refused), atOnce);
    assert.deepEqual([call.attempts, budget.left(0)], [1, 1]);
    assert.deepEqual(call.next(refused), again(50));
    assert.deepEqual([call.attempts, budget.left(0)], [2, 0]);
    assert.deepEqual(call.next(failed), final);
  });

  test("what was never sent is tried again without end, until the deadline", () => {
    const call = retries();
    for (let nowMs = 0; nowMs < 100; nowMs++) {
      assert.deepEqual(call.next({ ...failed, progress: "unsent", nowMs, deadlineMs: 100 }), atOnce);
    }
    assert.equal(call.attempts, 1);
  });

  test("the backoff begins anew after a server's pause", () => {
    const call = retries({ maxAttempts: 10 });
    assert.deepEqual(call.next(failed), again(50));
    assert.deepEqual(call.next(failed), again(100));
    assert.deepEqual(call.next({ ...failed, pushback: 700 }), again(700));
    assert.deepEqual(call.next(failed), again(50));
  });

  test("a denied budget ends the call at once", () => {
    const budget = new RetryBudget({ reserve: 1, ratio: 0 });
    assert.deepEqual(retries({}, budget).next(failed), again(50));
    assert.deepEqual(retries({}, budget).next(failed), denied("budget"));
  });

  test("an attempt that is denied for another reason takes nothing out of the budget", () => {
    const budget = new RetryBudget({ reserve: 5, ratio: 0 });
    for (const attempt of [
      { pushback: "never" },
      { deadlineMs: 1 },
      { handedOver: true },
      { code: Code.Aborted },
    ] as const) {
      retries({}, budget).next({ ...failed, ...attempt });
    }
    assert.equal(budget.left(0), 5);
  });

  test("whatever happens, no call makes more attempts than it may", () => {
    const attempt = fc.record({
      code: fc.constantFrom(Code.Unavailable, Code.NotFound),
      progress: fc.constantFrom("unprocessed" as const, "maybe" as const),
      pushback: fc.constantFrom(undefined, "never" as const, 0, 5, 40_000),
      timedOut: fc.boolean(),
      handedOver: fc.constant(false),
      isReplayable: fc.constant(true),
      nowMs: fc.nat({ max: 1_000 }),
      deadlineMs: fc.integer({ min: 0, max: 5_000 }),
    });
    fc.assert(
      fc.property(
        fc.array(attempt, { minLength: 20, maxLength: 20 }),
        fc.integer({ min: 1, max: 5 }),
        (all, max) => {
          const call = retries({ maxAttempts: max }, new RetryBudget({ reserve: 100 }));
          let made = 1;
          for (const one of all) {
            const next = call.next(one);
            if (next.kind === "final") break;
            made++;
            if (next.afterMs > 0) assert.ok(one.nowMs + next.afterMs < one.deadlineMs);
          }
          assert.ok(made <= max + 1, "one more than max: the transparent one");
          assert.ok(call.attempts <= max);
        },
      ),
    );
  });
});

suite("the budget", () => {
  test("is taken when an attempt is decided, before its pause", () => {
    const budget = new RetryBudget({ ratio: 0, reserve: 2 });
    const calls = [1, 2, 3].map(() => retries({}, budget));
    // All at one time, so that no pause has passed.
    assert.deepEqual(
      calls.map((call) => call.next(failed)),
      [again(50), again(50), denied("budget")],
    );
  });

  test("is the larger one of reserve and ratio, of what began in the window", () => {
    const budget = new RetryBudget({ ratio: 0.2, reserve: 10, windowMs: 10_000 });
    for (let call = 0; call < 100; call++) budget.began(0);
    let taken = 0;
    while (budget.take(0)) taken++;
    assert.equal(taken, 20);
    assert.equal(budget.take(9_999), false);
    assert.equal(budget.take(10_000), true);
    assert.equal(budget.left(10_000), 9);
  });

  test("when all calls fail, attempts stay within 1.2 times the calls", () => {
    const budget = new RetryBudget();
    let attempts = 0;
    for (let call = 0; call < 30_000; call++) {
      const nowMs = call;
      budget.began(nowMs);
      const one = new Retries(rules, budget, () => 0.5);
      attempts++;
      while (one.next({ ...failed, nowMs }).kind === "again") attempts++;
    }
    assert.ok(attempts <= 1.2 * 30_000 + 10, String(attempts));
    assert.ok(attempts >= 1.19 * 30_000, String(attempts));
  });
});

suite("what a server says about retries", () => {
  const withHeader = (name: string, value: string) =>
    new ConnectError("busy", Code.Unavailable, { [name]: value });

  for (const [text, expected] of [
    ["0", 0],
    ["15", 15],
    ["2147483647", 2_147_483_647],
    ["2147483648", "never"],
    ["-1", "never"],
    ["015", "never"],
    ["+5", "never"],
    ["1.5", "never"],
    ["", "never"],
    ["soon", "never"],
  ] as const) {
    test(`grpc-retry-pushback-ms: ${JSON.stringify(text)}`, () => {
      assert.equal(pushbackOf(withHeader("grpc-retry-pushback-ms", text)), expected);
    });
  }

  test("RetryInfo, as an object and as bytes", () => {
    const made = unavailableFor("busy", 1_250.2);
    assert.equal(pushbackOf(made), 1_251);
    const { value } = made.findDetails(RetryInfoSchema)[0]?.retryDelay
      ? { value: made.findDetails(RetryInfoSchema)[0] }
      : assert.fail();
    assert.deepEqual(value?.retryDelay?.seconds, 1n);
    const broken = new ConnectError("busy", Code.Unavailable);
    broken.details = [
      { type: "google.rpc.ErrorInfo", value: Uint8Array.of(1) },
      { type: "google.rpc.RetryInfo", value: Uint8Array.of(10, 200) },
    ];
    assert.equal(pushbackOf(broken), undefined);
    // retry_delay { seconds: 2 nanos: 500000000 }
    broken.details.push({
      type: "google.rpc.RetryInfo",
      value: Uint8Array.of(10, 8, 8, 2, 16, 128, 202, 181, 238, 1),
    });
    assert.equal(pushbackOf(broken), 2_500);
  });

  test("Retry-After: seconds, or a date", () => {
    assert.equal(pushbackOf(withHeader("retry-after", "3")), 3_000);
    const nowMs = Date.parse("Sun, 29 Nov 2026 10:00:00 GMT");
    assert.equal(parseRetryAfter("Sun, 29 Nov 2026 10:00:07 GMT", nowMs), 7_000);
    assert.equal(parseRetryAfter("Sun, 29 Nov 2026 09:00:00 GMT", nowMs), 0);
    assert.equal(parseRetryAfter("later", nowMs), undefined);
  });

  test("the trailer wins over the detail, the detail over Retry-After", () => {
    const error = unavailableFor("busy", 2_000);
    error.metadata.set("retry-after", "9");
    assert.equal(pushbackOf(error), 2_000);
    error.metadata.set("grpc-retry-pushback-ms", "7");
    assert.equal(pushbackOf(error), 7);
    assert.equal(pushbackOf(new ConnectError("busy", Code.Unavailable)), undefined);
  });
});

suite("requests that may be sent again", () => {
  const message = (bytes: number) => new Uint8Array(bytes);

  test("are kept up to the limit of their call", () => {
    const memory = new ReplayMemory();
    const buffer = new ReplayBuffer(100, memory);
    buffer.keep(message(60));
    buffer.keep(message(40));
    assert.deepEqual([buffer.isWhole, buffer.messages.length, memory.usedBytes], [true, 2, 100]);
    buffer.keep(message(1));
    assert.deepEqual([buffer.isWhole, buffer.messages.length, memory.usedBytes], [false, 0, 0]);
    buffer.keep(message(1));
    assert.equal(memory.usedBytes, 0);
  });

  test("of all calls of a target share one limit", () => {
    const memory = new ReplayMemory(150);
    const [one, other] = [new ReplayBuffer(100, memory), new ReplayBuffer(100, memory)];
    one.keep(message(100));
    other.keep(message(51));
    assert.deepEqual([one.isWhole, other.isWhole], [true, false]);
    one.release();
    one.release();
    assert.equal(memory.usedBytes, 0);
  });

  test("the usual limit of a target is 16 MiB", () => {
    assert.equal(new ReplayMemory().take(16 * 1024 * 1024), true);
    assert.equal(new ReplayMemory().take(16 * 1024 * 1024 + 1), false);
  });
});
