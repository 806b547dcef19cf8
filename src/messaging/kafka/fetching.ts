import type { Clock } from "../../core/time/clock.ts";
import type { Cluster } from "./cluster.ts";
import { committedRecords } from "./committed-records.ts";
import { answerTo, kafkaCodes, KafkaError, textOf } from "./kafka-errors.ts";
import type { PartitionReader } from "./partition-reader.ts";

/** What fetching needs of its subscription. */
export interface FetchingParts {
  readonly cluster: Cluster;
  /** Whose connections are used. */
  readonly user: string;
  readonly rack: string;
  readonly clock: Clock;
  /** Most bytes that wait in all. */
  readonly maxBufferedBytes: number;
  /** The partitions that are read now. */
  readers(): readonly PartitionReader[];
  /** Whether anything is to be fetched. */
  isWanted(): boolean;
  /** What was to be read next is there no more. */
  outOfRange(reader: PartitionReader): Promise<void>;
  /** Fetching has failed, and is tried again; undefined: it works. */
  readonly failing: (why: string | undefined) => void;
}

/** How long a broker waits for messages, in milliseconds; the shorter time while another partition will soon want some. */
const waitMs = 500;
const shortWaitMs = 20;
/** The most bytes of one answer. */
const answerBytes = 16 * 1024 * 1024;
/** The least and the most bytes of a partition in one answer; one larger batch comes whole. */
const leastBytes = 16 * 1024;
const mostBytes = 1024 * 1024;
/** Pause after a failure, in milliseconds. */
const pauseMs = 250;
const readCommitted = 1;

/**
 * Fetches for the partitions of one subscription, from each broker one answer after the other. A partition whose messages
 * wait is left out, so it holds up no other one.
 */
export class Fetching {
  readonly #parts: FetchingParts;
  /** Brokers that are asked now, or are let alone for a moment. */
  readonly #busy = new Set<number>();
  /** Brokers in this rack that have replicas, by partitions. */
  readonly #nearer = new Map<PartitionReader, number>();
  #isStopped = false;
  #isAwake = false;

  constructor(parts: FetchingParts) {
    this.#parts = parts;
  }

  /** Fetches what is wanted; it is looked once in a turn of the event loop, as each message that is settled asks for that. */
  wake(): void {
    if (this.#isAwake) return;
    this.#isAwake = true;
    setImmediate(() => {
      this.#isAwake = false;
      this.#look();
    });
  }

  stop(): void {
    this.#isStopped = true;
  }

  #look(): void {
    if (this.#isStopped || !this.#parts.isWanted()) return;
    const byNode = new Map<number, PartitionReader[]>();
    const readers = this.#parts.readers();
    const share = this.#share(readers.length);
    for (const reader of readers) {
      const node = this.#nodeOf(reader);
      if (this.#busy.has(node)) continue;
      const of = byNode.get(node) ?? [];
      byNode.set(node, of);
      if (reader.isHungry(share)) of.push(reader);
    }
    for (const [node, hungry] of byNode) if (hungry.length > 0) void this.#fetch(node, hungry, share);
  }

  /** What a partition may hold before more of it is fetched, which is as much again at the most. */
  #share(count: number): number {
    const share = Math.floor(this.#parts.maxBufferedBytes / 2 / Math.max(1, count));
    return Math.min(mostBytes, Math.max(leastBytes, share));
  }

  #nodeOf(reader: PartitionReader): number {
    const nearer = this.#nearer.get(reader);
    if (nearer !== undefined) return nearer;
    return this.#parts.cluster.known(reader.topic.name)?.leaders[reader.partition] ?? -1;
  }

  async #fetch(node: number, hungry: readonly PartitionReader[], share: number): Promise<void> {
    this.#busy.add(node);
    const { cluster, failing, clock } = this.#parts;
    try {
      if (node < 0) {
        await cluster.look([...new Set(hungry.map(({ topic }) => topic.name))]);
        throw new Error("a partition has no leader");
      }
      await this.#ask(node, hungry, share);
      failing(undefined);
      this.#busy.delete(node);
      this.wake();
    } catch (reason) {
      for (const reader of hungry) this.#nearer.delete(reader);
      if (this.#isStopped) return;
      failing(textOf(reason));
      for (const { topic } of hungry) cluster.forget(topic.name);
      clock.after(
        pauseMs,
        () => {
          this.#busy.delete(node);
          void this.#lookAgain(hungry);
        },
        false,
      );
    }
  }

  /** The partitions may have other leaders. */
  async #lookAgain(readers: readonly PartitionReader[]): Promise<void> {
    try {
      await this.#parts.cluster.look([...new Set(readers.map(({ topic }) => topic.name))]);
    } catch {
      // It is tried again by the next fetch.
    }
    this.wake();
  }

  async #ask(node: number, hungry: readonly PartitionReader[], share: number): Promise<void> {
    const { cluster, user, rack } = this.#parts;
    const connection = await cluster.to(node, "fetch", user);
    const topics = new Map<string, { readonly reader: PartitionReader; readonly from: number }[]>();
    for (const reader of hungry) {
      const of = topics.get(reader.topicId) ?? [];
      topics.set(reader.topicId, of);
      of.push({ reader, from: reader.position });
    }
    const wanted = [...topics].map(([topicId, readers]) => ({
      topicId,
      partitions: readers.map(({ reader, from }) => ({
        partition: reader.partition,
        currentLeaderEpoch: -1,
        fetchOffset: BigInt(from),
        lastFetchedEpoch: -1,
        partitionMaxBytes: share,
      })),
    }));
    const isSoon = this.#parts.readers().some((reader) => reader.hasMoved() && !hungry.includes(reader));
    const { api } = cluster.peer.fetchV13;
    const maxWaitMs = isSoon ? shortWaitMs : waitMs;
    const request = api.async(connection, maxWaitMs, 1, answerBytes, readCommitted, 0, -1, wanted, [], rack);
    const answer = await answerTo(request);
    if (answer.errorCode !== 0) throw new KafkaError("fetching", answer.errorCode);
    let failure: KafkaError | undefined;
    for (const { topicId, partitions } of answer.responses) {
      for (const found of partitions) {
        const asked = topics.get(topicId)?.find(({ reader }) => reader.partition === found.partitionIndex);
        if (asked === undefined || asked.reader.lost.aborted || asked.reader.position !== asked.from)
          continue;
        const { reader, from } = asked;
        const isOut = found.errorCode === kafkaCodes.offsetOutOfRange;
        // What a nearer replica does not have its leader may have.
        if (isOut && this.#nearer.get(reader) === node) this.#nearer.delete(reader);
        else if (isOut) await this.#parts.outOfRange(reader);
        else if (found.errorCode !== 0) {
          failure = new KafkaError(
            `topic ${reader.topic.name}, partition ${reader.partition}`,
            found.errorCode,
          );
        } else {
          if (found.preferredReadReplica >= 0) this.#nearer.set(reader, found.preferredReadReplica);
          const { records, end } = committedRecords(
            found.records ?? [],
            found.abortedTransactions ?? [],
            from,
          );
          reader.fetched(records, end);
        }
      }
    }
    if (failure !== undefined) throw failure;
  }
}
