import { Code, ConnectError, toCallError } from "../core/errors/errors.ts";
import type { Clock } from "../core/time/clock.ts";
import type { Broker, OutgoingMessage, Published } from "./broker.ts";
import { Deadlines } from "./deadlines.ts";
import type { MadeMessage } from "./new-message.ts";
import { publishCountsOf, type PublishCounts, type PublishResult, resultOf } from "./publish-counts.ts";
import { PublishWait } from "./publish-wait.ts";
import type { Publish, PublishInterceptor } from "./publish-options.ts";
import type { SenderOptions } from "./sender-options.ts";
import { PublishWindow } from "./publish-window.ts";
import { type WaitCaller, waitEndOf } from "./wait.ts";

/** `publish` with interceptors around it, the first of them outermost. */
export function intercept(publish: Publish, interceptors: readonly PublishInterceptor[]): Publish {
  return interceptors.reduceRight((next, interceptor) => interceptor(next), publish);
}

/** Sends messages to a broker: within bounds, in order, and each until its time is over. */
export class Sender {
  readonly #broker: Broker;
  readonly #clock: Clock;
  /** Of messages that have the usual time-out. */
  readonly #deadlines: Deadlines;
  readonly #window: PublishWindow;
  readonly #counts: PublishCounts;
  /** Undefined without interceptors. */
  readonly #intercepted: Publish | undefined;

  constructor(
    broker: Broker,
    options: SenderOptions & { readonly interceptors?: readonly PublishInterceptor[] },
    clock: Clock,
  ) {
    const { timeoutMs, interceptors = [] } = options;
    this.#broker = broker;
    this.#clock = clock;
    this.#deadlines = new Deadlines(clock, timeoutMs);
    this.#counts = publishCountsOf(broker);
    this.#window = new PublishWindow(options, this.#counts);
    const publish: Publish = (message, signal) => this.#inWindow(message, { signal });
    this.#intercepted = interceptors.length === 0 ? undefined : intercept(publish, interceptors);
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
  async send({ message, span }: MadeMessage, options: SendOptions): Promise<Published> {
    const startedMs = this.#clock.nowMs();
    const wait = this.#wait(options, startedMs);
    let result: PublishResult | undefined = "confirmed";
    try {
      const published = await (this.#intercepted === undefined
        ? this.#inWindow(message, wait)
        : this.#intercepted(message, wait.signal));
      span?.end(undefined);
      return published;
    } catch (reason) {
      const error = toCallError(reason);
      span?.end(error);
      result = resultOf(error, wait.isOver);
      throw error;
    } finally {
      wait.end();
      if (result !== undefined) this.#counts.ended(message.to.topic, result, this.#clock.nowMs() - startedMs);
    }
  }

  /** As `send`, by another way than to the broker. */
  async sendBy(publish: Publish, { message, span }: MadeMessage, options: SendOptions): Promise<Published> {
    const wait = this.#wait(options, this.#clock.nowMs());
    try {
      const published = await publish(message, wait.signal);
      span?.end(undefined);
      return published;
    } catch (reason) {
      const error = toCallError(reason);
      span?.end(error);
      throw error;
    } finally {
      wait.end();
    }
  }

  #wait({ timeoutMs = this.#deadlines.ms, caller }: SendOptions, nowMs: number): PublishWait {
    const isUsual = timeoutMs === this.#deadlines.ms;
    return new PublishWait(isUsual ? this.#deadlines : new Deadlines(this.#clock, timeoutMs), nowMs, caller);
  }

  #inWindow(message: OutgoingMessage, wait: { readonly signal: AbortSignal }): Promise<Published> {
    const bytes = message.body?.length ?? 0;
    const end = waitEndOf(wait);
    // The usual way, with as few promises as may be.
    if (this.#window.enter(bytes, end)) return this.#entered(message, wait, bytes);
    return this.#window.run(bytes, end, async () => stored(await this.#broker.publish([message], wait)));
  }

  async #entered(message: OutgoingMessage, wait: { readonly signal: AbortSignal }, bytes: number) {
    try {
      return stored(await this.#broker.publish([message], wait));
    } finally {
      this.#window.leave(bytes);
    }
  }
}

/** @throws ConnectError that a message has as its outcome */
function stored([outcome]: readonly (Published | ConnectError)[]): Published {
  if (outcome === undefined) throw new ConnectError("the broker gave no outcome", Code.Internal);
  if (outcome instanceof ConnectError) throw outcome;
  return outcome;
}

/** How long one message may take. */
export interface SendOptions {
  /** In milliseconds. Default: the sender's. */
  readonly timeoutMs?: number | undefined;
  /** Takes the message back. Default: nothing does. */
  readonly caller?: WaitCaller | undefined;
}
