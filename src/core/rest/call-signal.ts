import { Code, ConnectError, toCallError } from "../errors/errors.ts";

/** The longest time that a timer can wait, in milliseconds; longer timeouts are none. */
const longestTimerMs = 0x7fff_ffff;

/** The end of one call from outside: its deadline, the caller's signal, or the end of the call itself. */
export class CallSignal {
  #controller: AbortController | undefined;
  readonly #outer: AbortSignal | undefined;
  readonly #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #deadlineMs: number | undefined;
  /** A listener of the signal for each message of a stream would cost more than the message. */
  readonly #waiting = new Set<() => void>();
  /** Whether anything can end the call before its reply: if not, `fetch` is quicker without a signal. */
  readonly canEnd: boolean;

  /**
   * @param timeoutMs 0 or undefined for no deadline
   * @param isStream whether the caller can leave the call
   */
  constructor(outer: AbortSignal | undefined, timeoutMs: number | undefined, isStream: boolean) {
    const hasDeadline = timeoutMs !== undefined && timeoutMs > 0 && timeoutMs <= longestTimerMs;
    this.canEnd = isStream || outer !== undefined || hasDeadline;
    this.#outer = outer;
    if (outer?.aborted === true) this.#onOuter();
    else outer?.addEventListener("abort", this.#onOuter);
    if (!hasDeadline) return;
    this.#deadlineMs = performance.now() + timeoutMs;
    this.#timer = setTimeout(() => {
      this.abort(
        new ConnectError("the deadline passed before the reply was complete", Code.DeadlineExceeded),
      );
    }, timeoutMs);
  }

  /** Aborted with a `ConnectError`. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    return this.#controller.signal;
  }

  /** Time until the deadline in whole milliseconds, at least 1; undefined without one. */
  get leftMs(): number | undefined {
    return this.#deadlineMs && Math.max(Math.floor(this.#deadlineMs - performance.now()), 1);
  }

  /** Cancels what is under way. */
  abort(reason: ConnectError): void {
    if (this.signal.aborted) return;
    this.#controller?.abort(reason);
    for (const stop of this.#waiting) stop();
  }

  /** Lets go of timer and listener. Idempotent. */
  end(): void {
    clearTimeout(this.#timer);
    this.#outer?.removeEventListener("abort", this.#onOuter);
  }

  /** The error of a call that failed with `reason`: why it was cancelled, if it was. */
  error(reason: unknown): ConnectError {
    const signal = this.#controller?.signal;
    const why: unknown = signal?.aborted === true ? signal.reason : reason;
    return toCallError(why);
  }

  /** Resolves as `promise`, or rejects when the call is cancelled, even if `promise` goes on. */
  race<T>(promise: Promise<T>): Promise<T> {
    if (!this.canEnd) return promise;
    return new Promise((resolve, reject) => {
      const stop = (): void => reject(this.error(undefined));
      const settled = (): void => void this.#waiting.delete(stop);
      promise.then(resolve, reject).then(settled, settled);
      if (this.signal.aborted) stop();
      else this.#waiting.add(stop);
    });
  }

  readonly #onOuter = (): void => {
    const reason: unknown = this.#outer?.reason;
    const isOurs = reason instanceof ConnectError;
    this.abort(
      isOurs
        ? reason
        : new ConnectError("the caller cancelled the call", Code.Canceled, undefined, [], reason),
    );
  };
}
