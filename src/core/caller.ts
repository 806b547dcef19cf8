import {
  create,
  type DescMessage,
  type DescMethodStreaming,
  type DescMethodUnary,
  type Message,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import type { ContextValues, StreamResponse, Transport, UnaryResponse } from "@connectrpc/connect";
import { CallContext, type CallContextInit } from "./context.ts";
import { toCallError, type ConnectError } from "./errors.ts";
import {
  interceptStream,
  interceptUnary,
  type Interceptor,
  type StreamRun,
  type UnaryRun,
} from "./interceptors.ts";

/** Anything that Connect clients pass as headers. */
type HeaderInit = ConstructorParameters<typeof Headers>[0];

/**
 * How calls are made inside the house: what every transport of `dial` is made of, and what the gateway calls.
 *
 * The context is the call: its request headers, deadline and abort go along, and the reply's headers and trailers are
 * put into it. Calls throw `ConnectError`s only, whose `metadata` holds the reply's headers and trailers, and end at
 * the latest when the context is aborted. Whoever made the context calls its `end()`.
 */
export interface Caller {
  /** Protocol of the hop, as clients see it in `HandlerContext.protocolName`. */
  readonly protocolName: string;
  unary(method: DescMethodUnary, request: Message, context: CallContext): Promise<Message>;
  /**
   * The call begins with the first `next()`; the reply's headers are settled when it resolves. Leaving the iteration
   * early cancels the call.
   */
  stream(
    method: DescMethodStreaming,
    requests: AsyncIterable<Message>,
    context: CallContext,
  ): AsyncGenerator<Message, void, undefined>;
}

/** A transport that was made from a `Caller`, which the house can take out again. */
const made = new WeakMap<Transport, Caller>();

/** `caller` as the `Transport` that Connect's `createClient` takes. */
export function toTransport(caller: Caller): Transport {
  const transport: Transport = {
    async unary<I extends DescMessage, O extends DescMessage>(
      method: DescMethodUnary<I, O>,
      signal: AbortSignal | undefined,
      timeoutMs: number | undefined,
      header: HeaderInit,
      input: MessageInitShape<I>,
      values?: ContextValues,
    ): Promise<UnaryResponse<I, O>> {
      const context = contextOf(caller, { method, signal, timeoutMs, values }, header);
      try {
        const message = await caller.unary(method, create(method.input, input), context);
        return {
          stream: false,
          service: method.parent,
          method,
          header: context.responseHeader,
          trailer: context.responseTrailer,
          message: message as MessageShape<O>, // A caller answers with the method's output.
        };
      } finally {
        context.end();
      }
    },

    async stream<I extends DescMessage, O extends DescMessage>(
      method: DescMethodStreaming<I, O>,
      signal: AbortSignal | undefined,
      timeoutMs: number | undefined,
      header: HeaderInit,
      input: AsyncIterable<MessageInitShape<I>>,
      values?: ContextValues,
    ): Promise<StreamResponse<I, O>> {
      const context = contextOf(caller, { method, signal, timeoutMs, values }, header);
      const replies = caller.stream(method, messages(method.input, input), context);
      const first = await replies.next().catch((reason: unknown) => {
        context.end();
        throw reason;
      });
      return {
        stream: true,
        service: method.parent,
        method,
        header: context.responseHeader,
        trailer: context.responseTrailer,
        message: resume(first, replies, context) as AsyncIterable<MessageShape<O>>, // As above.
      };
    },
  };
  made.set(transport, caller);
  return transport;
}

/** The caller inside `transport`, or one that calls it, for transports of other makers. */
export function toCaller(transport: Transport): Caller {
  return made.get(transport) ?? foreignCaller(transport);
}

/** `caller` with `interceptors` around every call, the first of them outermost; `caller` itself without any. */
export function interceptCaller(caller: Caller, interceptors: readonly Interceptor[]): Caller {
  if (interceptors.length === 0) return caller;
  const unary = new Map<DescMethodUnary, UnaryRun>();
  const stream = new Map<DescMethodStreaming, StreamRun>();
  return {
    protocolName: caller.protocolName,
    unary(method, request, context) {
      let run = unary.get(method);
      if (run === undefined) {
        run = interceptUnary(method, (message, inner) => caller.unary(method, message, inner), interceptors);
        unary.set(method, run);
      }
      return run(request, context).catch(rethrow);
    },
    async *stream(method, requests, context) {
      let run = stream.get(method);
      if (run === undefined) {
        run = interceptStream(method, (input, inner) => caller.stream(method, input, inner), interceptors);
        stream.set(method, run);
      }
      try {
        yield* run(requests, context);
      } catch (reason) {
        rethrow(reason);
      }
    },
  };
}

/**
 * `error` with the headers and trailers that `context` received added to its metadata: where a client of the network
 * finds them.
 */
export function withMetadata(error: ConnectError, context: CallContext): ConnectError {
  const { responseHeaderIfAny, responseTrailerIfAny } = context;
  for (const headers of [responseHeaderIfAny, responseTrailerIfAny]) {
    if (headers === undefined) continue;
    for (const [name, value] of headers) error.metadata.append(name, value);
  }
  return error;
}

function foreignCaller(transport: Transport): Caller {
  return {
    protocolName: "transport",
    async unary(method, request, context) {
      const response = await context
        .race(
          transport.unary(
            method,
            context.signal,
            context.timeoutMs(),
            context.requestHeader,
            request as MessageInitShape<DescMessage>, // A message is its own init.
            context.values,
          ),
        )
        .catch(rethrow);
      copy(response.header, context.responseHeader);
      copy(response.trailer, context.responseTrailer);
      return response.message;
    },
    async *stream(method, requests, context) {
      try {
        const response = await context.race(
          transport.stream(
            method,
            context.signal,
            context.timeoutMs(),
            context.requestHeader,
            requests as AsyncIterable<MessageInitShape<DescMessage>>, // As above.
            context.values,
          ),
        );
        copy(response.header, context.responseHeader);
        yield* response.message;
        copy(response.trailer, context.responseTrailer);
      } catch (reason) {
        rethrow(reason);
      }
    },
  };
}

function contextOf(
  caller: Caller,
  init: Omit<CallContextInit, "protocolName" | "requestHeader">,
  header: HeaderInit,
): CallContext {
  return new CallContext({
    ...init,
    protocolName: caller.protocolName,
    requestHeader: header instanceof Headers ? header : () => new Headers(header),
  });
}

async function* messages<I extends DescMessage>(
  schema: I,
  input: AsyncIterable<MessageInitShape<I>>,
): AsyncGenerator<Message, void, undefined> {
  for await (const init of input) yield create(schema, init);
}

async function* resume(
  first: IteratorResult<Message, void>,
  replies: AsyncGenerator<Message, void, undefined>,
  context: CallContext,
): AsyncGenerator<Message, void, undefined> {
  try {
    if (first.done === true) return;
    yield first.value;
    yield* replies;
  } finally {
    await replies.return();
    context.end();
  }
}

function copy(from: Headers, to: Headers): void {
  for (const [name, value] of from) to.append(name, value);
}

function rethrow(reason: unknown): never {
  throw toCallError(reason);
}
