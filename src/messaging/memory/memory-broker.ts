import { EventEmitter } from "node:events";
import { type MadeInvoker, makeInvoker } from "../../core/call/invoker-source.ts";
import { Code, ConnectError } from "../../core/errors/errors.ts";
import {
  defaultGraceMs,
  Lifecycle,
  type ServerState,
  type StopOptions,
  type StopReport,
} from "../../core/lifecycle/lifecycle.ts";
import { systemClock, type Clock } from "../../core/time/clock.ts";
import type {
  Broker,
  BrokerCapabilities,
  BrokerConnection,
  CancelledCall,
  DeadLetterBox,
  Delivery,
  IncomingMessage,
  OutgoingMessage,
  Published,
  SubscriptionSpec,
} from "../broker.ts";
import type { BrokerDialOptions } from "../broker-dial-options.ts";
import { dialBroker } from "../dialled-broker.ts";
import { waitEndOf } from "../wait.ts";
import { MemoryDeadLetters } from "./memory-dead-letters.ts";
import { type GroupParts, MemoryGroup } from "./memory-group.ts";
import { mergeMemoryOptions, type MemoryBrokerOptions } from "./memory-options.ts";
import { MemoryPublishing } from "./memory-publishing.ts";
import type { MemoryQueue } from "./memory-queue.ts";
import { MemorySpace } from "./memory-space.ts";
import { MemorySubscription } from "./memory-subscription.ts";

/** What only the library and its tests set. */
export interface MemoryBrokerParts {
  readonly clock?: Clock;
}

/**
 * A broker in this process: groups, order, retry queues, dead letters, calls and lag as with a server, and nothing of it
 * outlives the process. What is left when it stops is named in the report of the stop.
 *
 * A topic keeps messages for the groups that read it, from their first subscription on. Publishers wait while it is full.
 */
export function memoryBroker(
  options: Partial<MemoryBrokerOptions> = {},
  parts: MemoryBrokerParts = {},
): Broker {
  return new MemoryBroker(mergeMemoryOptions(options), parts.clock ?? systemClock);
}

class MemoryBroker implements Broker {
  readonly system = "memory";
  readonly name: string;
  readonly capabilities: BrokerCapabilities = {
    replies: true,
    keyOrder: "group",
    deliveryCount: true,
  };
  readonly #lifecycle = new Lifecycle();
  readonly #clock: Clock;
  readonly #parts: GroupParts;
  readonly #publishing: MemoryPublishing;
  /** By topic, then by name. */
  readonly #topics = new Map<string, Map<string, MemoryGroup>>();
  /** The groups of topics, as each publish needs them. */
  readonly #lists = new Map<string, readonly MemoryGroup[]>();
  readonly #subscriptions = new Set<MemorySubscription>();
  readonly #cancelled = new EventEmitter<Record<string, [CancelledCall]>>();
  /** Queues whose messages are to be handed over. */
  #awake: MemoryQueue[] = [];
  #stopping: Promise<StopReport> | undefined;

