import type { OutgoingMessage } from "../broker.ts";
import type { Cluster, ClusterParts } from "./cluster.ts";
import { LiveSet } from "../../core/call/live-set.ts";
import { waitEndOf, type WaitEnd } from "../wait.ts";
import { BatchBytes } from "./batch-bytes.ts";
import { type RecordParts, tombstoneOf, toRecord } from "./kafka-message.ts";
import { ProduceRequests } from "./produce-requests.ts";
import type { FullKafkaOptions } from "./kafka-options.ts";
import { answerTo, throwCode } from "./kafka-errors.ts";
import type { BatchAnswer, ProducerIdentity, RecordBatch } from "./partition-queue.ts";
import { type BatchOwner, type Outcome, PublicationBatch } from "./publication.ts";
import { TopicQueue } from "./topic-queue.ts";
import { declareTopics, type TopicDeclaration, topicOf } from "./topology.ts";

/** Publishes in the order of the calls for each key, as one idempotent producer: all replicas in sync have what is confirmed. */
export class Producer implements BatchOwner {
  readonly #cluster: Cluster;
  readonly #options: FullKafkaOptions;
  readonly #parts: Pick<ClusterParts, "clock" | "random">;
  readonly #topics = new Map<string, TopicQueue>();
  readonly #open = new LiveSet<PublicationBatch>();
  readonly #bytes: BatchBytes;
  readonly #requests: ProduceRequests;
  readonly #closing = new AbortController();
  #identity: Promise<ProducerIdentity> | undefined;
  /** How many messages Kafka has stored. */
  confirmed = 0;
  /** How many messages have no outcome yet. */
  #pending = 0;
  #failing: string | undefined;
  #idle: (() => void) | undefined;

  constructor(cluster: Cluster, options: FullKafkaOptions, parts: Pick<ClusterParts, "clock" | "random">) {
    this.#cluster = cluster;
    this.#options = options;
    this.#parts = parts;
    this.#bytes = new BatchBytes(cluster.peer, options.compression);
    this.#requests = new ProduceRequests(cluster.peer, options.maxBatchBytes);
  }

  /** As `Broker.publish`. */
  publish(messages: readonly OutgoingMessage[], end: WaitEnd): Promise<readonly Outcome[]> {
    return this.#publish(messages, end, toRecord);
  }

  /** Takes a dead letter out of its topic. @param key of its record */
  remove(message: OutgoingMessage, key: Buffer, signal: AbortSignal): Promise<readonly Outcome[]> {
    return this.#publish([message], waitEndOf({ signal }), () => tombstoneOf(key));
  }

  /** Resolves when nothing is pending any more. */
  async idle(): Promise<void> {
    if (this.#pending > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
  }

  /** Ends the wait for everything that is pending, and sends nothing more. */
  abandonAll(why: string): string[] {
    this.#closing.abort();
    const cut: string[] = [];
    for (const { publications } of this.#open) {
      for (const publication of publications) {
        if (publication.isOver) continue;
        cut.push(`publish ${publication.topic}`);
        publication.abandon(why);
      }
    }
    return cut;
  }

  /** As `BatchOwner`. */
  ended(isConfirmed: boolean): void {
    if (isConfirmed) this.confirmed++;
    if (--this.#pending === 0) this.#idle?.();
  }

  /** As `BatchOwner`. */
  hindrance(): string {
    if (!this.#cluster.isConnected) return this.#cluster.why.rawMessage;
    return this.#failing === undefined ? "Kafka has not answered in time" : `Kafka: ${this.#failing}`;
  }

  /** As `BatchOwner`. */
  finished(batch: PublicationBatch): void {
    this.#open.delete(batch);
  }

  #publish(
    messages: readonly OutgoingMessage[],
    end: WaitEnd,
    recordOf: (message: OutgoingMessage) => RecordParts,
  ): Promise<readonly Outcome[]> {
    if (messages.length === 0) return Promise.resolve([]);
    return new Promise((resolve) => {
      const batch = new PublicationBatch(this, end, resolve);
      for (const message of messages) batch.add(recordOf(message), message);
      this.#pending += messages.length;
      if (!batch.begin()) return;
      this.#open.add(batch);
      for (const publication of batch.publications) this.#queueOf(publication.message).push(publication);
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
    const topic = cluster.known(name) ?? (await cluster.topic(name));
    // It has been deleted.
    if (topic === undefined)
      await declareTopics(cluster, [declaration], this.#options, this.#options.declare);
    const leader = topic?.leaders[partition] ?? -1;
    if (leader < 0) cluster.forget(name);
    try {
      const connection = await cluster.to(leader, "produce");
      const making = this.#bytes.of(batch, Date.now());
      const bytes = making instanceof Promise ? await making : making;
      const answer = await this.#requests.add(connection, name, partition, bytes);
      if (answer.code !== 0) cluster.forget(name); // Another broker may lead the partition.
      return answer;
    } catch (reason) {
      cluster.forget(name); // The one that led it may be gone.
      throw reason;
    }
  }
}
