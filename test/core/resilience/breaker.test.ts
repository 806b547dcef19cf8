import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { Code, ConnectError } from "../../../src/core/errors/errors.ts";
import { retryAfterMsOf } from "../../../src/core/errors/retry-info.ts";
import { Breaker, type BreakerState, type Permit } from "../../../src/core/resilience/breaker.ts";
import type { BreakerOptions } from "../../../src/core/resilience/breaker-options.ts";
import { seeded, VirtualClock } from "../../support/virtual-clock.ts";

const down = new ConnectError("down", Code.Unavailable);

/** A breaker without jitter on a clock of its own. */
function rig(options: Partial<BreakerOptions> = {}, random: () => number = () => 0.5) {
  const clock = new VirtualClock(1_000_000);
  const breaker = new Breaker({ name: "users", ...options }, { clock, random });
  const states: BreakerState["kind"][] = [];
  breaker.onChange(({ kind }) => states.push(kind));
  return { clock, breaker, states };
}

/** The error with which a call is refused; fails if it is let through. */
function refusal(breaker: Breaker): ConnectError {
  try {
    breaker.acquire();
  } catch (error) {
    assert.ok(error instanceof ConnectError);
    assert.equal(error.code, Code.Unavailable);
    return error;
  }
  assert.fail("the call was let through");
}

function failTimes(breaker: Breaker, times: number, error: unknown = down): void {
  for (let call = 0; call < times; call++) breaker.acquire().fail(error);
}

