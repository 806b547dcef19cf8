import { inspect } from "node:util";
import type { FaultLogger } from "../../core/call/fault-log.ts";
import { type MadeInvoker, makeInvoker } from "../../core/call/invoker-source.ts";
import {
  defaultGraceMs,
  Lifecycle,
  type StopOptions,
  type StopReport,
} from "../../core/lifecycle/lifecycle.ts";
import { systemClock } from "../../core/time/clock.ts";
import type {
  Broker,
  BrokerCapabilities,
  BrokerConnection,
  BrokerSubscription,
  DeadLetterBox,
  Delivery,
  Destination,
  MadeBroker,
  OutgoingMessage,
  SubscriptionSpec,
} from "../broker.ts";
import type { BrokerDialOptions } from "../broker-dial-options.ts";
import { dialBroker } from "../dialled-broker.ts";
import { checkQueueNames } from "../queue-names.ts";
import { waitEndOf } from "../wait.ts";
import { Cluster, type ClusterParts } from "./cluster.ts";
import { DeadLetterTopic } from "./dead-letter-topic.ts";
import { unavailable } from "./kafka-errors.ts";
import { type FullKafkaOptions, type KafkaOptions, toKafkaOptions } from "./kafka-options.ts";
import { KafkaSubscription } from "./kafka-subscription.ts";
import { loadKafka } from "./peer.ts";
import { Producer } from "./producer.ts";
import type { Outcome } from "./publication.ts";
import { groupTopics, topicOf } from "./topology.ts";

/**
 * A broker over Kafka 3.3 or later: a topic for each topic, and topics of each group for what it tries again, replays and
 * cannot handle. Resolves behind the first attempt to connect, whatever has become of it: Kafka may be away, now and at
 * any time later.
 *
 * Nothing can be called over it: it carries no replies.
 *
 * @throws SetupError without the package `@platformatic/kafka`, or naming the option that cannot be used
 */
export async function kafka(options: Partial<KafkaOptions> = {}): Promise<Broker> {
  const { broker, start } = await makeKafka(options);
  await start();
  return broker;
}

/** As `kafka`, without an attempt to connect yet. @throws SetupError as `kafka` */
export async function makeKafka(options: Partial<KafkaOptions>): Promise<MadeBroker> {
  const full = toKafkaOptions(options);
  const broker = new KafkaBroker(full, { peer: await loadKafka(), clock: systemClock, random: Math.random });
  return { broker, start: () => broker.start() };
}

class KafkaBroker implements Broker {
  readonly name: string;
  readonly system = "kafka";
  readonly capabilities: BrokerCapabilities = { replies: false, keyOrder: "group", deliveryCount: false };
  readonly #options: FullKafkaOptions;
  readonly #parts: ClusterParts;
  readonly #lifecycle = new Lifecycle();
  readonly #cluster: Cluster;
  readonly #producer: Producer;
  readonly #subscriptions = new Set<KafkaSubscription>();
  #stopping: Promise<StopReport> | undefined;
  #lastUser = 0;

  constructor(options: FullKafkaOptions, parts: ClusterParts) {
    this.name = options.name ?? "kafka";
    this.#options = options;
    this.#parts = parts;
    this.#cluster = new Cluster(options, parts, () => this.#up());
    this.#producer = new Producer(this.#cluster, options, parts);
  }

  [makeInvoker](options: Partial<BrokerDialOptions>): MadeInvoker {
    return dialBroker(this, options, this.#parts.clock);
  }

  get state(): Broker["state"] {
    return this.#lifecycle.state;
  }

  get connection(): BrokerConnection {
    const { isConnected, reconnects } = this.#cluster;
    return { connected: isConnected, blocked: false, reconnects };
  }

  async start(): Promise<void> {
    this.#lifecycle.enter("boot");
    this.#lifecycle.enter("listen");
    await this.#cluster.start();
  }

  publish(
    messages: readonly OutgoingMessage[],
    options: { readonly signal: AbortSignal },
  ): Promise<readonly Outcome[]> {
    if (this.#stopping !== undefined) {
      return Promise.resolve(messages.map(() => unavailable("not sent: it has been closed")));
    }
    return this.#producer.publish(messages, waitEndOf(options));
  }

  async subscribe(
    spec: SubscriptionSpec,
    receive: (delivery: Delivery) => void,
  ): Promise<BrokerSubscription> {
    if (this.#stopping !== undefined) throw unavailable("it has been closed");
    checkQueueNames("Kafka", spec.topic, spec.group, this.#options.prefix);
    const subscription: KafkaSubscription = new KafkaSubscription(spec, {
      topics: groupTopics(spec, this.#options),
      user: `reader-${++this.#lastUser}`,
      cluster: this.#cluster,
      options: this.#options,
      clock: this.#parts.clock,
      random: this.#parts.random,
      wallMs: Date.now,
      receive,
      log: (fields, text) => this.#log(fields, text),
      stopped: () => this.#subscriptions.delete(subscription),
    });
    this.#subscriptions.add(subscription);
    try {
      await subscription.begin();
    } catch (reason) {
      this.#subscriptions.delete(subscription);
      await subscription.stop();
      throw reason;
    }
    return subscription;
  }

  async check(): Promise<void> {
    for (const { failure } of this.#subscriptions) if (failure !== undefined) throw unavailable(failure);
    try {
      await this.#cluster.look([]);
    } catch (reason) {
      throw unavailable(reason);
    }
  }

  deadLetters(topic: string, group: string): DeadLetterBox {
    const to: Destination = { kind: "queue", topic, group, queue: { kind: "dead" } };
    return new DeadLetterTopic({
      to,
      name: topicOf(to, this.#options).name,
      cluster: this.#cluster,
      remove: (message, key, signal) => this.#producer.remove(message, key, signal),
    });
  }

  drain(): void {
    // It serves no calls itself.
  }

  gracefulStop({ graceMs = defaultGraceMs }: StopOptions = {}): Promise<StopReport> {
    this.#stopping ??= this.#stop(graceMs);
    return this.#stopping;
  }

  async #stop(graceMs: number): Promise<StopReport> {
    const before = this.#producer.confirmed;
    this.#lifecycle.enter("graceful");
    let cancel = (): void => {};
    const grace = new Promise<void>((resolve) => {
      cancel = this.#parts.clock.after(graceMs, resolve);
    });
    const ended = Promise.all([...this.#subscriptions].map((subscription) => subscription.stop()));
    await Promise.race([Promise.all([ended, this.#producer.idle()]), grace]);
    cancel();
    const cut = this.#producer.abandonAll("this process is stopping");
    this.#cluster.close();
    this.#lifecycle.enter("stop");
    return { finished: this.#producer.confirmed - before, notified: [], cut };
  }

  #up(): void {
    if (this.#lifecycle.state === "listen") this.#lifecycle.enter("ready");
  }

  #log(fields: Readonly<Record<string, unknown>>, text: string): void {
    const { logger } = this.#options;
    if (logger !== false) (logger ?? standardError).error({ broker: this.name, ...fields }, text);
  }
}

const standardError: FaultLogger = {
  error(fields, text) {
    process.stderr.write(`${text}: ${inspect(fields, { breakLength: Infinity })}\n`);
  },
};
