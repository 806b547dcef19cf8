import { SetupError } from "../../core/errors/setup-error.ts";
import { assign, type Member, type Partitions } from "./assignment.ts";
import type { Cluster } from "./cluster.ts";
import { answerTo, kafkaCodes, throwCode } from "./kafka-errors.ts";
import type { FullKafkaOptions } from "./kafka-options.ts";

/** The place of a reader in its group, until the group changes. */
export interface Session {
  readonly generation: number;
  readonly memberId: string;
}

/** What is committed of a topic. */
export interface CommittedTopic {
  readonly name: string;
  readonly partitions: readonly {
    readonly partition: number;
    readonly offset: number;
    readonly metadata: string;
  }[];
}

/** Whose requests they are. */
export interface GroupRequestsParts {
  readonly group: string;
  /** Whose connections are used. */
  readonly user: string;
  readonly cluster: Cluster;
  readonly options: FullKafkaOptions;
}

/** The only way of dividing partitions: `assignment.ts`. */
const protocol = "ts-ms-sticky";

/** The requests of one reader of a group to the broker that keeps the books of it. All throw a `KafkaError`, or an Error without an answer. */
export class GroupRequests {
  readonly #parts: GroupRequestsParts;
  readonly #instance: string | null;
  #coordinator: number | undefined;
  /** Empty for none yet. */
  memberId = "";

  constructor(parts: GroupRequestsParts) {
    this.#parts = parts;
    this.#instance = parts.options.instanceId ?? null;
  }

  /** The broker is asked for again: it may be another one. */
  forgetCoordinator(): void {
    this.#coordinator = undefined;
  }

  /**
   * Joins the group.
   *
   * @param owned what the reader reads; @param generation since which generation
   * @throws SetupError where that is not possible with these options
   */
  async join(
    topics: readonly string[],
    owned: Partitions,
    generation: number,
  ): Promise<{ readonly partitions: Partitions; readonly session: Session }> {
    const { cluster, group, options } = this.#parts;
    const { peer } = cluster;
    const metadata = peer.encodeConsumerProtocolSubscription({
      version: 3,
      topics: [...topics],
      ownedPartitions: [...owned].map(([topic, partitions]) => ({ topic, partitions: [...partitions] })),
      generationId: generation,
    });
    const connection = await this.#connection("join");
    const { sessionTimeoutMs, rebalanceTimeoutMs } = options;
    const { api } = peer.joinGroupV9;
    const protocols = [{ name: protocol, metadata }];
    const instance = this.#instance;
    const joined = await answerTo(
      api.async(
        connection,
        group,
        sessionTimeoutMs,
        rebalanceTimeoutMs,
        this.memberId,
        instance,
        "consumer",
        protocols,
        null,
      ),
    );
    if (joined.errorCode === kafkaCodes.memberIdRequired) this.memberId = joined.memberId;
    this.#checkJoin(joined.errorCode);
    const { memberId, generationId, leader, members } = joined;
    this.memberId = memberId;
    const assignments = leader === memberId ? await this.#divide(members) : [];
    const sync = peer.syncGroupV5.api;
    const synced = await answerTo(
      sync.async(connection, group, generationId, memberId, instance, "consumer", protocol, assignments),
    );
    this.#check("its division", synced.errorCode);
    const { assignedPartitions } = peer.decodeConsumerProtocolAssignment(synced.assignment);
    const partitions = new Map(assignedPartitions.map(({ topic, partitions: of }) => [topic, of]));
    return { partitions, session: { generation: generationId, memberId } };
  }

  /** Shows that the reader lives. */
  async beat({ generation, memberId }: Session): Promise<void> {
    const { cluster, group } = this.#parts;
    const connection = await this.#connection("group");
    const request = cluster.peer.heartbeatV4.api.async(
      connection,
      group,
      generation,
      memberId,
      this.#instance,
    );
    this.#check("a sign of life", (await answerTo(request)).errorCode);
  }

  /** Commits offsets for a place in the group, and for no later one. */
  async commit({ generation, memberId }: Session, topics: readonly CommittedTopic[]): Promise<void> {
    const { group, cluster } = this.#parts;
    const wanted = topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partition, offset, metadata }) => ({
        partitionIndex: partition,
        committedOffset: BigInt(offset),
        committedLeaderEpoch: -1,
        committedMetadata: metadata,
      })),
    }));
    const connection = await this.#connection("group");
    const { api } = cluster.peer.offsetCommitV8;
    const answer = await answerTo(api.async(connection, group, generation, memberId, this.#instance, wanted));
    for (const { partitions } of answer.topics) {
      for (const { errorCode } of partitions) this.#check("the commit", errorCode);
    }
  }

  /** Gives the place of the reader to others, unless it has a name and comes again. */
  async leave(): Promise<void> {
    if (this.memberId === "" || this.#instance !== null) return;
    const connection = await this.#connection("group");
    const member = { memberId: this.memberId, groupInstanceId: null };
    await this.#parts.cluster.peer.leaveGroupV5.api.async(connection, this.#parts.group, [member]);
  }

  async #connection(purpose: "group" | "join") {
    const { cluster, group, user } = this.#parts;
    this.#coordinator ??= await cluster.coordinator(group);
    return cluster.to(this.#coordinator, purpose, user);
  }

  #check(what: string, code: number): void {
    const { loading, coordinatorAway, notCoordinator } = kafkaCodes;
    if (code === loading || code === coordinatorAway || code === notCoordinator)
      this.#coordinator = undefined;
    throwCode(`group ${this.#parts.group}: ${what}`, code);
  }

  #checkJoin(code: number): void {
    const { group, options } = this.#parts;
    if (code === kafkaCodes.inconsistentProtocol) {
      throw new SetupError(`Kafka: the group ${group} has readers of another kind: choose another group`);
    }
    if (code === kafkaCodes.fencedInstance) {
      throw new SetupError(`Kafka: another process has joined ${group} as instanceId ${options.instanceId}`);
    }
    if (code === kafkaCodes.invalidSessionTimeout) {
      throw new SetupError(
        `Kafka: sessionTimeoutMs ${options.sessionTimeoutMs} is outside of what the broker allows ` +
          "(group.min.session.timeout.ms, group.max.session.timeout.ms)",
      );
    }
    this.#check("joining", code);
  }

  async #divide(members: readonly { readonly memberId: string; readonly metadata: Buffer }[]) {
    const { peer } = this.#parts.cluster;
    const read = members.map(({ memberId, metadata }): Member => {
      const { topics, ownedPartitions, generationId } = peer.decodeConsumerProtocolSubscription(metadata);
      const owned = new Map(ownedPartitions.map(({ topic, partitions }) => [topic, partitions]));
      return { id: memberId, topics, owned, generation: generationId };
    });
    const names = [...new Set(read.flatMap(({ topics }) => topics))];
    const found = await this.#parts.cluster.look(names);
    const counts = new Map([...found].map(([name, { leaders }]) => [name, leaders.length]));
    return [...assign(read, counts)].map(([memberId, partitions]) => ({
      memberId,
      assignment: peer.encodeConsumerProtocolAssignment({
        version: 0,
        assignedPartitions: [...partitions].map(([topic, of]) => ({ topic, partitions: [...of] })),
      }),
    }));
  }
}
