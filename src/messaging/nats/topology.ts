import { SetupError } from "../../core/errors/setup-error.ts";
import { type ConsumerPlan, ensureConsumer, findConsumer } from "../../core/nats/consumers.ts";
import type { NatsLine } from "../../core/nats/nats-line.ts";
import { codeOf, ensureStream, findStream, type StreamPlan } from "../../core/nats/streams.ts";
import type { Delivery, Destination, GroupQueue, SubscriptionSpec } from "../broker.ts";
import { queueName } from "../queue-names.ts";
import type { FullNatsOptions } from "./nats-options.ts";

/** What of the options is needed. */
export type TopologyOptions = Pick<
  FullNatsOptions,
  "prefix" | "replicas" | "ackWaitMs" | "duplicateWindowMs" | "maxAgeMs"
>;

/** Where messages of a destination are stored. */
export interface Place {
  readonly subject: string;
  readonly stream: StreamPlan;
}

/** A consumer that a subscription reads. */
export interface ReadConsumer extends ConsumerPlan {
  readonly from: "start" | "new";
  readonly origin: Delivery["from"];
  /** How long a message of it waits from when it was stored, in milliseconds. */
  readonly delayMs: number;
  /** Most messages that this process has of it, not settled. */
  readonly prefetch: number;
}

/** What a group has at NATS. */
export interface GroupTopology {
  readonly streams: readonly StreamPlan[];
  readonly reads: readonly ReadConsumer[];
  /** The stream of its retry queues, replays and dead letters. */
  readonly queues: StreamPlan;
}

/** A consumer of a process that reads everything outlives it by this time, in milliseconds. */
const expiryMs = 60_000;

/** Where a message goes. */
export function placeOf(to: Destination, options: TopologyOptions): Place {
  if (to.kind === "topic")
    return { subject: options.prefix + to.topic, stream: topicStream(to.topic, options) };
  const subject = options.prefix + queueName(to.topic, to.group, to.queue);
  return { subject, stream: queuesStream(to.topic, to.group, [to.queue], options) };
}

/** What a subscription needs at NATS: a stream of its topic, one of its own queues, and a consumer of each that it reads. */
export function groupTopology(spec: SubscriptionSpec, options: TopologyOptions): GroupTopology {
  const topic = topicStream(spec.topic, options);
  const others: GroupQueue[] = [
    { kind: "again" },
    ...spec.retryDelaysMs.map((delayMs) => ({ kind: "retry", delayMs }) as const),
  ];
  const queues = queuesStream(spec.topic, spec.group, [{ kind: "dead" }, ...others], options);
  const isOrdered = spec.ordering !== "none" && !spec.broadcast;
  const main: ReadConsumer = {
    stream: topic.name,
    name: nameOf(options.prefix + spec.group),
    subject: options.prefix + spec.topic,
    from: spec.from,
    ackWaitMs: options.ackWaitMs,
    // Nothing is delivered past what a stopping process gives back, as long as the window is full.
    maxUnsettled: isOrdered ? spec.prefetch : -1,
    expiresMs: spec.broadcast ? expiryMs : 0,
    origin: "topic",
    delayMs: 0,
    prefetch: spec.prefetch,
  };
  return {
    streams: [topic, queues],
    queues,
    reads: [main, ...others.map((queue) => queueConsumer(spec, queue, options))],
  };
}

/** The retry queues that a group has from a time with other delays. */
export async function leftOverQueues(
  line: NatsLine,
  spec: SubscriptionSpec,
  options: TopologyOptions,
): Promise<ReadConsumer[]> {
  const known = new Set(groupTopology(spec, options).reads.map(({ name }) => name));
  const found: ReadConsumer[] = [];
  for await (const { name } of line.manager.consumers.list(
    queuesStream(spec.topic, spec.group, [], options).name,
  )) {
    const delayMs = Number(/^retry-(\d+)$/.exec(name)?.[1] ?? Number.NaN);
    if (Number.isNaN(delayMs) || known.has(name)) continue;
    found.push(queueConsumer(spec, { kind: "retry", delayMs }, options));
  }
  return found;
}

