import {
  fromBinary,
  toBinary,
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
  type Message,
} from "@bufbuild/protobuf";
import { ReplyBatch, type ReadReplies, type RequestBatch } from "./batches.ts";
import type { CallContext } from "./context.ts";
import type { Invoker } from "./invoker.ts";
import { LayeredStream } from "./layered-stream.ts";
import type { WriteReply } from "./write-reply.ts";

/** An invoker that makes calls in binary form too. */
export type BytesInvoker = Invoker & Required<Pick<Invoker, "unaryBytes" | "streamBytes">>;

/**
 * `invoker` with calls in binary form: where it has none of its own, requests are parsed and replies are written. For a
 * transport that stands beside others which have them.
 */
export function withBytes(invoker: Invoker): BytesInvoker {
  if (hasBytes(invoker)) return invoker;
  const { unobserved } = invoker;
  return {
    protocolName: invoker.protocolName,
    ...(unobserved && { unobserved: withBytes(unobserved) }),
    unary: (method, request, context, write) => invoker.unary(method, request, context, write),
    stream: (method, requests, context, write) => invoker.stream(method, requests, context, write),
    unaryBytes(method, request, context, read) {
      const message = request instanceof Uint8Array ? fromBinary(method.input, request) : request;
      return invoker.unary(method, message, context, (reply) => read(toBinary(method.output, reply)));
    },
    streamBytes: (method, requests, context, read) =>
      invoker.stream(method, messagesOf(method, requests), context, (reply) =>
        read(new ReplyBatch([toBinary(method.output, reply)])),
      ),
  };
}

function hasBytes(invoker: Invoker): invoker is BytesInvoker {
  return invoker.unaryBytes !== undefined && invoker.streamBytes !== undefined;
}

async function* messagesOf(
  method: DescMethodStreaming,
  batches: AsyncIterable<RequestBatch>,
): AsyncGenerator<Message, void, undefined> {
  for await (const batch of batches) {
    for (const request of batch) {
      yield request instanceof Uint8Array ? fromBinary(method.input, request) : request;
    }
  }
}

/** What stands around each call of an invoker, in whichever form it comes. */
export interface CallWrap {
  unary<T>(method: DescMethodUnary, context: CallContext, call: () => Promise<T>): Promise<T>;
  stream<T>(
    method: DescMethodStreaming,
    context: CallContext,
    open: () => AsyncIterable<T>,
  ): AsyncGenerator<T, void, undefined>;
}

/** An invoker with `wrap` around each call of `inner`, in the forms that `inner` has; without its `unobserved`. */
export function wrapCalls(inner: Invoker, wrap: CallWrap): Invoker {
  const unaryBytes = inner.unaryBytes?.bind(inner);
  const streamBytes = inner.streamBytes?.bind(inner);
  return {
    protocolName: inner.protocolName,
    unary: <T = Message>(
      method: DescMethodUnary,
      request: Message,
      context: CallContext,
      write?: WriteReply<T>,
    ) => wrap.unary(method, context, () => inner.unary(method, request, context, write)),
    ...(unaryBytes && {
      unaryBytes: (method, request, context, read) =>
        wrap.unary(method, context, () => unaryBytes(method, request, context, read)),
    }),
    stream: <T = Message>(
      method: DescMethodStreaming,
      requests: AsyncIterable<Message>,
      context: CallContext,
      write?: WriteReply<T>,
    ) => wrap.stream(method, context, () => inner.stream(method, requests, context, write)),
    ...(streamBytes && {
      streamBytes: <T>(
        method: DescMethodStreaming,
        requests: AsyncIterable<RequestBatch>,
        context: CallContext,
        read: ReadReplies<T>,
      ) => wrap.stream(method, context, () => streamBytes(method, requests, context, read)),
    }),
  };
}

/** The invokers, all with calls in binary form or all without. */
export function ofOneForm(invokers: readonly Invoker[]): readonly Invoker[] {
  return invokers.some(hasBytes) ? invokers.map(withBytes) : invokers;
}

/**
 * An invoker that makes each call by the invoker that `choose` gives, in the form in which the call comes.
 *
 * @param form an invoker of the form that all of them have
 * @param choose its `ConnectError`s end the call
 */
export function choosing(
  form: Invoker,
  choose: (method: DescMethod, context: CallContext) => Invoker,
): Invoker {
  const bytes: Pick<Invoker, "unaryBytes" | "streamBytes"> = {
    unaryBytes<T>(
      method: DescMethodUnary,
      request: Message | Uint8Array,
      context: CallContext,
      read: (reply: Uint8Array) => T,
    ) {
      try {
        return (choose(method, context) as BytesInvoker).unaryBytes(method, request, context, read); // As `form`.
      } catch (error) {
        return Promise.reject(error);
      }
    },
    streamBytes<T>(
      method: DescMethodStreaming,
      requests: AsyncIterable<RequestBatch>,
      context: CallContext,
      read: ReadReplies<T>,
    ) {
      try {
        return (choose(method, context) as BytesInvoker).streamBytes(method, requests, context, read); // As `form`.
      } catch (error) {
        return failed<T>(error);
      }
    },
  };
  return {
    protocolName: form.protocolName,
    ...(form.unaryBytes !== undefined && bytes),
    unary<T = Message>(
      method: DescMethodUnary,
      request: Message,
      context: CallContext,
      write?: WriteReply<T>,
    ) {
      try {
        return choose(method, context).unary(method, request, context, write);
      } catch (error) {
        return Promise.reject(error);
      }
    },
    stream<T = Message>(
      method: DescMethodStreaming,
      requests: AsyncIterable<Message>,
      context: CallContext,
      write?: WriteReply<T>,
    ) {
      try {
        return choose(method, context).stream(method, requests, context, write);
      } catch (error) {
        return failed<T>(error);
      }
    },
  };
}

function failed<T>(error: unknown): AsyncGenerator<T, void, undefined> {
  return new LayeredStream<T>({
    open() {
      throw error;
    },
  });
}
