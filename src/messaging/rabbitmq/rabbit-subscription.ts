import { SetupError } from "../../core/errors/setup-error.ts";
import type { Clock } from "../../core/time/clock.ts";
import type { BrokerSubscription, Delivery, SubscriptionSpec } from "../broker.ts";
import type { AmqpLine } from "./amqp-line.ts";
import { ConsumedChannel, type ReplyMessage } from "./consumed-channel.ts";
import { declareGroup, endOtherPartitions } from "./declaring.ts";
import type { GroupTopology, ReadQueue } from "./topology.ts";

/** What a subscription needs of its broker. */
export interface SubscriptionParts {
  readonly clock: Clock;
  readonly topology: GroupTopology;
  readonly isCounting: boolean;
  receive(delivery: Delivery): void;
  /** As of `ConsumedChannelOwner`. */
  reply(message: ReplyMessage, to: string, correlationId: unknown): Promise<void>;
  /** The connection that is used now. */
  line(): AmqpLine | undefined;
  /** It has ended. */
  stopped(): void;
}

/** Pause before a channel is opened again: it doubles from the first to the last value, in milliseconds. */
const firstPauseMs = 100;
const lastPauseMs = 2_000;
/** So often everything is declared again: an exchange may have been deleted, with its bindings, and nothing says so; in milliseconds. */
const lookEveryMs = 3_000;

/** The reading of one group's queues, over one connection after the other. */
export class RabbitSubscription implements BrokerSubscription {
  readonly #spec: SubscriptionSpec;
  readonly #parts: SubscriptionParts;
  #queues: readonly ReadQueue[];
  #channel: ConsumedChannel | undefined;
  #isPaused = false;
  #stopping: Promise<void> | undefined;
  #hasBegun = false;
  #attempt = 0;
  #cancelTimer: (() => void) | undefined;
  #turning: Promise<void> | undefined;
  /** Why it cannot be read; only other options help. */
  #failure: SetupError | undefined;

  constructor(spec: SubscriptionSpec, parts: SubscriptionParts) {
    this.#spec = spec;
    this.#parts = parts;
    this.#queues = parts.topology.reads;
  }

  get connected(): boolean {
    return this.#channel !== undefined && (this.#isPaused || this.#channel.isReading);
  }

  /** Why it cannot be read; undefined where it can, as soon as RabbitMQ is there. */
  get failure(): SetupError | undefined {
    return this.#failure;
  }

  /**
   * Begins over a connection. Resolves when it reads, or when that has failed and is tried again.
   *
   * @throws SetupError where something is there in another form
   */
  async begin(line: AmqpLine): Promise<void> {
    if (this.#stopping !== undefined || this.#parts.line() !== line) return;
    this.#cancelTimer?.();
    try {
      await this.#declare(line);
      await this.#open(line);
      this.#attempt = 0;
      this.#failure = undefined;
      this.#lookLater(line);
    } catch (reason) {
      this.#channel?.close().catch(() => {});
      if (reason instanceof SetupError && (this.#spec.declare || !this.#hasBegun)) {
        this.#failure = reason;
        throw reason;
      }
      this.#failure = reason instanceof SetupError ? reason : undefined;
      this.#beginLater(line);
    }
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
    const lag = new Map<number, number>();
    const line = this.#parts.line();
    if (line === undefined) return lag;
    await line.use(async (channel) => {
      const hasPartitions = this.#queues.some(({ partition }) => partition !== undefined);
      for (const { name, partition } of this.#queues) {
        if (hasPartitions && partition === undefined) continue; // Replays have none.
        const { messageCount } = await channel.checkQueue(name);
        const at = partition ?? -1;
        lag.set(at, (lag.get(at) ?? 0) + messageCount);
      }
    });
    return lag;
  }

  async #declare(line: AmqpLine): Promise<void> {
    const { topology } = this.#parts;
    const { declare } = this.#spec;
    await declareGroup(line, topology, declare);
    if (this.#hasBegun) return;
    const leftOver = await endOtherPartitions(line, topology, declare);
    this.#queues = [...topology.reads, ...leftOver];
    this.#hasBegun = true;
  }

  async #open(line: AmqpLine): Promise<void> {
    const opened: ConsumedChannel = new ConsumedChannel(await line.openChannel(), {
      isCounting: this.#parts.isCounting,
      isOrdered: this.#parts.topology.isOrdered,
      receive: (delivery) => this.#parts.receive(delivery),
      reply: (message, to, correlationId) => this.#parts.reply(message, to, correlationId),
      ended: () => {
        if (this.#channel !== opened) return;
        this.#channel = undefined;
        this.#beginLater(line);
      },
    });
    this.#channel = opened;
    if (this.#stopping !== undefined) await opened.close();
    else if (!this.#isPaused) await opened.read(this.#queues);
    opened.isHeld = !this.#isWanted;
  }

  /** Whether deliveries are to be handed over. */
  get #isWanted(): boolean {
    return !this.#isPaused && this.#stopping === undefined;
  }

  #beginLater(line: AmqpLine): void {
    this.#cancelTimer?.();
    if (line.isOver || this.#stopping !== undefined) return;
    const pauseMs = Math.min(lastPauseMs, firstPauseMs * 2 ** Math.min(this.#attempt++, 10));
    const begin = (): void => void this.begin(line).catch(() => {}); // `failure` has it.
    this.#cancelTimer = this.#parts.clock.after(pauseMs, begin, false);
  }

  #lookLater(line: AmqpLine): void {
    if (!this.#spec.declare || this.#stopping !== undefined) return;
    this.#cancelTimer?.();
    this.#cancelTimer = this.#parts.clock.after(lookEveryMs, () => void this.#look(line), false);
  }

  async #look(line: AmqpLine): Promise<void> {
    if (line.isOver || this.#channel === undefined) return;
    try {
      await this.#declare(line);
      this.#failure = undefined;
    } catch (reason) {
      // It reads on; what is missing may be made later.
      this.#failure = reason instanceof SetupError ? reason : undefined;
    }
    if (!line.isOver && this.#channel !== undefined) this.#lookLater(line);
  }

  /** Reads or does not, as it should. */
  #turn(): void {
    if (this.#channel !== undefined) this.#channel.isHeld = !this.#isWanted;
    this.#turning ??= this.#turnOver().finally(() => (this.#turning = undefined));
  }

  async #turnOver(): Promise<void> {
    await Promise.resolve();
    for (;;) {
      const channel = this.#channel;
      const isRead = this.#isWanted;
      if (channel === undefined || channel.isReading === isRead) return;
      // Another reader of an ordered group would begin while this one has messages: what comes is held here instead.
      if (!isRead && this.#parts.topology.isOrdered) return;
      try {
        await (isRead ? channel.read(this.#queues) : channel.unread());
      } catch {
        return; // The channel has closed; the next one begins as it should.
      }
    }
  }

  async #stop(): Promise<void> {
    await Promise.resolve(); // `#stopping` is set.
    this.#cancelTimer?.();
    const channel = this.#channel;
    this.#turn();
    await this.#turning;
    await channel?.idle();
    await channel?.close();
    if (this.#spec.broadcast) await this.#deleteQueues();
    this.#channel = undefined;
    this.#parts.stopped();
  }

  async #deleteQueues(): Promise<void> {
    const line = this.#parts.line();
    try {
      await line?.use(async (channel) => {
        const { others, reads } = this.#parts.topology;
        for (const { name } of [...reads, ...others]) await channel.deleteQueue(name);
      });
    } catch {
      // They expire.
    }
  }
}
