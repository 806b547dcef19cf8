import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "../../src/core/errors/errors.ts";
import { Deadlines, Timed } from "../../src/messaging/deadlines.ts";
import { PublishWait } from "../../src/messaging/publish-wait.ts";
import { waitEndOf } from "../../src/messaging/wait.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

class Named extends Timed {
  readonly #name: string;
  readonly #over: string[];

  constructor(name: string, over: string[]) {
    super();
    this.#name = name;
    this.#over = over;
  }

  override expired(): void {
    this.#over.push(this.#name);
  }
}

test("waits of one length are over in the order in which they began, by one timer", () => {
  const clock = new VirtualClock();
  const deadlines = new Deadlines(clock, 100);
  const over: string[] = [];
  const [a, b, c, d] = ["a", "b", "c", "d"].map((name) => new Named(name, over));
  assert.ok(a && b && c && d);
  deadlines.add(a, clock.nowMs());
  clock.advance(10);
  deadlines.add(b, clock.nowMs());
  deadlines.add(c, clock.nowMs());
  clock.advance(10);
  deadlines.add(d, clock.nowMs());
  assert.equal(clock.nextMs, 100);
  deadlines.remove(b);
  deadlines.remove(b);
  clock.advance(80);
  assert.deepEqual(over, ["a"]);
  clock.advance(10);
  assert.deepEqual(over, ["a", "c"]);
  deadlines.remove(d);
  assert.equal(clock.nextMs, undefined, "no timer keeps the process alive");
  deadlines.add(b, clock.nowMs());
  clock.advance(100);
  assert.deepEqual(over, ["a", "c", "b"]);
  assert.equal(clock.nextMs, undefined);
});

test("a wait tells its listeners once, and its signal, which is made when it is read", () => {
  const clock = new VirtualClock();
  const wait = new PublishWait(new Deadlines(clock, 50), 0, undefined);
  let heard = 0;
  const listener = { handleEvent: () => void heard++ };
  const gone = { handleEvent: () => assert.fail("it was removed") };
  wait.addEventListener("abort", listener);
  wait.addEventListener("abort", gone);
  wait.removeEventListener("abort", gone);
  assert.equal(waitEndOf(wait), wait);
  const { signal } = wait;
  clock.advance(50);
  assert.deepEqual([heard, wait.aborted, wait.isOver, signal.aborted], [1, true, true, true]);
  assert.equal(signal.reason, wait.reason);
  assert.equal(wait.reason?.rawMessage, "the broker has not confirmed it within 50 ms");
  const late = new PublishWait(new Deadlines(clock, 50), clock.nowMs(), signal);
  assert.equal(late.signal.aborted, true);
  late.end();
});

test("a wait ends with its caller, by a signal or by a call, and hears nothing more behind its end", () => {
  const clock = new VirtualClock();
  const deadlines = new Deadlines(clock, 50);
  const controller = new AbortController();
  const wait = new PublishWait(deadlines, 0, controller.signal);
  const ended = new PublishWait(deadlines, 0, controller.signal);
  ended.end();
  controller.abort(new Error("no more"));
  assert.deepEqual([wait.reason?.code, wait.isOver, ended.aborted], [Code.Canceled, false, false]);
  wait.end();
  const reason = new ConnectError("too late", Code.DeadlineExceeded);
  let abort = (_reason: ConnectError): void => {};
  let isHeard = true;
  const call = {
    reason: undefined,
    onAbort(listener: (reason: ConnectError) => void) {
      abort = listener;
      return () => void (isHeard = false);
    },
  };
  const called = new PublishWait(deadlines, 0, call);
  abort(reason);
  assert.equal(called.reason, reason);
  called.end();
  assert.deepEqual([isHeard, clock.nextMs], [false, undefined]);
});