suite("a window", () => {
  test("opens at its ratio, once there are enough calls", () => {
    const { breaker, states } = rig();
    for (let call = 0; call < 10; call++) breaker.acquire().ok();
    failTimes(breaker, 9);
    assert.deepEqual(states, []);
    failTimes(breaker, 1);
    assert.deepEqual(states, ["open"]);
    assert.match(refusal(breaker).rawMessage, /^users: circuit open$/);
  });

  test("forgets what is older than it", () => {
    const { breaker, clock, states } = rig();
    failTimes(breaker, 19);
    clock.advance(10_000);
    failTimes(breaker, 1);
    assert.deepEqual(states, []);
    assert.equal(breaker.stats().calls, 1);
  });

  test("is open for its time, with RetryInfo of what is left", () => {
    const { breaker, clock } = rig();
    failTimes(breaker, 20);
    assert.equal(retryAfterMsOf(refusal(breaker)), 5_000);
    clock.advance(4_000);
    assert.equal(retryAfterMsOf(refusal(breaker)), 1_000);
    assert.deepEqual(breaker.state, { kind: "open", untilMs: 1_005_000 });
    clock.advance(1_000);
    breaker.acquire().ok();
    assert.deepEqual(breaker.state, { kind: "closed" });
    assert.equal(breaker.stats().calls, 0);
  });

  test("its times have a jitter of 10 %", () => {
    for (const [chance, ms] of [
      [0, 4_500],
      [1, 5_500],
    ] as const) {
      const { breaker } = rig({}, () => chance);
      failTimes(breaker, 20);
      assert.equal(retryAfterMsOf(refusal(breaker)), ms);
    }
  });

  test("a failed probe doubles the time, up to the longest", () => {
    const { breaker, clock, states } = rig({ openForMs: 5_000, maxOpenForMs: 15_000 });
    failTimes(breaker, 20);
    for (const ms of [5_000, 10_000, 15_000, 15_000]) {
      assert.equal(retryAfterMsOf(refusal(breaker)), ms);
      clock.advance(ms);
      breaker.acquire().fail(down);
    }
    clock.advance(15_000);
    breaker.acquire().ok();
    failTimes(breaker, 20);
    assert.equal(retryAfterMsOf(refusal(breaker)), 5_000);
    assert.equal(breaker.stats().opened, 6);
    assert.equal(states.filter((kind) => kind === "half-open").length, 5);
  });

  test("half-open lets its probes through and refuses all others at once", () => {
    const { breaker, clock } = rig({ probes: 3 });
    failTimes(breaker, 20);
    clock.advance(5_000);
    const probes = [breaker.acquire(), breaker.acquire(), breaker.acquire()];
    assert.equal(retryAfterMsOf(refusal(breaker)), 1_000);
    probes[0]?.ok();
    assert.equal(retryAfterMsOf(refusal(breaker)), 1_000);
    probes[1]?.ok();
    assert.equal(breaker.state.kind, "half-open");
    probes[2]?.ok();
    assert.equal(breaker.state.kind, "closed");
  });

  test("outcomes of calls that began before a change of state do not count", () => {
    const { breaker, clock, states } = rig();
    const old = Array.from({ length: 40 }, () => breaker.acquire());
    failTimes(breaker, 20);
    clock.advance(5_000);
    const probe = breaker.acquire();
    for (const permit of old.slice(0, 20)) permit.ok();
    assert.equal(breaker.state.kind, "half-open");
    probe.ok();
    for (const permit of old.slice(20)) permit.fail(down);
    assert.deepEqual(states, ["open", "half-open", "closed"]);
  });

  test("K08: the place of a probe whose caller cancels is that of the next call", () => {
    for (const leave of [
      (probe: Permit) => probe.fail(new ConnectError("cancelled", Code.Canceled)),
      (probe: Permit) => probe.ignore(),
    ]) {
      const { breaker, clock } = rig();
      failTimes(breaker, 20);
      clock.advance(5_000);
      leave(breaker.acquire());
      const probe = breaker.acquire();
      refusal(breaker);
      probe.ok();
      assert.equal(breaker.state.kind, "closed");
    }
  });

  test("K08: a probe that never ends has failed after its time", () => {
    const { breaker, clock } = rig({ probeTimeoutMs: 30_000 });
    failTimes(breaker, 20);
    clock.advance(5_000);
    const probe = breaker.acquire();
    clock.advance(29_999);
    assert.equal(breaker.state.kind, "half-open");
    clock.advance(1);
    assert.deepEqual(breaker.state, { kind: "open", untilMs: clock.nowMs() + 10_000 });
    probe.ok();
    refusal(breaker);
    clock.advance(10_000);
    breaker.acquire().ok();
    assert.equal(breaker.state.kind, "closed");
  });

  test("K09: cancelled calls and callers with short deadlines open nothing", () => {
    const { breaker, clock, states } = rig();
    for (let call = 0; call < 10_000; call++) {
      const permit = breaker.acquire();
      clock.advance(5);
      const code = call % 2 === 0 ? Code.Canceled : Code.DeadlineExceeded;
      permit.fail(new ConnectError("ended", code));
    }
    assert.deepEqual(states, []);
    assert.equal(breaker.stats().calls, 0);
  });

  test("a deadline counts after a second, or when the timeout is that of the callee", () => {
    const late = new ConnectError("late", Code.DeadlineExceeded);
    const { breaker, clock } = rig({ minCalls: 2 });
    const permit = breaker.acquire();
    clock.advance(1_000);
    permit.fail(late);
    breaker.acquire().fail(late, true);
    assert.equal(breaker.state.kind, "open");
  });

  test("errors of other codes prove that the callee works", () => {
    const { breaker } = rig();
    for (const code of [Code.NotFound, Code.InvalidArgument, Code.ResourceExhausted, Code.Unimplemented]) {
      failTimes(breaker, 20, new ConnectError("no", code));
    }
    assert.deepEqual(
      [breaker.state.kind, breaker.stats().calls, breaker.stats().failures],
      ["closed", 80, 0],
    );
    failTimes(breaker, 80, new Error("a plain exception"));
    assert.equal(breaker.state.kind, "open");
  });

  test("slow calls open it as failed ones do, and a slow probe is no good one", () => {
    const { breaker, clock } = rig({ slowCallMs: 100, minCalls: 4 });
    const call = (ms: number): void => {
      const permit = breaker.acquire();
      clock.advance(ms);
      permit.ok();
    };
    call(100);
    call(100);
    call(101);
    assert.equal(breaker.stats().slow, 1);
    call(101);
    assert.equal(breaker.state.kind, "open");
    clock.advance(5_000);
    call(101);
    assert.equal(breaker.state.kind, "open");
  });

  test("the first end of a permit counts", () => {
    const { breaker } = rig({ minCalls: 1 });
    const permit = breaker.acquire();
    permit.ok();
    permit.fail(down);
    permit.ignore();
    assert.deepEqual([breaker.state.kind, breaker.stats().calls], ["closed", 1]);
  });

  test("open() refuses until reset()", () => {
    const { breaker, clock, states } = rig();
    breaker.open();
    clock.advance(10 ** 9);
    assert.equal(retryAfterMsOf(refusal(breaker)), 60_000);
    breaker.reset();
    breaker.acquire().ok();
    assert.deepEqual(states, ["open", "closed"]);
    assert.deepEqual([breaker.stats().refused, breaker.stats().opened], [1, 1]);
  });

  test("a listener that throws disturbs neither callers nor other listeners", async () => {
    const { breaker } = rig({ minCalls: 1 });
    const warned = new Promise<Error>((resolve) => process.once("warning", resolve));
    breaker.onChange(() => {
      throw new Error("broken listener");
    });
    let calls = 0;
    const stop = breaker.onChange(() => calls++);
    failTimes(breaker, 1);
    stop();
    breaker.reset();
    assert.equal(calls, 1);
    assert.match((await warned).message, /broken listener/);
  });
});

