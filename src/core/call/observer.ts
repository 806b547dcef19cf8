import type { CallContext } from "./context.ts";
import type { ConnectError } from "../errors/errors.ts";

/**
 * Hears of every call of a server, whatever protocol it came by: what logging and metrics are made of.
 *
 * A call that a gateway of the same process observes already is not told again to the observers behind it. What an
 * observer throws is a warning of the process and changes nothing for the call.
 */
export interface CallObserver {
  /** The call's handler is about to run. */
  started?(context: CallContext): void;
  /** The call has ended; `error` is undefined for OK. */
  finished?(context: CallContext, error: ConnectError | undefined): void;
}

/**
 * Says something to every observer. Observers watch and never change an outcome: what one throws, at once or by a
 * promise that it returns, is a warning of the process, and the others hear all the same.
 */
export function tell<O>(observers: readonly O[], say: (observer: O) => unknown): void {
  for (const observer of observers) {
    try {
      const result = say(observer);
      if (result instanceof Promise) result.catch(warn);
    } catch (reason) {
      warn(reason);
    }
  }
}

function warn(reason: unknown): void {
  process.emitWarning(reason instanceof Error ? reason : String(reason));
}
