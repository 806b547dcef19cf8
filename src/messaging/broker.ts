import type { ConnectError } from "../core/errors/errors.ts";
import type { ManagedServer } from "../core/lifecycle/lifecycle.ts";
import type { InvokerSource } from "../core/call/invoker-source.ts";
import type { BrokerDialOptions } from "./broker-dial-options.ts";
import type { CloudEvent } from "./cloud-event.ts";

/**
 * A broker as publishers and `MessageServer` see it: each room of `messaging/` that has a broker's name implements it.
 *
 * A broker connects by itself, again and again; `state` is `ready` as soon as it has connected once. Its
 * `gracefulStop` ends subscriptions, and confirms or rejects what is being published.
 */
export interface Broker extends ManagedServer, InvokerSource<BrokerDialOptions> {
  /** Name of the system as in `messaging.system` of OpenTelemetry: `rabbitmq`, `kafka`, `nats`, `memory`. */
  readonly system: string;
  readonly capabilities: BrokerCapabilities;
  /** How its connections are now. */
  readonly connection: BrokerConnection;
  /**
   * Publishes messages; resolves with one outcome for each, in their order, when the broker has taken or refused them.
   * It never rejects. What one publisher gives in two calls is stored in the order of the calls for each key.
   *
   * The outcome `UNAVAILABLE` says in its text whether the message may be stored: `not sent`, or `sent and not
   * confirmed: it may be stored; publish again with id …`.
   *
   * @param options.signal ends the wait; an outcome is then UNAVAILABLE or DEADLINE_EXCEEDED
   */
  publish(
    messages: readonly OutgoingMessage[],
    options: { readonly signal: AbortSignal },
  ): Promise<readonly (Published | ConnectError)[]>;
  /**
   * Reads the messages of a topic for a group. Resolves when everything it needs has been declared, at once where the
   * broker is away: it then begins as soon as the broker is there, and again after each loss of a connection.
   *
   * @param receive is called with each delivery, in the order of the broker, in turns of the event loop of its own
   * @throws SetupError if the broker has something of that name in another form
   */
  subscribe(spec: SubscriptionSpec, receive: (delivery: Delivery) => void): Promise<BrokerSubscription>;
  /** Sends a message to the one that takes it, and waits for its reply. Undefined where `capabilities.replies` is false. */
  call?(message: OutgoingMessage, options: { readonly signal: AbortSignal }): Promise<IncomingMessage>;
  /**
   * Tells every process that reads a topic that the caller of a call waits no more. Nothing is stored, nothing is
   * repeated: a note may be lost. Undefined where `capabilities.replies` is false.
   */
  cancelCall?(topic: string, call: CancelledCall): void;
  /**
   * Calls `receive` with each such note of a topic, from now on and whatever connections do; the note may be one of this
   * process. Undefined where `capabilities.replies` is false.
   *
   * @returns a function that ends that
   */
  onCancelledCall?(topic: string, receive: (call: CancelledCall) => void): () => void;
  /** Resolves if the broker answers. @throws ConnectError UNAVAILABLE with what is wrong */
  check(): Promise<void>;
  /** The dead letters of a group. */
  deadLetters(topic: string, group: string): DeadLetterBox;
}

/** A call whose caller waits no more. */
export interface CancelledCall {
  /** `source` of its CloudEvent. */
  readonly source: string;
  /** `id` of its CloudEvent. */
  readonly id: string;
  /** Its deadline, in milliseconds since 1970: what comes later is not run anyway. */
  readonly untilMs: number;
}

/** The connections to a broker. */
export interface BrokerConnection {
  /** Whether messages can be sent now. */
  readonly connected: boolean;
  /** Whether it is connected, and takes no messages for now. */
  readonly blocked: boolean;
  /** How many connections were made again after a loss, since the start. */
  readonly reconnects: number;
}

/** A broker that does not connect yet: what is published meanwhile waits. */
export interface MadeBroker {
  readonly broker: Broker;
  /** Connects by itself from now on; resolves behind the first attempt, whatever has become of it. */
  readonly start: () => Promise<void>;
}

/** What a broker can do. */
export interface BrokerCapabilities {
  /** Whether a message can be answered: see `Broker.call`. */
  readonly replies: boolean;
  /** Who keeps the order of a key: the broker among all readers of a `group`, or each `process` among its own lanes. */
  readonly keyOrder: "group" | "process";
  /**
   * Whether a group with an order can be read. Not on NATS, unless its option `singleReader` says that one process at a
   * time does. Default: true.
   */
  readonly ordered?: boolean;
  /** Whether `Delivery.deliveries` counts what was delivered to processes that have died. */
  readonly deliveryCount: boolean;
  /** Whether it takes back what is not settled in time, as RabbitMQ does by its `consumer_timeout`. Default: false. */
  readonly ackTimeout?: boolean;
}

/** Where a message goes. */
export type Destination =
  /** To every group that reads the topic. */
  | { readonly kind: "topic"; readonly topic: string }
  /** To one of the queues of one group, see `queue-names.ts`. */
  | { readonly kind: "queue"; readonly topic: string; readonly group: string; readonly queue: GroupQueue };

/** A queue of a group besides the one that it reads a topic by. */
export type GroupQueue =
  /** Holds a message for a time, and gives it to the group again. */
  | { readonly kind: "retry"; readonly delayMs: number }
  /** Gives a message to this group alone, at once. */
  | { readonly kind: "again" }
  /** Keeps what cannot be handled. */
  | { readonly kind: "dead" };

