import { create, toBinary } from "@bufbuild/protobuf";
import { EchoRequestSchema } from "../../gen/tsms/test/v1/echo_pb.ts";
import { Code, ConnectError } from "../../src/core/errors/errors.ts";
import { readEntry, writeEntry } from "../../src/saga/entry-text.ts";
import {
  JournalMismatch,
  type RecordedFailure,
  type SagaControl,
  type SagaJournal,
  type TakenSignal,
} from "../../src/saga/journal.ts";
import { never } from "../../src/saga/long-timer.ts";
import { ReplyTypes } from "../../src/saga/reply-types.ts";
import type { Saga } from "../../src/saga/saga.ts";
import { type SagaEnd, SagaRun } from "../../src/saga/saga-run.ts";
import { SagaStuck } from "../../src/saga/undo.ts";
import type { VirtualClock } from "../support/virtual-clock.ts";

/** How the execution of a saga in a test stands. */
export type Outcome = SagaEnd | { readonly state: "STUCK"; readonly stuck: SagaStuck };

/** A saga whose record is in memory; executions of it can be killed. */
export class MemorySaga {
  readonly id: string;
  readonly records: { readonly name: string; readonly text: string }[] = [];
  readonly undone: string[] = [];
  pivot: string | undefined;
  failure: RecordedFailure | undefined;
  outcome: Outcome | undefined;
  /** What an execution has thrown that is no outcome. */
  thrown: unknown;
  readonly #clock: VirtualClock;
  readonly #random: () => number;
  readonly #begunMs: number;
  readonly #deadlineMs: number | undefined;
  readonly #cancel = new AbortController();
  readonly #signals: { readonly type: string; readonly taken: TakenSignal }[] = [];
  readonly #waiting = new Set<() => void>();
  #executions = 0;
  #cut = new AbortController();

  constructor(clock: VirtualClock, random: () => number, options: { id?: string; timeoutMs?: number } = {}) {
    this.id = options.id ?? "saga-1";
    this.#clock = clock;
    this.#random = random;
    this.#begunMs = clock.nowMs();
    this.#deadlineMs = options.timeoutMs === undefined ? undefined : clock.nowMs() + options.timeoutMs;
  }

  /** Begins an execution, with another version of the code if need be. */
  execute(saga: Saga, text = "in"): void {
    const number = ++this.#executions;
    this.outcome = undefined;
    this.#cut = new AbortController();
    const run = new SagaRun({
      saga,
      begun: {
        id: this.id,
        input: toBinary(EchoRequestSchema, create(EchoRequestSchema, { text })),
        begunMs: this.#begunMs,
        deadlineMs: this.#deadlineMs,
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      },
      types: new ReplyTypes(saga.name, [saga.input, saga.output]),
      journal: this.#journal(number),
      control: this.#control(number),
      time: { clock: this.#clock, epochMs: () => this.#clock.nowMs(), random: this.#random },
    });
    run.run().then(
      (end) => this.#ended(number, end),
      (reason: unknown) => {
        if (reason instanceof SagaStuck) this.#ended(number, { state: "STUCK", stuck: reason });
        else this.thrown = reason;
      },
    );
  }

  /** Ends the execution as `kill -9` does: nothing of it is recorded any more. */
  kill(): void {
    this.#executions++;
  }

  /** Ends the running calls, as at the end of a stop's grace. */
  cut(): void {
    this.#cut.abort(new ConnectError("the process stops", Code.Unavailable));
  }

  /** @returns whether it was in time */
  cancel(why = "a person wants it"): boolean {
    if (this.pivot !== undefined) return false;
    this.#cancel.abort(new ConnectError(why, Code.Canceled));
    return true;
  }

  signal(type: string, bytes: Uint8Array): void {
    this.#signals.push({ type, taken: { seq: String(this.#signals.length + 1), bytes } });
    for (const wake of this.#waiting) wake();
  }

  /** Names of the recorded operations. */
  get names(): readonly string[] {
    return this.records.map(({ name }) => name);
  }

  #ended(number: number, outcome: Outcome): void {
    if (number === this.#executions) this.outcome = outcome;
  }

  #journal(number: number): SagaJournal {
    let next = 0;
    return {
      record: async (name, live) => {
        const at = next++;
        const known = this.records[at];
        if (known !== undefined) {
          if (known.name !== name) throw new JournalMismatch(known.name, name);
          return readEntry(known.text);
        }
        const entry = await live();
        if (number !== this.#executions) return never();
        const text = writeEntry(entry);
        this.records.push({ name, text });
        return readEntry(text);
      },
    };
  }

  #control(number: number): SagaControl {
    const isAlive = (): boolean => number === this.#executions;
    return {
      cancelled: this.#cancel.signal,
      cut: this.#cut.signal,
      isResumed: number > 1,
      isPivoted: this.pivot !== undefined,
      enter: async () => (isAlive() ? () => {} : never()),
      pass: async (pivot) => {
        if (!isAlive()) return never();
        if (this.#cancel.signal.aborted) return false;
        this.pivot = pivot;
        return true;
      },
      undoing: async (failure) => {
        if (!isAlive()) return never();
        this.failure = failure;
      },
      undone: (step) => void this.undone.push(step),
      signal: (type, taken, ended) => this.#signal(type, taken, ended),
    };
  }

  async #signal(
    type: string,
    taken: readonly string[],
    ended: AbortSignal,
  ): Promise<TakenSignal | undefined> {
    while (!ended.aborted) {
      const found = this.#signals.find((one) => one.type === type && !taken.includes(one.taken.seq));
      if (found !== undefined) return found.taken;
      await new Promise<void>((resolve) => {
        this.#waiting.add(resolve);
        ended.addEventListener("abort", () => resolve());
      });
    }
    return undefined;
  }
}
