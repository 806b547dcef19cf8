import type { OutgoingMessage } from "../broker.ts";
import type { Cluster, ClusterParts } from "./cluster.ts";
import { toRecord } from "./kafka-message.ts";
import type { FullKafkaOptions } from "./kafka-options.ts";
import { answerTo, throwCode } from "./kafka-errors.ts";
import type { BatchAnswer, ProducerIdentity, RecordBatch } from "./partition-queue.ts";
import {
  type BatchOwner,
  type Outcome,
  type Publication,
  PublicationBatch,
  sourceOf,
} from "./publication.ts";
import { TopicQueue } from "./topic-queue.ts";
import { declareTopics, type TopicDeclaration, topicOf } from "./topology.ts";

/** How long Kafka may take to replicate a batch, in milliseconds: less than an answer may take. */
const replicateMs = 8_000;

/** Publishes in the order of the calls for each key, as one idempotent producer: all replicas in sync have what is confirmed. */
export class Producer implements BatchOwner {
  readonly #cluster: Cluster;
  readonly #options: FullKafkaOptions;
  readonly #parts: Pick<ClusterParts, "clock" | "random">;
  readonly #topics = new Map<string, TopicQueue>();
  readonly #open = new Set<PublicationBatch>();
  readonly #closing = new AbortController();
  #identity: Promise<ProducerIdentity> | undefined;
  /** How many messages have no outcome yet. */
  #pending = 0;
  #failing: string | undefined;
  #idle: (() => void) | undefined;

  constructor(cluster: Cluster, options: FullKafkaOptions, parts: Pick<ClusterParts, "clock" | "random">) {
    this.#cluster = cluster;
    this.#options = options;
    this.#parts = parts;
  }

  /** As `Broker.publish`. */
  publish(messages: readonly OutgoingMessage[], signal: AbortSignal): Promise<readonly Outcome[]> {
    return this.#publish(messages, signal, (message) => toRecord(message));
  }

  /** Takes a dead letter out of its topic. @param key of its record */
  remove(message: OutgoingMessage, key: Buffer, signal: AbortSignal): Promise<readonly Outcome[]> {
    const bytes = key.length;
    return this.#publish([message], signal, () => ({ key, value: undefined, headers: new Map(), bytes }));
  }

  /** Resolves when nothing is pending any more. */
  async idle(): Promise<void> {
    if (this.#pending > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
  }

  /** Ends the wait for everything that is pending, and sends nothing more. */
  abandonAll(why: string): string[] {
    this.#closing.abort();
    const cut: string[] = [];
    for (const { publications } of [...this.#open]) {
      for (const publication of publications) {
        if (publication.isOver) continue;
        cut.push(`publish ${publication.source.topic}`);
        publication.abandon(why);
      }
    }
    return cut;
  }

  /** As `BatchOwner`. */
  ended(): void {
    if (--this.#pending === 0) this.#idle?.();
  }

  /** As `BatchOwner`. */
  hindrance(): string {
    if (!this.#cluster.isConnected) return this.#cluster.why.rawMessage;
    return this.#failing === undefined ? "Kafka has not answered in time" : `Kafka: ${this.#failing}`;
  }

  #publish(
    messages: readonly OutgoingMessage[],
    signal: AbortSignal,
    recordOf: (message: OutgoingMessage) => Publication["record"],
  ): Promise<readonly Outcome[]> {
    if (messages.length === 0) return Promise.resolve([]);
    return new Promise((resolve) => {
      const batch: PublicationBatch = new PublicationBatch(this, signal, (outcomes) => {
        this.#open.delete(batch);
        resolve(outcomes);
      });
      for (const message of messages) batch.add(recordOf(message), sourceOf(message));
      this.#pending += messages.length;
      if (!batch.begin()) return;
      this.#open.add(batch);
      for (const [at, publication] of batch.publications.entries()) {
        const message = messages[at];
        if (message !== undefined) this.#queueOf(message).push(publication);
      }
    });
  }

  #queueOf({ to }: OutgoingMessage): TopicQueue {
    const declaration = topicOf(to, this.#options);
    const { name } = declaration;
    let queue = this.#topics.get(name);
    if (queue === undefined) {
      queue = new TopicQueue({
        declaration,
        cluster: this.#cluster,
        options: this.#options,
        ...this.#parts,
        closed: this.#closing.signal,
        identity: () => this.#currentIdentity(),
        drop: (identity) => this.#drop(identity),
        send: (partition, batch) => this.#send(declaration, partition, batch),
        failing: (why) => (this.#failing = why),
      });
      this.#topics.set(name, queue);
    }
    return queue;
  }

  #currentIdentity(): Promise<ProducerIdentity> {
    if (this.#identity === undefined) {
      const asked = this.#ask();
      this.#identity = asked;
      asked.catch(() => (this.#identity = undefined));
    }
    return this.#identity;
  }

  async #ask(): Promise<ProducerIdentity> {
    const request = this.#cluster.peer.initProducerIdV4.api.async(this.#cluster.control(), null, 0);
    const { errorCode, producerId, producerEpoch } = await answerTo(request);
    throwCode("a producer's identity", errorCode);
    return { id: producerId, epoch: producerEpoch };
  }

  #drop(identity: ProducerIdentity): void {
    void this.#identity?.then(
      (current) => {
        if (current === identity) this.#identity = undefined;
      },
      () => {},
    );
  }

  async #send(declaration: TopicDeclaration, partition: number, batch: RecordBatch): Promise<BatchAnswer> {
    const cluster = this.#cluster;
    const { name } = declaration;
    const topic = await cluster.topic(name);
    // It has been deleted.
    if (topic === undefined)
      await declareTopics(cluster, [declaration], this.#options, this.#options.declare);
    const leader = topic?.leaders[partition] ?? -1;
    if (leader < 0) cluster.forget(name);
    const { publications, identity, sequence } = batch;
    const { peer } = cluster;
    const timestamp = BigInt(Date.now());
    const records = publications.map(({ record: { key, value, headers } }) => {
      // The client writes a value that is missing as null, although its types ask for one.
      const given = { value: value as Buffer, headers, topic: name, partition, timestamp };
      return key === undefined ? given : { ...given, key };
    });
    const sequences = new peer.NumericMap([[`${name}:${partition}`, sequence]]);
    try {
      const connection = await cluster.to(leader, "produce");
      const request = peer.produceV9.api.async(connection, -1, replicateMs, records, {
        compression: this.#options.compression,
        producerId: identity.id,
        producerEpoch: identity.epoch,
        sequences,
      });
      const answer = await answerTo(request);
      const found = typeof answer === "boolean" ? undefined : answer.responses[0]?.partitionResponses[0];
      const { errorCode = -1, baseOffset = -1n } = found ?? {};
      if (errorCode !== 0) cluster.forget(name); // Another broker may lead the partition.
      return { code: errorCode, offset: baseOffset };
    } catch (reason) {
      cluster.forget(name); // The one that led it may be gone.
      throw reason;
    }
  }
}
