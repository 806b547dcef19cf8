import { AsyncLocalStorage } from "node:async_hooks";
import type { DescMethodStreaming, DescMethodUnary, Message } from "@bufbuild/protobuf";
import type { Ambient } from "../call/ambient.ts";
import type { ReadReplies, RequestBatch } from "../call/batches.ts";
import type { CallContext } from "../call/context.ts";
import type { Invoker } from "../call/invoker.ts";
import type { WriteReply } from "../call/write-reply.ts";
import { propagatedHeaders } from "../metadata/propagate.ts";
import { requestId } from "../metadata/request-id.ts";
import { ScopedIterator, type RunInScope } from "./scoped-iterator.ts";

const storage = new AsyncLocalStorage<CallContext>();

/**
 * Makes calls inside of handlers part of the call that the handler serves, without `propagate`:
 * `new GrpcServer({ ambient })` and `dial(target, { ambient })`.
 *
 * Such a call has no later deadline than the one around it, is cancelled with it, and has those of its headers that
 * `propagate` passes on, unless the call sets its own. A call that begins after the handler's end has the headers only.
 * Work that is no part of the call runs in `ambient.detached(fn)`.
 */
export const ambient: Ambient = {
  run: (context, fn) => storage.run(context, fn),
  iterate: (context, source) => new ScopedIterator(source, (fn) => storage.run(context, fn)),
  detached: (fn) => storage.exit(fn),
  around: (invoker, intercept) =>
    wrapped(
      intercept(
        wrapped(
          invoker,
          () => {},
          (fn) => storage.exit(fn),
        ),
      ),
      adopt,
      (fn) => fn(),
    ),
};

/** Makes a call part of the one around it. */
function adopt(context: CallContext): void {
  const outer = storage.getStore();
  if (outer === undefined || outer === context) return;
  requestId(outer); // Puts one into the headers where there is none.
  const { requestHeader } = outer;
  let own: Headers | undefined;
  for (const name of propagatedHeaders) {
    const value = requestHeader.get(name);
    if (value === null) continue;
    own ??= context.requestHeader;
    if (!own.has(name)) own.set(name, value);
  }
  if (!outer.isEnded) context.join(outer);
}

/** An invoker with `before` before each call, whose steps go through `run`. */
function wrapped(inner: Invoker, before: (context: CallContext) => void, run: RunInScope): Invoker {
  const unaryBytes = inner.unaryBytes?.bind(inner);
  const streamBytes = inner.streamBytes?.bind(inner);
  const { unobserved } = inner;
  return {
    protocolName: inner.protocolName,
    ...(unobserved && { unobserved: wrapped(unobserved, before, run) }),
    unary<T = Message>(
      method: DescMethodUnary,
      request: Message,
      context: CallContext,
      write?: WriteReply<T>,
    ) {
      before(context);
      return run(() => inner.unary(method, request, context, write));
    },
    ...(unaryBytes && {
      unaryBytes: (method, request, context, read) => {
        before(context);
        return run(() => unaryBytes(method, request, context, read));
      },
    }),
    stream<T = Message>(
      method: DescMethodStreaming,
      requests: AsyncIterable<Message>,
      context: CallContext,
      write?: WriteReply<T>,
    ) {
      before(context);
      return new ScopedIterator(inner.stream(method, here(requests), context, write), run);
    },
    ...(streamBytes && {
      streamBytes: <T>(
        method: DescMethodStreaming,
        requests: AsyncIterable<RequestBatch>,
        context: CallContext,
        read: ReadReplies<T>,
      ) => {
        before(context);
        return new ScopedIterator(streamBytes(method, here(requests), context, read), run);
      },
    }),
  };
}

/** `requests`, whose steps are part of the call around this: they are code of the caller. */
function here<T>(requests: AsyncIterable<T>): AsyncIterable<T> {
  const context = storage.getStore();
  return context === undefined ? requests : ambient.iterate(context, requests);
}
