import { Code, ConnectError } from "../core/errors/errors.ts";
import { unavailableFor } from "../core/errors/retry-info.ts";
import type { Clock } from "../core/time/clock.ts";
import type { Broker, IncomingMessage, OutgoingMessage } from "./broker.ts";
import { replyTimeoutMs } from "./broker-dial-options.ts";

/** A broker that messages can be answered by. */
export interface CallBroker {
  readonly call: NonNullable<Broker["call"]>;
  /** Undefined where consumers cannot be told. */
  readonly cancelCall: Broker["cancelCall"];
}

/** When a caller shall come again for whose call there is no room, in milliseconds. */
const retryAfterMs = 1_000;

/** The calls that wait for their replies. */
export class OpenCalls {
  readonly #broker: CallBroker;
  readonly #clock: Clock;
  readonly #longestMs: number;
  readonly #most: number;
  #open = 0;

  /** @param timeoutMs of calls without a deadline. Default: 30,000 */
  constructor(
    broker: CallBroker,
    clock: Clock,
    options: { timeoutMs: number | undefined; maxCalls: number },
  ) {
    this.#broker = broker;
    this.#clock = clock;
    this.#longestMs = options.timeoutMs ?? replyTimeoutMs;
    this.#most = options.maxCalls;
  }

  /** How many wait now. */
  get open(): number {
    return this.#open;
  }

  /** How long a call may take. @param leftMs until its deadline; undefined for none */
  timeoutMs(leftMs: number | undefined): number {
    return Math.max(1, Math.ceil(leftMs ?? this.#longestMs));
  }

  /**
   * Resolves with the reply.
   *
   * @throws ConnectError UNAVAILABLE with RetryInfo if too many are open; DEADLINE_EXCEEDED when the time is over
   */
  async run(message: OutgoingMessage, timeoutMs: number, caller: AbortSignal): Promise<IncomingMessage> {
    if (this.#open >= this.#most) {
      throw unavailableFor(
        `${this.#open} calls wait for their replies: maxCalls is ${this.#most}`,
        retryAfterMs,
      );
    }
    const controller = new AbortController();
    const untilMs = Date.now() + timeoutMs;
    const cancel = (): void => {
      controller.abort(caller.reason);
      const { event, to } = message;
      // Its consumer knows the deadline, and a note of it would be taken for a cancellation.
      const isLate = caller.reason instanceof ConnectError && caller.reason.code === Code.DeadlineExceeded;
      if (event !== undefined && !isLate)
        this.#broker.cancelCall?.(to.topic, { source: event.source, id: event.id, untilMs });
    };
    const stopTimer = this.#clock.after(timeoutMs, () =>
      controller.abort(
        new ConnectError("no reply came before the deadline of the call", Code.DeadlineExceeded),
      ),
    );
    caller.addEventListener("abort", cancel, { once: true });
    this.#open++;
    try {
      return await this.#broker.call(message, { signal: controller.signal });
    } finally {
      this.#open--;
      stopTimer();
      caller.removeEventListener("abort", cancel);
    }
  }
}
