import type { HandlerContext } from "@connectrpc/connect";

/** The contexts of calls that are made once more, with how often they were made before. */
const counts = new WeakMap<HandlerContext, number>();

/** The largest number that is believed: gRPC knows no more attempts than that of any call. */
const most = 1_000;

/**
 * How often the client has made this call before, as it says (`grpc-previous-rpc-attempts`): 0 for its first attempt. A
 * handler that must not do something twice can look for what the attempts before have done.
 */
export function previousAttempts(context: HandlerContext): number {
  return counts.get(context) ?? 0;
}

/** The call of one context goes on with another one, as inside interceptors. */
export function copyPreviousAttempts(from: HandlerContext, to: HandlerContext): void {
  const count = counts.get(from);
  if (count !== undefined) counts.set(to, count);
}

/** Records the header of a request; what is no whole number counts as 0. */
export function setPreviousAttempts(context: HandlerContext, header: string): void {
  if (/^\d{1,4}$/.test(header)) counts.set(context, Math.min(Number(header), most));
}
