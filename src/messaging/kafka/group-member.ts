import { SetupError } from "../../core/errors/setup-error.ts";
import type { Clock } from "../../core/time/clock.ts";
import { Pauses } from "../../core/time/pauses.ts";
import { WakeablePause } from "../../core/time/wakeable-pause.ts";
import { assign, type Member, type Partitions } from "./assignment.ts";
import type { Cluster } from "./cluster.ts";
import { answerTo, kafkaCodeOf, kafkaCodes, KafkaError, textOf, throwCode } from "./kafka-errors.ts";
import type { FullKafkaOptions } from "./kafka-options.ts";

/** The place of a reader in its group, until the group changes. */
export interface Session {
  readonly generation: number;
  readonly memberId: string;
}

/** What a member is in its group for. */
export interface GroupMemberOwner {
  /** What it would read, and what it reads. */
  readonly topics: readonly string[];
  readonly owned: Partitions;
  /** The group changes: resolves when what runs has ended and is committed, or has had enough time for that. */
  changing(session: Session): Promise<void>;
  /** What it reads now. @throws Error where that cannot begin: it joins again */
  assigned(partitions: Partitions, session: Session): Promise<void>;
  /** It reads nothing any more: others may have its partitions. */
  lost(why: string): void;
  /** It is in its group; or it is not, and why. */
  changed(failure: unknown): void;
}

/** What a member needs besides. */
export interface GroupMemberParts {
  readonly group: string;
  /** Whose connections are used. */
  readonly user: string;
  readonly cluster: Cluster;
  readonly options: FullKafkaOptions;
  readonly clock: Clock;
  readonly random: () => number;
}

/** The only way of dividing partitions: `assignment.ts`. */
const protocol = "ts-ms-sticky";
/** Between two signs of life, at the most, in milliseconds. */
const longestBeatMs = 1_000;

/**
 * A reader in its group.
 *
 * ```
 *   joining ── assigned ──▶ beating ── the group changes ──▶ what runs ends ─┐
 *     ▲  ▲                     └────── it was taken for dead: `lost` ──┐      │
 *     │  └─────────────────────────────────────────────────────────────┘      │
 *     └───────────────────────────────────────────────────────────────────────┘
 * ```
 */
export class GroupMember {
  readonly #owner: GroupMemberOwner;
  readonly #parts: GroupMemberParts;
  readonly #ending = new AbortController();
  readonly #beatPause: WakeablePause;
  #memberId = "";
  #generation = -1;
  #coordinator: number | undefined;
  #isStale = false;

  constructor(owner: GroupMemberOwner, parts: GroupMemberParts) {
    this.#owner = owner;
    this.#parts = parts;
    this.#beatPause = new WakeablePause(parts.clock);
  }

