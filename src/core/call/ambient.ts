import type { CallContext } from "./context.ts";
import type { Invoker } from "./invoker.ts";

/** Finds the call that a piece of code is part of. The one that there is comes from `ts-ms/ambient`. */
export interface Ambient {
  /** Runs `fn`, and what it awaits, as part of a call. */
  run<T>(context: CallContext, fn: () => T): T;
  /** `source`, each step of which runs as part of a call. */
  iterate<T>(context: CallContext, source: AsyncIterable<T>): AsyncGenerator<T, void, undefined>;
  /**
   * Runs `fn`, and what it awaits, as part of no call: for work that must outlast it.
   *
   * @returns what `fn` returns
   */
  detached<T>(fn: () => T): T;
  /**
   * An invoker whose calls are part of the call around them, if there is one.
   *
   * @param invoker what is below the interceptors; it runs as part of no call, since connections outlast calls
   * @param intercept puts the interceptors around it
   */
  around(invoker: Invoker, intercept: (invoker: Invoker) => Invoker): Invoker;
}
