import { type MadeInvoker, makeInvoker } from "../../core/call/invoker-source.ts";
import { ConnectError } from "../../core/errors/errors.ts";
import {
  defaultGraceMs,
  Lifecycle,
  type StopOptions,
  type StopReport,
} from "../../core/lifecycle/lifecycle.ts";
import type { NatsLine } from "../../core/nats/nats-line.ts";
import type { NatsLink } from "../../core/nats/nats-link.ts";
import { type Clock, systemClock } from "../../core/time/clock.ts";
import type {
  Broker,
  BrokerCapabilities,
  BrokerConnection,
  BrokerSubscription,
  CancelledCall,
  DeadLetterBox,
  Delivery,
  Destination,
  IncomingMessage,
  MadeBroker,
  OutgoingMessage,
  SubscriptionSpec,
} from "../broker.ts";
import type { BrokerDialOptions } from "../broker-dial-options.ts";
import { dialBroker } from "../dialled-broker.ts";
import { Caller } from "./caller.ts";
import { CancelNotes } from "./cancel-notes.ts";
import { checkReadable } from "./check-readable.ts";
import { DeadLetterStream } from "./dead-letter-stream.ts";
import { unavailable } from "./nats-errors.ts";
import { type FullNatsOptions, type NatsBrokerOptions, toNatsBrokerOptions } from "./nats-options.ts";
import { linkOf } from "./nats-connection.ts";
import { NatsGroupSubscription } from "./nats-subscription.ts";
import { Producer } from "./producer.ts";
import type { Outcome } from "./publication.ts";
import { sendReply } from "./replies.ts";
import { placeOf } from "./topology.ts";

/**
 * A broker over NATS 2.9 or later with JetStream: a stream for each topic, a durable consumer for each group. Resolves
 * behind the first attempt to connect, whatever has become of it: NATS may be away, now and at any time later.
 *
 * @throws SetupError without the packages `@nats-io/transport-node` and `@nats-io/jetstream`, or naming the option that
 *   cannot be used
 */
export async function nats(options: Partial<NatsBrokerOptions> = {}): Promise<Broker> {
  const { broker, start } = await makeNats(options);
  await start();
  return broker;
}

/** As `nats`, without an attempt to connect yet. @throws SetupError as `nats` */
export async function makeNats(options: Partial<NatsBrokerOptions>): Promise<MadeBroker> {
  const broker = new NatsBroker(toNatsBrokerOptions(options), systemClock);
  return { broker, start: () => broker.start() };
}

class NatsBroker implements Broker {
  readonly name: string;
  readonly system = "nats";
  readonly capabilities: BrokerCapabilities;
  readonly #options: FullNatsOptions;
  readonly #clock: Clock;
  readonly #lifecycle = new Lifecycle();
  readonly #link: NatsLink;
  readonly #producer: Producer;
  readonly #caller: Caller;
  readonly #notes: CancelNotes;
  readonly #subscriptions = new Set<NatsGroupSubscription>();
  /** The connection from `up` to `down`. */
  #line: NatsLine | undefined;
  #publishing = 0;
  #idle: (() => void) | undefined;
  #stopping: Promise<StopReport> | undefined;
  #confirmed = 0;

  constructor(options: FullNatsOptions, clock: Clock) {
    this.name = options.name ?? "nats";
    const { singleReader: ordered } = options;
    this.capabilities = { replies: true, keyOrder: "process", ordered, deliveryCount: true };
    this.#options = options;
    this.#clock = clock;
    this.#producer = new Producer(options, {
      clock,
      declare: options.declare,
      line: () => this.#usable,
      away: () => unavailable(this.#link.why).rawMessage,
    });
    this.#caller = new Caller(options, () => this.#producer.hindrance());
    this.#notes = new CancelNotes(options.prefix);
    this.#link = linkOf(options, clock, {
      up: async (line) => this.#up(line),
      down: () => this.#down(),
    });
  }

  [makeInvoker](options: Partial<BrokerDialOptions>): MadeInvoker {
    return dialBroker(this, options, this.#clock);
  }

  get state(): Broker["state"] {
    return this.#lifecycle.state;
  }

  get connection(): BrokerConnection {
    return { connected: this.#usable !== undefined, blocked: false, reconnects: this.#link.reconnects };
  }

  async start(): Promise<void> {
    this.#lifecycle.enter("boot");
    this.#lifecycle.enter("listen");
    await this.#link.start();
  }

  async publish(
    messages: readonly OutgoingMessage[],
    { signal }: { readonly signal: AbortSignal },
  ): Promise<readonly Outcome[]> {
    if (this.#stopping !== undefined) return messages.map(() => unavailable("not sent: it has been closed"));
    this.#publishing++;
    const outcomes = await this.#producer.publish(messages, signal);
    if (--this.#publishing === 0) this.#idle?.();
    for (const outcome of outcomes) if (!(outcome instanceof ConnectError)) this.#confirmed++;
    return outcomes;
  }

  async call(
    message: OutgoingMessage,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<IncomingMessage> {
    if (this.#stopping !== undefined) throw unavailable("not sent: it has been closed");
    return this.#caller.call(message, signal);
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
    checkReadable(spec, this.#options);
    const subscription: NatsGroupSubscription = new NatsGroupSubscription(spec, {
      clock: this.#clock,
      wallMs: Date.now,
      options: this.#options,
      receive,
      reply: async (message, to) => sendReply(this.#connected(), message, to),
      line: () => this.#usable,
      stopped: () => this.#subscriptions.delete(subscription),
    });
    this.#subscriptions.add(subscription);
    const line = this.#usable;
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
    try {
      await this.#connected().flush();
    } catch (reason) {
      throw unavailable(reason);
    }
  }

  deadLetters(topic: string, group: string): DeadLetterBox {
    const to: Destination = { kind: "queue", topic, group, queue: { kind: "dead" } };
    return new DeadLetterStream(placeOf(to, this.#options), async () => this.#connected());
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
      cancel = this.#clock.after(graceMs, resolve);
    });
    const ended = Promise.all([...this.#subscriptions].map((subscription) => subscription.stop()));
    const published = new Promise<void>((resolve) => {
      if (this.#publishing === 0) resolve();
      else this.#idle = resolve;
    });
    await Promise.race([Promise.all([ended, published]), grace]);
    cancel();
    const cut = this.#producer.abandonAll("this process is stopping");
    this.#caller.abandonAll("this process is stopping");
    this.#link.close();
    this.#down();
    this.#lifecycle.enter("stop");
    return { finished: this.#confirmed - before, notified: [], cut };
  }

  get #usable(): NatsLine | undefined {
    return this.#line?.isOver === false ? this.#line : undefined;
  }

  /** @throws ConnectError UNAVAILABLE without a connection */
  #connected(): NatsLine {
    const line = this.#usable;
    if (line === undefined) throw unavailable(this.#link.why);
    return line;
  }

  async #up(line: NatsLine): Promise<void> {
    this.#line = line;
    if (this.#lifecycle.state === "listen") this.#lifecycle.enter("ready");
    this.#notes.up(line);
    this.#caller.up(line);
    this.#producer.up();
    for (const subscription of this.#subscriptions) {
      subscription.begin(line).catch(() => {}); // `check` has it.
    }
  }

  #down(): void {
    this.#line = undefined;
    this.#notes.down();
    this.#caller.down();
    this.#producer.down();
    for (const subscription of this.#subscriptions) subscription.down();
  }
}