  /** Joins, and stays in the group until `leave`. Never rejects. */
  async run(): Promise<void> {
    const { options, random, clock } = this.#parts;
    const pauses = new Pauses({ ...options.reconnect, multiplier: 2 }, random);
    while (!this.#ending.signal.aborted) {
      try {
        const { partitions, session } = await this.#join();
        if (this.#ending.signal.aborted) return;
        await this.#owner.assigned(partitions, session);
        this.#owner.changed(undefined);
        pauses.reset();
        await this.#stay(session);
      } catch (reason) {
        if (this.#ending.signal.aborted) return;
        this.#coordinator = undefined;
        this.#owner.changed(reason);
        await new WakeablePause(clock).wait(pauses.nextMs(), this.#ending.signal);
      }
    }
  }

  /** What it reads has other partitions, or there is more to read: it joins again. */
  rejoin(): void {
    this.#isStale = true;
    this.#beatPause.end();
  }

  /** Gives its place to others, unless it has a name and comes again. */
  async leave(): Promise<void> {
    this.#ending.abort();
    const { group, options, cluster } = this.#parts;
    if (this.#memberId === "" || options.instanceId !== undefined) return;
    try {
      const connection = await this.#connection("group");
      const member = { memberId: this.#memberId, groupInstanceId: null };
      await cluster.peer.leaveGroupV5.api.async(connection, group, [member]);
    } catch {
      // Its place is free when its session ends.
    }
  }

  /**
   * Commits offsets for the place that this reader had when it was assigned them: never for a later one.
   *
   * @throws KafkaError where the place is lost; Error where there is no answer
   */
  async commit(
    session: Session,
    topics: readonly {
      readonly name: string;
      readonly partitions: readonly {
        readonly partition: number;
        readonly offset: number;
        readonly metadata: string;
      }[];
    }[],
  ): Promise<void> {
    const { group, options, cluster } = this.#parts;
    const wanted = topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partition, offset, metadata }) => ({
        partitionIndex: partition,
        committedOffset: BigInt(offset),
        committedLeaderEpoch: -1,
        committedMetadata: metadata,
      })),
    }));
    const { generation, memberId } = session;
    const connection = await this.#connection("group");
    const instance = options.instanceId ?? null;
    const request = cluster.peer.offsetCommitV8.api.async(
      connection,
      group,
      generation,
      memberId,
      instance,
      wanted,
    );
    const answer = await answerTo(request);
    for (const { partitions } of answer.topics) {
      for (const { errorCode } of partitions) this.#check("the commit", errorCode);
    }
  }

  /** The connection to the broker that keeps the books of the group. */
  async #connection(purpose: "group" | "join") {
    const { cluster, group, user } = this.#parts;
    this.#coordinator ??= await cluster.coordinator(group);
    return cluster.to(this.#coordinator, purpose, user);
  }

  /** @throws KafkaError unless the code is 0 */
  #check(what: string, code: number): void {
    const { loading, coordinatorAway, notCoordinator } = kafkaCodes;
    if (code === loading || code === coordinatorAway || code === notCoordinator)
      this.#coordinator = undefined;
    throwCode(`group ${this.#parts.group}: ${what}`, code);
  }

  async #join(): Promise<{ readonly partitions: Partitions; readonly session: Session }> {
    for (;;) {
      this.#isStale = false;
      try {
        return await this.#joinOnce();
      } catch (reason) {
        const code = kafkaCodeOf(reason);
        if (code === kafkaCodes.rebalancing || code === kafkaCodes.memberIdRequired) continue;
        if (code !== kafkaCodes.unknownMember && code !== kafkaCodes.illegalGeneration) throw reason;
        this.#lose(textOf(reason));
      }
    }
  }

  async #joinOnce(): Promise<{ readonly partitions: Partitions; readonly session: Session }> {
    const { cluster, group, options } = this.#parts;
    const { peer } = cluster;
    const { topics, owned } = this.#owner;
    const metadata = peer.encodeConsumerProtocolSubscription({
      version: 3,
      topics: [...topics],
      ownedPartitions: [...owned].map(([topic, partitions]) => ({ topic, partitions: [...partitions] })),
      generationId: this.#generation,
    });
    const connection = await this.#connection("join");
    const joined = await answerTo(
      peer.joinGroupV9.api.async(
        connection,
        group,
        options.sessionTimeoutMs,
        options.rebalanceTimeoutMs,
        this.#memberId,
        options.instanceId ?? null,
        "consumer",
        [{ name: protocol, metadata }],
        null,
      ),
    );
    if (joined.errorCode === kafkaCodes.memberIdRequired) this.#memberId = joined.memberId;
    this.#checkJoin(joined.errorCode);
    const { memberId, generationId, leader, members } = joined;
    this.#memberId = memberId;
    const assignments = leader === memberId ? await this.#divide(members) : [];
    const instance = options.instanceId ?? null;
    const synced = await answerTo(
      peer.syncGroupV5.api.async(
        connection,
        group,
        generationId,
        memberId,
        instance,
        "consumer",
        protocol,
        assignments,
      ),
    );
    this.#check("its division", synced.errorCode);
    this.#generation = generationId;
    const { assignedPartitions } = peer.decodeConsumerProtocolAssignment(synced.assignment);
    const partitions = new Map(assignedPartitions.map(({ topic, partitions: of }) => [topic, of]));
    return { partitions, session: { generation: generationId, memberId } };
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

  /** Shows that it lives, until the group changes. */
  async #stay(session: Session): Promise<void> {
    const beatMs = Math.min(longestBeatMs, this.#parts.options.sessionTimeoutMs / 6);
    while (!this.#ending.signal.aborted && !this.#isStale) {
      await this.#beatPause.wait(beatMs, this.#ending.signal);
      const beat = this.#isStale ? "changes" : await this.#beat(session);
      if (beat === "lost") return;
      if (beat === "changes") break;
    }
    if (!this.#ending.signal.aborted) await this.#end(session, beatMs);
  }

  /** What runs ends before the group is joined again; the place is kept meanwhile. */
  async #end(session: Session, beatMs: number): Promise<void> {
    const done = new AbortController();
    const stop = (): void => done.abort();
    this.#ending.signal.addEventListener("abort", stop);
    const changing = this.#owner.changing(session).finally(stop);
    while (!done.signal.aborted) {
      await new WakeablePause(this.#parts.clock).wait(beatMs, done.signal);
      if (!done.signal.aborted && (await this.#beat(session)) === "lost") break;
    }
    await changing;
    this.#ending.signal.removeEventListener("abort", stop);
  }

  /** The place is lost when the commit says so, too. */
  lose(session: Session, why: string): void {
    if (session.generation !== this.#generation) return;
    this.#lose(why);
    this.rejoin();
  }

  async #beat({ generation, memberId }: Session): Promise<"lives" | "changes" | "lost"> {
    const { cluster, group, options } = this.#parts;
    try {
      const connection = await this.#connection("group");
      const instance = options.instanceId ?? null;
      const request = cluster.peer.heartbeatV4.api.async(connection, group, generation, memberId, instance);
      this.#check("a sign of life", (await answerTo(request)).errorCode);
      return "lives";
    } catch (reason) {
      const code = kafkaCodeOf(reason);
      if (code === kafkaCodes.rebalancing) return "changes";
      if (isLost(code)) {
        this.#lose(textOf(reason));
        return "lost";
      }
      if (!(reason instanceof KafkaError)) this.#coordinator = undefined;
      return "lives"; // The broker is away; it says later whether the place is lost.
    }
  }

  #lose(why: string): void {
    this.#memberId = "";
    this.#generation = -1;
    this.#owner.lost(why);
  }
}

/** Whether a place in a group is another's, or no one's. */
export function isLost(code: number | undefined): boolean {
  const { unknownMember, illegalGeneration, fencedInstance } = kafkaCodes;
  return code === unknownMember || code === illegalGeneration || code === fencedInstance;
}
