import type { DescMethodStreaming, DescMethodUnary, Message } from "@bufbuild/protobuf";
import type {
  Interceptor,
  StreamRequest,
  StreamResponse,
  UnaryRequest,
  UnaryResponse,
} from "@connectrpc/connect";
import { CallContext } from "./context.ts";

export type { Interceptor };

/** Runs one unary rpc within a context; what interceptors wrap. */
export type UnaryRun<I = Message, O = Message> = (request: I, context: CallContext) => Promise<O>;

/** Runs one rpc of a streaming kind within a context; what interceptors wrap. */
export type StreamRun = (requests: AsyncIterable<Message>, context: CallContext) => AsyncIterable<Message>;

type AnyFn = Parameters<Interceptor>[0];

/**
 * `run` inside the onion of `interceptors`, the first of them outermost; `run` itself where there are none.
 *
 * Every `next()` of the innermost interceptor has a context of its own, so that an interceptor may call it again. The
 * headers and trailers of the last one are those of the call.
 *
 * Where all interceptors look at no message, anything may take the place of messages.
 */
export function interceptUnary<I = Message, O = Message>(
  method: DescMethodUnary,
  run: UnaryRun<I, O>,
  interceptors: readonly Interceptor[],
): UnaryRun<I, O> {
  if (interceptors.length === 0) return run;
  return async (request, context) => {
    const last = async (req: UnaryRequest | StreamRequest): Promise<UnaryResponse> => {
      const inner = innerContext(context, req);
      // What had come by then is the call's own at once: nothing waits for the interceptors any more.
      const forget = context.onAbort(() => adoptReply(inner, context));
      try {
        const message = await run(req.message as I, inner); // Unary in, unary out.
        return { ...responseOf(inner), stream: false, method, message: message as Message }; // Or in its place.
      } catch (error) {
        adoptReply(inner, context);
        throw error;
      } finally {
        forget();
        inner.end();
      }
    };
    const response = await chain(
      interceptors,
      last,
    )({ ...requestOf(context), stream: false, method, message: request as Message }); // Or in its place.
    adopt(response.header, context.responseHeader);
    adopt(response.trailer, context.responseTrailer);
    return response.message as O; // Unary in, unary out.
  };
}

/** As `interceptUnary`, for the streaming kinds. */
export function interceptStream(
  method: DescMethodStreaming,
  run: StreamRun,
  interceptors: readonly Interceptor[],
): StreamRun {
  if (interceptors.length === 0) return run;
  return async function* (requests, context) {
    let inner: CallContext | undefined;
    let forget: (() => void) | undefined;
    const last = async (req: UnaryRequest | StreamRequest): Promise<StreamResponse> => {
      forget?.();
      inner?.end();
      const attempt = (inner = innerContext(context, req));
      forget = context.onAbort(() => adoptReply(attempt, context)); // As above.
      const message = run(req.message as AsyncIterable<Message>, inner); // Stream in, stream out.
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
        message: requests,
      });
      adopt(response.header, context.responseHeader);
      inner?.onResponseHeader(() => {
        adopt(response.header, context.responseHeader);
        context.responseHeaderArrived();
      });
      let first = true;
      for await (const message of response.message as AsyncIterable<Message>) {
        if (first) adopt(response.header, context.responseHeader); // Settled by the first message at the latest.
        first = false;
        yield message;
      }
      adopt(response.header, context.responseHeader);
      adopt(response.trailer, context.responseTrailer);
    } catch (error) {
      if (inner !== undefined) adoptReply(inner, context);
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

/** The context of one attempt behind interceptors, with what they made of signal, headers and values. */
function innerContext(context: CallContext, req: UnaryRequest | StreamRequest): CallContext {
  return new CallContext({
    method: context.method,
    protocolName: context.protocolName,
    requestMethod: context.requestMethod,
    url: context.url,
    requestHeader: req.header,
    parent: context,
    signal: req.signal === context.signal ? undefined : req.signal,
    values: req.contextValues,
  });
}

/** Gives `to` the headers and trailers that a failed attempt left in `from`. */
function adoptReply(from: CallContext, to: CallContext): void {
  if (from.responseHeaderIfAny !== undefined) adopt(from.responseHeaderIfAny, to.responseHeader);
  if (from.responseTrailerIfAny !== undefined) adopt(from.responseTrailerIfAny, to.responseTrailer);
}

/** Makes `to` hold what `from` holds. */
function adopt(from: Headers, to: Headers): void {
  if (from === to) return;
  for (const name of new Set(to.keys())) to.delete(name);
  for (const [name, value] of from) to.append(name, value);
}
