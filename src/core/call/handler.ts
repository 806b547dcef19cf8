import type {
  DescMessage,
  DescMethod,
  DescMethodStreaming,
  DescMethodUnary,
  Message,
  MessageInitShape,
} from "@bufbuild/protobuf";
import { messageMaker } from "../codec/init-to-message.ts";
import type { Ambient } from "./ambient.ts";
import { LayeredStream } from "./layered-stream.ts";
import { contractTimeoutMs } from "./contract-timeout.ts";
import type { CallContext } from "./context.ts";
import { Code, ConnectError } from "../errors/errors.ts";
import { interceptStream, interceptUnary, type Interceptor, type StreamRun } from "./interceptors.ts";
import type { RpcChecks } from "./message-checks.ts";
import { oneOf } from "./one-request.ts";
import { implementationOf, rpcName, type AnyService } from "./service.ts";

/** One rpc with one request and one reply, interceptors included. */
export interface UnaryHandler {
  readonly kind: "unary";
  readonly method: DescMethodUnary;
  /** The longest time of a call as the contract states it, in milliseconds; undefined for none. */
  readonly limitMs: number | undefined;
  /** The same rpc with protobuf bytes in place of messages. Undefined where the implementation needs messages. */
  readonly bytes?: UnaryHandler | undefined;
  /** Checks that the dispatcher makes of its messages. Undefined: none. */
  readonly checks?: RpcChecks | undefined;
  /** Rejects with the error of the implementation, or with the abort reason as soon as `context` is aborted. */
  call(request: Message, context: CallContext): Promise<Message>;
}

/** One rpc of the three streaming kinds, interceptors included. */
export interface StreamHandler {
  readonly kind: "stream";
  readonly method: DescMethodStreaming;
  /** As for unary rpcs. */
  readonly limitMs: number | undefined;
  /** The same rpc with protobuf bytes in place of messages. Undefined where the implementation needs messages. */
  readonly bytes?: StreamHandler | undefined;
  /** As for unary rpcs. */
  readonly checks?: RpcChecks | undefined;
  /**
   * Throws the error of the implementation, or the abort reason as soon as `context` is aborted. The implementation is
   * called by the first `next()`; `return()` ends it.
   */
  call(requests: AsyncIterable<Message>, context: CallContext): AsyncGenerator<Message, void, undefined>;
}

/** What a protocol calls: one rpc, ready to run. */
export type Handler = UnaryHandler | StreamHandler;

/** The property of a service that makes its handlers itself: it has no function for each rpc. */
export const makesHandlers: unique symbol = Symbol("makesHandlers");

/** Makes the handler of one rpc. */
export type HandlerMaker = (method: DescMethod, interceptors: readonly Interceptor[]) => Handler;

/** A service that makes its handlers itself. */
export interface HandlerSource extends AnyService {
  readonly [makesHandlers]: HandlerMaker;
}

/** Whether a service makes its handlers itself. */
export function isHandlerSource(service: AnyService): service is HandlerSource {
  return makesHandlers in service;
}

/** Implementation of one rpc of any kind, its types checked when the service was registered. */
export type Implementation = (input: unknown, context: CallContext) => unknown;

/**
 * Makes the handler of one rpc.
 *
 * Only this function distinguishes the four kinds of rpcs; all other code sees `unary` and `stream`.
 */
export function createHandler(
  service: AnyService,
  method: DescMethod,
  interceptors: readonly Interceptor[],
  ambient?: Ambient,
): Handler {
  if (ambient === undefined) return handlerOf(service, method, interceptors, asItIs);
  const handler = handlerOf(service, method, interceptors, (plain) => inside(ambient, plain));
  return interceptors.length === 0 ? handler : handlerInside(ambient, handler);
}

function handlerOf(
  service: AnyService,
  method: DescMethod,
  interceptors: readonly Interceptor[],
  wrap: (implementation: Implementation) => Implementation,
): Handler {
  if (isHandlerSource(service)) return service[makesHandlers](method, interceptors);
  const implementation = wrap(
    (implementationOf(service, method) as Implementation | undefined) ?? unimplemented(method),
  );
  if (isUnary(method)) return unaryHandler(method, implementation, interceptors);
  const streaming = method as DescMethodStreaming; // All other kinds are streaming.
  // One function for all calls: a topic calls it for each of its members.
  const item = (value: unknown): Message => toMessage(method, value);
  switch (streaming.methodKind) {
    case "server_streaming":
      return streamHandler(
        streaming,
        interceptors,
        (requests, context) =>
          new LayeredStream({
            open() {
              const run = (request: Message) => repliesOf(implementation(request, context), method);
              const request = single(requests, method);
              return request instanceof Promise ? request.then(run) : run(request);
            },
            item,
          }),
      );
    case "client_streaming":
      return streamHandler(streaming, interceptors, async function* (requests, context) {
        yield toMessage(method, await implementation(requests, context));
      });
    case "bidi_streaming":
      return streamHandler(
        streaming,
        interceptors,
        (requests, context) =>
          new LayeredStream({
            open: () => repliesOf(implementation(requests, context), method),
            item,
          }),
      );
  }
}

