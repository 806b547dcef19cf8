import type { CallContext } from "../call/context.ts";

/** Messages of a call: those that came, and those that went. */
export interface CallMessages {
  readonly received: number;
  readonly sent: number;
}

/** How many messages a call has had so far, if it has ended well when `isGood`. Of streams, doors count them. */
export function messagesOf({ method, received, sent }: CallContext, isGood: boolean): CallMessages {
  const { methodKind } = method;
  const oneIn = methodKind === "unary" || methodKind === "server_streaming";
  const oneOut = methodKind === "unary" || methodKind === "client_streaming";
  return { received: oneIn ? 1 : received, sent: oneOut ? (isGood ? 1 : 0) : sent };
}
