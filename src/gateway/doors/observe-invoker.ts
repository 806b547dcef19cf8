import type { DescMethodStreaming, DescMethodUnary, Message } from "@bufbuild/protobuf";
import { LayeredStream } from "../../core/call/layered-stream.ts";
import type { Invoker } from "../../core/call/invoker.ts";
import type { CallContext } from "../../core/call/context.ts";
import { Code, ConnectError, toCallError } from "../../core/errors/errors.ts";
import type { FaultLog } from "../../core/call/fault-log.ts";
import { type CallObserver, notify } from "../../core/call/observer.ts";
import type { WriteReply } from "../../core/call/write-reply.ts";

/**
 * Wraps `invoker` so that `observers` are notified of every call, with the protocol of its context, and unexpected
 * exceptions are logged by `faults`; returns `invoker` itself without any observer. This is the one point where a gateway
 * observes calls: observers of a server of this process behind it are not notified of them.
 */
export function observeInvoker(
  invoker: Invoker,
  observers: readonly CallObserver[],
  faults: Pick<FaultLog, "call">,
): Invoker {
  if (observers.length === 0) return invoker;
  const inner = invoker.unobserved ?? invoker;
  const begin = (context: CallContext): void => {
    notify(observers, (observer) => observer.started?.(context));
  };
  const finish = (context: CallContext, error: ConnectError | undefined): void => {
    notify(observers, (observer) => observer.finished?.(context, error));
    if (error !== undefined) faults.call(error, context);
  };
  const observe = async <T>(context: CallContext, call: () => Promise<T>): Promise<T> => {
    begin(context);
    let reply: T;
    try {
      reply = await call();
    } catch (reason) {
      const error = toCallError(reason);
      finish(context, error);
      throw error;
    }
    finish(context, undefined);
    return reply;
  };
  const layered = <T>(context: CallContext, open: () => AsyncIterable<T>): LayeredStream<T> =>
    new LayeredStream<T>({
      begin: () => begin(context),
      open,
      ended: () => finish(context, undefined),
      failed(reason) {
        const error = toCallError(reason);
        finish(context, error);
        return error;
      },
      cancelled: () => finish(context, new ConnectError("the caller cancelled the call", Code.Canceled)),
    });
  const unaryBytes = inner.unaryBytes?.bind(inner);
  const streamBytes = inner.streamBytes?.bind(inner);
  return {
    protocolName: inner.protocolName,
    unary: <T = Message>(
      method: DescMethodUnary,
      request: Message,
      context: CallContext,
      write?: WriteReply<T>,
    ) => observe(context, () => inner.unary(method, request, context, write)),
    ...(unaryBytes && {
      unaryBytes: (method, request, context, read) =>
        observe(context, () => unaryBytes(method, request, context, read)),
    }),
    stream: <T = Message>(
      method: DescMethodStreaming,
      requests: AsyncIterable<Message>,
      context: CallContext,
      write?: WriteReply<T>,
    ) => layered(context, () => inner.stream(method, requests, context, write)),
    ...(streamBytes && {
      streamBytes: (method, requests, context, read) =>
        layered(context, () => streamBytes(method, requests, context, read)),
    }),
  };
}