/** Makes what a subscription needs, or looks for it. @throws SetupError where it is missing, or there in another form */
export async function declareGroup(
  line: NatsLine,
  { streams, reads }: GroupTopology,
  declare: boolean,
): Promise<void> {
  for (const stream of streams) await declareStream(line, stream, declare);
  for (const read of reads) {
    if (declare) {
      await refused(`the consumer ${read.name} of the stream ${read.stream}`, () =>
        ensureConsumer(line, read),
      );
    } else if ((await findConsumer(line.manager, read.stream, read.name)) === undefined) {
      throw new SetupError(`NATS: there is no consumer ${read.name} of the stream ${read.stream}`);
    }
  }
}

/** Makes a stream, or looks for it. @throws SetupError where it is missing, or there in another form */
export async function declareStream(line: NatsLine, stream: StreamPlan, declare: boolean): Promise<void> {
  if (declare) await refused(`the stream ${stream.name}`, () => ensureStream(line, stream));
  else if ((await findStream(line.manager, stream.name)) === undefined) {
    throw new SetupError(`NATS: there is no stream ${stream.name}`);
  }
}

/** What NATS has refused by a code of its own is an error of the setup; others pass. */
async function refused(what: string, act: () => Promise<unknown>): Promise<void> {
  try {
    await act();
  } catch (reason) {
    const code = codeOf(reason);
    // 10_008: JetStream is not ready; 10_005, 10_023: not the servers or means that it takes, now.
    if (code === undefined || [10_008, 10_005, 10_023].includes(code)) throw reason;
    const text = reason instanceof Error ? reason.message : String(reason);
    throw new SetupError(`NATS: ${what} cannot be made as it is to be: ${text}`, { cause: reason });
  }
}

function topicStream(topic: string, options: TopologyOptions): StreamPlan {
  return streamOf(nameOf(options.prefix + topic), [options.prefix + topic], options.maxAgeMs, options);
}

/** Its messages go when they are settled; dead letters have no reader and stay. The queues that it has otherwise it keeps. */
function queuesStream(
  topic: string,
  group: string,
  queues: readonly GroupQueue[],
  options: TopologyOptions,
): StreamPlan {
  const name = `${nameOf(options.prefix + queueName(topic, group))}+queues`;
  const subjects = queues.map((queue) => options.prefix + queueName(topic, group, queue));
  return { ...streamOf(name, subjects, 0, options), retention: "workqueue", keepsSubjects: true };
}

function streamOf(
  name: string,
  subjects: readonly string[],
  maxAgeMs: number,
  { replicas, duplicateWindowMs }: TopologyOptions,
): StreamPlan {
  return {
    name,
    subjects,
    storage: "file",
    replicas,
    maxPerSubject: -1,
    maxAgeMs,
    duplicateWindowMs: maxAgeMs > 0 ? Math.min(duplicateWindowMs, maxAgeMs) : duplicateWindowMs,
    republish: undefined,
  };
}

function queueConsumer(spec: SubscriptionSpec, queue: GroupQueue, options: TopologyOptions): ReadConsumer {
  const { topic, group, prefetch } = spec;
  const delayMs = queue.kind === "retry" ? queue.delayMs : 0;
  return {
    stream: queuesStream(topic, group, [], options).name,
    name: queue.kind === "retry" ? `retry-${queue.delayMs}` : queue.kind,
    subject: options.prefix + queueName(topic, group, queue),
    from: "start",
    ackWaitMs: options.ackWaitMs,
    maxUnsettled: -1,
    expiresMs: 0,
    origin: queue.kind,
    delayMs,
    prefetch: Math.max(1, Math.floor(prefetch / 8)),
  };
}

/** Names of streams and consumers have no dots; names of topics and groups have no `=`. */
function nameOf(name: string): string {
  return name.replaceAll(".", "=");
}
