import type { DescMethod, DescMethodStreaming, DescMethodUnary, Message } from "@bufbuild/protobuf";
import type { Invoker } from "./invoker.ts";
import type { CallContext } from "./context.ts";
import { invalidArgument } from "../errors/errors.ts";
import { rpcName } from "./service.ts";
import type { WriteReply } from "./write-reply.ts";

/** Calls one rpc of any kind: a stream of messages in, a stream of what `write` makes of the messages that come out. */
export type StreamInvoker = <T>(
  messages: AsyncIterable<Message>,
  context: CallContext,
  write: WriteReply<T>,
) => AsyncGenerator<T, void, undefined>;

/**
 * The way to call `method` that every streaming protocol of the gateway uses, whatever the rpc's kind.
 *
 * An rpc that takes one message is called with the first one, and more are not waited for. The call begins with the
 * first `next()`, throws `ConnectError`s, ends at the latest when the context is aborted, and is cancelled when the
 * iteration is left early; whoever made the context ends it. INVALID_ARGUMENT when the one message does not come.
 */
export function compileStreamInvoker(invoker: Invoker, method: DescMethod): StreamInvoker {
  switch (method.methodKind) {
    case "unary": {
      const unary = method as DescMethodUnary; // As its kind says.
      return async function* (messages, context, write) {
        for await (const message of onlyFirst(method, messages)) {
          yield await invoker.unary(unary, message, context, write);
        }
      };
    }
    case "server_streaming": {
      const streaming = method as DescMethodStreaming; // As its kind says.
      return (messages, context, write) =>
        invoker.stream(streaming, onlyFirst(method, messages), context, write);
    }
    case "client_streaming":
    case "bidi_streaming": {
      const streaming = method as DescMethodStreaming; // As its kind says.
      return (messages, context, write) => invoker.stream(streaming, messages, context, write);
    }
  }
}

async function* onlyFirst(
  method: DescMethod,
  messages: AsyncIterable<Message>,
): AsyncGenerator<Message, void, undefined> {
  for await (const message of messages) {
    yield message;
    return;
  }
  throw invalidArgument(`${rpcName(method)} takes one message, none came`);
}
