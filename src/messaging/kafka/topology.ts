import { setTimeout as sleep } from "node:timers/promises";
import { SetupError } from "../../core/errors/setup-error.ts";
import type { Destination, GroupQueue, SubscriptionSpec } from "../broker.ts";
import { queueName } from "../queue-names.ts";
import type { Cluster, Topic } from "./cluster.ts";
import { answerTo, kafkaCodes, KafkaError, throwCode } from "./kafka-errors.ts";
import type { FullKafkaOptions } from "./kafka-options.ts";

/** A topic as it is made where it is missing. */
export interface TopicDeclaration {
  readonly name: string;
  readonly partitions: number;
  /** Whether of each key only the last message is kept. */
  readonly isCompacted: boolean;
}

/** A topic that a group reads. */
export interface ReadTopic extends TopicDeclaration {
  readonly from: "topic" | Exclude<GroupQueue["kind"], "dead">;
  /** How long a message waits there; 0 for not at all. */
  readonly delayMs: number;
}

/** What a group reads and writes. */
export interface GroupTopics {
  /** The name of the group at Kafka: of one topic each, so that the readers of another topic do not join again with them. */
  readonly group: string;
  readonly reads: readonly ReadTopic[];
  /** Where its dead letters go; undefined for none. */
  readonly dead: TopicDeclaration | undefined;
}

type Names = Pick<FullKafkaOptions, "prefix" | "partitions">;

/** How long the making of topics may take, in milliseconds. */
const makeMs = 8_000;
/** So often, after pauses of so many milliseconds, it is looked whether what was made is there for all. */
const readyLooks = 40;
const readyPauseMs = 50;

/** The topic that a message goes to. */
export function topicOf(to: Destination, { prefix, partitions }: Names): TopicDeclaration {
  if (to.kind === "topic") return { name: prefix + to.topic, partitions, isCompacted: false };
  const name = prefix + queueName(to.topic, to.group, to.queue);
  const isRetry = to.queue.kind === "retry";
  return { name, partitions: isRetry ? partitions : 1, isCompacted: to.queue.kind === "dead" };
}

/** The topics of a group. */
export function groupTopics(spec: SubscriptionSpec, names: Names): GroupTopics {
  const { topic, group, retryDelaysMs, deadLetters } = spec;
  const of = (queue: GroupQueue): TopicDeclaration => topicOf({ kind: "queue", topic, group, queue }, names);
  return {
    group: names.prefix + queueName(topic, group),
    reads: [
      { ...topicOf({ kind: "topic", topic }, names), from: "topic", delayMs: 0 },
      ...retryDelaysMs.map((delayMs): ReadTopic => ({
        ...of({ kind: "retry", delayMs }),
        from: "retry",
        delayMs,
      })),
      { ...of({ kind: "again" }), from: "again", delayMs: 0 },
    ],
    dead: deadLetters ? of({ kind: "dead" }) : undefined,
  };
}

/** Retry topics of a group with delays that it has no more: they are read while they exist. */
export function leftOverRetries(
  { group, reads }: GroupTopics,
  topics: Iterable<Topic>,
): readonly ReadTopic[] {
  const known = new Set(reads.map(({ name }) => name));
  return [...topics].flatMap(({ name, leaders }): ReadTopic[] => {
    if (known.has(name) || !name.startsWith(`${group}.retry-`)) return [];
    const delayMs = Number(name.slice(`${group}.retry-`.length));
    if (!Number.isInteger(delayMs)) return [];
    return [{ name, partitions: leaders.length, isCompacted: false, from: "retry", delayMs }];
  });
}

/**
 * Makes topics that are missing, or looks whether they are there.
 *
 * @throws SetupError for one that is missing and is not to be made, and for what Kafka does not make for its arguments
 * @throws KafkaError or ConnectError for what may be over later
 */
export async function declareTopics(
  cluster: Cluster,
  topics: readonly TopicDeclaration[],
  { replicas }: Pick<FullKafkaOptions, "replicas">,
  isMade: boolean,
): Promise<void> {
  const found = await cluster.look(topics.map(({ name }) => name));
  const missing = topics.filter(({ name }) => !found.has(name));
  if (missing.length === 0) return;
  const [first] = missing;
  if (!isMade) throw new SetupError(`Kafka: there is no topic ${first?.name}, and \`declare\` is false`);
  const wanted = missing.map(({ name, partitions, isCompacted }) => ({
    name,
    numPartitions: partitions,
    replicationFactor: replicas ?? -1,
    assignments: [],
    configs: isCompacted ? [{ name: "cleanup.policy", value: "compact" }] : [],
  }));
  const request = cluster.peer.createTopicsV7.api.async(cluster.control(), wanted, makeMs, false);
  const made = await answerTo(request);
  for (const { name, errorCode, errorMessage } of made.topics) {
    if (errorCode === kafkaCodes.topicExists) continue;
    if (isArgument(errorCode)) {
      throw new SetupError(
        `Kafka: the topic ${name} cannot be made: ${errorMessage ?? `error ${errorCode}`}`,
      );
    }
    throwCode(`topic ${name}`, errorCode, errorMessage);
  }
  for (let looks = readyLooks; looks > 0; looks--) {
    const isReady = await readyTopics(cluster, missing).then(
      () => true,
      () => false,
    );
    if (isReady) return;
    await sleep(readyPauseMs);
  }
}

/** The topics when each partition has a leader, which takes a moment after they were made. @throws KafkaError where one is missing yet */
export async function readyTopics(
  cluster: Cluster,
  topics: readonly TopicDeclaration[],
): Promise<ReadonlyMap<string, Topic>> {
  const found = await cluster.look(topics.map(({ name }) => name));
  for (const { name } of topics) {
    const topic = found.get(name);
    if (topic === undefined || topic.leaders.length === 0 || topic.leaders.some((leader) => leader < 0)) {
      cluster.forget(name);
      throw new KafkaError(`topic ${name}`, kafkaCodes.unknownTopic, "it has no leader yet");
    }
  }
  return found;
}

/** Deletes a group that ends with its process, and what only it reads. Never rejects: what stays does no harm. */
export async function deleteGroup(cluster: Cluster, topics: GroupTopics, user: string): Promise<void> {
  try {
    const connection = await cluster.to(await cluster.coordinator(topics.group), "group", user);
    await cluster.peer.deleteGroupsV2.api.async(connection, [topics.group]);
    const own = topics.reads.filter(({ from }) => from !== "topic");
    const names = [...own, ...(topics.dead === undefined ? [] : [topics.dead])];
    const wanted = names.map(({ name }) => ({ name, topicId: null }));
    await cluster.peer.deleteTopicsV6.api.async(cluster.control(), wanted, makeMs);
  } catch {
    // The broker is away.
  }
}

function isArgument(code: number): boolean {
  const { invalidTopic, invalidPartitions, invalidReplicas, invalidConfig, policy } = kafkaCodes;
  return [invalidTopic, invalidPartitions, invalidReplicas, invalidConfig, policy].includes(
    code as typeof policy, // Any number may be asked for.
  );
}