function asItIs(implementation: Implementation): Implementation {
  return implementation;
}

/** An implementation that finds its call by `ambient`. */
function inside(ambient: Ambient, implementation: Implementation): Implementation {
  return (input, context) => {
    const result = ambient.run(context, () => implementation(input, context));
    const isStream = typeof result === "object" && result !== null && Symbol.asyncIterator in result;
    return isStream ? ambient.iterate(context, result as AsyncIterable<unknown>) : result; // As it was found.
  };
}

/** The same for the interceptors of a handler, which have the outer context. */
function handlerInside(ambient: Ambient, handler: Handler): Handler {
  if (handler.kind === "unary") {
    const call: UnaryHandler["call"] = (request, context) =>
      ambient.run(context, () => handler.call(request, context));
    return { ...handler, call };
  }
  const call: StreamHandler["call"] = (requests, context) =>
    ambient.iterate(context, handler.call(requests, context));
  return { ...handler, call };
}

/** Whether `method` has one request and one reply. */
export function isUnary(method: DescMethod): method is DescMethodUnary {
  return method.methodKind === "unary";
}

/** The handler of a unary rpc. */
export function unaryHandler(
  method: DescMethodUnary,
  implementation: Implementation,
  interceptors: readonly Interceptor[],
): UnaryHandler {
  const intercepted =
    interceptors.length === 0
      ? undefined
      : interceptUnary(
          method,
          async (request, context) => toMessage(method, await implementation(request, context)),
          interceptors,
        );
  return {
    kind: "unary",
    method,
    limitMs: contractTimeoutMs(method),
    async call(request, context) {
      if (context.reason !== undefined) throw context.reason;
      if (intercepted !== undefined) return context.race((context.work = intercepted(request, context)));
      const result = implementation(request, context);
      // A synchronous result needs neither timer nor listener.
      return toMessage(method, isPromise(result) ? await context.race((context.work = result)) : result);
    },
  };
}

/** The handler of a streaming rpc. */
export function streamHandler(
  method: DescMethodStreaming,
  interceptors: readonly Interceptor[],
  generate: StreamRun,
): StreamHandler {
  const run = interceptStream(method, generate, interceptors);
  return {
    kind: "stream",
    method,
    limitMs: contractTimeoutMs(method),
    call: (requests, context) => new LayeredStream({ context, open: () => run(requests, context) }),
  };
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

function toMessage(method: DescMethod, value: unknown): Message {
  const { output } = method;
  if (typeof value !== "object" || value === null) {
    const found = value === null ? "null" : typeof value;
    throw new TypeError(`${rpcName(method)} gave ${found} where a ${output.typeName} is due`);
  }
  if ("$typeName" in value && value.$typeName !== output.typeName) {
    throw new TypeError(
      `${rpcName(method)} gave a ${String(value.$typeName)} where a ${output.typeName} is due`,
    );
  }
  return messageMaker(output)(value as MessageInitShape<DescMessage>); // Wrong field values are found when it is encoded.
}

function repliesOf(value: unknown, method: DescMethod): AsyncIterable<unknown> {
  if (typeof value !== "object" || value === null || !(Symbol.asyncIterator in value)) {
    throw new TypeError(`${rpcName(method)} must return an async iterable`);
  }
  return value as AsyncIterable<unknown>; // Checked above.
}

/** @throws ConnectError UNIMPLEMENTED for none, and for several */
function single(requests: AsyncIterable<Message>, method: DescMethod): Message | Promise<Message> {
  return oneOf(requests)?.() ?? firstAlone(requests, method);
}

async function firstAlone(requests: AsyncIterable<Message>, method: DescMethod): Promise<Message> {
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
  return () => {
    throw new ConnectError(`${rpcName(method)} is not implemented`, Code.Unimplemented);
  };
}
