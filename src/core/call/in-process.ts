import type { DescMessage, DescMethodStreaming, DescMethodUnary, Message } from "@bufbuild/protobuf";
import { Abortable } from "./abortable.ts";
import { LayeredStream } from "./layered-stream.ts";
import { withMetadata, type Invoker } from "./invoker.ts";
import { CallContext } from "./context.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { Code, ConnectError, toCallError, toRequestError } from "../errors/errors.ts";
import { dropReserved } from "../metadata/reserved-headers.ts";
import { rpcName } from "./service.ts";
import type { WriteReply } from "./write-reply.ts";

/** Gives what looks at the messages of a type. */
export type CheckOf = (desc: DescMessage) => (message: Message) => void;

/**
 * Calls the handlers of `dispatcher` without a socket.
 *
 * Deadlines, cancellation, metadata, errors and back-pressure are those of the network; messages are handed over and
 * not copied, so neither side may change one that it has handed over.
 *
 * @param checkOf what looks at the replies of a type, and throws for those that a network could not carry
 */
export function inProcess(dispatcher: Dispatcher, checkOf: CheckOf): Invoker {
  return {
    protocolName: "in-process",
    async unary<T = Message>(
      method: DescMethodUnary,
      request: Message,
      context: CallContext,
      write?: WriteReply<T>,
    ) {
      try {
        const handler = dispatcher.handlerOf(method);
        if (handler.kind !== "unary") throw wrongKind(rpcName(method));
        const reply = await dispatcher.unary(
          handler,
          request,
          context,
          checked(checkOf(method.output), write),
        );
        hideReserved(context);
        return reply;
      } catch (reason) {
        hideReserved(context);
        throw withMetadata(toCallError(reason), context);
      }
    },
    stream<T = Message>(
      method: DescMethodStreaming,
      requests: AsyncIterable<Message>,
      context: CallContext,
      write?: WriteReply<T>,
    ) {
      let reply: Reply | undefined;
      let handed: HandedRequests | undefined;
      const end = (): void => {
        reply?.end();
        void handed?.return(); // A handler need not read its requests to the end.
      };
      return new LayeredStream<T>({
        open() {
          reply = new Reply(context);
          handed = new HandedRequests(requests, reply.context);
          const handler = dispatcher.handlerOf(method);
          if (handler.kind !== "stream") throw wrongKind(rpcName(method));
          return dispatcher.stream(handler, handed, reply.context, checked(checkOf(method.output), write));
        },
        item(message) {
          reply?.settleHeader();
          return message;
        },
        ended() {
          reply?.settle();
          end();
        },
        failed(reason) {
          reply?.settle();
          const error = handed?.failure ?? withMetadata(toCallError(reason), context);
          end();
          return error;
        },
        left: end,
      });
    },
  };
}

/**
 * Headers and trailers of a streamed reply on their way from the handler to the caller, whose context they share unless
 * an interceptor of the caller has put headers of its own there already.
 */
class Reply {
  readonly context: CallContext;
  readonly #invoker: CallContext;
  #settled = false;

  constructor(invoker: CallContext) {
    this.#invoker = invoker;
    const shared = invoker.responseHeaderIfAny === undefined && invoker.responseTrailerIfAny === undefined;
    this.context = shared
      ? invoker
      : new CallContext({
          method: invoker.method,
          protocolName: invoker.protocolName,
          requestMethod: invoker.requestMethod,
          url: invoker.url,
          requestHeader: () => invoker.requestHeader,
          parent: invoker,
          values: invoker.values,
        });
  }

  /** The headers are all there, with the first message at the latest. */
  settleHeader(): void {
    if (this.#settled) return;
    this.#settled = true;
    hideReserved(this.context);
    if (this.context !== this.#invoker)
      append(this.context.responseHeaderIfAny, this.#invoker.responseHeader);
  }

  /** The call has ended. */
  settle(): void {
    this.settleHeader();
    hideReserved(this.context);
    if (this.context !== this.#invoker)
      append(this.context.responseTrailerIfAny, this.#invoker.responseTrailer);
  }

  end(): void {
    if (this.context !== this.#invoker) this.context.end();
  }
}

function append(from: Headers | undefined, to: Headers): void {
  if (from !== undefined) for (const [name, value] of from) to.append(name, value);
}

/** Takes away what a handler set and no wire would carry. */
function hideReserved({ responseHeaderIfAny, responseTrailerIfAny }: CallContext): void {
  if (responseHeaderIfAny !== undefined) dropReserved(responseHeaderIfAny);
  if (responseTrailerIfAny !== undefined) dropReserved(responseTrailerIfAny);
}

/** Looks at each reply before it is handed over: what is wrong with one shows on networks when it is encoded. */
function checked<T>(check: (reply: Message) => void, write: WriteReply<T> | undefined): WriteReply<T> {
  return (reply) => {
    check(reply);
    return write === undefined ? (reply as T) : write(reply); // A T is a message then.
  };
}

/** The caller's requests as the handler may see them: an error of the caller's own is a cancelled call there. */
class HandedRequests implements AsyncIterableIterator<Message, void, undefined> {
  readonly #input: Abortable<Message>;
  readonly #context: CallContext;
  /** What the caller gets for an error of its own. */
  failure: ConnectError | undefined;

  constructor(input: AsyncIterable<Message>, context: CallContext) {
    this.#input = new Abortable(input, context);
    this.#context = context;
  }

  async next(): Promise<IteratorResult<Message, void>> {
    try {
      return await this.#input.next();
    } catch (error) {
      if (this.#context.reason !== undefined) throw this.#context.reason;
      this.failure = toRequestError(error);
      const reason = new ConnectError("the caller's requests failed", Code.Canceled);
      this.#context.abort(reason);
      throw reason;
    }
  }

  return(): Promise<IteratorResult<Message, void>> {
    return this.#input.return();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

function wrongKind(name: string): ConnectError {
  return new ConnectError(`${name} is registered here with another kind of call`, Code.Internal);
}
