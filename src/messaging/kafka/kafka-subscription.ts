import { SetupError } from "../../core/errors/setup-error.ts";
import { WakeablePause } from "../../core/time/wakeable-pause.ts";
import type { BrokerSubscription, Delivery, SubscriptionSpec } from "../broker.ts";
import type { Partitions } from "./assignment.ts";
import type { Cluster, ClusterParts } from "./cluster.ts";
import { Fetching } from "./fetching.ts";
import { GroupMember, type GroupMemberOwner } from "./group-member.ts";
import { beginAtEnd, edgesOf, startsOf } from "./group-offsets.ts";
import type { Session } from "./group-requests.ts";
import { textOf } from "./kafka-errors.ts";
import { OffsetCommits } from "./offset-commits.ts";
import type { FullKafkaOptions } from "./kafka-options.ts";
import { PartitionReader, type Start } from "./partition-reader.ts";
import { declareTopics, deleteGroup, type GroupTopics, leftOverRetries, type ReadTopic } from "./topology.ts";

/** What a subscription needs of its broker. */
export interface SubscriptionParts extends Pick<ClusterParts, "clock" | "random"> {
  readonly topics: GroupTopics;
  /** Names its connections. */
  readonly user: string;
  readonly cluster: Cluster;
  readonly options: FullKafkaOptions;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  readonly receive: (delivery: Delivery) => void;
  /** Writes what an operator should know. */
  log(fields: Readonly<Record<string, unknown>>, text: string): void;
  /** It has ended. */
  stopped(): void;
}

/** How long what runs may take to end before the group is joined again, in milliseconds. */
const endMs = 10_000;
/** So often it is looked whether topics were deleted, or have more partitions; in milliseconds. */
const lookEveryMs = 3_000;
/** How long a start waits for its place in the group, in milliseconds. */
const joinMs = 2_000;
const moved = "the partition has moved to another consumer";

/** The reading of one group's topics: its place in the group, and a reader for each partition that it has. */
export class KafkaSubscription implements BrokerSubscription, GroupMemberOwner {
  readonly #spec: SubscriptionSpec;
  readonly #parts: SubscriptionParts;
  readonly #member: GroupMember;
  readonly #fetching: Fetching;
  readonly #commits: OffsetCommits;
  readonly #readers = new Map<string, PartitionReader>();
  #reads: readonly ReadTopic[];
  #counts = "";
  #session: Session | undefined;
  /** Fires when it has joined for the first time. */
  readonly #joined = new AbortController();
  #isPaused = false;
  /** Whether what runs is to end, since the group changes. */
  #isChanging = false;
  #running: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #cancelTimers: (() => void)[] = [];
  /** Called when nothing runs that was handed over. */
  readonly #quiet: (() => void)[] = [];
  #failure: string | undefined;
  #fetchFailure: string | undefined;

  constructor(spec: SubscriptionSpec, parts: SubscriptionParts) {
    const { cluster, user, options, clock, topics, random } = parts;
    this.#spec = spec;
    this.#parts = parts;
    this.#reads = topics.reads;
    this.#member = new GroupMember(this, { group: topics.group, user, cluster, options, clock, random });
    this.#commits = new OffsetCommits(this.#member, () => this.#readers.values());
    this.#fetching = new Fetching({
      cluster,
      user,
      rack: options.rack ?? "",
      clock,
      maxBufferedBytes: spec.maxBufferedBytes,
      readers: () => [...this.#readers.values()],
      isWanted: () => this.#isWanted,
      outOfRange: (reader) => this.#outOfRange(reader),
      failing: (why) => (this.#fetchFailure = why),
    });
  }

  get connected(): boolean {
    return this.#session !== undefined && this.#fetchFailure === undefined && this.#parts.cluster.isConnected;
  }