/** A message on its way to a broker. */
export interface OutgoingMessage {
  readonly to: Destination;
  /** The attributes; undefined for one that came without, and is moved. */
  readonly event: CloudEvent | undefined;
  /** Orders the messages that have the same; undefined for none. */
  readonly key: string | undefined;
  /** Headers besides the attributes, by names in lower case; one of a name. */
  readonly headers: ReadonlyMap<string, string>;
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  /** Undefined for a tombstone, which only Kafka has. */
  readonly body: Uint8Array | undefined;
  /** Whether it is refused with UNAVAILABLE where no queue takes it: commands and calls. */
  readonly mandatory: boolean;
}

/** A message that the broker has stored. */
export interface Published {
  /** `id` of the CloudEvent. */
  readonly id: string;
  readonly topic: string;
  /** Undefined where the broker has no partitions, or does not say. */
  readonly partition?: number;
  readonly offset?: bigint;
  /** False for one that waits in an outbox. */
  readonly confirmed: boolean;
}

/** A message as a broker hands it over: nothing of it has been checked. */
export interface IncomingMessage {
  /**
   * All headers, attributes among them, as the broker's library gives them: names in any case, one of a name more than
   * once, values that are text, numbers, booleans, bytes or something else.
   */
  readonly headers: readonly (readonly [name: string, value: unknown])[];
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  /** Undefined for none. */
  readonly key: string | undefined;
  /** Undefined for a tombstone; empty is a message of defaults. */
  readonly body: Uint8Array | undefined;
  /** When it expires by what the broker says, in milliseconds since 1970; undefined for never. */
  readonly expiresAtMs: number | undefined;
}

/** What a group reads of a topic. */
export interface SubscriptionSpec {
  readonly topic: string;
  readonly group: string;
  /** The CloudEvents types that the group takes: a broker that can select by type delivers no others. */
  readonly types: readonly string[];
  /** What has an order: the messages of a key, those of a partition, or nothing. */
  readonly ordering: "key" | "partition" | "none";
  /** Most deliveries that are not settled; on Kafka for each partition. */
  readonly prefetch: number;
  /** Most bytes of messages that the broker's room holds before `receive` has got them. */
  readonly maxBufferedBytes: number;
  /** The largest body, in bytes; a larger one may be delivered as it is. */
  readonly maxMessageBytes: number;
  /** Where a group that is new begins. */
  readonly from: "start" | "new";
  /** Whether missing topics and queues are made; otherwise only looked for. */
  readonly declare: boolean;
  /** Whether every process reads everything, by a group of its own that ends with it. */
  readonly broadcast: boolean;
  /** The delays of its retry queues, in milliseconds; none where retries wait in their lanes. */
  readonly retryDelaysMs: readonly number[];
  /** Whether it has a dead-letter queue. */
  readonly deadLetters: boolean;
  /** How many deliveries of one message the broker must allow before it takes the message out by itself. */
  readonly maxDeliveries: number;
}

/** Which of a broker's deliveries of one message this is, and how it is settled. */
export interface Delivery {
  readonly message: IncomingMessage;
  /** Where it came from: the topic, or a queue of the group. */
  readonly from: "topic" | GroupQueue["kind"];
  /** Undefined where the broker has none. */
  readonly partition: number | undefined;
  /** Undefined where the broker has none. */
  readonly offset: bigint | undefined;
  /** Whether it was, or may have been, delivered before. */
  readonly redelivered: boolean;
  /** How often it has been delivered, this time too; undefined where the broker does not count. */
  readonly deliveries: number | undefined;
  /**
   * Fires when it can be settled no more, because its channel has closed or its partition has moved: ABORTED with the
   * reason. The broker delivers the message again then, here or elsewhere.
   */
  readonly lost: AbortSignal;
  /** Takes the message off the broker. Does nothing once it is lost or settled. */
  settle(): void;
  /**
   * Gives the message back to the broker, which delivers it again. Does nothing once it is lost or settled.
   *
   * @param delayMs how long the broker shall wait with that, where it can
   */
  release(delayMs?: number): void;
  /** Answers the message. Undefined where no reply is waited for. Resolves when the broker has taken it. */
  reply?(message: Omit<OutgoingMessage, "to" | "mandatory" | "key">): Promise<void>;
}

/** What a broker delivers to one subscription. */
export interface BrokerSubscription {
  /** Whether deliveries come: false while the broker is away. */
  readonly connected: boolean;
  /** Fetches no more, until `resume`; connections, channels and rebalances do not end that. What was fetched is still delivered. */
  pause(): void;
  resume(): void;
  /**
   * Takes no more deliveries, waits until all of them are settled, lost or released, and lets go of what it has: a
   * consumer, a place in a group. Deliveries can be settled until it resolves.
   */
  stop(): Promise<void>;
  /** How many messages wait at the broker, by partition; by −1 alone where the broker has no partitions. */
  lag(): Promise<ReadonlyMap<number, number>>;
}

/** A message that could not be handled. */
export interface DeadLetter {
  /** Names it in its box until it is taken out. */
  readonly id: string;
  readonly message: IncomingMessage;
}

/** The dead letters of a group. Listing changes nothing. */
export interface DeadLetterBox {
  /** From the oldest on. @param options.limit the most that are read */
  list(options: { readonly limit: number; readonly signal: AbortSignal }): AsyncIterable<DeadLetter>;
  /** Takes letters out. @param take is called with each one, and says whether it goes; it is stored elsewhere before */
  drain(
    take: (letter: DeadLetter) => Promise<boolean>,
    options: { readonly limit: number; readonly signal: AbortSignal },
  ): Promise<number>;
  /** How many there are. */
  count(): Promise<number>;
}
