import { Code, ConnectError } from "../../core/errors/errors.ts";
import { SetupError } from "../../core/errors/setup-error.ts";
import { Pauses } from "../../core/time/pauses.ts";
import { WakeablePause } from "../../core/time/wakeable-pause.ts";
import { placeOf, placeOfBytes } from "../murmur2.ts";
import { noQueue } from "../publish-outcome.ts";
import type { Cluster, Topic } from "./cluster.ts";
import { KafkaError, refusalOf, textOf } from "./kafka-errors.ts";
import type { FullKafkaOptions } from "./kafka-options.ts";
import {
  type BatchAnswer,
  type PartitionParts,
  PartitionQueue,
  type RecordBatch,
} from "./partition-queue.ts";
import type { Publication } from "./publication.ts";
import { declareTopics, readyTopics, type TopicDeclaration } from "./topology.ts";

/** What the queue of a topic needs of its producer. */
export interface TopicQueueParts extends Pick<
  PartitionParts,
  "clock" | "random" | "closed" | "identity" | "drop" | "failing"
> {
  readonly declaration: TopicDeclaration;
  readonly cluster: Cluster;
  readonly options: FullKafkaOptions;
  /** Sends a batch to a partition. @throws Error where no answer has come */
  readonly send: (partition: number, batch: RecordBatch) => Promise<BatchAnswer>;
}

/** Pauses between looks for the topic. */
const backoff = Object.freeze({ initialMs: 50, maxMs: 1_000, multiplier: 2, jitter: 0.2 });
/** So often it is looked whether the topic is there, and has more partitions; in milliseconds. */
const lookEveryMs = 30_000;

/** The messages for one topic: they wait until its partitions are known, and are divided among them then, in order. */
export class TopicQueue {
  readonly #parts: TopicQueueParts;
  #waiting: Publication[] = [];
  readonly #queues: PartitionQueue[] = [];
  #id: string | undefined;
  #lookedMs = 0;
  #isLooking = false;
  #turn = 0;

  constructor(parts: TopicQueueParts) {
    this.#parts = parts;
  }

  push(publication: Publication): void {
    const isKnown = this.#waiting.length === 0 && this.#queues.length > 0 && !this.#isLooking;
    if (isKnown && this.#parts.clock.nowMs() - this.#lookedMs < lookEveryMs) {
      this.#place(publication);
      return;
    }
    this.#waiting.push(publication);
    if (this.#isLooking) return;
    this.#isLooking = true;
    void this.#look();
  }

  /** Messages of a key go to one partition, as those of all clients of Kafka; those without one take turns. */
  #place(publication: Publication): void {
    const { key } = publication.record;
    const count = this.#queues.length;
    this.#queues[key === undefined ? this.#turn++ % count : partitionOf(key, count)]?.push(publication);
  }

  async #look(): Promise<void> {
    const pauses = new Pauses(backoff, this.#parts.random);
    while (!this.#parts.closed.aborted) {
      this.#waiting = this.#waiting.filter(({ isOver }) => !isOver);
      if (this.#waiting.length === 0) break;
      try {
        const topic = await this.#find();
        if (topic !== undefined) {
          this.#found(topic);
          break;
        }
      } catch (reason) {
        this.#failed(reason);
      }
      await new WakeablePause(this.#parts.clock).wait(pauses.nextMs(), this.#parts.closed);
    }
    this.#isLooking = false;
  }

  /** Undefined where it is missing and all that waits has its outcome. */
  async #find(): Promise<Topic | undefined> {
    const { cluster, declaration, options } = this.#parts;
    const { name } = declaration;
    const there = (await cluster.look([name])).get(name);
    if (there === undefined) {
      for (const publication of this.#missing()) publication.end(noQueue(publication.target));
      if (this.#waiting.every(({ isOver }) => isOver)) return undefined;
      await declareTopics(cluster, [declaration], options, options.declare);
    }
    return (await readyTopics(cluster, [declaration])).get(name);
  }

  /** What must have a reader: it would have made the topic. */
  #missing(): Publication[] {
    return this.#waiting.filter(({ message }) => message.mandatory);
  }

  #found({ id, leaders }: Topic): void {
    this.#id ??= id;
    for (let partition = this.#queues.length; partition < leaders.length; partition++) {
      this.#queues.push(this.#queueOf(partition));
    }
    this.#lookedMs = this.#parts.clock.nowMs();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const publication of waiting) if (!publication.isOver) this.#place(publication);
  }

  #queueOf(partition: number): PartitionQueue {
    const { declaration, options, cluster, send, ...parts } = this.#parts;
    let id = this.#id;
    return new PartitionQueue({
      ...parts,
      topic: declaration.name,
      partition,
      maxBatchBytes: options.maxBatchBytes,
      send: (batch) => send(partition, batch),
      isRemade: () => {
        const before = id;
        id = cluster.known(declaration.name)?.id ?? id;
        return id !== before;
      },
    });
  }

  #failed(reason: unknown): void {
    this.#parts.failing(textOf(reason));
    const { name } = this.#parts.declaration;
    const outcome =
      reason instanceof SetupError
        ? new ConnectError(reason.message, Code.FailedPrecondition, undefined, undefined, reason)
        : reason instanceof KafkaError
          ? refusalOf(name, reason.code)
          : undefined;
    if (outcome !== undefined) for (const publication of this.#waiting) publication.end(outcome);
  }
}

function partitionOf(key: string | Uint8Array, count: number): number {
  return typeof key === "string" ? placeOf(key, count) : placeOfBytes(key, count);
}
