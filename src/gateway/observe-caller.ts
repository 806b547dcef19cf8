import { CallStream } from "../core/call-stream.ts";
import type { Caller } from "../core/caller.ts";
import type { CallContext } from "../core/context.ts";
import { callOrigin } from "../core/call-origin.ts";
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
  const observe = async <T>(context: CallContext, call: () => Promise<T>): Promise<T> => {
    begin(context);
    try {
      const reply = await call();
      finish(context, undefined);
      return reply;
    } catch (reason) {
      const error = toCallError(reason);
      finish(context, error);
      throw error;
    }
  };
  const unaryBytes = caller.unaryBytes?.bind(caller);
  return {
    protocolName: caller.protocolName,
    unary: (method, request, context) => observe(context, () => caller.unary(method, request, context)),
    ...(unaryBytes && {
      unaryBytes: (method, request, context, read) =>
        observe(context, () => unaryBytes(method, request, context, read)),
    }),
    stream: (method, requests, context) =>
      new CallStream({
        begin: () => begin(context),
        open: () => caller.stream(method, requests, context),
        ended: () => finish(context, undefined),
        failed(reason) {
          const error = toCallError(reason);
          finish(context, error);
          return error;
        },
        left: () => finish(context, new ConnectError("the caller left before the end", Code.Canceled)),
      }),
  };
}
