import type { Consumed } from "./consumed.ts";
import type { Inbox, InboxKey, InboxRun } from "./inbox.ts";

/** How long an inbox may take to answer, in milliseconds. */
const answerMs = 10_000;

/** What records need. */
export interface RecordsParts {
  /** Undefined without one: then the broker's own counts are used. */
  readonly inbox: Inbox | undefined;
  /** Whether it is asked before each run. */
  readonly precheck: boolean;
  readonly group: string;
  readonly crashLimit: { readonly deliveries: number; readonly runs: number };
  /** Whether the broker counts deliveries to processes that have died. */
  readonly countsDeliveries: boolean;
  /** Called when the inbox cannot be asked, and when it answers again. */
  readonly reachable: (isReachable: boolean) => void;
}

/** What is known of messages before their run. */
export type BeforeRun =
  | "run"
  /** Done before. */
  | "duplicate"
  /** It has ended processes. */
  | "crash-loop"
  /** The inbox cannot be asked. */
  | "wait";

/** Which messages are done, and whose runs have begun and not ended, by an inbox where there is one. */
export class RunRecords {
  readonly #parts: RecordsParts;
  readonly #noted = new WeakSet<Consumed>();

  constructor(parts: RecordsParts) {
    this.#parts = parts;
  }

  /** The messages as the inbox knows them; those without attributes are unknown to it. */
  keysOf(messages: readonly Consumed[]): InboxKey[] {
    const { group } = this.#parts;
    const keys: InboxKey[] = [];
    for (const { event } of messages) {
      if (event !== undefined) keys.push({ group, source: event.source, id: event.id });
    }
    return keys;
  }

  /** Must be asked before each run. Of several messages any says what all are. */
  before(messages: readonly Consumed[]): BeforeRun | Promise<BeforeRun> {
    const { inbox, crashLimit, countsDeliveries } = this.#parts;
    if (inbox !== undefined) return this.#beforeBy(inbox, messages);
    const isLoop = messages.some(({ delivery: { deliveries = 0 } }) => deliveries > crashLimit.deliveries);
    return countsDeliveries && isLoop ? "crash-loop" : "run";
  }

  async #beforeBy(inbox: Inbox, messages: readonly Consumed[]): Promise<BeforeRun> {
    const { precheck, crashLimit } = this.#parts;
    const keys = this.keysOf(messages);
    if (keys.length === 0) return "run";
    const before = await this.#ask(async (signal): Promise<BeforeRun> => {
      if (precheck && (await inbox.done(keys, { signal })).length > 0) return "duplicate";
      for (const message of messages) {
        const [key] = this.keysOf([message]);
        if (key === undefined || !message.delivery.redelivered) continue;
        this.#noted.add(message);
        if ((await inbox.noteRun(key, { signal })) > crashLimit.runs) return "crash-loop";
      }
      return "run";
    });
    return before ?? "wait";
  }

  /** A run has ended, in whatever way. Undefined where there is nothing to be waited for. */
  ended(messages: readonly Consumed[]): Promise<void> | undefined {
    const { inbox } = this.#parts;
    return inbox === undefined ? undefined : this.#endedBy(inbox, messages);
  }

  async #endedBy(inbox: Inbox, messages: readonly Consumed[]): Promise<void> {
    for (const message of messages) {
      const [key] = this.keysOf([message]);
      if (key === undefined || !this.#noted.delete(message)) continue;
      await this.#ask((signal) => inbox.forgetRuns(key, { signal }));
    }
  }

  /** A run has ended well. @returns false where that could not be recorded */
  after(messages: readonly Consumed[], run: InboxRun | undefined): boolean | Promise<boolean> {
    const { inbox } = this.#parts;
    return inbox === undefined || run?.isRecorded === true ? true : this.#record(inbox, messages);
  }

  async #record(inbox: Inbox, messages: readonly Consumed[]): Promise<boolean> {
    const keys = this.keysOf(messages);
    if (keys.length === 0) return true;
    const recorded = await this.#ask((signal) => inbox.record(keys, { signal }).then(() => true));
    return recorded === true;
  }

  /** What the inbox says; undefined where it cannot be asked. */
  async #ask<T>(question: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> {
    try {
      const answer = await question(AbortSignal.timeout(answerMs));
      this.#parts.reachable(true);
      return answer;
    } catch {
      this.#parts.reachable(false);
      return undefined;
    }
  }
}
