import { Code, ConnectError } from "../core/errors/errors.ts";
import type { Clock } from "../core/time/clock.ts";

/** How long one message may take: until its time-out, or until its caller takes it back. */
export class PublishWait {
  readonly #controller = new AbortController();
  readonly #cancelTimer: () => void;
  readonly #caller: AbortSignal | undefined;
  /** Whether its time-out has passed. */
  isOver = false;

  /** @param caller the caller's own signal */
  constructor(clock: Clock, timeoutMs: number, caller: AbortSignal | undefined) {
    this.#caller = caller;
    this.#cancelTimer = clock.after(timeoutMs, () => {
      this.isOver = true;
      this.#controller.abort(
        new ConnectError(`the broker has not confirmed it within ${timeoutMs} ms`, Code.Unavailable),
      );
    });
    if (caller?.aborted === true) this.#takenBack();
    else caller?.addEventListener("abort", this.#takenBack, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Must be called when the message has its outcome. */
  end(): void {
    this.#cancelTimer();
    this.#caller?.removeEventListener("abort", this.#takenBack);
  }

  readonly #takenBack = (): void => {
    const reason: unknown = this.#caller?.reason;
    this.#controller.abort(
      reason instanceof ConnectError
        ? reason
        : new ConnectError("its caller has taken it back", Code.Canceled, undefined, undefined, reason),
    );
  };
}
