import type { Caller } from "../core/caller.ts";
import { callOrigin, type CallContext } from "../core/context.ts";
import { Code, ConnectError, toCallError } from "../core/errors.ts";
import type { CallObserver } from "../core/observer.ts";

/**
 * `caller` with `observers` told of every call, under the protocol of its context; `caller` itself without any.
 * Servers of this process that the calls reach do not tell theirs again.
 */
export function observeCaller(caller: Caller, observers: readonly CallObserver[]): Caller {
  if (observers.length === 0) return caller;
  const begin = (context: CallContext): void => {
    context.values.set(callOrigin, { protocol: context.protocolName, observed: true });
    for (const observer of observers) observer.started?.(context);
  };
  const finish = (context: CallContext, error: ConnectError | undefined): void => {
    for (const observer of observers) observer.finished?.(context, error);
  };
  return {
    protocolName: caller.protocolName,
    async unary(method, request, context) {
      begin(context);
      try {
        const reply = await caller.unary(method, request, context);
        finish(context, undefined);
        return reply;
      } catch (reason) {
        const error = toCallError(reason);
        finish(context, error);
        throw error;
      }
    },
    async *stream(method, requests, context) {
      begin(context);
      let outcome: ConnectError | undefined = new ConnectError(
        "the caller left before the end",
        Code.Canceled,
      );
      try {
        yield* caller.stream(method, requests, context);
        outcome = undefined;
      } catch (reason) {
        outcome = toCallError(reason);
        throw outcome;
      } finally {
        finish(context, outcome);
      }
    },
  };
}
