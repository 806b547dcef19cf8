import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  EchoRequestSchema,
  type EchoResponse,
  EchoResponseSchema,
  RepeatRequestSchema,
} from "../../gen/tsms/test/v1/echo_pb.ts";
import { Code, ConnectError } from "../../src/core/errors/errors.ts";
import { retryInfo } from "../../src/core/errors/retry-info.ts";
import { type Saga, saga, type SagaBody, type StepCall } from "../../src/saga/saga.ts";
import { VirtualClock } from "../support/virtual-clock.ts";
import { MemorySaga } from "./memory-saga.ts";

type EchoBody = SagaBody<typeof EchoRequestSchema, typeof EchoResponseSchema>;

const reply = (text: string): EchoResponse => create(EchoResponseSchema, { text });
const echo = (text: string) => async (): Promise<EchoResponse> => reply(text);
const fails =
  (code: Code, message = "no") =>
  async (): Promise<void> => {
    throw new ConnectError(message, code);
  };
const nothing = async (): Promise<void> => {};

function defined(body: EchoBody): Saga {
  return saga({ name: "test", version: 1, input: EchoRequestSchema, output: EchoResponseSchema }, body);
}

/** Runs a saga for a time of the clock. */
async function ran(body: EchoBody, options: { timeoutMs?: number; ms?: number } = {}): Promise<MemorySaga> {
  const clock = new VirtualClock(1_000);
  const memory = new MemorySaga(clock, () => 0.5, options);
  memory.execute(defined(body));
  await clock.pass(options.ms ?? 600_000);
  return memory;
}

function failureOf(memory: MemorySaga): { code: number; message: string; cause: string } {
  assert.equal(memory.outcome?.state, "UNDONE");
  const { code, message, cause } = memory.outcome.failure;
  return { code, message, cause };
}

