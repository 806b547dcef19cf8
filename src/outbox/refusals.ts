import { Code } from "../core/errors/errors.ts";
import { type Backoff, Pauses } from "../core/time/pauses.ts";
import type { OutboxRow } from "./outbox-row.ts";
import type { Exclusions } from "./store.ts";

/** What becomes of a row that the broker has not taken. */
export type Refused =
  /** It is published again later. */
  | "unavailable"
  /** The broker does not want this row; it is tried again some times. */
  | "refused"
  /** It has been refused for the last time. */
  | "dead";

/** Refusals of a row for itself, after which it is dead. */
const mostRefusals = 5;
/** Pauses between tries of a row that the broker refuses for itself, in milliseconds: 35 s in all. */
const refusalPausesMs = [1_000, 4_000, 10_000, 20_000] as const;
/** Pauses between tries of a topic that takes nothing, such as one without a queue. */
const topicBackoff: Backoff = { initialMs: 1_000, maxMs: 30_000, multiplier: 2, jitter: 0.2 };

/** Codes by which a broker refuses a row for itself: a bad one, one that is too large. */
const ofTheRow: ReadonlySet<Code> = new Set([Code.InvalidArgument, Code.ResourceExhausted]);
/** Codes by which it refuses what goes to a topic; the row is refused with them. */
const ofTheTopic: ReadonlySet<Code> = new Set([Code.PermissionDenied, Code.FailedPrecondition]);

interface RefusedRow {
  readonly topic: string;
  readonly key: string | null;
  readonly times: number;
  readonly dueMs: number;
}

interface RefusedTopic {
  readonly pauses: Pauses;
  dueMs: number;
}

/**
 * Which rows wait until they are published again. A row that waits holds the later ones of its key, in their order, and
 * no others; a topic that takes nothing waits as a whole. It is kept in memory: another relay begins to count again.
 */
export class Refusals {
  readonly #rows = new Map<bigint, RefusedRow>();
  readonly #topics = new Map<string, RefusedTopic>();
  readonly #random: () => number;

  /** @param random returns numbers from 0 to 1 */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** The broker has not taken a row. */
  refused({ seq, topic, key }: OutboxRow, code: Code, nowMs: number): Refused {
    const isOfTopic = ofTheTopic.has(code);
    if (isOfTopic || !ofTheRow.has(code)) this.#topicWaits(topic, nowMs);
    if (!isOfTopic && !ofTheRow.has(code)) return "unavailable";
    const times = (this.#rows.get(seq)?.times ?? 0) + 1;
    if (times >= mostRefusals) {
      this.#rows.delete(seq);
      return "dead";
    }
    this.#rows.set(seq, { topic, key, times, dueMs: nowMs + (refusalPausesMs[times - 1] ?? 0) });
    return "refused";
  }

  /** The broker has taken a row. */
  taken({ seq, topic }: OutboxRow): void {
    this.#rows.delete(seq);
    this.#topics.delete(topic);
  }

  /** Those of rows that were read that are published now: of a key with a refused row none but that one. */
  ready(rows: readonly OutboxRow[]): readonly OutboxRow[] {
    if (this.#rows.size === 0) return rows;
    const alone = new Set<string>();
    return rows.filter(({ seq, topic, key }) => {
      if (key === null) return true;
      const lane = JSON.stringify([topic, key]);
      if (alone.has(lane)) return false;
      if (this.#rows.has(seq)) alone.add(lane);
      return true;
    });
  }

  /** What is not to be read at a time. */
  waiting(nowMs: number): Exclusions {
    const rows = [...this.#rows].filter(([, { dueMs }]) => dueMs > nowMs);
    return {
      topics: [...this.#topics].filter(([, { dueMs }]) => dueMs > nowMs).map(([topic]) => topic),
      seqs: rows.filter(([, { key }]) => key === null).map(([seq]) => seq),
      keys: rows.flatMap(([, { topic, key }]) => (key === null ? [] : { topic, key })),
    };
  }

  #topicWaits(topic: string, nowMs: number): void {
    const known = this.#topics.get(topic) ?? { pauses: new Pauses(topicBackoff, this.#random), dueMs: -1 };
    this.#topics.set(topic, known);
    // Those of one batch are one refusal.
    if (known.dueMs <= nowMs) known.dueMs = nowMs + known.pauses.nextMs();
  }
}
