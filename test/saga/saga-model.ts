import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { EchoRequestSchema, EchoResponseSchema } from "../../gen/tsms/test/v1/echo_pb.ts";
import { Code, ConnectError } from "../../src/core/errors/errors.ts";
import { type Saga, saga, type StepCall } from "../../src/saga/saga.ts";
import { seeded, VirtualClock } from "../support/virtual-clock.ts";
import { MemorySaga } from "./memory-saga.ts";

/** What one step of a random saga is. */
interface Plan {
  readonly name: string;
  readonly hasUndo: boolean;
  readonly isPivot: boolean;
  /** Share of its runs that fail with a code worth another, of its runs that fail for good, and of its undos that fail. */
  readonly later: number;
  readonly never: number;
  readonly undoLater: number;
  readonly sleepMs: number;
}

/** What the services of a random saga have seen of one step. */
interface Seen {
  /** Whether its effect is there. */
  effect: boolean;
  runs: number;
  /** Runs that did not end in a permanent code, those that were killed among them. */
  uncertain: number;
  undone: number;
}

/** A random saga over random services, with kills, a cancellation and a deadline. */
class Model {
  readonly #random: () => number;
  readonly #clock = new VirtualClock(1_000);
  readonly #plans: readonly Plan[];
  readonly #seen = new Map<string, Seen>();
  readonly #memory: MemorySaga;
  readonly #undoOrder: string[] = [];
  readonly #saga: Saga;
  #pivoted = false;
  #cancelled = false;
  #kills = 0;

  constructor(seed: number) {
    this.#random = seeded(seed);
    this.#plans = this.#makePlans();
    const timeoutMs = this.#chance(0.3) ? this.#upTo(120_000) : undefined;
    this.#memory = new MemorySaga(this.#clock, this.#random, timeoutMs === undefined ? {} : { timeoutMs });
    this.#saga = saga(
      { name: "model", version: 1, input: EchoRequestSchema, output: EchoResponseSchema },
      async (s) => {
        for (const plan of this.#plans) {
          if (plan.sleepMs > 0) await s.sleep(plan.sleepMs);
          await s.step(plan.name, (call) => this.#run(plan, call), {
            ...(plan.hasUndo && { undo: (call: StepCall) => this.#undo(plan, call) }),
            pivot: plan.isPivot,
            attempts: 3,
          });
        }
        return create(EchoResponseSchema, { text: "done" });
      },
    );
  }

