import { contractTimeoutMs } from "./contract-timeout.ts";
import type {
  DescMethod,
  DescMethodStreaming,
  DescMethodUnary,
  DescService,
  Message,
} from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { isMetadataOnly } from "../metadata/metadata-only.ts";
import { ConnectError, toCallError } from "../errors/errors.ts";
import { inBatches, type ReplyBatch } from "./batches.ts";
import type { CallContext } from "./context.ts";
import { copySpent } from "../errors/spent-retries.ts";
import { copyWritten } from "./fault-log.ts";
import {
  type Handler,
  type HandlerMaker,
  isUnary,
  makesHandlers,
  type StreamHandler,
  streamHandler,
  type UnaryHandler,
  unaryHandler,
} from "./handler.ts";
import { interceptUnary, type Interceptor } from "./interceptors.ts";
import { ownMetadata, type Invoker } from "./invoker.ts";
import { LayeredStream } from "./layered-stream.ts";
import { checkProtobufCopy } from "./protobuf-copy.ts";
import { reached, reachOf } from "./reach.ts";
import type { PartialService } from "./service.ts";
import { toInvoker } from "./transport.ts";

/**
 * A service whose rpcs are those of a server behind `transport`: `grpc.addService(proxy(UserService, dial("users:42001")))`
 * serves them under another address.
 *
 * Each call is one call to that server, of the same kind and with the same metadata, deadline and cancellation; headers,
 * trailers and errors with their details come back as they were sent. A `GrpcServer` passes messages on as bytes,
 * without decoding them, if the transport is one of `dial` to another process and its interceptors are `metadataOnly`. It
 * reports the service as NOT_SERVING while a transport of `dial` can reach no server.
 *
 * @throws TypeError if the descriptor is none, or comes from another version of `@bufbuild/protobuf`
 */
export function proxy<D extends DescService>(descriptor: D, transport: Transport): PartialService<D> {
  checkProtobufCopy(descriptor);
  const invoker = toInvoker(transport);
  const handlerOf: HandlerMaker = (method, interceptors) => proxyHandler(invoker, method, interceptors);
  // All rpcs are optional there.
  return { descriptor, [makesHandlers]: handlerOf, [reached]: reachOf(transport) } as PartialService<D>;
}

function proxyHandler(invoker: Invoker, method: DescMethod, interceptors: readonly Interceptor[]): Handler {
  const passesBytes = interceptors.every(isMetadataOnly);
  if (isUnary(method)) {
    const call = (request: unknown, context: CallContext): Promise<Message> =>
      invoker.unary(method, request as Message, context).catch(asSent(context)); // A message, as a handler gets it.
    const handler = unaryHandler(method, call, interceptors);
    return passesBytes ? { ...handler, bytes: unaryBytes(invoker, method, interceptors) } : handler;
  }
  const streaming = method as DescMethodStreaming; // All other kinds are streaming.
  const handler = streamHandler(streaming, interceptors, (requests, context) =>
    forwarded(() => invoker.stream(streaming, requests, context), context),
  );
  return passesBytes ? { ...handler, bytes: streamBytes(invoker, streaming, interceptors) } : handler;
}

function unaryBytes(
  invoker: Invoker,
  method: DescMethodUnary,
  interceptors: readonly Interceptor[],
): UnaryHandler | undefined {
  const invoke = invoker.unaryBytes?.bind(invoker);
  if (invoke === undefined) return undefined;
  const run = interceptUnary<Uint8Array, Uint8Array>(
    method,
    (bytes, context) => invoke(method, bytes, context, itself).catch(asSent(context)),
    interceptors,
  );
  return {
    kind: "unary",
    limitMs: contractTimeoutMs(method),
    method,
    async call(request, context) {
      if (context.reason !== undefined) throw context.reason;
      // Bytes in place of messages, as `UnaryHandler.bytes` says.
      const work = run(request as unknown as Uint8Array, context);
      return (await context.race((context.work = work))) as unknown as Message;
    },
  };
}

function streamBytes(
  invoker: Invoker,
  method: DescMethodStreaming,
  interceptors: readonly Interceptor[],
): StreamHandler | undefined {
  const invoke = invoker.streamBytes?.bind(invoker);
  if (invoke === undefined) return undefined;
  return streamHandler(method, interceptors, (requests, context) => {
    const bytes = requests as unknown as AsyncIterable<Uint8Array>; // As `StreamHandler.bytes` says.
    return forwarded(() => oneByOne(invoke(method, inBatches(bytes), context, rest)), context);
  });
}

/** Replies of another server, whose errors leave as it has sent them. */
function forwarded(open: () => AsyncIterable<unknown>, context: CallContext): LayeredStream {
  return new LayeredStream({ open, failed: (reason) => withoutReply(reason, context) });
}

async function* oneByOne<T>(batches: AsyncIterable<readonly T[]>): AsyncGenerator<T, void, undefined> {
  for await (const batch of batches) yield* batch;
}

/** All replies that are left of a batch. */
function rest(batch: ReplyBatch): readonly Uint8Array[] {
  const messages = batch.messages.slice(batch.read);
  batch.skip(messages.length);
  return messages;
}

function itself(bytes: Uint8Array): Uint8Array {
  return bytes;
}

function asSent(context: CallContext): (reason: unknown) => never {
  return (reason) => {
    throw withoutReply(reason, context);
  };
}

/**
 * The error of a call without the headers and trailers of its reply: `context` has them, and its door adds them to the answer.
 */
function withoutReply(reason: unknown, context: CallContext): ConnectError {
  const error = toCallError(reason);
  const { responseHeaderIfAny: header, responseTrailerIfAny: trailer } = context;
  if (header === undefined && trailer === undefined) return error;
  const own = ownMetadata(error, header, trailer);
  const copy = new ConnectError(error.rawMessage, error.code, own, undefined, error.cause);
  copy.details = error.details;
  copyWritten(error, copy);
  copySpent(error, copy);
  return copy;
}
