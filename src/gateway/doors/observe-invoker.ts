import type { DescMethodStreaming, DescMethodUnary, Message } from "@bufbuild/protobuf";
import { CallStream } from "../../core/call/call-stream.ts";
import type { Caller } from "../../core/call/caller.ts";
import type { CallContext } from "../../core/call/context.ts";
import { callOrigin } from "../../core/call/call-origin.ts";
import { Code, ConnectError, toCallError } from "../../core/errors/errors.ts";
import type { FaultLog } from "../../core/call/fault-log.ts";
import { type CallObserver, tell } from "../../core/call/observer.ts";
import type { WriteReply } from "../../core/call/write-reply.ts";

/**
 * `caller` with `observers` told of every call, under the protocol of its context, and `faults` of what nobody planned;
 * `caller` itself without any observer. Servers of this process that the calls reach do not tell theirs again.
 */
export function observeCaller(
  caller: Caller,
  observers: readonly CallObserver[],
  faults: Pick<FaultLog, "call">,
): Caller {
  if (observers.length === 0) return caller;
  const begin = (context: CallContext): void => {
    context.values.set(callOrigin, { protocol: context.protocolName, observed: true });
    tell(observers, (observer) => observer.started?.(context));
  };
  const finish = (context: CallContext, error: ConnectError | undefined): void => {
    tell(observers, (observer) => observer.finished?.(context, error));
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
  const unaryBytes = caller.unaryBytes?.bind(caller);
  return {
    protocolName: caller.protocolName,
    unary: <T = Message>(
      method: DescMethodUnary,
      request: Message,
      context: CallContext,
      write?: WriteReply<T>,
    ) => observe(context, () => caller.unary(method, request, context, write)),
    ...(unaryBytes && {
      unaryBytes: (method, request, context, read) =>
        observe(context, () => unaryBytes(method, request, context, read)),
    }),
    stream: <T = Message>(
      method: DescMethodStreaming,
      requests: AsyncIterable<Message>,
      context: CallContext,
      write?: WriteReply<T>,
    ) =>
      new CallStream<T>({
        begin: () => begin(context),
        open: () => caller.stream(method, requests, context, write),
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
