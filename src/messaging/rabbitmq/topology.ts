import type { GroupQueue, SubscriptionSpec } from "../broker.ts";
import { queueName } from "../queue-names.ts";
import { placeOf } from "../murmur2.ts";
import { type FullRabbitMqOptions, slotCount } from "./rabbitmq-options.ts";

/** A queue as it is declared. */
export interface QueueDeclaration {
  readonly name: string;
  /** Arguments of the declaration, by the names that RabbitMQ has for them. */
  readonly args: Readonly<Record<string, string | number | boolean>>;
}

/** A queue that a subscription reads. */
export interface ReadQueue extends QueueDeclaration {
  readonly from: "topic" | "again";
  /** Its number among the queues of an ordered group that has several. */
  readonly partition: number | undefined;
  /** Most deliveries of it that are not settled. */
  readonly prefetch: number;
  /** Patterns of routing keys that it takes from the exchange. */
  readonly patterns: readonly string[];
  /** Patterns that it took when the group had another number of partitions. */
  readonly gonePatterns: readonly string[];
}

/** What a group has at RabbitMQ. */
export interface GroupTopology {
  readonly exchange: string;
  readonly isOrdered: boolean;
  readonly reads: readonly ReadQueue[];
  readonly others: readonly QueueDeclaration[];
  /** The queues that an ordered group may have from a time with more partitions, the next ones first. */
  readonly leftOver: readonly ReadQueue[];
}

/** What of the options is needed. */
export type TopologyOptions = Pick<FullRabbitMqOptions, "prefix" | "queueType" | "partitions">;

/** Queues of a process that reads everything outlive it by this time, in milliseconds: long enough for a reconnect. */
const expiry = { "x-expires": 60_000 };
/** Dead letters are listed any number of times, and newer servers would take them out after 20. */
const unlimitedDeliveries = 1_000_000_000;

/**
 * What a subscription needs at RabbitMQ: an exchange for its topic, the queues that it reads, its retry queues and its
 * dead-letter queue.
 */
export function groupTopology(spec: SubscriptionSpec, options: TopologyOptions): GroupTopology {
  const nameOf = (queue?: GroupQueue): string => options.prefix + queueName(spec.topic, spec.group, queue);
  const dead = nameOf({ kind: "dead" });
  const isOrdered = spec.ordering !== "none" && !spec.broadcast;
  const count = isOrdered ? options.partitions : 1;
  const again = nameOf({ kind: "again" });
  const args = {
    ...groupArgs(spec, options, dead),
    ...(isOrdered && { "x-single-active-consumer": true }),
  };
  const { prefetch } = spec;
  const partitions = Array.from({ length: isOrdered ? slotCount : 1 }, (_, number): ReadQueue => {
    const partition = isOrdered && (count > 1 || number > 0) ? number : undefined;
    const name = number === 0 ? nameOf() : `${nameOf()}.p${number}`;
    return { name, args, from: "topic", partition, prefetch, ...patternsOf(spec.types, number, count) };
  });
  const replays: ReadQueue = {
    ...{ name: again, args, from: "again", partition: undefined, patterns: [], gonePatterns: [] },
    prefetch: Math.max(1, Math.floor(prefetch / 8)),
  };
  const retries = spec.retryDelaysMs.map((delayMs) => ({
    name: nameOf({ kind: "retry", delayMs }),
    // A message that has waited has lost its place in the order: with several partitions it goes to no certain one.
    args: retryArgs(spec, options, delayMs, count === 1 ? nameOf() : again),
  }));
  const letters = spec.deadLetters ? [{ name: dead, args: deadArgs(spec, options) }] : [];
  return {
    exchange: options.prefix + spec.topic,
    isOrdered,
    reads: [...partitions.slice(0, count), replays],
    others: [...retries, ...letters],
    leftOver: partitions.slice(count),
  };
}

const slotNames = Array.from({ length: slotCount }, (_, slot) => `s${String(slot).padStart(2, "0")}`);

/** The routing keys of types, by slots, so that each is made once. */
const routingKeys = new Map<string, string[]>();
/** Senders choose types of their own: those of so many are kept. */
const mostTypes = 1_000;

/** The routing key of a message: its slot and its type. */
export function routingKey(slot: number, type: string): string {
  let keys = routingKeys.get(type);
  if (keys === undefined) {
    keys = slotNames.map((name) => `${name}.${type}`);
    if (routingKeys.size < mostTypes) routingKeys.set(type, keys);
  }
  return keys[slot] ?? `${slotNames[slot]}.${type}`;
}

/** The slot of a key. */
export function slotOf(key: string): number {
  return placeOf(key, slotCount);
}

/** What a queue takes: of several, the slots whose number modulo theirs is its own. */
function patternsOf(
  types: readonly string[],
  partition: number,
  count: number,
): Pick<ReadQueue, "patterns" | "gonePatterns"> {
  const all = types.map((type) => `*.${type}`);
  if (count === 1 && partition === 0) return { patterns: all, gonePatterns: [] };
  const slots = Array.from({ length: slotCount }, (_, slot) => slot);
  const keysOf = (isTaken: boolean): string[] =>
    slots
      .filter((slot) => (partition < count && slot % count === partition) === isTaken)
      .flatMap((slot) => types.map((type) => routingKey(slot, type)));
  return { patterns: keysOf(true), gonePatterns: [...all, ...keysOf(false)] };
}

type Args = Record<string, string | number | boolean>;

/** Of the queues that a group reads: what RabbitMQ takes out by itself goes to its dead letters. */
function groupArgs(spec: SubscriptionSpec, options: TopologyOptions, dead: string): Args {
  return {
    "x-queue-type": options.queueType,
    ...(options.queueType === "quorum" && { "x-delivery-limit": spec.maxDeliveries }),
    ...(spec.deadLetters && deadLetterArgs(options, dead)),
    ...(spec.broadcast && expiry),
  };
}

function retryArgs(spec: SubscriptionSpec, options: TopologyOptions, delayMs: number, to: string): Args {
  return {
    "x-queue-type": options.queueType,
    "x-message-ttl": delayMs,
    ...deadLetterArgs(options, to),
    ...(spec.broadcast && expiry),
  };
}

function deadArgs({ broadcast }: SubscriptionSpec, { queueType }: TopologyOptions): Args {
  return {
    "x-queue-type": queueType,
    ...(queueType === "quorum" && { "x-delivery-limit": unlimitedDeliveries }),
    ...(broadcast && expiry),
  };
}

/** A quorum queue keeps what it takes out until the other queue has it; it must refuse what is too much for that. */
function deadLetterArgs({ queueType }: TopologyOptions, to: string): Args {
  return {
    "x-dead-letter-exchange": "",
    "x-dead-letter-routing-key": to,
    "x-overflow": "reject-publish",
    ...(queueType === "quorum" && { "x-dead-letter-strategy": "at-least-once" }),
  };
}
