import { LayeredStream } from "./layered-stream.ts";
import type { Invoker } from "./invoker.ts";
import { wrapCalls } from "./invoker-forms.ts";
import type { CallContext } from "./context.ts";
import { Code, ConnectError, toCallError } from "../errors/errors.ts";
import type { FaultLog } from "./fault-log.ts";
import { answerersOf, answerOf, type CallObserver, notifyFinished, notifyStarted } from "./observer.ts";

/**
 * Wraps `invoker` so that `observers` are notified of every call, with the protocol of its context, and unexpected
 * exceptions are logged by `faults`; returns `invoker` itself without any observer. This is the one point where a
 * server in front of another observes calls: observers of a server of this process behind it are not notified of them.
 */
export function observeInvoker(
  invoker: Invoker,
  observers: readonly CallObserver[],
  faults: Pick<FaultLog, "call">,
): Invoker {
  if (observers.length === 0) return invoker;
  const inner = invoker.unobserved ?? invoker;
  const begin = (context: CallContext): void => notifyStarted(observers, context);
  const answerers = answerersOf(observers);
  /** Returns what the client gets. */
  const finish = <E extends ConnectError | undefined>(context: CallContext, error: E): E | ConnectError => {
    const answer = answerOf(answerers, context, error);
    notifyFinished(observers, context, answer);
    if (answer !== undefined) faults.call(answer, context);
    return answer;
  };
  const observe = async <T>(context: CallContext, call: () => Promise<T>): Promise<T> => {
    begin(context);
    let reply: T;
    try {
      reply = await call();
    } catch (reason) {
      throw finish(context, toCallError(reason));
    }
    const refused = finish(context, undefined);
    if (refused !== undefined) throw refused;
    return reply;
  };
  return wrapCalls(inner, {
    unary: (_method, context, call) => observe(context, call),
    stream: (_method, context, open) =>
      new LayeredStream({
        begin: () => begin(context),
        open,
        ended() {
          const refused = finish(context, undefined);
          if (refused !== undefined) throw refused;
        },
        failed: (reason) => finish(context, toCallError(reason)),
        cancelled: () =>
          void finish(context, new ConnectError("the caller cancelled the call", Code.Canceled)),
      }),
  });
}
