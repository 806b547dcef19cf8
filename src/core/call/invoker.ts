import type { DescMethodStreaming, DescMethodUnary, Message } from "@bufbuild/protobuf";
import { Abortable } from "./abortable.ts";
import type { CallContext } from "./context.ts";
import { ConnectError, toCallError } from "../errors/errors.ts";
import { copyWritten } from "./fault-log.ts";
import { isMetadataOnly } from "../metadata/metadata-only.ts";
import {
  interceptStream,
  interceptUnary,
  type Interceptor,
  type StreamRun,
  type UnaryRun,
} from "./interceptors.ts";
import { writeReply, type WriteReply } from "./write-reply.ts";

/**
 * How calls are made inside the house: what every transport of `dial` is made of, and what the gateway calls.
 *
 * The context is the call: its request headers, deadline and abort go along, and the reply's headers and trailers are
 * put into it. Calls throw `ConnectError`s only, whose `metadata` holds the reply's headers and trailers, and end at
 * the latest when the context is aborted. Whoever made the context calls its `end()`.
 */
export interface Invoker {
  /** Protocol of the hop, as clients see it in `HandlerContext.protocolName`. */
  readonly protocolName: string;
  /** @param write makes the result of the reply, as part of the call. Default: the reply as it is. */
  unary<T = Message>(
    method: DescMethodUnary,
    request: Message,
    context: CallContext,
    write?: WriteReply<T>,
  ): Promise<T>;
  /**
   * As `unary`, with the reply, and the request where it is at hand, in protobuf's binary form, for those who need them
   * in no other. Callers that reach handlers by messages, or by way of interceptors that look at messages, do not have
   * it.
   *
   * @param read makes the result of the reply's bytes, which stay as they are. What it throws is INTERNAL, as for a
   *   reply that is no message of its type.
   */
  unaryBytes?<T>(
    method: DescMethodUnary,
    request: Message | Uint8Array,
    context: CallContext,
    read: (reply: Uint8Array) => T,
  ): Promise<T>;
  /**
   * The call begins with the first `next()`; the reply's headers are settled when it resolves. Leaving the iteration
   * early cancels the call; `return()` during a `next()` waits for it, so abort the context first.
   *
   * @param write makes what is given of each reply, as part of the call. Default: the reply as it is.
   */
  stream<T = Message>(
    method: DescMethodStreaming,
    requests: AsyncIterable<Message>,
    context: CallContext,
    write?: WriteReply<T>,
  ): AsyncGenerator<T, void, undefined>;
}

/** `invoker` with `interceptors` around every call, the first of them outermost; `invoker` itself without any. */
export function interceptInvoker(invoker: Invoker, interceptors: readonly Interceptor[]): Invoker {
  if (interceptors.length === 0) return invoker;
  const unary = new Map<DescMethodUnary, UnaryRun>();
  const stream = new Map<DescMethodStreaming, StreamRun>();
  return {
    protocolName: invoker.protocolName,
    ...interceptBytes(invoker, interceptors),
    unary<T = Message>(
      method: DescMethodUnary,
      request: Message,
      context: CallContext,
      write?: WriteReply<T>,
    ) {
      let run = unary.get(method);
      if (run === undefined) {
        run = interceptUnary(method, (message, inner) => invoker.unary(method, message, inner), interceptors);
        unary.set(method, run);
      }
      const reply = run(request, context).then((message) => writeReply(method, write, message));
      return context.race(reply).catch(rethrow);
    },
    async *stream<T = Message>(
      method: DescMethodStreaming,
      requests: AsyncIterable<Message>,
      context: CallContext,
      write?: WriteReply<T>,
    ) {
      let run = stream.get(method);
      if (run === undefined) {
        run = interceptStream(method, (input, inner) => invoker.stream(method, input, inner), interceptors);
        stream.set(method, run);
      }
      try {
        const replies = new Abortable(run(requests, context), context);
        for await (const message of replies) yield writeReply(method, write, message);
      } catch (reason) {
        rethrow(reason);
      }
    },
  };
}

/** A call in binary form, on its way through interceptors that look at no message. */
interface BytesCall {
  readonly request: Message | Uint8Array;
  readonly read: (reply: Uint8Array) => unknown;
}

/** Interceptors that look at no message pass on whatever stands in its place. */
function interceptBytes(invoker: Invoker, interceptors: readonly Interceptor[]): Pick<Invoker, "unaryBytes"> {
  const call = invoker.unaryBytes?.bind(invoker);
  if (call === undefined || !interceptors.every(isMetadataOnly)) return {};
  const runs = new Map<DescMethodUnary, UnaryRun<BytesCall, unknown>>();
  return {
    unaryBytes<T>(
      method: DescMethodUnary,
      request: Message | Uint8Array,
      context: CallContext,
      read: (reply: Uint8Array) => T,
    ) {
      let run = runs.get(method);
      if (run === undefined) {
        run = interceptUnary<BytesCall, unknown>(
          method,
          (bytes, inner) => call(method, bytes.request, inner, bytes.read),
          interceptors,
        );
        runs.set(method, run);
      }
      return context.race(run({ request, read }, context)).catch(rethrow) as Promise<T>; // Of `read`.
    },
  };
}

/**
 * `error` with the headers and trailers that `context` received in its metadata: where a client of the network finds
 * them. A copy where there are any, since a handler may throw one error for many calls.
 */
export function withMetadata(error: ConnectError, context: CallContext): ConnectError {
  const { responseHeaderIfAny, responseTrailerIfAny } = context;
  if (responseHeaderIfAny === undefined && responseTrailerIfAny === undefined) return error;
  const copy = new ConnectError(error.rawMessage, error.code, error.metadata, undefined, error.cause);
  copy.details = error.details;
  copyWritten(error, copy);
  if (error.stack !== undefined) copy.stack = error.stack;
  if (responseHeaderIfAny !== undefined) append(responseHeaderIfAny, copy.metadata);
  if (responseTrailerIfAny !== undefined) append(responseTrailerIfAny, copy.metadata);
  return copy;
}

function append(from: Headers, to: Headers): void {
  for (const [name, value] of from) to.append(name, value);
}

function rethrow(reason: unknown): never {
  throw toCallError(reason);
}
