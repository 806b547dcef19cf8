import { type GroupMember, isLost } from "./group-member.ts";
import type { CommittedTopic, Session } from "./group-requests.ts";
import { kafkaCodeOf, textOf } from "./kafka-errors.ts";
import type { PartitionReader } from "./partition-reader.ts";

/** Commits where the readers of a subscription are, one request at a time. */
export class OffsetCommits {
  readonly #member: Pick<GroupMember, "commit" | "lose">;
  readonly #readers: () => Iterable<PartitionReader>;
  #underWay: Promise<void> | undefined;

  constructor(member: Pick<GroupMember, "commit" | "lose">, readers: () => Iterable<PartitionReader>) {
    this.#member = member;
    this.#readers = readers;
  }

  /** The commit that is under way. */
  get underWay(): Promise<void> | undefined {
    return this.#underWay;
  }

  /** Commits what is not committed yet, for this place in the group. What fails is committed by the next one. Never rejects. */
  commit(session: Session): Promise<void> {
    this.#underWay ??= this.#commit(session).finally(() => (this.#underWay = undefined));
    return this.#underWay;
  }

  async #commit(session: Session): Promise<void> {
    const byTopic = new Map<string, CommittedTopic["partitions"][number][]>();
    const committed: (() => void)[] = [];
    for (const reader of this.#readers()) {
      const place = reader.uncommitted;
      if (place === undefined) continue;
      const { topic, partition } = reader;
      const of = byTopic.get(topic.name) ?? [];
      byTopic.set(topic.name, of);
      of.push({ partition, ...place });
      committed.push(() => reader.committed(place));
    }
    if (committed.length === 0) return;
    try {
      const topics = [...byTopic].map(([name, partitions]) => ({ name, partitions }));
      await this.#member.commit(session, topics);
      for (const done of committed) done();
    } catch (reason) {
      if (isLost(kafkaCodeOf(reason))) this.#member.lose(session, textOf(reason));
    }
  }
}
