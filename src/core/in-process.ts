import type { Message } from "@bufbuild/protobuf";
import { withMetadata, type Caller } from "./caller.ts";
import type { CallContext } from "./context.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { Code, ConnectError, toCallError } from "./errors.ts";
import { rpcName } from "./service.ts";

/**
 * Calls the handlers of `dispatcher` without a socket.
 *
 * Deadlines, cancellation, metadata, errors and back-pressure are those of the network; messages are handed over and
 * not copied, so neither side may change one that it has handed over.
 */
export function inProcess(dispatcher: Dispatcher): Caller {
  return {
    protocolName: "in-process",
    async unary(method, request, context) {
      const handler = dispatcher.handlerOf(method);
      if (handler.kind !== "unary") throw wrongKind(rpcName(method));
      try {
        return await dispatcher.unary(handler, request, context);
      } catch (reason) {
        throw withMetadata(toCallError(reason), context);
      }
    },
    async *stream(method, requests, context) {
      const handler = dispatcher.handlerOf(method);
      if (handler.kind !== "stream") throw wrongKind(rpcName(method));
      try {
        yield* dispatcher.stream(handler, handOver(requests, context), context);
      } catch (reason) {
        throw withMetadata(toCallError(reason), context);
      }
    },
  };
}

/** The client's requests as the handler may see them: an error of the client's own is a cancelled call there. */
async function* handOver(
  input: AsyncIterable<Message>,
  context: CallContext,
): AsyncGenerator<Message, void, undefined> {
  const iterator = input[Symbol.asyncIterator]();
  let finished = false;
  try {
    for (;;) {
      const result = await context.race(Promise.resolve(iterator.next()));
      if (result.done === true) break;
      yield result.value;
    }
    finished = true;
  } catch (error) {
    if (context.reason !== undefined) throw context.reason;
    finished = true;
    const reason = new ConnectError(
      "the caller's requests failed",
      Code.Canceled,
      undefined,
      undefined,
      error,
    );
    context.abort(reason);
    throw reason;
  } finally {
    if (!finished) iterator.return?.().then(undefined, () => {});
  }
}

function wrongKind(name: string): ConnectError {
  return new ConnectError(`${name} is registered here with another kind of call`, Code.Internal);
}
