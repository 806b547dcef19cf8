import type { DescMethod, DescMethodStreaming, DescMethodUnary, Message } from "@bufbuild/protobuf";
import type { Invoker } from "./invoker.ts";
import type { CallContext } from "./context.ts";
import { type ConnectError, invalidArgument } from "../errors/errors.ts";
import { type OneRequest, readsOne, readyOf } from "./one-request.ts";
import { rpcName } from "./service.ts";
import { type ReadReplies, ReplyBatch, type RequestBatch } from "./batches.ts";
import type { WriteReply } from "./write-reply.ts";

/** Calls one rpc of any kind with a stream of messages; yields the result of `write` for each reply. */
export type StreamInvoker = <T>(
  messages: AsyncIterable<Message>,
  context: CallContext,
  write: WriteReply<T>,
) => AsyncGenerator<T, void, undefined>;

/**
 * Compiles the function by which every streaming protocol of the gateway calls `method`, for any kind of rpc.
 *
 * An rpc with a single request is called with the first message; later messages are not read. The call begins with the
 * first `next()`, throws `ConnectError`s, ends at the latest when the context is aborted, and is cancelled when the
 * iteration ends early. The code that constructs the context must end it. INVALID_ARGUMENT if the stream ends before
 * the single request.
 */
export function compileStreamInvoker(invoker: Invoker, method: DescMethod): StreamInvoker {
  switch (method.methodKind) {
    case "unary": {
      const unary = method as DescMethodUnary; // By its kind.
      return async function* (messages, context, write) {
        for await (const message of onlyFirst(method, messages)) {
          yield await invoker.unary(unary, message, context, write);
        }
      };
    }
    case "server_streaming": {
      const streaming = method as DescMethodStreaming; // By its kind.
      return (messages, context, write) =>
        invoker.stream(streaming, new FirstRequest(method, messages), context, write);
    }
    case "client_streaming":
    case "bidi_streaming": {
      const streaming = method as DescMethodStreaming; // By its kind.
      return (messages, context, write) => invoker.stream(streaming, messages, context, write);
    }
  }
}

/** As `StreamInvoker`, in binary form and in batches. Yields the results of `read`. */
export type ByteStreamInvoker = <T>(
  requests: AsyncIterable<RequestBatch>,
  context: CallContext,
  read: ReadReplies<T>,
) => AsyncGenerator<T, void, undefined>;

/** As `compileStreamInvoker`, in binary form and in batches; undefined where `invoker` needs messages. */
export function compileByteStreamInvoker(
  invoker: Invoker,
  method: DescMethod,
): ByteStreamInvoker | undefined {
  if (method.methodKind === "unary") {
    const unary = method as DescMethodUnary; // By its kind.
    const unaryBytes = invoker.unaryBytes?.bind(invoker);
    if (unaryBytes === undefined) return undefined;
    return async function* (requests, context, read) {
      for await (const batch of onlyFirst(method, requests)) {
        for (const request of batch.slice(0, 1)) {
          yield await unaryBytes(unary, request, context, (reply) => read(new ReplyBatch([reply])));
        }
      }
    };
  }
  const streaming = method as DescMethodStreaming; // By its kind.
  const streamBytes = invoker.streamBytes?.bind(invoker);
  if (streamBytes === undefined) return undefined;
  if (method.methodKind !== "server_streaming") {
    return (requests, context, read) => streamBytes(streaming, requests, context, read);
  }
  return (requests, context, read) =>
    streamBytes(streaming, firstOfBatch(onlyFirst(method, requests)), context, read);
}

async function* firstOfBatch(
  batches: AsyncIterable<RequestBatch>,
): AsyncGenerator<RequestBatch, void, undefined> {
  for await (const batch of batches) yield batch.slice(0, 1);
}

/** The first message of a stream, behind which nothing is read. */
class FirstRequest<M> implements OneRequest<M> {
  readonly #method: DescMethod;
  readonly #messages: AsyncIterable<M>;

  constructor(method: DescMethod, messages: AsyncIterable<M>) {
    this.#method = method;
    this.#messages = messages;
  }

  /** @throws ConnectError INVALID_ARGUMENT where there is none */
  readonly [readsOne] = (): M | Promise<M> => readyOf(this.#messages) ?? this.#first();

  [Symbol.asyncIterator](): AsyncGenerator<M, void, undefined> {
    return onlyFirst(this.#method, this.#messages);
  }

  async #first(): Promise<M> {
    const iterator = this.#messages[Symbol.asyncIterator]();
    const first = await iterator.next();
    if (first.done === true) throw noRequest(this.#method);
    await iterator.return?.();
    return first.value;
  }
}

async function* onlyFirst<M>(
  method: DescMethod,
  messages: AsyncIterable<M>,
): AsyncGenerator<M, void, undefined> {
  for await (const message of messages) {
    yield message;
    return;
  }
  throw noRequest(method);
}

function noRequest(method: DescMethod): ConnectError {
  return invalidArgument(`${rpcName(method)} takes one message, none came`);
}
