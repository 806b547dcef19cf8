import { SetupError } from "../../core/errors/setup-error.ts";
import { findConsumer, reclaim } from "../../core/nats/consumers.ts";
import type { NatsLine } from "../../core/nats/nats-line.ts";
import type { Clock } from "../../core/time/clock.ts";
import type { BrokerSubscription, Delivery, SubscriptionSpec } from "../broker.ts";
import type { ReplyMessage } from "./nats-delivery.ts";
import { isRefusal } from "./nats-errors.ts";
import { PulledConsumer } from "./pulled-consumer.ts";
import { declareGroup, groupTopology, leftOverQueues, type TopologyOptions } from "./topology.ts";

/** What a subscription needs of its broker. */
export interface SubscriptionParts {
  readonly clock: Clock;
  /** As of `PulledConsumerOwner`. */
  readonly wallMs: () => number;
  readonly options: TopologyOptions;
  receive(delivery: Delivery): void;
  /** As of `PulledConsumerOwner`. */
  reply(message: ReplyMessage, to: string): Promise<void>;
  /** The connection that is used now. */
  line(): NatsLine | undefined;
  /** It has ended. */
  stopped(): void;
}

/** Pause before everything is declared again: it doubles from the first to the last value, in milliseconds. */
const firstPauseMs = 100;
const lastPauseMs = 2_000;

/** The reading of one group, over one connection after the other. */
export class NatsGroupSubscription implements BrokerSubscription {
  readonly #spec: SubscriptionSpec;
  readonly #parts: SubscriptionParts;
  /** By the names of stream and consumer. */
  readonly #consumers = new Map<string, PulledConsumer>();
  #isReading = false;
  #isPaused = false;
  #stopping: Promise<void> | undefined;
  #hasBegun = false;
  #attempt = 0;
  #cancelTimer: (() => void) | undefined;
  #failure: Error | undefined;

  constructor(spec: SubscriptionSpec, parts: SubscriptionParts) {
    this.#spec = spec;
    this.#parts = parts;
  }

  get connected(): boolean {
    return this.#isReading;
  }

  /** Why it cannot be read; undefined where it can, as soon as NATS is there. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /**
   * Begins over a connection. Resolves when it reads, or when that has failed and is tried again.
   *
   * @throws SetupError where something is there in another form
   */
  async begin(line: NatsLine): Promise<void> {
    if (this.#stopping !== undefined || this.#parts.line() !== line) return;
    this.#cancelTimer?.();
    try {
      await this.#open(line);
      this.#attempt = 0;
      this.#failure = undefined;
    } catch (reason) {
      const isKnown = reason instanceof SetupError || (reason instanceof Error && isRefusal(reason));
      this.#failure = isKnown ? reason : undefined;
      if (reason instanceof SetupError && (this.#spec.declare || !this.#hasBegun)) throw reason;
      this.#beginLater(line);
    }
  }

  /** The connection has ended. */
  down(): void {
    this.#isReading = false;
    this.#cancelTimer?.();
    for (const consumer of this.#consumers.values()) consumer.down();
  }

  pause(): void {
    this.#isPaused = true;
    this.#turn();
  }

  resume(): void {
    this.#isPaused = false;
    this.#turn();
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async lag(): Promise<ReadonlyMap<number, number>> {
    const line = this.#parts.line();
    if (line === undefined) return new Map();
    let lag = 0;
    for (const { plan, held } of this.#consumers.values()) {
      if (plan.origin === "retry") continue; // They wait for their time.
      const found = await findConsumer(line.manager, plan.stream, plan.name);
      lag += held + (found?.num_pending ?? 0);
    }
    return new Map([[-1, lag]]);
  }

  async #open(line: NatsLine): Promise<void> {
    const { options } = this.#parts;
    const topology = groupTopology(this.#spec, options);
    await declareGroup(line, topology, this.#spec.declare);
    const isOrdered = this.#spec.ordering !== "none" && !this.#spec.broadcast;
    for (const read of [...topology.reads, ...(await leftOverQueues(line, this.#spec, options))]) {
      const name = `${read.stream} ${read.name}`;
      const known = this.#consumers.get(name);
      // It is the only reader: what is not settled is what a connection took with it.
      if (known?.isOrdered === true && !known.isOpen) await reclaim(line, read, this.#parts.clock);
      if (known !== undefined) continue;
      const consumer = new PulledConsumer(read, {
        clock: this.#parts.clock,
        wallMs: this.#parts.wallMs,
        isOrdered: isOrdered && read.origin === "topic",
        receive: (delivery) => this.#parts.receive(delivery),
        reply: (message, to) => this.#parts.reply(message, to),
        gone: () => this.#gone(),
        refused: (why) => (this.#failure = why === undefined ? undefined : new Error(why)),
      });
      this.#consumers.set(name, consumer);
      consumer.isWanted = !this.#isPaused;
    }
    if (this.#parts.line() !== line || this.#stopping !== undefined) return;
    this.#hasBegun = true;
    this.#isReading = true;
    for (const consumer of this.#consumers.values()) consumer.open(line);
  }

  #turn(): void {
    const isWanted = !this.#isPaused && this.#stopping === undefined;
    for (const consumer of this.#consumers.values()) consumer.isWanted = isWanted;
  }

  #gone(): void {
    const line = this.#parts.line();
    if (line === undefined || this.#stopping !== undefined) return;
    this.#isReading = false;
    this.#beginLater(line);
  }

  #beginLater(line: NatsLine): void {
    this.#cancelTimer?.();
    if (line.isOver || this.#stopping !== undefined) return;
    const pauseMs = Math.min(lastPauseMs, firstPauseMs * 2 ** Math.min(this.#attempt++, 10));
    const begin = (): void => void this.begin(line).catch(() => {}); // `failure` has it.
    this.#cancelTimer = this.#parts.clock.after(pauseMs, begin, false);
  }

  async #stop(): Promise<void> {
    await Promise.resolve(); // `#stopping` is set.
    this.#cancelTimer?.();
    await Promise.all([...this.#consumers.values()].map((consumer) => consumer.stop()));
    const line = this.#parts.line();
    try {
      if (line !== undefined && this.#spec.broadcast) await this.#delete(line);
      await line?.flush();
    } catch {
      // What is not settled is delivered again; what is left of a process that reads everything expires.
    }
    this.#isReading = false;
    this.#parts.stopped();
  }

  async #delete({ manager }: NatsLine): Promise<void> {
    const { reads, queues } = groupTopology(this.#spec, this.#parts.options);
    const [main] = reads;
    if (main !== undefined) await manager.consumers.delete(main.stream, main.name);
    await manager.streams.delete(queues.name);
  }
}
