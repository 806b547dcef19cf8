import { Code, ConnectError, toCallError } from "../core/errors/errors.ts";
import type { Clock } from "../core/time/clock.ts";
import type { Broker, OutgoingMessage, Published } from "./broker.ts";
import type { MadeMessage } from "./new-message.ts";
import { publishCountsOf, type PublishCounts, type PublishResult, resultOf } from "./publish-counts.ts";
import { PublishWait } from "./publish-wait.ts";
import type { Publish, PublishInterceptor } from "./publish-options.ts";
import type { SenderOptions } from "./sender-options.ts";
import { PublishWindow } from "./publish-window.ts";

/** `publish` with interceptors around it, the first of them outermost. */
export function intercept(publish: Publish, interceptors: readonly PublishInterceptor[]): Publish {
  return interceptors.reduceRight((next, interceptor) => interceptor(next), publish);
}

/** Sends messages to a broker: within bounds, in order, and each until its time is over. */
export class Sender {
  readonly #broker: Broker;
  readonly #timeoutMs: number;
  readonly #clock: Clock;
  readonly #window: PublishWindow;
  readonly #counts: PublishCounts;
  readonly #publish: Publish;

  constructor(
    broker: Broker,
    options: SenderOptions & { readonly interceptors?: readonly PublishInterceptor[] },
    clock: Clock,
  ) {
    this.#broker = broker;
    this.#timeoutMs = options.timeoutMs;
    this.#clock = clock;
    this.#counts = publishCountsOf(broker);
    this.#window = new PublishWindow(options, this.#counts);
    this.#publish = intercept(
      (message, signal) => this.#inWindow(message, signal),
      options.interceptors ?? [],
    );
  }

  /** How many messages it takes now, without refusing them. */
  get room(): number {
    return this.#window.room;
  }

  /** What a caller gets for whose messages there is no room. */
  refusal(): ConnectError {
    return this.#window.refusal();
  }

  /** Resolves when the broker has stored the message. */
  async send(made: MadeMessage, options: SendOptions): Promise<Published> {
    const { topic } = made.message.to;
    const startedMs = this.#clock.nowMs();
    const ended = (result: PublishResult): void =>
      this.#counts.ended(topic, result, this.#clock.nowMs() - startedMs);
    const published = await this.sendBy(this.#publish, made, options, (error, isOver) => {
      const result = resultOf(error, isOver);
      if (result !== undefined) ended(result);
    });
    ended("confirmed");
    return published;
  }

  /**
   * As `send`, by another way than to the broker.
   *
   * @param failed is told of an error, and whether the time-out has passed
   */
  async sendBy(
    publish: Publish,
    { message, span }: MadeMessage,
    { timeoutMs, signal }: SendOptions,
    failed?: (error: ConnectError, isOver: boolean) => void,
  ): Promise<Published> {
    const wait = new PublishWait(this.#clock, timeoutMs ?? this.#timeoutMs, signal);
    try {
      const published = await publish(message, wait.signal);
      span?.end(undefined);
      return published;
    } catch (reason) {
      const error = toCallError(reason);
      span?.end(error);
      failed?.(error, wait.isOver);
      throw error;
    } finally {
      wait.end();
    }
  }

  #inWindow(message: OutgoingMessage, signal: AbortSignal): Promise<Published> {
    const bytes = message.body?.length ?? 0;
    return this.#window.run(bytes, signal, async () => {
      const [outcome] = await this.#broker.publish([message], { signal });
      if (outcome === undefined) throw new ConnectError("the broker gave no outcome", Code.Internal);
      if (outcome instanceof ConnectError) throw outcome;
      return outcome;
    });
  }
}

/** How long one message may take. */
export interface SendOptions {
  /** In milliseconds. Default: the sender's. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}
