import type { CallOptions, HandlerContext } from "@connectrpc/connect";
import { requestId } from "./request-id.ts";

/** Request headers that a service propagates when it calls another one. */
export const propagatedHeaders: readonly string[] = [
  "authorization",
  "accept-language",
  "traceparent",
  "tracestate",
  "baggage",
  "x-request-id",
];

/**
 * Options for a call that a handler makes as part of the call that it serves. They propagate the remaining deadline,
 * the cancellation, and the metadata that identifies user, language, trace and request.
 *
 * @param also Names of further request headers to propagate.
 */
export function propagate(context: HandlerContext, also: readonly string[] = []): CallOptions {
  requestId(context); // Puts one into the headers where there is none.
  const headers = new Headers();
  for (const name of [...propagatedHeaders, ...also]) {
    const value = context.requestHeader.get(name);
    if (value !== null) headers.set(name, value);
  }
  const timeoutMs = context.timeoutMs();
  return {
    headers,
    signal: context.signal,
    ...(timeoutMs === undefined ? {} : { timeoutMs: Math.max(timeoutMs, 1) }),
  };
}

/**
 * The former name of `propagate`.
 *
 * @deprecated Use `propagate`.
 */
export function passOn(context: HandlerContext, also: readonly string[] = []): CallOptions {
  return propagate(context, also);
}