test("run() passes results and errors on, and counts them", async () => {
  const { breaker } = rig({ minCalls: 2 });
  assert.equal(await breaker.run(() => 7), 7);
  assert.equal(await breaker.run(() => Promise.resolve("eight")), "eight");
  await assert.rejects(
    breaker.run(() => Promise.reject(down)),
    down,
  );
  await assert.rejects(
    breaker.run(() => {
      throw down;
    }),
    down,
  );
  await assert.rejects(
    breaker.run(() => 9),
    /users: circuit open/,
  );
  assert.equal(breaker.stats().refused, 1);
});

test("a breaker is closed, open and half-open as a simple model of it", () => {
  const operation = fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constant("call" as const) }) },
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant("end" as const),
        at: fc.nat(),
        outcome: fc.constantFrom("ok", "fail", "ignore"),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("wait" as const), ms: fc.nat({ max: 4_000 }) }) },
  );
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 80 }), (operations) => {
      const rules = {
        minCalls: 3,
        windowMs: 5_000,
        openForMs: 1_000,
        maxOpenForMs: 4_000,
        probeTimeoutMs: 3_000,
      };
      const { breaker, clock } = rig(rules);
      const model = new Model();
      const permits: { readonly permit: Permit; readonly call: ModelCall }[] = [];
      for (const step of operations) {
        model.elapse(clock.nowMs());
        if (step.kind === "wait") clock.advance(step.ms);
        else if (step.kind === "call") {
          const call = model.call(clock.nowMs());
          if (call === undefined) refusal(breaker);
          else permits.push({ permit: breaker.acquire(), call });
        } else if (permits.length > 0) {
          const [{ permit, call } = assert.fail()] = permits.splice(step.at % permits.length, 1);
          model.end(call, step.outcome, clock.nowMs());
          if (step.outcome === "ok") permit.ok();
          else if (step.outcome === "fail") permit.fail();
          else permit.ignore();
        }
        model.elapse(clock.nowMs());
        assert.equal(breaker.state.kind, model.kind);
      }
    }),
  );
});

interface ModelCall {
  readonly atMs: number;
  readonly generation: number;
}

/** The rules of a breaker with one probe, written down as simply as possible. */
class Model {
  kind: "closed" | "open" | "half-open" = "closed";
  #generation = 0;
  #ends: { bucket: number; bad: boolean }[] = [];
  #untilMs = 0;
  #runs = 0;
  #probe: ModelCall | undefined;

  elapse(nowMs: number): void {
    if (this.#probe !== undefined && nowMs >= this.#probe.atMs + 3_000) {
      this.#reopen(this.#probe.atMs + 3_000);
    }
  }

