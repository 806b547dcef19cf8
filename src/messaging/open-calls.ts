import { Code, ConnectError, toCallError } from "../core/errors/errors.ts";
import { unavailableFor } from "../core/errors/retry-info.ts";
import type { Clock } from "../core/time/clock.ts";
import type { Broker, IncomingMessage, OutgoingMessage } from "./broker.ts";
import { replyTimeoutMs } from "./broker-dial-options.ts";
import { Deadlines } from "./deadlines.ts";
import { Wait, type WaitCaller } from "./wait.ts";

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
  /** Of calls without a deadline of their own. */
  readonly #deadlines: Deadlines;
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
    this.#deadlines = new Deadlines(clock, options.timeoutMs ?? replyTimeoutMs);
    this.#most = options.maxCalls;
  }

  /** How many wait now. */
  get open(): number {
    return this.#open;
  }

  /** How long a call may take. @param leftMs until its deadline; undefined for none */
  timeoutMs(leftMs: number | undefined): number {
    return Math.max(1, Math.ceil(leftMs ?? this.#deadlines.ms));
  }

  /**
   * Resolves with the reply.
   *
   * @throws ConnectError UNAVAILABLE with RetryInfo if too many are open; DEADLINE_EXCEEDED when the time is over
   */
  async run(message: OutgoingMessage, timeoutMs: number, caller: WaitCaller): Promise<IncomingMessage> {
    if (this.#open >= this.#most) {
      throw unavailableFor(
        `${this.#open} calls wait for their replies: maxCalls is ${this.#most}`,
        retryAfterMs,
      );
    }
    const isUsual = timeoutMs === this.#deadlines.ms;
    const deadlines = isUsual ? this.#deadlines : new Deadlines(this.#clock, timeoutMs);
    const wait = new CallWait(message, this.#broker, deadlines, this.#clock.nowMs(), caller);
    this.#open++;
    try {
      return await this.#broker.call(message, wait);
    } finally {
      this.#open--;
      wait.end();
    }
  }
}

/** The wait for one reply. */
class CallWait extends Wait {
  readonly #message: OutgoingMessage;
  readonly #broker: CallBroker;
  readonly #deadlines: Deadlines;
  readonly #untilMs: number;

  constructor(
    message: OutgoingMessage,
    broker: CallBroker,
    deadlines: Deadlines,
    nowMs: number,
    caller: WaitCaller,
  ) {
    super();
    this.#message = message;
    this.#broker = broker;
    this.#deadlines = deadlines;
    this.#untilMs = Date.now() + deadlines.ms;
    deadlines.add(this, nowMs);
    this.follow(caller);
  }

  /** The reply has come, or none will. */
  end(): void {
    this.#deadlines.remove(this);
    this.unfollow();
  }

  override expired(): void {
    this.abort(new ConnectError("no reply came before the deadline of the call", Code.DeadlineExceeded));
  }

  protected override takenBack(reason: unknown): void {
    this.abort(toCallError(reason));
    const { event, to } = this.#message;
    // Its consumer knows the deadline, and a note of it would be taken for a cancellation.
    const isLate = reason instanceof ConnectError && reason.code === Code.DeadlineExceeded;
    if (event === undefined || isLate) return;
    this.#broker.cancelCall?.(to.topic, { source: event.source, id: event.id, untilMs: this.#untilMs });
  }
}
