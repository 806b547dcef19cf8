import { setTimeout as sleep } from "node:timers/promises";
import type { SubscriptionSpec } from "../broker.ts";
import type { Cluster } from "./cluster.ts";
import { answerTo, kafkaCodes, throwCode } from "./kafka-errors.ts";
import { settledBehind } from "./open-offsets.ts";
import type { Start } from "./partition-reader.ts";

/** What a group has committed of a partition. */
interface Committed {
  /** Below 0 for nothing yet. */
  readonly offset: number;
  readonly metadata: string;
}

/** The first or the last offset of a partition, as Kafka is asked for it. */
const edges = Object.freeze({ start: -2n, end: -1n });
const readCommitted = 1;
/** So often leaders are asked, after pauses that grow by so many milliseconds. */
const mostTries = 6;
const tryPauseMs = 50;

/** What a group has committed, by topic and partition. @throws Error where it cannot be asked */
async function committedOf(
  cluster: Cluster,
  { group, user }: { readonly group: string; readonly user: string },
  wanted: ReadonlyMap<string, readonly number[]>,
): Promise<ReadonlyMap<string, ReadonlyMap<number, Committed>>> {
  const connection = await cluster.to(await cluster.coordinator(group), "group", user);
  const topics = [...wanted].map(([name, partitions]) => ({ name, partitionIndexes: [...partitions] }));
  const answer = await answerTo(
    // Not those of a transaction that is under way.
    cluster.peer.offsetFetchV8.api.async(connection, [{ groupId: group, memberEpoch: -1, topics }], true),
  );
  const [found] = answer.groups;
  throwCode(`group ${group}`, found?.errorCode ?? kafkaCodes.coordinatorAway);
  const committed = new Map<string, ReadonlyMap<number, Committed>>();
  for (const { name, partitions } of found?.topics ?? []) {
    const of = new Map<number, Committed>();
    for (const { partitionIndex, errorCode, committedOffset, metadata } of partitions) {
      throwCode(`group ${group}, topic ${name}`, errorCode);
      of.set(partitionIndex, { offset: Number(committedOffset), metadata: metadata ?? "" });
    }
    committed.set(name, of);
  }
  return committed;
}

/** The first or last offsets of partitions of a topic. @throws Error where a leader cannot be asked */
export async function edgesOf(
  cluster: Cluster,
  name: string,
  partitions: readonly number[],
  edge: keyof typeof edges,
): Promise<ReadonlyMap<number, number>> {
  for (let tries = 1; ; tries++) {
    try {
      return await askEdges(cluster, name, partitions, edge);
    } catch (reason) {
      cluster.forget(name);
      if (tries === mostTries || !cluster.isConnected) throw reason;
      await sleep(tries * tryPauseMs); // A partition that was just made has no leader for a moment.
    }
  }
}

async function askEdges(
  cluster: Cluster,
  name: string,
  partitions: readonly number[],
  edge: keyof typeof edges,
): Promise<ReadonlyMap<number, number>> {
  const topic = await cluster.topic(name);
  const byLeader = Map.groupBy(partitions, (partition) => topic?.leaders[partition] ?? -1);
  const found = new Map<number, number>();
  for (const [leader, of] of byLeader) {
    const connection = await cluster.to(leader, "control");
    const wanted = of.map((partitionIndex) => ({
      partitionIndex,
      currentLeaderEpoch: -1,
      timestamp: edges[edge],
    }));
    const request = cluster.peer.listOffsetsV7.api.async(connection, -1, readCommitted, [
      { name, partitions: wanted },
    ]);
    const [answer] = (await answerTo(request)).topics;
    for (const { partitionIndex, errorCode, offset } of answer?.partitions ?? []) {
      throwCode(`topic ${name}, partition ${partitionIndex}`, errorCode);
      found.set(partitionIndex, Number(offset));
    }
  }
  return found;
}

/**
 * Lets a new group begin behind what there is: it has its offsets before it has readers, so what is published from now on
 * is read by it, whenever they join. A group that has offsets, or readers, is as it is.
 *
 * @throws Error where that cannot be done now
 */
export async function beginAtEnd(
  cluster: Cluster,
  of: { readonly group: string; readonly user: string },
  topic: string,
): Promise<void> {
  const partitions = [...((await cluster.topic(topic))?.leaders.keys() ?? [])];
  const committed = (await committedOf(cluster, of, new Map([[topic, partitions]]))).get(topic);
  if ([...(committed?.values() ?? [])].some(({ offset }) => offset >= 0)) return;
  const ends = await edgesOf(cluster, topic, partitions, "end");
  const connection = await cluster.to(await cluster.coordinator(of.group), "group", of.user);
  const wanted = partitions.map((partitionIndex) => ({
    partitionIndex,
    committedOffset: BigInt(ends.get(partitionIndex) ?? 0),
    committedLeaderEpoch: -1,
    committedMetadata: "",
  }));
  const request = cluster.peer.offsetCommitV8.api.async(connection, of.group, -1, "", null, [
    { name: topic, partitions: wanted },
  ]);
  const { topics } = await answerTo(request);
  for (const { partitions: answered } of topics) {
    for (const { errorCode } of answered) {
      if (errorCode !== kafkaCodes.unknownMember && errorCode !== kafkaCodes.illegalGeneration) {
        throwCode(`group ${of.group}`, errorCode);
      }
    }
  }
}

/**
 * Where a group begins with partitions: behind what it has committed. What is new in a topic that it knows is read whole.
 *
 * @param from where it begins with a topic of which it has committed nothing
 * @throws Error where that cannot be asked now
 */
export async function startsOf(
  cluster: Cluster,
  of: { readonly group: string; readonly user: string },
  wanted: ReadonlyMap<string, readonly number[]>,
  from: (topic: string) => SubscriptionSpec["from"],
): Promise<ReadonlyMap<string, ReadonlyMap<number, Start>>> {
  if (wanted.size === 0) return new Map();
  const whole = new Map(
    [...wanted.keys()].map((name) => [name, [...(cluster.known(name)?.leaders.keys() ?? [])]]),
  );
  const committed = await committedOf(cluster, of, whole);
  const starts = new Map<string, ReadonlyMap<number, Start>>();
  for (const [name, partitions] of wanted) {
    const has = committed.get(name);
    const isKnown = [...(has?.values() ?? [])].some(({ offset }) => offset >= 0);
    const fresh = partitions.filter((partition) => (has?.get(partition)?.offset ?? -1) < 0);
    const edge = from(name) === "start" || isKnown ? "start" : "end";
    const begins = fresh.length === 0 ? undefined : await edgesOf(cluster, name, fresh, edge);
    const found = new Map<number, Start>();
    for (const partition of partitions) {
      const { offset = -1, metadata = "" } = has?.get(partition) ?? {};
      const begin = { offset: begins?.get(partition) ?? 0, settled: new Set<number>(), isResumed: false };
      const resumed = { offset, settled: settledBehind(offset, metadata), isResumed: true };
      found.set(partition, offset < 0 ? begin : resumed);
    }
    starts.set(name, found);
  }
  return starts;
}
