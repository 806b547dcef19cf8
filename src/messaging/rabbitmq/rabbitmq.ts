import { type MadeInvoker, makeInvoker } from "../../core/call/invoker-source.ts";
import { ConnectError } from "../../core/errors/errors.ts";
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
  CancelledCall,
  DeadLetterBox,
  Delivery,
  IncomingMessage,
  MadeBroker,
  OutgoingMessage,
  SubscriptionSpec,
} from "../broker.ts";
import type { BrokerDialOptions } from "../broker-dial-options.ts";
import { dialBroker } from "../dialled-broker.ts";
import { checkQueueNames, queueName } from "../queue-names.ts";
import { waitEndOf } from "../wait.ts";
import type { AmqpLine } from "./amqp-line.ts";
import { unavailable } from "./amqp-line.ts";
import { AmqpLink, type LinkParts } from "./amqp-link.ts";
import { toAmqp } from "./amqp-message.ts";
import { Caller } from "./caller.ts";
import { CancelNotes } from "./cancel-notes.ts";
import type { ReplyMessage } from "./consumed-channel.ts";
import { DeadLetterQueue } from "./dead-letter-queue.ts";
import { assertQueue, declareExchange } from "./declaring.ts";
import { loadAmqplib } from "./peer.ts";
import { Producer } from "./producer.ts";
import type { Outcome, Publication } from "./publication.ts";
import { type FullRabbitMqOptions, type RabbitMqOptions, toRabbitMqOptions } from "./rabbitmq-options.ts";
import { RabbitSubscription } from "./rabbit-subscription.ts";
import { groupTopology, type QueueDeclaration } from "./topology.ts";

/**
 * A broker over RabbitMQ 3.10 or later: a topic exchange for each topic, quorum queues for each group. Resolves behind
 * the first attempt to connect, whatever has become of it: RabbitMQ may be away, now and at any time later.
 *
 * Publishing and consuming have a connection each, so that a blocked publisher blocks no acknowledgement.
 *
 * @throws SetupError without the package `amqplib`, or naming the option that cannot be used
 */
export async function rabbitmq(options: Partial<RabbitMqOptions> = {}): Promise<Broker> {
  const { broker, start } = await makeRabbitMq(options);
  await start();
  return broker;
}

/** As `rabbitmq`, without an attempt to connect yet. @throws SetupError as `rabbitmq` */
export async function makeRabbitMq(options: Partial<RabbitMqOptions>): Promise<MadeBroker> {
  const full = toRabbitMqOptions(options);
  const broker = new RabbitMqBroker(full, {
    peer: await loadAmqplib(),
    clock: systemClock,
    random: Math.random,
  });
  return { broker, start: () => broker.start() };
}

/** How long a reply waits for a connection that takes it, in milliseconds. */
const replyMs = 30_000;

class RabbitMqBroker implements Broker {
  readonly name: string;
  readonly system = "rabbitmq";
  readonly capabilities: BrokerCapabilities;
  readonly #options: FullRabbitMqOptions;
  readonly #lifecycle = new Lifecycle();
  readonly #publishing: AmqpLink;
  readonly #consuming: AmqpLink;
  readonly #producer: Producer;
  readonly #caller: Caller;
  readonly #notes: CancelNotes;
  readonly #subscriptions = new Set<RabbitSubscription>();
  /** Queues that subscriptions of this process have declared, by their names. */
  readonly #queues = new Map<string, QueueDeclaration>();
  readonly #parts: LinkParts;
  #stopping: Promise<StopReport> | undefined;
  #confirmed = 0;

