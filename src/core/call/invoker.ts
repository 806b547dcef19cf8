import type { DescMethodStreaming, DescMethodUnary, Message } from "@bufbuild/protobuf";
import { Abortable } from "./abortable.ts";
import type { CallContext } from "./context.ts";
import { ConnectError, toCallError } from "../errors/errors.ts";
import { isLean, leanCopy } from "../errors/lean-error.ts";
import { copySpent } from "../errors/spent-retries.ts";
import { copyWritten } from "./fault-log.ts";
import { isMetadataOnly } from "../metadata/metadata-only.ts";
import {
  interceptStream,
  interceptUnary,
  type Interceptor,
  type StreamRun,
  type UnaryRun,
} from "./interceptors.ts";
import type { ReadReplies, RequestBatch } from "./batches.ts";
import { writeReply, type WriteReply } from "./write-reply.ts";

/**
 * The internal interface for making calls: `dial` wraps it as a transport, the gateway calls it directly.
 *
 * The context carries request headers, deadline and abort to the callee, and receives the headers and trailers of the
 * reply. Calls throw `ConnectError`s only, whose `metadata` holds the reply's headers and trailers, and end at the
 * latest when the context is aborted. The code that constructs the context must call its `end()`.
 */
export interface Invoker {
  /** Protocol of the hop, as clients see it in `HandlerContext.protocolName`. */
  readonly protocolName: string;
  /**
   * The same invoker without the observers of the server of this process that it calls, for a caller that observes its
   * calls itself. Undefined where no server of this process is called.
   */
  readonly unobserved?: Invoker;
  /** @param write turns the reply into the result, as part of the call. Default: the reply itself. */
  unary<T = Message>(
    method: DescMethodUnary,
    request: Message,
    context: CallContext,
    write?: WriteReply<T>,
  ): Promise<T>;
  /**
   * As `unary`, with the reply in protobuf's binary form, and the request in either form: a gateway that only converts
   * bytes needs no message. Undefined for invokers that call handlers with messages, and for those with interceptors
   * that read messages.
   *
   * @param read turns the reply's bytes, which are not modified later, into the result. An exception of it becomes
   *   INTERNAL, as for a reply that is no message of its type.
   */
  unaryBytes?<T>(
    method: DescMethodUnary,
    request: Message | Uint8Array,
    context: CallContext,
    read: (reply: Uint8Array) => T,
  ): Promise<T>;
  /**
   * The call begins with the first `next()`; the reply's headers are final when it resolves. Ending the iteration early
   * cancels the call; `return()` during a `next()` waits for it, so abort the context first.
   *
   * @param write turns each reply into the yielded value, as part of the call. Default: the reply itself.
   */
  stream<T = Message>(
    method: DescMethodStreaming,
    requests: AsyncIterable<Message>,
    context: CallContext,
    write?: WriteReply<T>,
  ): AsyncGenerator<T, void, undefined>;
  /**
   * As `stream`, with the messages in protobuf's binary form, and in batches: requests that are yielded together leave
   * together, and replies that arrived together are read together. Undefined under the same conditions as `unaryBytes`.
   */
  streamBytes?<T>(
    method: DescMethodStreaming,
    requests: AsyncIterable<RequestBatch>,
    context: CallContext,
    read: ReadReplies<T>,
  ): AsyncGenerator<T, void, undefined>;
}

