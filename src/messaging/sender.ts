import { Code, ConnectError, toCallError } from "../core/errors/errors.ts";
import type { Clock } from "../core/time/clock.ts";
import type { Broker, OutgoingMessage, Published } from "./broker.ts";
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
  readonly #publish: Publish;

  constructor(
    broker: Broker,
    options: SenderOptions & { readonly interceptors?: readonly PublishInterceptor[] },
    clock: Clock,
  ) {
    this.#broker = broker;
    this.#timeoutMs = options.timeoutMs;
    this.#clock = clock;
    this.#window = new PublishWindow(options);
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
  send(message: OutgoingMessage, options: SendOptions): Promise<Published> {
    return this.sendBy(this.#publish, message, options);
  }

  /** As `send`, by another way than to the broker. */
  async sendBy(
    publish: Publish,
    message: OutgoingMessage,
    { timeoutMs, signal }: SendOptions,
  ): Promise<Published> {
    const wait = new PublishWait(this.#clock, timeoutMs ?? this.#timeoutMs, signal);
    try {
      return await publish(message, wait.signal);
    } catch (reason) {
      throw toCallError(reason);
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
