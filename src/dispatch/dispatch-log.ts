import { inspect } from "node:util";
import type { FaultLogger, FaultLogOptions } from "../core/call/fault-log.ts";

/** What a dispatcher logs, all of it as errors. No line has a URL, a secret or a part of an event. */
export class DispatchLog {
  readonly #logger: FaultLogger | undefined;
  #isStoreAway = false;

  constructor({ logger }: FaultLogOptions) {
    this.#logger = logger === false ? undefined : (logger ?? standardError);
  }

  /** A kept subscription cannot be used by this process. */
  unusable(id: string, reason: unknown): void {
    this.#write({ subscription: id, err: reason }, "a subscription cannot be used by this process");
  }

  /** A subscription gets no more events by itself. */
  ended(id: string, state: string, why: string): void {
    this.#write({ subscription: id, state, why }, "a subscription gets no more events");
  }

  /** The store has not answered; said once, until it answers again. */
  storeAway(reason: unknown): void {
    if (this.#isStoreAway) return;
    this.#isStoreAway = true;
    this.#write(
      { err: reason },
      "the store of subscriptions does not answer; what is known is dispatched on",
    );
  }

  storeAnswers(): void {
    this.#isStoreAway = false;
  }

  /** A delivery cannot be kept for `ListDeliveries`. */
  unkept(id: string, reason: unknown): void {
    this.#write({ subscription: id, err: reason }, "a delivery cannot be kept");
  }

  /** A move of a task has failed for the first time; it is tried again. */
  taskStays(reason: unknown): void {
    this.#write({ err: reason }, "a task cannot be stored, and stays until it can be");
  }

  fault(reason: unknown): void {
    this.#write({ err: reason }, "unexpected exception in a dispatcher");
  }

  #write(fields: Readonly<Record<string, unknown>>, text: string): void {
    try {
      this.#logger?.error(fields, text);
    } catch (reason) {
      process.emitWarning(reason instanceof Error ? reason : String(reason));
    }
  }
}

const standardError: FaultLogger = {
  error(fields, text) {
    process.stderr.write(`${text}: ${inspect(fields, { breakLength: Infinity })}\n`);
  },
};
