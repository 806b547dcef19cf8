import type { CallContext } from "../core/call/context.ts";
import { Code, ConnectError } from "../core/errors/errors.ts";
import type { Clock } from "../core/time/clock.ts";

/** Waits for what a join needs, no longer than it may take altogether. */
export class Patience {
  readonly #context: CallContext;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  /** Most joins wait for nothing. */
  #late: PromiseWithResolvers<never> | undefined;
  #cancel: (() => void) | undefined;

  constructor(context: CallContext, clock: Clock, timeoutMs: number) {
    this.#context = context;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /** Rejects when the call ends, and with UNAVAILABLE when it takes too long since the first of its kind. */
  of<T>(work: Promise<T>): Promise<T> {
    const late = (this.#late ??= this.#begin());
    return this.#context.race(Promise.race([work, late.promise]));
  }

  end(): void {
    this.#cancel?.();
  }

  #begin(): PromiseWithResolvers<never> {
    const late = Promise.withResolvers<never>();
    this.#cancel = this.#clock.after(this.#timeoutMs, () => {
      late.reject(new ConnectError("joining the room takes too long", Code.Unavailable));
    });
    return late;
  }
}
