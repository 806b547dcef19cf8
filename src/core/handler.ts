import {
  create,
  type DescMessage,
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
  type Message,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import type {
  Interceptor,
  StreamRequest,
  StreamResponse,
  UnaryRequest,
  UnaryResponse,
} from "@connectrpc/connect";
import type { CallContext } from "./context.ts";
import { Code, ConnectError, toCallError } from "./errors.ts";
import { implementationOf, rpcName, type AnyService } from "./service.ts";

/** One rpc with one request and one reply, interceptors included. */
export interface UnaryHandler {
  readonly kind: "unary";
  readonly method: DescMethodUnary;
  /** Rejects with a `ConnectError` only, at the latest when `context` is aborted. */
  call(request: Message, context: CallContext): Promise<Message>;
}

/** One rpc of the three streaming kinds, interceptors included. */
export interface StreamHandler {
  readonly kind: "stream";
  readonly method: DescMethodStreaming;
  /** Throws `ConnectError`s only, at the latest when `context` is aborted; returning early ends the implementation. */
  call(requests: AsyncIterable<Message>, context: CallContext): AsyncGenerator<Message, void, undefined>;
}

/** What a protocol calls: one rpc, ready to run. */
export type Handler = UnaryHandler | StreamHandler;

/** Implementation of one rpc of any kind, its types checked when the service was registered. */
type Implementation = (input: unknown, context: CallContext) => unknown;

type AnyFn = Parameters<Interceptor>[0];

/**
 * Makes the handler of one rpc.
 *
 * This is the one place that tells the four kinds of rpcs apart; everything outside knows `unary` and `stream`.
 */
export function createHandler(
  service: AnyService,
  method: DescMethod,
  interceptors: readonly Interceptor[],
): Handler {
  const implementation =
    (implementationOf(service, method) as Implementation | undefined) ?? unimplemented(method);
  if (isUnary(method)) return unaryHandler(method, implementation, interceptors);
  const streaming = method as DescMethodStreaming; // What is not unary streams.
  switch (streaming.methodKind) {
    case "server_streaming":
      return streamHandler(streaming, interceptors, async function* (requests, context) {
        const request = await single(requests, method);
        yield* iterate(implementation(request, context), method);
      });
    case "client_streaming":
      return streamHandler(streaming, interceptors, async function* (requests, context) {
        yield (await implementation(requests, context)) as Message; // Checked when it is made a message.
      });
    case "bidi_streaming":
      return streamHandler(streaming, interceptors, (requests, context) =>
        iterate(implementation(requests, context), method),
      );
  }
}

/** Whether `method` has one request and one reply. */
export function isUnary(method: DescMethod): method is DescMethodUnary {
  return method.methodKind === "unary";
}

function unaryHandler(
  method: DescMethodUnary,
  implementation: Implementation,
  interceptors: readonly Interceptor[],
): UnaryHandler {
  const invoke = async (request: Message, context: CallContext): Promise<Message> =>
    toMessage(method.output, await implementation(request, context), method);
  const run = interceptors.length === 0 ? invoke : interceptUnary(method, invoke, interceptors);
  return {
    kind: "unary",
    method,
    async call(request, context) {
      if (context.reason !== undefined) throw context.reason;
      try {
        return await context.race(run(request, context));
      } catch (error) {
        throw context.reason ?? toCallError(error);
      }
    },
  };
}

function interceptUnary(
  method: DescMethodUnary,
  invoke: (request: Message, context: CallContext) => Promise<Message>,
  interceptors: readonly Interceptor[],
): (request: Message, context: CallContext) => Promise<Message> {
  return async (request, context) => {
    const last = async (req: UnaryRequest | StreamRequest): Promise<UnaryResponse> => {
      const message = await invoke(req.message as Message, narrowed(context, req)); // Unary in, unary out.
      return {
        stream: false,
        service: method.parent,
        method,
        message,
        header: context.responseHeader,
        trailer: context.responseTrailer,
      };
    };
    const response = await chain(
      interceptors,
      last,
    )({ stream: false, message: request, method, ...common(context) });
    adopt(response, context);
    return response.message as Message; // Unary in, unary out.
  };
}

type Generate = (requests: AsyncIterable<Message>, context: CallContext) => AsyncIterable<unknown>;

function streamHandler(
  method: DescMethodStreaming,
  interceptors: readonly Interceptor[],
  generate: Generate,
): StreamHandler {
  const run = interceptors.length === 0 ? generate : interceptStream(method, generate, interceptors);
  return {
    kind: "stream",
    method,
    async *call(requests, context) {
      if (context.reason !== undefined) throw context.reason;
      let iterator: AsyncIterator<unknown> | undefined;
      let finished = false;
      try {
        iterator = run(requests, context)[Symbol.asyncIterator]();
        for (;;) {
          const result = await context.race(Promise.resolve(iterator.next()));
          if (result.done === true) break;
          yield toMessage(method.output, result.value, method);
        }
        finished = true;
      } catch (error) {
        finished = context.reason === undefined;
        throw context.reason ?? toCallError(error);
      } finally {
        // An aborted implementation may hang in its own await; its return() is asked for and not waited for.
        if (!finished) iterator?.return?.().then(undefined, () => {});
      }
    },
  };
}

function interceptStream(
  method: DescMethodStreaming,
  generate: Generate,
  interceptors: readonly Interceptor[],
): Generate {
  return async function* (requests, context) {
    const last = async (req: UnaryRequest | StreamRequest): Promise<StreamResponse> => ({
      stream: true,
      service: method.parent,
      method,
      message: asMessages(
        generate(req.message as AsyncIterable<Message>, narrowed(context, req)), // Stream in, stream out.
        method,
      ),
      header: context.responseHeader,
      trailer: context.responseTrailer,
    });
    const response = await chain(
      interceptors,
      last,
    )({ stream: true, message: requests, method, ...common(context) });
    copy(response.header, context.responseHeader);
    yield* response.message as AsyncIterable<Message>; // Stream in, stream out.
    copy(response.trailer, context.responseTrailer);
  };
}

/** The onion of interceptors around `last`; the first of the array is the outermost. */
export function chain(interceptors: readonly Interceptor[], last: AnyFn): AnyFn {
  return interceptors.reduceRight<AnyFn>((next, interceptor) => interceptor(next), last);
}

function common(context: CallContext) {
  return {
    service: context.service,
    requestMethod: context.requestMethod,
    url: context.url,
    signal: context.signal,
    header: context.requestHeader,
    contextValues: context.values,
  };
}

/** The context an implementation sees behind interceptors that changed signal, headers or values of the request. */
function narrowed(context: CallContext, req: UnaryRequest | StreamRequest): CallContext {
  if (
    req.signal === context.signal &&
    req.header === context.requestHeader &&
    req.contextValues === context.values
  ) {
    return context;
  }
  return Object.create(context, {
    signal: { value: req.signal },
    requestHeader: { value: req.header },
    values: { value: req.contextValues },
    responseHeader: { get: () => context.responseHeader },
    responseTrailer: { get: () => context.responseTrailer },
    url: { value: context.url },
    service: { value: context.service },
  }) as CallContext; // An object that differs from its prototype in three properties.
}

function adopt(response: UnaryResponse | StreamResponse, context: CallContext): void {
  copy(response.header, context.responseHeader);
  copy(response.trailer, context.responseTrailer);
}

function copy(from: Headers, to: Headers): void {
  if (from === to) return;
  for (const name of new Set(from.keys())) to.delete(name);
  for (const [name, value] of from) to.append(name, value);
}

async function* asMessages(values: AsyncIterable<unknown>, method: DescMethod): AsyncGenerator<Message> {
  for await (const value of values) yield toMessage(method.output, value, method);
}

function toMessage(schema: DescMessage, value: unknown, method: DescMethod): Message {
  if (typeof value !== "object" || value === null) {
    throw new TypeError(`${rpcName(method)} returned ${String(value)} where a ${schema.typeName} is due`);
  }
  return create(schema, value as MessageInitShape<DescMessage>); // Fields of wrong types show when it is written.
}

function iterate(value: unknown, method: DescMethod): AsyncIterable<unknown> {
  if (typeof value === "object" && value !== null && Symbol.asyncIterator in value) {
    return value as AsyncIterable<unknown>; // Just looked.
  }
  throw new TypeError(`${rpcName(method)} must return an async iterable`);
}

async function single(requests: AsyncIterable<Message>, method: DescMethod): Promise<Message> {
  const iterator = requests[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done === true) {
    throw new ConnectError(`${rpcName(method)} takes one message, none came`, Code.Unimplemented);
  }
  const second = await iterator.next();
  if (second.done !== true) {
    throw new ConnectError(`${rpcName(method)} takes one message, more came`, Code.Unimplemented);
  }
  return first.value;
}

function unimplemented(method: DescMethod): Implementation {
  const refuse = (): never => {
    throw new ConnectError(`${rpcName(method)} is not implemented`, Code.Unimplemented);
  };
  if (method.methodKind === "unary" || method.methodKind === "client_streaming") return refuse;
  // oxlint-disable-next-line require-yield
  return async function* () {
    refuse();
  };
}