/** `invoker` with `interceptors` around every call, the first of them outermost; `invoker` itself if there are none. */
export function interceptInvoker(invoker: Invoker, interceptors: readonly Interceptor[]): Invoker {
  if (interceptors.length === 0) return invoker;
  const unary = new Map<DescMethodUnary, UnaryRun>();
  const stream = new Map<DescMethodStreaming, StreamRun>();
  const { unobserved } = invoker;
  return {
    protocolName: invoker.protocolName,
    ...(unobserved && { unobserved: interceptInvoker(unobserved, interceptors) }),
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

/** A call in binary form, passed through `metadataOnly` interceptors in place of a message. */
interface BytesCall {
  readonly request: Message | Uint8Array;
  readonly read: (reply: Uint8Array) => unknown;
}

/** The same of a stream, in place of its messages. */
interface BytesStream {
  readonly requests: AsyncIterable<RequestBatch>;
  readonly read: ReadReplies<unknown>;
}

/** `metadataOnly` interceptors pass on any value in place of a message, and of the messages of a stream. */
function interceptBytes(
  invoker: Invoker,
  interceptors: readonly Interceptor[],
): Pick<Invoker, "unaryBytes" | "streamBytes"> {
  if (!interceptors.every(isMetadataOnly)) return {};
  return { ...interceptUnaryBytes(invoker, interceptors), ...interceptStreamBytes(invoker, interceptors) };
}

function interceptUnaryBytes(
  invoker: Invoker,
  interceptors: readonly Interceptor[],
): Pick<Invoker, "unaryBytes"> {
  const call = invoker.unaryBytes?.bind(invoker);
  if (call === undefined) return {};
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

function interceptStreamBytes(
  invoker: Invoker,
  interceptors: readonly Interceptor[],
): Pick<Invoker, "streamBytes"> {
  const call = invoker.streamBytes?.bind(invoker);
  if (call === undefined) return {};
  const runs = new Map<DescMethodStreaming, StreamRun<BytesStream, unknown>>();
  return {
    async *streamBytes<T>(
      method: DescMethodStreaming,
      requests: AsyncIterable<RequestBatch>,
      context: CallContext,
      read: ReadReplies<T>,
    ) {
      let run = runs.get(method);
      if (run === undefined) {
        run = interceptStream<BytesStream, unknown>(
          method,
          (bytes, inner) => call(method, bytes.requests, inner, bytes.read),
          interceptors,
        );
        runs.set(method, run);
      }
      try {
        const results = new Abortable(run({ requests, read }, context), context);
        for await (const result of results) yield result as T; // Of `read`.
      } catch (reason) {
        rethrow(reason);
      }
    },
  };
}

/**
 * `error` with the headers and trailers that `context` received added to its metadata, where network clients find them.
 * Returns a copy if there are any, since a handler may throw the same error object for many calls.
 */
export function withMetadata(error: ConnectError, context: CallContext): ConnectError {
  const { responseFields: fields, responseTrailerIfAny: trailer } = context;
  if (trailer === undefined && !context.hasResponseHeader) return error;
  if (fields !== undefined && trailer === undefined) {
    const copy = leanCopy(error, (add) => fields.each(add));
    if (!isLean(error)) takeStack(copy, error);
    return marked(copy, error);
  }
  const header = context.responseHeaderIfAny;
  const copy = new ConnectError(error.rawMessage, error.code, error.metadata, undefined, error.cause);
  copy.details = error.details;
  takeStack(copy, error);
  if (header !== undefined) append(header, copy.metadata);
  if (trailer !== undefined) append(trailer, copy.metadata);
  return marked(copy, error);
}

/** A copy of an error, for which holds what is recorded of the error. */
function marked(copy: ConnectError, error: ConnectError): ConnectError {
  copyWritten(error, copy);
  copySpent(error, copy);
  return copy;
}

/** Gives an error the stack of another one when it is read: to write it as text costs more than the rest of a call. */
function takeStack(copy: ConnectError, error: ConnectError): void {
  Object.defineProperty(copy, "stack", {
    get: () => error.stack,
    set(value: unknown) {
      Object.defineProperty(copy, "stack", { value, writable: true, configurable: true });
    },
    configurable: true,
  });
}

/** The metadata of an error itself, without the headers and trailers that invokers add to it, see `withMetadata`. */
export function ownMetadata(
  error: ConnectError,
  header: Headers | undefined,
  trailer: Headers | undefined,
): Headers {
  const own = new Headers();
  for (const [name, value] of error.metadata) {
    const added = [header?.get(name), trailer?.get(name)]
      .filter((part) => typeof part === "string")
      .join(", ");
    if (value === added || (name === "set-cookie" && added.includes(value))) continue;
    own.append(
      name,
      added !== "" && value.endsWith(`, ${added}`) ? value.slice(0, -added.length - 2) : value,
    );
  }
  return own;
}

function append(from: Headers, to: Headers): void {
  for (const [name, value] of from) to.append(name, value);
}

function rethrow(reason: unknown): never {
  throw toCallError(reason);
}
