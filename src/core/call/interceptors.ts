import type { DescMethodStreaming, DescMethodUnary, Message } from "@bufbuild/protobuf";
import type {
  Interceptor,
  StreamRequest,
  StreamResponse,
  UnaryRequest,
  UnaryResponse,
} from "@connectrpc/connect";
import { copyPreviousAttempts } from "../metadata/previous-attempts.ts";
import { CallContext } from "./context.ts";

export type { Interceptor };

/** Runs one unary rpc with a context; interceptors wrap it. */
export type UnaryRun<I = Message, O = Message> = (request: I, context: CallContext) => Promise<O>;

/** Runs one streaming rpc with a context; interceptors wrap it. */
export type StreamRun<I = AsyncIterable<Message>, O = Message> = (
  requests: I,
  context: CallContext,
) => AsyncIterable<O>;

type AnyFn = Parameters<Interceptor>[0];

/**
 * `run` wrapped by `interceptors`, the first of them outermost; `run` itself if there are none.
 *
 * Every `next()` of the innermost interceptor makes a new context, so that an interceptor can retry. The call gets the
 * headers and trailers of the last attempt.
 *
 * If all interceptors are `metadataOnly`, request and reply need not be messages.
 */
export function interceptUnary<I = Message, O = Message>(
  method: DescMethodUnary,
  run: UnaryRun<I, O>,
  interceptors: readonly Interceptor[],
): UnaryRun<I, O> {
  if (interceptors.length === 0) return run;
  return async (request, context) => {
    const before = headersBefore(context);
    const last = async (req: UnaryRequest | StreamRequest): Promise<UnaryResponse> => {
      const inner = innerContext(context, req);
      // On abort the call ends without waiting for the interceptors, so it adopts the headers received so far.
      const forget = context.onAbort(() => adoptReply(inner, context, before));
      try {
        const message = await run(req.message as I, inner); // Unary in, unary out.
        return { ...responseOf(inner), stream: false, method, message: message as Message }; // Or its substitute.
      } catch (error) {
        adoptReply(inner, context, before);
        throw error;
      } finally {
        forget();
        inner.end();
      }
    };
    const response = await chain(
      interceptors,
      last,
    )({ ...requestOf(context), stream: false, method, message: request as Message }); // Or its substitute.
    adopt(response.header, context.responseHeader, before);
    adopt(response.trailer, context.responseTrailer);
    return response.message as O; // Unary in, unary out.
  };
}

/** As `interceptUnary`, for the streaming kinds; with `metadataOnly` ones the requests may be any value. */
export function interceptStream<I = AsyncIterable<Message>, O = Message>(
  method: DescMethodStreaming,
  run: StreamRun<I, O>,
  interceptors: readonly Interceptor[],
): StreamRun<I, O> {
  if (interceptors.length === 0) return run;
  return async function* (requests, context) {
    const before = headersBefore(context);
    let inner: CallContext | undefined;
    let forget: (() => void) | undefined;
    const last = async (req: UnaryRequest | StreamRequest): Promise<StreamResponse> => {
      forget?.();
      inner?.end();
      const attempt = (inner = innerContext(context, req));
      forget = context.onAbort(() => adoptReply(attempt, context, before)); // As above.
      const message = run(req.message as I, inner) as AsyncIterable<Message>; // Stream in, stream out.
      return { ...responseOf(inner), stream: true, method, message };
    };
    try {
      const response = await chain(
        interceptors,
        last,
      )({
        ...requestOf(context),
        stream: true,
        method,
        message: requests as AsyncIterable<Message>, // Or its substitute.
      });
      adopt(response.header, context.responseHeader, before);
      inner?.onResponseHeader(() => {
        adopt(response.header, context.responseHeader, before);
        context.responseHeaderArrived();
      });
      let first = true;
      for await (const message of response.message as AsyncIterable<O>) {
        if (first) adopt(response.header, context.responseHeader, before); // Final with the first message at the latest.
        first = false;
        yield message;
      }
      adopt(response.header, context.responseHeader, before);
      adopt(response.trailer, context.responseTrailer);
    } catch (error) {
      if (inner !== undefined) adoptReply(inner, context, before);
      throw error;
    } finally {
      forget?.();
      inner?.end();
    }
  };
}

function chain(interceptors: readonly Interceptor[], last: AnyFn): AnyFn {
  return interceptors.reduceRight<AnyFn>((next, interceptor) => interceptor(next), last);
}

function requestOf(context: CallContext) {
  return {
    service: context.service,
    requestMethod: context.requestMethod,
    url: context.url,
    signal: context.signal,
    header: context.requestHeader,
    contextValues: context.values,
  };
}

function responseOf(context: CallContext) {
  return { service: context.service, header: context.responseHeader, trailer: context.responseTrailer };
}

/** The context of one attempt inside the interceptors, with the signal, headers and values that they pass to `next`. */
function innerContext(context: CallContext, req: UnaryRequest | StreamRequest): CallContext {
  const inner = new CallContext({
    method: context.method,
    protocolName: context.protocolName,
    requestMethod: context.requestMethod,
    url: context.url,
    requestHeader: req.header,
    parent: context,
    signal: req.signal === context.signal ? undefined : req.signal,
    values: req.contextValues,
  });
  copyPreviousAttempts(context, inner);
  return inner;
}

/** The response headers that gates have set before the interceptors run: they stay. */
function headersBefore({ responseHeaderIfAny: headers }: CallContext): Headers | undefined {
  return headers && new Headers(headers);
}

/** Copies the headers and trailers of a failed attempt from `from` to `to`. */
function adoptReply(from: CallContext, to: CallContext, before: Headers | undefined): void {
  if (from.responseHeaderIfAny !== undefined) adopt(from.responseHeaderIfAny, to.responseHeader, before);
  if (from.responseTrailerIfAny !== undefined) adopt(from.responseTrailerIfAny, to.responseTrailer);
}

/** Replaces all headers of `to` by those of `from`, and those of `before` that it does not have. */
function adopt(from: Headers, to: Headers, before?: Headers): void {
  if (from === to) return;
  for (const name of new Set(to.keys())) to.delete(name);
  for (const [name, value] of from) to.append(name, value);
  if (before !== undefined) for (const [name, value] of before) if (!from.has(name)) to.append(name, value);
}