  call(nowMs: number): ModelCall | undefined {
    if (this.kind === "open" && nowMs >= this.#untilMs) this.#enter("half-open");
    if (this.kind === "open" || this.#probe !== undefined) return undefined;
    const call = { atMs: nowMs, generation: this.#generation };
    if (this.kind === "half-open") this.#probe = call;
    return call;
  }

  end(call: ModelCall, outcome: string, nowMs: number): void {
    if (call.generation !== this.#generation) return;
    if (call === this.#probe) this.#probe = undefined;
    if (outcome === "ignore") return;
    if (this.kind === "half-open") {
      if (outcome === "fail") this.#reopen(nowMs);
      else {
        this.#runs = 0;
        this.#enter("closed");
      }
      return;
    }
    const bucket = Math.floor(nowMs / 500);
    this.#ends.push({ bucket, bad: outcome === "fail" });
    this.#ends = this.#ends.filter((end) => end.bucket > bucket - 10);
    const bad = this.#ends.filter((end) => end.bad).length;
    if (this.#ends.length >= 3 && bad * 2 >= this.#ends.length) {
      this.#untilMs = nowMs + 1_000;
      this.#enter("open");
    }
  }

  #reopen(atMs: number): void {
    this.#runs++;
    this.#untilMs = atMs + Math.min(1_000 * 2 ** this.#runs, 4_000);
    this.#enter("open");
  }

  #enter(kind: Model["kind"]): void {
    this.kind = kind;
    this.#generation++;
    this.#probe = undefined;
    this.#ends = [];
  }
}

suite("mode adaptive", () => {
  /** Callers make 10,000 calls in 20 s, and a callee answers them. @returns how many calls reached it */
  function drive(accepts: (nowMs: number) => boolean): number {
    const { breaker, clock } = rig({ mode: "adaptive" }, seeded(7));
    let made = 0;
    for (let call = 0; call < 10_000; call++) {
      clock.advance(2);
      let permit: Permit;
      try {
        permit = breaker.acquire();
      } catch {
        continue; // Refused: the callee is spared.
      }
      made++;
      if (accepts(clock.nowMs())) permit.ok();
      else permit.fail(down);
    }
    return made;
  }

  test("refuses none while more than half of the calls are accepted", () => {
    const random = seeded(8);
    assert.equal(
      drive(() => true),
      10_000,
    );
    assert.ok(drive(() => random() < 0.7) > 9_900);
  });

  test("lets about twice the calls through that the callee has room for", () => {
    let freeAtMs = 0;
    let accepted = 0;
    const made = drive((nowMs) => {
      if (nowMs < freeAtMs) return false;
      freeAtMs = nowMs + 10;
      accepted++;
      return true;
    });
    assert.ok(made > 1.9 * accepted && made < 2.2 * accepted, `${made} for ${accepted}`);
    assert.ok(drive(() => false) < 200);
  });

  test("tells the chance, and can be opened by hand", () => {
    const { breaker } = rig({ mode: "adaptive", minCalls: 10 });
    failTimes(breaker, 9);
    assert.equal(breaker.stats().shedding, 0);
    failTimes(breaker, 1);
    assert.equal(breaker.stats().shedding, 10 / 11);
    assert.equal(retryAfterMsOf(refusal(breaker)), 1_000);
    breaker.reset();
    breaker.acquire().ok();
    breaker.open();
    refusal(breaker);
  });
});

test("options that cannot be are refused by name", () => {
  for (const [options, expected] of [
    [{ failureRatio: 0 }, /failureRatio must be above 0 and at most 1, not 0/],
    [{ failureRatio: 1.1 }, /failureRatio/],
    [{ minCalls: 0.5 }, /minCalls must be a whole number/],
    [{ windowMs: -1 }, /windowMs/],
    [{ slowCallMs: 0 }, /slowCallMs/],
    [{ openForMs: 9_000, maxOpenForMs: 8_000 }, /maxOpenForMs must be at least openForMs/],
    [{ probes: 0 }, /probes/],
    [{ probeTimeoutMs: Number.POSITIVE_INFINITY }, /probeTimeoutMs/],
    [{ k: 0.9 }, /k must be at least 1/],
    [{ mode: "on" }, /mode must be "window" or "adaptive", not 'on'/],
    [{ minCall: 1 }, /did you mean minCalls\?/],
  ] as const) {
    assert.throws(() => new Breaker(options as Partial<BreakerOptions>), expected);
  }
});