  async play(): Promise<void> {
    this.#memory.execute(this.#saga);
    const kills = this.#upTo(6);
    for (let kill = 0; kill < kills; kill++) {
      await this.#clock.pass(this.#upTo(30_000));
      if (this.#chance(0.2) && !this.#cancelled && this.#memory.outcome === undefined) {
        this.#cancelled = this.#memory.cancel();
      }
      if (this.#memory.outcome !== undefined) break;
      if (this.#chance(0.3)) this.#memory.cut();
      this.#memory.kill();
      this.#kills++;
      await this.#clock.pass(this.#upTo(20_000));
      this.#memory.execute(this.#saga);
    }
    await this.#clock.pass(7 * 86_400_000);
    assert.equal(this.#memory.thrown, undefined);
    this.#check();
  }

  #check(): void {
    const { outcome } = this.#memory;
    assert.ok(outcome !== undefined, "it has ended");
    assert.notEqual(outcome.state, "STUCK");
    const all = this.#plans.map(({ name }) => this.#of(name));
    if (this.#pivoted) assert.equal(outcome.state, "DONE");
    if (outcome.state === "DONE") {
      assert.ok(all.every(({ effect, undone }) => effect && undone === 0));
      return;
    }
    for (const { name, hasUndo } of this.#plans) {
      const { effect, uncertain, undone } = this.#of(name);
      if (!hasUndo) continue;
      assert.equal(effect, false, `${name} is undone`);
      if (uncertain === 0) assert.equal(undone, 0, `${name} has had no effect, and is not undone`);
    }
    const order = this.#plans.map(({ name }) => name).toReversed();
    const firsts = [...new Set(this.#undoOrder)];
    assert.deepEqual(
      firsts,
      order.filter((name) => firsts.includes(name)),
    );
  }

  async #run(plan: Plan, { headers, signal }: StepCall): Promise<void> {
    const seen = this.#of(plan.name);
    assert.equal(headers.get("idempotency-key"), `saga-1/${plan.name}`);
    assert.ok(!this.#memory.names.includes(`step ${plan.name}`), "a recorded step does not run again");
    assert.equal(this.#undoOrder.length, 0, "no step runs after an undo");
    if (plan.isPivot) this.#pivoted = true;
    seen.runs++;
    seen.uncertain++; // Until it has ended in a permanent code: it may be killed before.
    const kills = this.#kills;
    const isNever = this.#chance(plan.never);
    const isLater = this.#chance(plan.later);
    // A service has its effect when the call arrives: what arrives after its undo no saga can help.
    if (!isNever && (!isLater || this.#chance(0.5))) seen.effect = true;
    await this.#passes(this.#upTo(3_000), signal);
    if (isNever) {
      if (kills === this.#kills && !signal.aborted) seen.uncertain--; // Else the saga has not seen it.
      throw new ConnectError("never", Code.FailedPrecondition);
    }
    if (isLater) throw new ConnectError("later", Code.Unavailable);
  }

  async #undo(plan: Plan, { headers, signal }: StepCall): Promise<void> {
    assert.equal(headers.get("idempotency-key"), `saga-1/${plan.name}/undo`);
    assert.ok(!this.#pivoted, "nothing is undone after a pivot");
    this.#undoOrder.push(plan.name);
    await this.#passes(this.#upTo(3_000), signal);
    if (this.#chance(plan.undoLater)) throw new ConnectError("later", Code.Unavailable);
    const seen = this.#of(plan.name);
    seen.undone++;
    seen.effect = false;
  }

  /** Takes a time, unless the signal fires; some services do not hear it. */
  #passes(ms: number, signal: AbortSignal): Promise<void> {
    const hears = this.#chance(0.8);
    return new Promise((resolve, reject) => {
      this.#clock.after(ms, resolve);
      if (hears) signal.addEventListener("abort", () => reject(signal.reason as Error));
    });
  }

  #makePlans(): Plan[] {
    const count = 1 + this.#upTo(5);
    const pivot = this.#chance(0.4) ? this.#upTo(count - 1) : -1;
    return Array.from({ length: count }, (_, index) => ({
      name: `s${index}`,
      isPivot: index === pivot,
      hasUndo: index !== pivot && this.#chance(0.8),
      later: this.#chance(0.5) ? this.#random() * 0.6 : 0,
      // From a pivot on, what fails for good would be stuck.
      never: pivot >= 0 && index >= pivot ? 0 : this.#chance(0.3) ? this.#random() : 0,
      undoLater: this.#chance(0.5) ? this.#random() * 0.8 : 0,
      sleepMs: this.#chance(0.3) ? this.#upTo(60_000) : 0,
    }));
  }

  #of(name: string): Seen {
    const seen = this.#seen.get(name) ?? { effect: false, runs: 0, uncertain: 0, undone: 0 };
    this.#seen.set(name, seen);
    return seen;
  }

  #chance(share: number): boolean {
    return this.#random() < share;
  }

  /** A whole number from 0 to `most`. */
  #upTo(most: number): number {
    return Math.floor(this.#random() * (most + 1));
  }
}

/** Plays random sagas. @throws Error with the seed of the first that does what it must not */
export async function playModels(firstSeed: number, count: number): Promise<void> {
  for (let seed = firstSeed; seed < firstSeed + count; seed++) {
    try {
      await new Model(seed).play();
    } catch (cause) {
      throw new Error(`seed ${seed}`, { cause });
    }
  }
}
