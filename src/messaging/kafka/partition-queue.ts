import type { Clock } from "../../core/time/clock.ts";
import { Pauses } from "../../core/time/pauses.ts";
import { WakeablePause } from "../../core/time/wakeable-pause.ts";
import { kafkaCodes, refusalOf, textOf } from "./kafka-errors.ts";
import type { Publication } from "./publication.ts";

/** Who this producer is for Kafka, which knows repeated batches by it. */
export interface ProducerIdentity {
  readonly id: bigint;
  readonly epoch: number;
}

/** Messages that are stored together. It is sent again as it is, until Kafka has said what has become of it. */
export interface RecordBatch {
  readonly publications: readonly Publication[];
  readonly identity: ProducerIdentity;
  /** The number of its first message among those of this producer and partition. */
  readonly sequence: number;
}

/** What Kafka answers to a batch. */
export interface BatchAnswer {
  /** 0 for none. */
  readonly code: number;
  readonly offset: bigint;
}

/** What a queue needs of its producer. */
export interface PartitionParts {
  readonly topic: string;
  readonly partition: number;
  readonly maxBatchBytes: number;
  readonly clock: Clock;
  readonly random: () => number;
  /** Fires when nothing more is to be sent. */
  readonly closed: AbortSignal;
  /** @throws Error where there is none now */
  identity(): Promise<ProducerIdentity>;
  /** Kafka does not know this identity, or not its numbers: the next one is another. */
  readonly drop: (identity: ProducerIdentity) => void;
  /** Sends a batch. @throws Error where no answer has come */
  send(batch: RecordBatch): Promise<BatchAnswer>;
  /** Whether the topic is another one than before: its offsets begin again. */
  readonly isRemade: () => boolean;
  /** Why the last try has failed; undefined once one has not. */
  failing(why: string | undefined): void;
}

/** Pauses between tries. */
const backoff = Object.freeze({ initialMs: 50, maxMs: 1_000, multiplier: 2, jitter: 0.2 });

/**
 * The messages for one partition, in order. At most one batch is under way; what comes meanwhile makes the next one, so
 * a batch that is sent again is never behind a newer one.
 *
 * ```
 *   push ─▶ waiting ── batch ──▶ under way ── answer ──▶ outcomes
 *                                 │     ▲
 *                                 └─────┘ no answer, no leader: the same batch, with the same numbers
 * ```
 */
export class PartitionQueue {
  readonly #parts: PartitionParts;
  readonly #pauses: Pauses;
  #waiting: Publication[] = [];
  #isRunning = false;
  #identity: ProducerIdentity | undefined;
  #nextSequence = 0;
  /** The last offset that was confirmed. */
  #lastOffset = -1n;

  constructor(parts: PartitionParts) {
    this.#parts = parts;
    this.#pauses = new Pauses(backoff, parts.random);
  }

  push(publication: Publication): void {
    this.#waiting.push(publication);
    if (this.#isRunning) return;
    this.#isRunning = true;
    // What is published in the same turn of the event loop goes with it.
    setImmediate(() => void this.#run());
  }

  async #run(): Promise<void> {
    for (;;) {
      const publications = this.#take();
      if (publications.length === 0 || this.#parts.closed.aborted) break;
      await this.#store(publications);
      // What its callers publish by its outcome goes into the next batch, with what has come meanwhile.
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#isRunning = false;
  }

  /** The next messages, of so many bytes at the most. */
  #take(): Publication[] {
    const taken: Publication[] = [];
    let bytes = 0;
    let count = 0;
    for (const publication of this.#waiting) {
      const { isOver, record } = publication;
      if (!isOver && taken.length > 0 && bytes + record.bytes > this.#parts.maxBatchBytes) break;
      count++;
      if (isOver) continue;
      taken.push(publication);
      bytes += record.bytes;
    }
    this.#waiting = count === this.#waiting.length ? [] : this.#waiting.slice(count);
    return taken;
  }

  /** Sends messages until each has its outcome, or nothing is to be sent any more. */
  async #store(publications: readonly Publication[]): Promise<void> {
    let batch: RecordBatch | undefined;
    while (!this.#parts.closed.aborted) {
      // What was not sent yet can be taken out; what was sent keeps its numbers.
      const wanted = batch?.publications ?? publications.filter(({ isOver }) => !isOver);
      if (wanted.length === 0) return;
      try {
        batch ??= await this.#batchOf(wanted);
        for (const publication of batch.publications) publication.isSent = true;
        const answer = await this.#parts.send(batch);
        const isDone = await this.#answered(batch, answer);
        if (isDone) {
          this.#pauses.reset();
          this.#parts.failing(undefined);
          return;
        }
        if (answer.code === kafkaCodes.messageTooLarge || !isKnown(answer.code)) batch = undefined;
      } catch (reason) {
        this.#parts.failing(textOf(reason));
      }
      await new WakeablePause(this.#parts.clock).wait(this.#pauses.nextMs(), this.#parts.closed);
    }
  }

  async #batchOf(publications: readonly Publication[]): Promise<RecordBatch> {
    const identity = await this.#parts.identity();
    if (identity !== this.#identity) {
      this.#identity = identity;
      this.#nextSequence = 0;
    }
    return { publications, identity, sequence: this.#nextSequence };
  }

  /** @returns whether each message has its outcome; otherwise the batch is sent again */
  async #answered(batch: RecordBatch, { code, offset }: BatchAnswer): Promise<boolean> {
    const { publications, sequence, identity } = batch;
    const { topic, partition, drop } = this.#parts;
    if (code === 0 || code === kafkaCodes.duplicateSequence) {
      this.#nextSequence = (sequence + publications.length) % 2 ** 31;
      this.#confirm(batch, code === 0 ? offset : -1n);
      return true;
    }
    const isTooLarge = code === kafkaCodes.messageTooLarge || code === kafkaCodes.batchTooLarge;
    if (isTooLarge && publications.length > 1) {
      const middle = Math.ceil(publications.length / 2);
      await this.#store(publications.slice(0, middle));
      await this.#store(publications.slice(middle));
      return true;
    }
    const refusal = refusalOf(topic, code);
    if (refusal !== undefined) {
      for (const publication of publications) publication.end(refusal);
      return true;
    }
    if (!isKnown(code)) drop(identity);
    this.#parts.failing(`topic ${topic}, partition ${partition}: error ${code}`);
    return false;
  }

  /** Offsets only grow: a batch that is answered with an earlier one is taken for another one, and is not stored. */
  #confirm({ publications, identity }: RecordBatch, offset: bigint): void {
    const { partition, isRemade, drop } = this.#parts;
    if (offset >= 0n && offset <= this.#lastOffset && !isRemade()) {
      drop(identity);
      const why = `Kafka has answered two batches with the offset ${offset}`;
      for (const publication of publications) publication.abandon(why);
      return;
    }
    let at = offset;
    for (const publication of publications) publication.confirm(partition, at++);
    if (offset >= 0n) this.#lastOffset = at - 1n;
  }
}

/** Whether Kafka still knows the producer and its numbers. */
function isKnown(code: number): boolean {
  const { outOfOrder, invalidEpoch, unknownProducer } = kafkaCodes;
  return code !== outOfOrder && code !== invalidEpoch && code !== unknownProducer;
}