  /** Why it cannot be read; undefined where it can, as soon as Kafka is there. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /**
   * Declares its topics and joins its group, which goes on in the background. Where Kafka is away it is tried again.
   *
   * @throws SetupError where something is missing or cannot be made
   */
  async begin(): Promise<void> {
    if (this.#running !== undefined || this.#stopping !== undefined) return;
    try {
      await this.#declare();
      const { cluster, topics, user } = this.#parts;
      const [main] = topics.reads;
      if (this.#spec.from === "new" && main !== undefined) {
        await beginAtEnd(cluster, { group: topics.group, user }, main.name);
      }
      this.#failure = undefined;
    } catch (reason) {
      this.#failure = textOf(reason);
      if (reason instanceof SetupError) throw reason;
      this.#later(this.#parts.options.reconnect.initialMs, () => void this.begin().catch(() => {}));
      return;
    }
    if (this.#stopping !== undefined) return;
    this.#running ??= this.#member.run();
    this.#commitLater();
    this.#lookLater();
    // Others may have to end their runs first: that is not waited for.
    await new WakeablePause(this.#parts.clock).wait(joinMs, this.#joined.signal);
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#handOver();
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async lag(): Promise<ReadonlyMap<number, number>> {
    const lag = new Map<number, number>();
    const mine = [...this.#readers.values()].filter(({ topic }) => topic.from === "topic");
    const [main] = this.#parts.topics.reads;
    if (main === undefined || mine.length === 0) return lag;
    const partitions = mine.map(({ partition }) => partition);
    const ends = await edgesOf(this.#parts.cluster, main.name, partitions, "end");
    for (const { partition, floor } of mine) {
      lag.set(partition, Math.max(0, (ends.get(partition) ?? floor) - floor));
    }
    return lag;
  }

  /** As `GroupMemberOwner`. */
  get topics(): readonly string[] {
    return this.#reads.map(({ name }) => name);
  }

  /** As `GroupMemberOwner`. */
  get owned(): Partitions {
    const owned = new Map<string, number[]>();
    for (const { topic, partition } of this.#readers.values()) {
      owned.set(topic.name, [...(owned.get(topic.name) ?? []), partition]);
    }
    return owned;
  }

  /** As `GroupMemberOwner`. */
  async changing(session: Session): Promise<void> {
    this.#isChanging = true;
    const ended = new AbortController();
    const quiet = this.#whenQuiet().then(() => ended.abort());
    await Promise.race([quiet, new WakeablePause(this.#parts.clock).wait(endMs, ended.signal)]);
    await this.#commits.underWay;
    if (this.#session?.generation === session.generation) await this.#commits.commit(session);
    this.#session = undefined;
  }

  /** As `GroupMemberOwner`. */
  async assigned(partitions: Partitions, session: Session): Promise<void> {
    const { cluster, topics, user } = this.#parts;
    const kept = new Set(
      [...partitions].flatMap(([name, of]) => of.map((partition) => keyOf(name, partition))),
    );
    for (const [key, reader] of this.#readers) {
      if (kept.has(key)) continue;
      this.#readers.delete(key);
      reader.lose(moved);
    }
    const found = await cluster.look(this.topics);
    this.#counts = countsOf(found.values());
    const added = new Map<string, number[]>();
    for (const [name, of] of partitions) {
      const missing = of.filter((partition) => !this.#readers.has(keyOf(name, partition)));
      if (missing.length > 0) added.set(name, missing);
    }
    const from = (name: string) => (name === topics.reads[0]?.name ? this.#spec.from : "start");
    const starts = await startsOf(cluster, { group: topics.group, user }, added, from);
    for (const [name, of] of starts) {
      const topic = this.#reads.find((read) => read.name === name);
      if (topic === undefined) continue;
      for (const [partition, start] of of)
        this.#addReader(topic, found.get(name)?.id ?? "", partition, start);
    }
    this.#session = session;
    this.#isChanging = false;
    this.#joined.abort();
    this.#handOver();
  }

  /** As `GroupMemberOwner`. */
  lost(why: string): void {
    this.#session = undefined;
    for (const reader of this.#readers.values()) reader.lose(`${moved}: ${why}`);
    this.#readers.clear();
    this.#lookQuiet();
  }

  /** As `GroupMemberOwner`. */
  changed(failure: unknown): void {
    this.#failure = failure === undefined ? undefined : textOf(failure);
  }

  get #isWanted(): boolean {
    return !this.#isPaused && !this.#isChanging && this.#stopping === undefined;
  }

  #addReader(topic: ReadTopic, topicId: string, partition: number, start: Start): void {
    const { clock, wallMs, options, receive } = this.#parts;
    const reader = new PartitionReader(
      {
        topic,
        topicId,
        partition,
        spec: this.#spec,
        maxAhead: options.maxAhead,
        clock,
        wallMs,
        isWanted: () => this.#isWanted,
        receive,
        changed: () => this.#changed(),
      },
      start,
    );
    this.#readers.set(keyOf(topic.name, partition), reader);
  }

  #handOver(): void {
    for (const reader of this.#readers.values()) reader.handOver();
    this.#fetching.wake();
  }

  #changed(): void {
    this.#lookQuiet();
    this.#fetching.wake();
  }

  /** Resolves when nothing runs that was handed over. */
  #whenQuiet(): Promise<void> {
    return new Promise((resolve) => {
      this.#quiet.push(resolve);
      this.#lookQuiet();
    });
  }

  #lookQuiet(): void {
    if (this.#quiet.length === 0) return;
    for (const { running } of this.#readers.values()) if (running > 0) return;
    for (const quiet of this.#quiet.splice(0)) quiet();
  }

  async #outOfRange(reader: PartitionReader): Promise<void> {
    const { topic, topicId, partition, position } = reader;
    const edge = topic.from === "topic" && this.#spec.from === "new" ? "end" : "start";
    const offset = (await edgesOf(this.#parts.cluster, topic.name, [partition], edge)).get(partition) ?? 0;
    const fields = {
      topic: topic.name,
      group: this.#parts.topics.group,
      partition,
      from: position,
      to: offset,
    };
    this.#parts.log(
      fields,
      `Kafka has no message at the offset of the group any more: it goes on at the ${edge}`,
    );
    if (reader.lost.aborted) return;
    reader.lose("its offset is not there any more");
    this.#addReader(topic, topicId, partition, { offset, settled: new Set(), isResumed: false });
  }

  async #declare(): Promise<void> {
    const { cluster, topics, options } = this.#parts;
    const { reads, dead } = topics;
    await declareTopics(
      cluster,
      [...reads, ...(dead === undefined ? [] : [dead])],
      options,
      this.#spec.declare,
    );
    this.#reads = [...reads, ...leftOverRetries(topics, (await cluster.look(undefined)).values())];
  }

  #later(ms: number, act: () => void): void {
    if (this.#stopping === undefined) this.#cancelTimers.push(this.#parts.clock.after(ms, act, false));
    if (this.#cancelTimers.length > 100) this.#cancelTimers = this.#cancelTimers.slice(-10); // The others have fired.
  }

  #commitLater(): void {
    this.#later(this.#parts.options.commitIntervalMs, () => {
      const session = this.#session;
      if (session !== undefined && !this.#isChanging) void this.#commits.commit(session);
      this.#commitLater();
    });
  }

  #lookLater(): void {
    this.#later(lookEveryMs, () => void this.#look().finally(() => this.#lookLater()));
  }

  /** Makes topics again that were deleted, and joins again where there are more partitions. */
  async #look(): Promise<void> {
    try {
      await this.#declare();
      const counts = countsOf((await this.#parts.cluster.look(this.topics)).values());
      if (this.#session !== undefined && this.#counts !== counts) {
        for (const [key, reader] of this.#readers) {
          if (this.#parts.cluster.known(reader.topic.name)?.id === reader.topicId) continue;
          this.#readers.delete(key);
          reader.lose("the topic was deleted");
        }
        this.#member.rejoin();
      }
    } catch {
      // It is looked again.
    }
  }

  async #stop(): Promise<void> {
    await Promise.resolve(); // `#stopping` is set.
    this.#joined.abort();
    for (const cancel of this.#cancelTimers) cancel();
    this.#fetching.stop();
    await this.#whenQuiet();
    await this.#commits.underWay;
    if (this.#session !== undefined) await this.#commits.commit(this.#session);
    for (const reader of this.#readers.values()) reader.lose("the subscription has ended");
    this.#readers.clear();
    await this.#member.leave();
    if (this.#spec.broadcast) await deleteGroup(this.#parts.cluster, this.#parts.topics, this.#parts.user);
    this.#parts.cluster.connections.end(this.#parts.user);
    await this.#running;
    this.#parts.stopped();
  }
}

function keyOf(topic: string, partition: number): string {
  return `${topic}/${partition}`;
}

/** Says when topics are other ones, or have other partitions. */
function countsOf(
  topics: Iterable<{ readonly name: string; readonly id: string; readonly leaders: readonly number[] }>,
): string {
  return [...topics].map(({ name, id, leaders }) => `${name} ${id} ${leaders.length}`).join();
}
