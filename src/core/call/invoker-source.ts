import type { Invoker } from "./invoker.ts";

/** The member by which `dial` makes an invoker of what is neither a server nor an address: a broker, a transaction. */
export const makeInvoker: unique symbol = Symbol("ts-ms invoker");

/** What `dial` makes an invoker of. @template O the options that its `dial` takes beside those of all of them */
export interface InvokerSource<O extends object = object> {
  /**
   * Makes the invoker.
   *
   * @param options those of `dial` that are its own; no others are given
   * @throws SetupError naming the option that cannot be used
   */
  [makeInvoker](options: Partial<O>): MadeInvoker;
}

/** An invoker, and what can be said of the connections below it. */
export interface MadeInvoker {
  readonly invoker: Invoker;
  /** Whether calls can be made now. */
  isReady(): boolean;
  /** Resolves when calls can be made. @throws ConnectError UNAVAILABLE if they cannot */
  ready(): Promise<void>;
}

/** Whether `dial` makes an invoker of it. */
export function isInvokerSource(value: unknown): value is InvokerSource {
  return typeof value === "object" && value !== null && makeInvoker in value;
}
