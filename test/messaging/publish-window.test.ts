import { strict as assert } from "node:assert";
import { test } from "node:test";
import { Code, ConnectError } from "../../src/core/errors/errors.ts";
import { retryAfterMsOf } from "../../src/core/errors/retry-info.ts";
import { PublishWindow, type WindowBounds } from "../../src/messaging/publish-window.ts";

/** Messages that end when the test says so. */
class Sends {
  readonly begun: string[] = [];
  readonly window: PublishWindow;
  readonly #ends = new Map<string, () => void>();

  constructor(bounds: Partial<WindowBounds>) {
    this.window = new PublishWindow({ maxInFlight: 2, maxInFlightBytes: 100, maxWaiting: 3, ...bounds });
  }

  send(name: string, bytes = 1, signal = new AbortController().signal): Promise<string> {
    return this.window.run(bytes, signal, () => {
      this.begun.push(name);
      return new Promise((resolve) => this.#ends.set(name, () => resolve(name)));
    });
  }

  async end(...names: string[]): Promise<void> {
    for (const name of names) this.#ends.get(name)?.();
    await new Promise(setImmediate);
  }
}

test("what finds no place waits, and begins in its order", async () => {
  const sends = new Sends({});
  const all = ["a", "b", "c", "d", "e"].map((name) => sends.send(name));
  assert.deepEqual(sends.begun, ["a", "b"]);
  assert.deepEqual([sends.window.inFlight, sends.window.waiting, sends.window.room], [2, 3, 0]);
  await sends.end("b");
  assert.deepEqual(sends.begun, ["a", "b", "c"]);
  await sends.end("a", "c");
  assert.deepEqual(sends.begun, ["a", "b", "c", "d", "e"]);
  await sends.end("d", "e");
  assert.deepEqual(await Promise.all(all), ["a", "b", "c", "d", "e"]);
  assert.deepEqual([sends.window.inFlight, sends.window.waiting, sends.window.room], [0, 0, 5]);
});

test("a small message does not overtake a large one, and one above all bounds goes alone", async () => {
  const sends = new Sends({ maxInFlight: 10 });
  const all = [sends.send("a", 60), sends.send("b", 60), sends.send("c", 1), sends.send("d", 1_000)];
  assert.deepEqual(sends.begun, ["a"]);
  await sends.end("a");
  assert.deepEqual(sends.begun, ["a", "b", "c"]);
  await sends.end("b");
  assert.deepEqual(sends.begun, ["a", "b", "c"]);
  await sends.end("c");
  assert.deepEqual(sends.begun, ["a", "b", "c", "d"]);
  await sends.end("d");
  await Promise.all(all);
});

test("M24: beyond the queue a message is UNAVAILABLE at once, with RetryInfo", async () => {
  const sends = new Sends({});
  const all = ["a", "b", "c", "d", "e"].map((name) => sends.send(name));
  const refused = await sends.send("f").catch((error: unknown) => error);
  assert.ok(refused instanceof ConnectError);
  assert.equal(refused.code, Code.Unavailable);
  assert.equal(refused.rawMessage, "not sent: 2 messages are not confirmed, and 3 wait behind them");
  assert.equal(retryAfterMsOf(refused), 1_000);
  for (const name of ["a", "b", "c", "d", "e"]) await sends.end(name);
  await Promise.all(all);
});

test("a signal takes a message out that waits, and what is behind it moves up", async () => {
  const sends = new Sends({ maxInFlight: 10 });
  const controller = new AbortController();
  const first = sends.send("a", 60);
  const taken = sends.send("b", 60, controller.signal);
  const last = sends.send("c", 10);
  controller.abort(new ConnectError("enough", Code.DeadlineExceeded));
  await assert.rejects(taken, { code: Code.DeadlineExceeded, rawMessage: "not sent: enough" });
  assert.deepEqual(sends.begun, ["a", "c"]);
  await assert.rejects(sends.send("d", 1, controller.signal), { rawMessage: "not sent: enough" });
  await sends.end("a", "c");
  await Promise.all([first, last]);
  assert.equal(sends.window.room, 13);
});

test("M24: what has been taken out is not kept while the first message hangs", async () => {
  const sends = new Sends({ maxInFlight: 1 });
  const first = sends.send("a");
  for (let round = 0; round < 5_000; round++) {
    const controller = new AbortController();
    const waits = sends.send("b", 1, controller.signal);
    controller.abort();
    await assert.rejects(waits);
  }
  assert.equal(sends.window.waiting, 0);
  const next = sends.send("c");
  await sends.end("a");
  await sends.end("c");
  assert.deepEqual(await Promise.all([first, next]), ["a", "c"]);
});

test("a message that fails gives its place back", async () => {
  const window = new PublishWindow({ maxInFlight: 1, maxInFlightBytes: 1, maxWaiting: 1 });
  const signal = new AbortController().signal;
  const failed = window.run(1, signal, () => Promise.reject(new Error("no")));
  const next = window.run(1, signal, () => Promise.resolve("yes"));
  await assert.rejects(failed, { message: "no" });
  assert.equal(await next, "yes");
});

test("a place that is taken at once overtakes nothing that waits, and goes to the next when it is given back", async () => {
  const sends = new Sends({});
  const { signal } = new AbortController();
  assert.ok(sends.window.enter(60, signal));
  assert.equal(sends.window.enter(60, signal), false); // Too many bytes.
  const waiting = sends.send("a", 60);
  assert.equal(sends.window.enter(1, signal), false);
  assert.equal(sends.window.enter(1, AbortSignal.abort()), false);
  assert.deepEqual([sends.window.inFlight, sends.begun], [1, []]);
  sends.window.leave(60);
  assert.deepEqual([sends.window.inFlight, sends.begun], [1, ["a"]]);
  await sends.end("a");
  assert.equal(await waiting, "a");
  assert.equal(sends.window.inFlight, 0);
});