suite("the steps of a saga", () => {
  test("a step's call has the saga's key, trace and time-out, and its reply is recorded whole", async () => {
    const calls: { key: string | null; trace: string | null; timeoutMs: number }[] = [];
    const noted = ({ headers, timeoutMs }: StepCall): void =>
      void calls.push({ key: headers.get("idempotency-key"), trace: headers.get("traceparent"), timeoutMs });
    const memory = await ran(
      async (s, input) => {
        const first = await s.step("first", async (call) => {
          noted(call);
          return create(EchoResponseSchema, { text: `${input.text}!`, payload: new Uint8Array([0, 255]) });
        });
        await s.step("second", async (call) => noted(call), { timeoutMs: 5_000 });
        return { text: first.text, payload: first.payload };
      },
      { timeoutMs: 10_000 },
    );
    const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    assert.deepEqual(calls, [
      { key: "saga-1/first", trace, timeoutMs: 10_000 },
      { key: "saga-1/second", trace, timeoutMs: 5_000 },
    ]);
    assert.deepEqual(memory.names, ["step first", "step second", "end"]);
    assert.equal(memory.outcome?.state, "DONE");
    const expected = create(EchoResponseSchema, { text: "in!", payload: new Uint8Array([0, 255]) });
    assert.deepEqual(memory.outcome.output, toBinary(EchoResponseSchema, expected));
  });

  const retried = [
    Code.Unavailable,
    Code.DeadlineExceeded,
    Code.ResourceExhausted,
    Code.Aborted,
    Code.Canceled,
    Code.Unknown,
    Code.Internal,
    Code.Unimplemented,
  ];
  for (let code: Code = 1; code <= 16; code++) {
    const isRetried = retried.includes(code);
    test(`a step that ends in ${Code[code]} is ${isRetried ? "tried again" : "given up at once"}`, async () => {
      let runs = 0;
      const undone: string[] = [];
      const memory = await ran(async (s) => {
        const run = async (): Promise<void> => {
          runs++;
          throw new ConnectError("no", code);
        };
        await s.step("one", run, { undo: async () => void undone.push("one") });
        return {};
      });
      assert.equal(runs, isRetried ? 5 : 1);
      assert.deepEqual(undone, isRetried ? ["one"] : []);
      assert.deepEqual(failureOf(memory), { code, message: "no", cause: "step" });
    });
  }

  test("an exception is tried again, and leaves as INTERNAL", async () => {
    let runs = 0;
    const memory = await ran(async (s) => {
      await s.step("one", async () => {
        if (++runs < 3) throw new RangeError("a bug");
      });
      return {};
    });
    assert.equal(memory.outcome?.state, "DONE");
    assert.equal(runs, 3);
  });

  test("pauses double up to 60 s, and a longer RetryInfo is kept", async () => {
    const clock = new VirtualClock();
    const at: number[] = [];
    const memory = new MemorySaga(clock, () => 0.5);
    memory.execute(
      defined(async (s) => {
        const run = async (): Promise<void> => {
          at.push(clock.nowMs());
          const details = at.length === 2 ? [retryInfo(90_000)] : [];
          throw new ConnectError("no", Code.Unavailable, undefined, details);
        };
        await s.step("one", run, { attempts: 9 });
        return {};
      }),
    );
    await clock.pass(600_000);
    const pauses = at.slice(1).map((ms, index) => ms - (at[index] ?? 0));
    assert.deepEqual(pauses, [1_000, 90_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
  });

  test("a run that ignores its signal ends at its time-out", async () => {
    let runs = 0;
    const signals: AbortSignal[] = [];
    const memory = await ran(async (s) => {
      const run = ({ signal }: StepCall): Promise<void> => {
        runs++;
        signals.push(signal);
        return new Promise(() => {});
      };
      await s.step("one", run, { timeoutMs: 2_000, attempts: 2 });
      return {};
    });
    assert.equal(runs, 2);
    assert.ok(signals.every(({ aborted }) => aborted));
    assert.equal(failureOf(memory).code, Code.DeadlineExceeded);
  });
});

suite("the undos of a saga", () => {
  test("they run in reverse, one after another, each until it succeeds", async () => {
    const done: string[] = [];
    let failures = 3;
    const undo =
      (name: string) =>
      async (call: StepCall): Promise<void> => {
        if (name === "b" && failures-- > 0) throw new ConnectError("later", Code.Unavailable);
        done.push(`${name} ${call.headers.get("idempotency-key")}`);
      };
    const memory = await ran(async (s) => {
      for (const name of ["a", "b", "c"]) await s.step(name, nothing, { undo: undo(name) });
      await s.step("d", nothing);
      await s.step("e", fails(Code.FailedPrecondition), { undo: undo("e") });
      return {};
    });
    assert.deepEqual(done, ["c saga-1/c/undo", "b saga-1/b/undo", "a saga-1/a/undo"]);
    assert.deepEqual(memory.undone, ["c", "b", "a"]);
    assert.deepEqual(memory.names.slice(5), ["end", "undo c", "undo b", "undo a"]);
    assert.equal(failureOf(memory).code, Code.FailedPrecondition);
  });

  test("a failed step of which one run may have had an effect is undone", async () => {
    const done: string[] = [];
    let runs = 0;
    await ran(async (s) => {
      const run = fails(Code.Unavailable);
      const later = fails(Code.NotFound);
      await s.step("one", () => (runs++ === 0 ? run() : later()), {
        undo: async () => void done.push("one"),
      });
      return {};
    });
    assert.equal(runs, 2);
    assert.deepEqual(done, ["one"]);
  });

  test("a body that throws is undone, and so is one that has caught the error of a step", async () => {
    const done: string[] = [];
    const undo = (name: string) => ({ undo: async () => void done.push(name) });
    const thrown = await ran(async (s) => {
      await s.step("a", nothing, undo("a"));
      throw new ConnectError("declined", Code.FailedPrecondition);
    });
    assert.deepEqual(failureOf(thrown), { code: 9, message: "declined", cause: "body" });
    const caught = await ran(async (s) => {
      await s.step("b", nothing, undo("b"));
      await s.step("c", fails(Code.NotFound)).catch(() => {});
      await assert.rejects(s.step("d", nothing), { code: Code.NotFound });
      return {};
    });
    assert.equal(failureOf(caught).cause, "step");
    assert.deepEqual(done, ["a", "b"]);
  });

  test("a permanent code of an undo makes it stuck, until another execution", async () => {
    const clock = new VirtualClock();
    const memory = new MemorySaga(clock, () => 0.5);
    let isRepaired = false;
    const code = defined(async (s) => {
      await s.step("a", nothing, {
        undo: async () => void (isRepaired || (await fails(Code.NotFound, "gone")())),
      });
      await s.step("b", fails(Code.NotFound));
      return {};
    });
    memory.execute(code);
    await clock.pass(1_000);
    assert.equal(memory.outcome?.state, "STUCK");
    assert.equal(memory.outcome.stuck.step, "undo a");
    assert.equal(memory.outcome.stuck.text, "NOT_FOUND gone");
    isRepaired = true;
    memory.execute(code);
    await clock.pass(1_000);
    assert.equal(memory.outcome?.state, "UNDONE");
  });
});

suite("the end of a saga from outside", () => {
  test("cancel in a step ends its run, and undoes it", async () => {
    const clock = new VirtualClock();
    const memory = new MemorySaga(clock, () => 0.5);
    const done: string[] = [];
    memory.execute(
      defined(async (s) => {
        await s.step("a", nothing, { undo: async () => void done.push("a") });
        const run = ({ signal }: StepCall): Promise<void> =>
          new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
        await s.step("b", run, { undo: async () => void done.push("b") });
        return {};
      }),
    );
    await clock.pass(1_000);
    assert.ok(memory.cancel());
    await clock.pass(0);
    assert.deepEqual(done, ["b", "a"]);
    assert.deepEqual(failureOf(memory), {
      code: Code.Canceled,
      message: "a person wants it",
      cause: "cancel",
    });
  });

  test("a step that ends well in spite of a cancellation is done, and undone", async () => {
    const clock = new VirtualClock();
    const memory = new MemorySaga(clock, () => 0.5);
    const done: string[] = [];
    memory.execute(
      defined(async (s) => {
        const run = (): Promise<void> => new Promise((resolve) => void clock.after(500, resolve));
        await s.step("a", run, { undo: async () => void done.push("a") });
        await s.step("b", async () => void done.push("b"));
        return {};
      }),
    );
    await clock.pass(100);
    memory.cancel();
    await clock.pass(1_000);
    assert.deepEqual(done, ["a"]);
    assert.equal(failureOf(memory).cause, "cancel");
  });

  for (const what of ["step", "sleep", "wait"] as const) {
    test(`the deadline passes in a ${what}: what is done is undone, without a deadline`, async () => {
      const done: string[] = [];
      const memory = await ran(
        async (s) => {
          const undo = async ({ timeoutMs }: StepCall): Promise<void> => void done.push(`a ${timeoutMs}`);
          await s.step("a", nothing, { undo });
          if (what === "step") await s.step("b", fails(Code.Unavailable), { attempts: 1_000 });
          if (what === "sleep") await s.sleep(1e12);
          if (what === "wait") await s.wait(RepeatRequestSchema);
          return {};
        },
        { timeoutMs: 5_000 },
      );
      assert.deepEqual(done, ["a 30000"]);
      assert.equal(failureOf(memory).cause, "deadline");
      assert.equal(failureOf(memory).code, Code.DeadlineExceeded);
    });
  }

  test("after a pivot there is no cancellation, no deadline and no end of attempts", async () => {
    const clock = new VirtualClock();
    const memory = new MemorySaga(clock, () => 0.5, { timeoutMs: 5_000 });
    let runs = 0;
    memory.execute(
      defined(async (s) => {
        await s.step("a", nothing, { undo: async () => assert.fail("undone") });
        await s.step(
          "ship",
          async () => {
            if (++runs < 20) throw new ConnectError("later", Code.Unavailable);
          },
          { pivot: true, attempts: 2 },
        );
        await s.sleep(10_000);
        await s.step("mail", fails(Code.NotFound, "no address"));
        return {};
      }),
    );
    await clock.pass(2_000);
    assert.equal(memory.cancel(), false);
    await clock.pass(3_600_000);
    assert.equal(runs, 20);
    assert.equal(memory.outcome?.state, "STUCK");
    assert.equal(memory.outcome.stuck.step, "mail");
  });

  test("cancel before a pivot: it does not run", async () => {
    const clock = new VirtualClock();
    const memory = new MemorySaga(clock, () => 0.5);
    memory.execute(
      defined(async (s) => {
        await s.sleep(1_000);
        await s.step("ship", async () => assert.fail("run"), { pivot: true });
        return {};
      }),
    );
    memory.cancel();
    await clock.pass(2_000);
    assert.equal(failureOf(memory).cause, "cancel");
  });
});

suite("waits of a saga", () => {
  test("signals are taken once each, in order, also those that came before", async () => {
    const clock = new VirtualClock();
    const memory = new MemorySaga(clock, () => 0.5);
    const send = (text: string): void =>
      memory.signal(
        RepeatRequestSchema.typeName,
        toBinary(RepeatRequestSchema, create(RepeatRequestSchema, { text })),
      );
    send("1");
    send("2");
    const code = defined(async (s) => {
      const texts: string[] = [];
      for (let turn = 0; turn < 3; turn++) texts.push((await s.wait(RepeatRequestSchema)).text);
      return { text: texts.join() };
    });
    memory.execute(code);
    await clock.pass(10);
    memory.kill();
    send("3");
    memory.execute(code);
    await clock.pass(10);
    assert.equal(memory.outcome?.state, "DONE");
    assert.deepEqual(memory.outcome.output, toBinary(EchoResponseSchema, reply("1,2,3")));
  });

  test("the end of a wait's own time can be handled by the body", async () => {
    const memory = await ran(async (s) => {
      const error = await s.wait(RepeatRequestSchema, { timeoutMs: 1_000 }).catch((error: unknown) => error);
      await s.step("a", echo("a"));
      assert.ok(error instanceof ConnectError);
      assert.equal(error.code, Code.DeadlineExceeded);
      return {};
    });
    assert.equal(memory.outcome?.state, "DONE");
    assert.deepEqual(memory.names, ["wait tsms.test.v1.RepeatRequest", "step a", "end"]);
  });

  test("sleeps are absolute: another execution sleeps for the rest; time and chance are the same", async () => {
    const clock = new VirtualClock();
    const memory = new MemorySaga(clock, () => 0.5);
    const seen: number[][] = [];
    const code = defined(async (s) => {
      const random = s.random();
      await s.sleep(3 * 2 ** 31);
      seen.push([random, s.random(), s.now()]);
      await s.sleep(1_000);
      return {};
    });
    memory.execute(code);
    await clock.pass(2 ** 31);
    memory.kill();
    memory.execute(code);
    await clock.pass(2 ** 32);
    memory.kill();
    memory.execute(code);
    await clock.pass(1_000);
    assert.equal(memory.outcome?.state, "DONE");
    assert.deepEqual(seen[0], seen[1]);
    assert.equal(seen[0]?.[2], 3 * 2 ** 31);
    assert.ok(
      seen
        .flat()
        .slice(0, 2)
        .every((value) => value >= 0 && value < 1),
    );
  });
});

suite("another execution of a saga", () => {
  test("a recorded step does not run again; one without a record does, with its key", async () => {
    const clock = new VirtualClock();
    const memory = new MemorySaga(clock, () => 0.5);
    const keys: (string | null)[] = [];
    let isHanging = true;
    const code = defined(async (s) => {
      const run = async ({ headers }: StepCall): Promise<EchoResponse> => {
        keys.push(headers.get("idempotency-key"));
        return reply("a");
      };
      const { text } = await s.step("a", run);
      await s.step("b", async ({ headers }) => {
        keys.push(headers.get("idempotency-key"));
        if (isHanging) await new Promise(() => {});
      });
      return { text };
    });
    memory.execute(code);
    await clock.pass(10);
    memory.kill();
    isHanging = false;
    memory.execute(code);
    await clock.pass(10);
    assert.deepEqual(keys, ["saga-1/a", "saga-1/b", "saga-1/b"]);
    assert.equal(memory.outcome?.state, "DONE");
  });

  test("a step that was killed in a run is undone even if its next run ends in a permanent code", async () => {
    const clock = new VirtualClock();
    const memory = new MemorySaga(clock, () => 0.5);
    const done: string[] = [];
    let runs = 0;
    const code = defined(async (s) => {
      const run = (): Promise<void> => (runs++ === 0 ? new Promise(() => {}) : fails(Code.AlreadyExists)());
      await s.step("a", run, { undo: async () => void done.push("a") });
      return {};
    });
    memory.execute(code);
    await clock.pass(10);
    memory.kill();
    memory.execute(code);
    await clock.pass(10);
    assert.deepEqual(done, ["a"]);
  });

  test("a step with another name than the record's makes it stuck with both, and nothing runs", async () => {
    const clock = new VirtualClock();
    const memory = new MemorySaga(clock, () => 0.5);
    memory.execute(
      defined(async (s) => {
        await s.step("a", nothing);
        await s.sleep(1_000_000);
        return {};
      }),
    );
    await clock.pass(10);
    memory.kill();
    memory.execute(
      defined(async (s) => {
        await s.step("b", async () => assert.fail("run"), { undo: async () => assert.fail("undone") });
        return {};
      }),
    );
    await clock.pass(10);
    assert.equal(memory.outcome?.state, "STUCK");
    assert.equal(memory.outcome.stuck.step, "code");
    assert.match(
      memory.outcome.stuck.text,
      /the record has "step a" where the code has "step b" \(test version 1\)/,
    );
  });

  test("code that has lost a step is stuck at its end", async () => {
    const clock = new VirtualClock();
    const memory = new MemorySaga(clock, () => 0.5);
    memory.execute(
      defined(async (s) => {
        await s.step("a", nothing);
        await s.step("b", nothing);
        await s.sleep(1_000_000);
        return {};
      }),
    );
    await clock.pass(10);
    memory.kill();
    memory.execute(
      defined(async (s) => {
        await s.step("a", nothing);
        return {};
      }),
    );
    await clock.pass(10);
    assert.equal(memory.outcome?.state, "STUCK");
    assert.match(memory.outcome.stuck.text, /the record has "step b" where the code has "end"/);
  });

  test("a run that the process cuts is not recorded", async () => {
    const clock = new VirtualClock();
    const memory = new MemorySaga(clock, () => 0.5);
    memory.execute(
      defined(async (s) => {
        const run = ({ signal }: StepCall): Promise<void> =>
          new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
        await s.step("a", run, { undo: async () => assert.fail("undone") });
        return {};
      }),
    );
    await clock.pass(10);
    memory.cut();
    await clock.pass(100_000);
    assert.deepEqual(memory.names, []);
    assert.equal(memory.outcome, undefined);
  });
});

suite("mistakes in the body of a saga", () => {
  const mistakes: readonly [string, RegExp, EchoBody][] = [
    [
      "a step name twice",
      /saga test: the step name "a" is used twice/,
      async (s) => {
        await s.step("a", nothing);
        await s.step("a", nothing);
        return {};
      },
    ],
    [
      "a step name with a slash",
      /saga test: the step name "a\/b" must have/,
      async (s) => {
        await s.step("a/b", nothing);
        return {};
      },
    ],
    [
      "a pivot with an undo",
      /saga test: step a is a pivot: it has no undo/,
      async (s) => {
        await s.step("a", nothing, { pivot: true, undo: nothing });
        return {};
      },
    ],
    [
      "two operations at a time",
      /saga test: step b began while step a ran: await each/,
      async (s) => {
        await Promise.all([s.step("a", nothing), s.step("b", nothing)]);
        return {};
      },
    ],
    [
      "a reply that is no message",
      /step a of saga test has given what is no message/,
      async (s) => {
        await s.step("a", async () => "text" as unknown as void);
        return {};
      },
    ],
    [
      "a reply of an unknown type",
      /has replied shop\.v1\.Unknown, a type that is unknown here: make its client/,
      async (s) => {
        await s.step("a", async () => ({ $typeName: "shop.v1.Unknown" }));
        return {};
      },
    ],
  ];
  for (const [what, message, body] of mistakes) {
    test(what, async () => {
      const memory = await ran(body);
      assert.match(failureOf(memory).message, message);
      assert.equal(failureOf(memory).code, Code.FailedPrecondition);
    });
  }

  test("a name or version that cannot be used", () => {
    const types = { input: EchoRequestSchema, output: EchoResponseSchema };
    const body: EchoBody = async () => ({});
    assert.throws(() => saga({ name: "a b", version: 1, ...types }, body), /the saga name "a b" must have/);
    assert.throws(
      () => saga({ name: "a", version: 0, ...types }, body),
      /saga a: version 0 must be a whole number/,
    );
  });
});