  constructor(options: FullRabbitMqOptions, parts: LinkParts) {
    const isCounting = options.queueType === "quorum";
    this.capabilities = { replies: true, keyOrder: "group", deliveryCount: isCounting, ackTimeout: true };
    this.name = options.name ?? "rabbitmq";
    this.#options = options;
    this.#parts = parts;
    this.#producer = new Producer(options, {
      declare: (line, publication) => this.#declare(line, publication),
      away: () => this.#publishing.why.rawMessage,
    });
    this.#caller = new Caller(options, {
      declare: (line, exchange) => declareExchange(line, exchange, options.declare),
      hindrance: () => this.#producer.hindrance(),
    });
    this.#notes = new CancelNotes(options.prefix, parts.clock);
    const publishing = {
      up: (line: AmqpLine) => this.#publishingUp(line),
      down: () => {},
      blocked: () => {
        this.#producer.changed();
        this.#caller.changed();
      },
    };
    const consuming = { up: (line: AmqpLine) => this.#consumingUp(line), down: () => {}, blocked: () => {} };
    this.#publishing = new AmqpLink(options, "publishing", publishing, parts);
    this.#consuming = new AmqpLink(options, "consuming", consuming, parts);
  }

  [makeInvoker](options: Partial<BrokerDialOptions>): MadeInvoker {
    return dialBroker(this, options, this.#parts.clock);
  }

  get state(): Broker["state"] {
    return this.#lifecycle.state;
  }

  get connection(): BrokerConnection {
    const { line } = this.#publishing;
    return {
      connected: line !== undefined,
      blocked: line?.blockedBy !== undefined,
      reconnects: this.#publishing.reconnects + this.#consuming.reconnects,
    };
  }

  async start(): Promise<void> {
    this.#lifecycle.enter("boot");
    this.#lifecycle.enter("listen");
    await this.#publishing.start();
  }

  async publish(
    messages: readonly OutgoingMessage[],
    options: { readonly signal: AbortSignal },
  ): Promise<readonly Outcome[]> {
    if (this.#stopping !== undefined) return messages.map(() => unavailable("not sent: it has been closed"));
    const outcomes = await this.#producer.publish(messages, waitEndOf(options));
    for (const outcome of outcomes) if (!(outcome instanceof ConnectError)) this.#confirmed++;
    return outcomes;
  }

  async call(message: OutgoingMessage, options: { readonly signal: AbortSignal }): Promise<IncomingMessage> {
    if (this.#stopping !== undefined) throw unavailable("not sent: it has been closed");
    return this.#caller.call(message, waitEndOf(options));
  }

  cancelCall(topic: string, call: CancelledCall): void {
    this.#notes.send(topic, call);
  }

  onCancelledCall(topic: string, receive: (call: CancelledCall) => void): () => void {
    return this.#notes.listen(topic, receive);
  }

  async subscribe(
    spec: SubscriptionSpec,
    receive: (delivery: Delivery) => void,
  ): Promise<BrokerSubscription> {
    if (this.#stopping !== undefined) throw unavailable("it has been closed");
    checkQueueNames("RabbitMQ", spec.topic, spec.group, this.#options.prefix);
    const topology = groupTopology(spec, this.#options);
    const subscription: RabbitSubscription = new RabbitSubscription(spec, {
      topology,
      receive,
      reply: (message, to, correlationId) => this.#reply(message, to, correlationId),
      clock: this.#parts.clock,
      isCounting: this.capabilities.deliveryCount,
      line: () => this.#consuming.line,
      stopped: () => this.#subscriptions.delete(subscription),
    });
    await this.#consuming.start();
    this.#subscriptions.add(subscription);
    if (spec.declare)
      for (const queue of [...topology.others, ...topology.reads]) this.#queues.set(queue.name, queue);
    const { line } = this.#consuming;
    try {
      if (line !== undefined) await subscription.begin(line);
    } catch (reason) {
      this.#subscriptions.delete(subscription);
      throw reason;
    }
    return subscription;
  }

  async check(): Promise<void> {
    for (const { failure } of this.#subscriptions) if (failure !== undefined) throw unavailable(failure);
    const { line } = this.#publishing;
    if (line === undefined) throw this.#publishing.why;
    if (line.blockedBy !== undefined) throw unavailable(`it takes no messages: ${line.blockedBy}`);
    try {
      await line.use(async () => {});
    } catch (reason) {
      throw unavailable(reason);
    }
  }

  deadLetters(topic: string, group: string): DeadLetterBox {
    const name = this.#options.prefix + queueName(topic, group, { kind: "dead" });
    return new DeadLetterQueue(name, async () => {
      await this.#consuming.start();
      if (this.#consuming.line === undefined) throw this.#consuming.why;
      return this.#consuming.line;
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
    const before = this.#confirmed;
    this.#lifecycle.enter("graceful");
    let cancel = (): void => {};
    const grace = new Promise<void>((resolve) => {
      cancel = this.#parts.clock.after(graceMs, resolve);
    });
    const ended = Promise.all([...this.#subscriptions].map((subscription) => subscription.stop()));
    await Promise.race([Promise.all([ended, this.#producer.idle()]), grace]);
    cancel();
    const cut = this.#producer.abandonAll("this process is stopping");
    this.#caller.abandonAll("this process is stopping");
    this.#publishing.close();
    this.#consuming.close();
    this.#lifecycle.enter("stop");
    return { finished: this.#confirmed - before, notified: [], cut };
  }

  #publishingUp(line: AmqpLine): void {
    if (this.#lifecycle.state === "listen") this.#lifecycle.enter("ready");
    this.#producer.up(line);
    this.#caller.up(line);
    this.#notes.sendingUp(line);
  }

  #consumingUp(line: AmqpLine): void {
    this.#notes.listeningUp(line);
    for (const subscription of this.#subscriptions) {
      subscription.begin(line).catch(() => {}); // `check` has it.
    }
  }

  async #reply(reply: ReplyMessage, to: string, correlationId: unknown): Promise<void> {
    const outgoing: OutgoingMessage = {
      ...reply,
      to: { kind: "topic", topic: to },
      key: undefined,
      mandatory: false,
    };
    const { options, body } = toAmqp(outgoing, this.#options, 0);
    const message = {
      exchange: "",
      routingKey: to,
      body,
      options: { ...options, correlationId: String(correlationId) },
    };
    const source = { id: reply.event?.id ?? "", topic: to, target: undefined };
    const [outcome] = await this.#producer.send(message, source, AbortSignal.timeout(replyMs));
    if (outcome instanceof ConnectError) throw outcome;
  }

  async #declare(line: AmqpLine, { message }: Publication): Promise<void> {
    if (message.exchange !== "") return declareExchange(line, message.exchange, this.#options.declare);
    const queue = this.#queues.get(message.routingKey);
    if (queue !== undefined) await line.use((channel) => assertQueue(channel, queue, true));
  }
}
