import type { CallContext } from "./context.ts";
import type { ConnectError } from "./errors.ts";

/**
 * Hears of every call of a server, whatever protocol it came by: what logging and metrics are made of.
 *
 * A call that a gateway of the same process observes already is not told again to the observers behind it.
 */
export interface CallObserver {
  /** The call's handler is about to run. */
  started?(context: CallContext): void;
  /** The call has ended; `error` is undefined for OK. */
  finished?(context: CallContext, error: ConnectError | undefined): void;
}
