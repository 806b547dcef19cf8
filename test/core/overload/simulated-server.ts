import assert from "node:assert/strict";
import { ConnectError } from "../../../src/core/errors/errors.ts";
import type { Clock } from "../../../src/core/time/clock.ts";
import { Overload, type OverloadParts } from "../../../src/core/overload/overload.ts";
import type { OverloadOptions } from "../../../src/core/overload/overload-options.ts";
import { madeCall, type MadeCall } from "../../support/made-call.ts";

/** Calls that come in a simulation. */
export interface Stream {
  /** Calls a second, at random moments. */
  readonly rate: number;
  readonly fromMs: number;
  readonly untilMs: number;
  readonly call?: MadeCall;
}

/** How long a handler keeps the event loop, and how long it waits then. */
export interface Work {
  readonly cpuMs: number;
  readonly waitMs?: number;
  /** How many handlers wait at a time; others queue behind them. Default: any. */
  readonly places?: number;
}

/** How a simulated call has ended. */
export interface Ended {
  readonly stream: Stream;
  readonly atMs: number;
  readonly latencyMs: number;
  readonly passed: boolean;
}

/** What a refusal costs the event loop. */
const refusalMs = 0.05;

/** Numbers from 0 to 1 by a seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A clock that runs while handlers work, and whose timers fire between the turns of the event loop, as those of Node. */
class LoopClock implements Clock {
  now = 0;
  readonly #timers: { atMs: number; fn: () => void }[] = [];

  nowMs(): number {
    return this.now;
  }

  after(delayMs: number, fn: () => void): () => void {
    const timer = { atMs: this.now + delayMs, fn };
    this.#timers.push(timer);
    return () => {
      const at = this.#timers.indexOf(timer);
      if (at >= 0) this.#timers.splice(at, 1);
    };
  }

  get nextMs(): number {
    return Math.min(...this.#timers.map(({ atMs }) => atMs));
  }

  fire(): void {
    const due = this.#timers.filter(({ atMs }) => atMs <= this.now);
    for (const timer of due) {
      this.#timers.splice(this.#timers.indexOf(timer), 1);
      timer.fn();
    }
  }
}

/**
 * Serves streams of calls with overload control, on a virtual clock. `longestTurnMs` is the longest time in which nothing
 * else was done, such as an answer to a question for the health.
 */
export async function simulate(
  streams: readonly Stream[],
  workOf: (at: number) => Work,
  options: Partial<OverloadOptions> = {},
  parts: OverloadParts = {},
): Promise<{ ended: Ended[]; overload: Overload; longestTurnMs: number }> {
  const random = seeded(7);
  const clock = new LoopClock();
  const turns: (() => void)[] = [];
  const overload = new Overload(options, {
    clock,
    random,
    memory: () => 0,
    utilization: () => 1,
    afterTurn: (fn) => void turns.push(fn),
    ...parts,
  }).start();
  const arrivals = streams.flatMap((stream) => {
    const times: { atMs: number; stream: Stream }[] = [];
    let atMs = stream.fromMs - (Math.log(1 - random()) * 1000) / stream.rate;
    for (; atMs < stream.untilMs; atMs -= (Math.log(1 - random()) * 1000) / stream.rate)
      times.push({ atMs, stream });
    return times;
  });
  arrivals.sort((a, b) => a.atMs - b.atMs);
  const ended: Ended[] = [];
  const pool: (() => void)[] = [];
  let inPool = 0;
  const untilMs = Math.max(...streams.map((stream) => stream.untilMs)) + 3_000;
  let next = 0;

  const served = (at: number): void => {
    const { atMs, stream } = arrivals[at] ?? assert.fail();
    const head = madeCall(stream.call);
    const end = (passed: boolean): void => {
      ended.push({ stream, atMs, latencyMs: clock.now - atMs, passed });
      head.context.end();
    };
    const refuse = (reason: unknown): void => {
      assert.ok(reason instanceof ConnectError);
      clock.now += refusalMs;
      end(false);
    };
    const run = (): void => {
      const { cpuMs, waitMs = 0, places = Number.POSITIVE_INFINITY } = workOf(at);
      clock.now += cpuMs;
      if (waitMs === 0) {
        end(true);
        return;
      }
      const enter = (): void => {
        inPool++;
        clock.after(waitMs, () => {
          inPool--;
          end(true);
          pool.shift()?.();
        });
      };
      if (inPool < places) enter();
      else pool.push(enter);
    };
    // The context counts from when the call was read.
    Object.defineProperty(head.context, "startedAt", { value: clock.now });
    try {
      const waiting = overload.gate.admit(head);
      if (waiting === undefined) run();
      else waiting.then(run, refuse);
    } catch (reason) {
      refuse(reason);
    }
  };

  let longestTurnMs = 0;
  while (clock.now < untilMs) {
    const turnMs = clock.now;
    clock.fire();
    await Promise.resolve();
    const due: number[] = [];
    while (next < arrivals.length && (arrivals[next]?.atMs ?? 0) <= clock.now) due.push(next++);
    for (const at of due) {
      served(at);
    }
    await new Promise(setImmediate);
    for (const fn of turns.splice(0)) fn();
    await new Promise(setImmediate);
    longestTurnMs = Math.max(longestTurnMs, clock.now - turnMs);
    const following = Math.min(arrivals[next]?.atMs ?? untilMs, clock.nextMs);
    clock.now = Math.max(clock.now, following);
  }
  overload.stop();
  return { ended, overload, longestTurnMs };
}

/** The quantile of latencies, in milliseconds. */
export function quantile(all: readonly Ended[], q: number): number {
  const sorted = all.map(({ latencyMs }) => latencyMs).toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0;
}
