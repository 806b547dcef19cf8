import type { CallContext } from "../../core/call/context.ts";
import type { Invoker } from "../../core/call/invoker.ts";
import { wrapCalls } from "../../core/call/invoker-forms.ts";
import { LayeredStream } from "../../core/call/layered-stream.ts";
import { Code, ConnectError, toCallError } from "../../core/errors/errors.ts";
import type { CallWatcher } from "../../core/telemetry/call-books.ts";

/** Wraps `invoker` so that `watchers` are told of calls while they look; returns `invoker` itself without any. */
export function watchInvoker(invoker: Invoker, watchers: readonly CallWatcher[]): Invoker {
  if (watchers.length === 0) return invoker;
  const looking = (): readonly CallWatcher[] => watchers.filter(({ isLooking }) => isLooking);
  const isWatched = (): boolean => {
    for (const watcher of watchers) if (watcher.isLooking) return true;
    return false;
  };
  const watch = async <T>(context: CallContext, call: () => Promise<T>): Promise<T> => {
    const told = begin(looking(), context);
    try {
      const reply = await call();
      told(undefined);
      return reply;
    } catch (reason) {
      told(toCallError(reason));
      throw reason;
    }
  };
  return wrapCalls(invoker, {
    unary: (_method, context, call) => (isWatched() ? watch(context, call) : call()),
    stream(_method, context, open) {
      let told: (error: ConnectError | undefined) => void = () => {};
      return new LayeredStream({
        begin() {
          told = begin(looking(), context);
        },
        open,
        ended: () => told(undefined),
        failed(reason) {
          told(toCallError(reason));
          return reason;
        },
        cancelled: () => told(new ConnectError("the caller cancelled the call", Code.Canceled)),
      });
    },
  });
}

/** Tells watchers of the begin of a call. @returns tells them of its end */
function begin(
  watchers: readonly CallWatcher[],
  context: CallContext,
): (error: ConnectError | undefined) => void {
  for (const watcher of watchers) watcher.began(context);
  return (error) => {
    for (const watcher of watchers) watcher.ended(context, error);
  };
}
