import { CallContext, type HandlerContext } from "./context.ts";

/**
 * Calls `listener` once, when a call is over and its handler has settled: a handler may work on after its client has
 * left.
 */
export function whenCallEnds(context: HandlerContext, listener: () => void): void {
  if (!(context instanceof CallContext)) {
    // A context of another maker: Connect's fires its signal at the end of each call.
    context.signal.addEventListener("abort", listener, { once: true });
    return;
  }
  context.onEnd({
    ended({ work, reason }) {
      if (reason === undefined || work === undefined) listener();
      else work.then(listener, listener);
    },
  });
}

/** Sets a response header of a call; a name in lower case. */
export function setResponseField(context: HandlerContext, name: string, value: string): void {
  if (context instanceof CallContext) context.setResponseField(name, value);
  else context.responseHeader.set(name, value);
}
