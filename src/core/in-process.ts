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
import type { Dispatcher } from "./dispatcher.ts";
import { Code, ConnectError, toCallError } from "./errors.ts";

/** Anything that Connect clients pass as headers. */
type HeaderInit = ConstructorParameters<typeof Headers>[0];

/**
 * A transport that calls the handlers of `dispatcher` without a socket.
 *
 * Deadlines, cancellation, metadata, errors and back-pressure are those of the network; messages are handed over and
 * not copied, so neither side may change one that it has handed over.
 */
export function inProcess(dispatcher: Dispatcher): Transport {
  return {
    async unary<I extends DescMessage, O extends DescMessage>(
      method: DescMethodUnary<I, O>,
      signal: AbortSignal | undefined,
      timeoutMs: number | undefined,
      header: HeaderInit,
      input: MessageInitShape<I>,
      values?: ContextValues,
    ): Promise<UnaryResponse<I, O>> {
      const handler = dispatcher.handlerOf(method);
      if (handler.kind !== "unary") throw wrongKind(method);
      const context = contextOf({ method, signal, timeoutMs, values }, header);
      try {
        const message = await dispatcher.unary(handler, create(method.input, input), context);
        return {
          stream: false,
          service: method.parent,
          method,
          header: context.responseHeader,
          trailer: context.responseTrailer,
          message: message as MessageShape<O>, // The handler was registered for this very output.
        };
      } catch (reason) {
        throw withMetadata(toCallError(reason), context);
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
      const handler = dispatcher.handlerOf(method);
      if (handler.kind !== "stream") throw wrongKind(method);
      const context = contextOf({ method, signal, timeoutMs, values }, header);
      const requests = handOver(method.input, input, context);
      const replies = dispatcher.stream(handler, requests, context);
      // The handler runs from now on, as it would on the network; its headers are settled by the first message.
      const first = await replies.next().catch((reason: unknown) => {
        throw withMetadata(toCallError(reason), context);
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
}

function contextOf(
  init: Omit<CallContextInit, "protocolName" | "requestHeader">,
  header: HeaderInit,
): CallContext {
  return new CallContext({
    ...init,
    protocolName: "in-process",
    requestHeader: header instanceof Headers ? header : () => new Headers(header),
  });
}

/** The client's requests as the handler may see them: an error of the client's own is a cancelled call there. */
async function* handOver<I extends DescMessage>(
  schema: I,
  input: AsyncIterable<MessageInitShape<I>>,
  context: CallContext,
): AsyncGenerator<Message, void, undefined> {
  const iterator = input[Symbol.asyncIterator]();
  let finished = false;
  try {
    for (;;) {
      const result = await context.race(Promise.resolve(iterator.next()));
      if (result.done === true) break;
      yield create(schema, result.value);
    }
    finished = true;
  } catch (error) {
    if (context.reason !== undefined) throw context.reason;
    finished = true;
    const reason = new ConnectError(
      "the caller's requests failed",
      Code.Canceled,
      undefined,
      undefined,
      error,
    );
    context.abort(reason);
    throw reason;
  } finally {
    if (!finished) iterator.return?.().then(undefined, () => {});
  }
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
  } catch (reason) {
    throw withMetadata(toCallError(reason), context);
  } finally {
    await replies.return();
  }
}

/** What a client on the network finds in `error.metadata`: the headers and trailers of the reply. */
function withMetadata(error: ConnectError, context: CallContext): ConnectError {
  const { responseHeaderIfAny, responseTrailerIfAny } = context;
  for (const headers of [responseHeaderIfAny, responseTrailerIfAny]) {
    if (headers === undefined) continue;
    for (const [name, value] of headers) error.metadata.append(name, value);
  }
  return error;
}

function wrongKind(method: DescMethodUnary | DescMethodStreaming): ConnectError {
  return new ConnectError(
    `${method.parent.typeName}/${method.name} is registered here with another kind of call`,
    Code.Internal,
  );
}