  constructor({ name, confirm, maxMessages, maxBytes }: MemoryBrokerOptions, clock: Clock) {
    this.name = name;
    this.#clock = clock;
    const limit = { messages: maxMessages, bytes: maxBytes };
    this.#parts = {
      clock,
      space: new MemorySpace(limit),
      limit,
      followsMessages: confirm === "handled",
      pumpLater: (queue) => this.#pumpLater(queue),
    };
    this.#publishing = new MemoryPublishing({
      ...this.#parts,
      groupsOf: (topic) => this.#groupsOf(topic),
      groupOf: (topic, group) => this.#topics.get(topic)?.get(group),
    });
    this.#cancelled.setMaxListeners(0); // One for each subscription.
    for (const state of ["boot", "listen", "ready"] as const) this.#lifecycle.enter(state);
  }

  [makeInvoker](options: Partial<BrokerDialOptions>): MadeInvoker {
    return dialBroker(this, options, this.#clock);
  }

  get state(): ServerState {
    return this.#lifecycle.state;
  }

  /** It is always there, until it stops. */
  get connection(): BrokerConnection {
    return { connected: this.state === "ready", blocked: false, reconnects: 0 };
  }

  cancelCall(topic: string, call: CancelledCall): void {
    setImmediate(() => this.#cancelled.emit(`topic ${topic}`, call));
  }

  onCancelledCall(topic: string, receive: (call: CancelledCall) => void): () => void {
    this.#cancelled.on(`topic ${topic}`, receive);
    return () => this.#cancelled.off(`topic ${topic}`, receive);
  }

  async publish(
    messages: readonly OutgoingMessage[],
    options: { readonly signal: AbortSignal },
  ): Promise<readonly (Published | ConnectError)[]> {
    const end = waitEndOf(options);
    const [first] = messages;
    if (messages.length === 1 && first !== undefined) return [await this.#publishing.publish(first, end)];
    return Promise.all(messages.map((message) => this.#publishing.publish(message, end)));
  }

  async call(message: OutgoingMessage, options: { readonly signal: AbortSignal }): Promise<IncomingMessage> {
    return this.#publishing.call(message, waitEndOf(options));
  }

  async subscribe(
    spec: SubscriptionSpec,
    receive: (delivery: Delivery) => void,
  ): Promise<MemorySubscription> {
    await this.check();
    const group = this.#open(spec);
    const subscription = new MemorySubscription(group, spec, receive, () => {
      this.#subscriptions.delete(subscription);
      if (!spec.broadcast || group.queue.hasReaders) return;
      this.#topics.get(spec.topic)?.delete(spec.group);
      this.#lists.delete(spec.topic);
    });
    this.#subscriptions.add(subscription);
    return subscription;
  }

  async check(): Promise<void> {
    if (this.state === "stop")
      throw new ConnectError(`the broker ${this.name} has stopped`, Code.Unavailable);
  }

  deadLetters(topic: string, group: string): DeadLetterBox {
    return this.#topics.get(topic)?.get(group)?.dead ?? new MemoryDeadLetters(this.#parts.limit);
  }

  drain(): void {}

  gracefulStop({ graceMs = defaultGraceMs }: StopOptions = {}): Promise<StopReport> {
    return (this.#stopping ??= this.#stop(graceMs));
  }

  /** Lets the deliveries of now be settled, and takes messages as long as there are such. */
  async #stop(graceMs: number): Promise<StopReport> {
    this.#lifecycle.enter("graceful");
    const before = this.#unsettled;
    await this.#untilSettled(graceMs);
    const finished = before - this.#unsettled;
    const why = `the broker ${this.name} has stopped`;
    for (const subscription of [...this.#subscriptions]) subscription.lose(why);
    this.#publishing.close(why);
    const cut = this.#left();
    for (const groups of this.#topics.values()) for (const { queue } of groups.values()) queue.clear();
    this.#lifecycle.enter("stop");
    return { finished, notified: [], cut };
  }

  async #untilSettled(graceMs: number): Promise<void> {
    const stopped = Promise.all([...this.#subscriptions].map((subscription) => subscription.stop()));
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.after(graceMs, resolve);
      void stopped.then(() => {
        cancel();
        resolve();
      });
    });
  }

  get #unsettled(): number {
    let sum = 0;
    for (const subscription of this.#subscriptions) sum += subscription.unsettled;
    return sum;
  }

  /** What is lost with the process, one line for each queue. */
  #left(): string[] {
    const lines: string[] = [];
    const add = (queue: string, count: number): void => {
      if (count > 0) lines.push(`${queue}: ${count} ${count === 1 ? "message" : "messages"}`);
    };
    for (const groups of this.#topics.values()) {
      for (const { topic, name, unsettled, dead } of groups.values()) {
        const queue = topic === name ? topic : `${topic}.${name}`;
        add(queue, unsettled);
        add(`${queue}.dead`, dead.size);
      }
    }
    return lines;
  }

  #open({ topic, group: name, ordering }: SubscriptionSpec): MemoryGroup {
    let groups = this.#topics.get(topic);
    if (groups === undefined) this.#topics.set(topic, (groups = new Map<string, MemoryGroup>()));
    let group = groups.get(name);
    if (group === undefined) {
      group = new MemoryGroup(topic, name, ordering !== "none", this.#parts);
      groups.set(name, group);
      this.#lists.delete(topic);
    }
    return group;
  }

  #groupsOf(topic: string): readonly MemoryGroup[] {
    const known = this.#lists.get(topic);
    if (known !== undefined) return known;
    const groups = this.#topics.get(topic);
    if (groups === undefined) return []; // It is not kept: topics are named by those who publish.
    const list = [...groups.values()];
    this.#lists.set(topic, list);
    return list;
  }

  #pumpLater(queue: MemoryQueue): void {
    if (queue.isAwake) return;
    queue.isAwake = true;
    if (this.#awake.length === 0) setImmediate(() => this.#pump());
    this.#awake.push(queue);
  }

  #pump(): void {
    const queues = this.#awake;
    this.#awake = [];
    for (const queue of queues) {
      queue.isAwake = false;
      queue.pump();
    }
  }
}
