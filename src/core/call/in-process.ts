import type {
  DescMessage,
  DescMethod,
  DescMethodStreaming,
  DescMethodUnary,
  Message,
} from "@bufbuild/protobuf";
import { Abortable } from "./abortable.ts";
import type { AdmitCall } from "./admit.ts";
import { LayeredStream } from "./layered-stream.ts";
import { withMetadata, type Invoker } from "./invoker.ts";
import { CallContext } from "./context.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { Code, ConnectError, toCallError, toRequestError } from "../errors/errors.ts";
import { dropReserved } from "../metadata/reserved-headers.ts";
import { rpcName } from "./service.ts";
import type { WriteReply } from "./write-reply.ts";

/** Returns the check for the messages of a type. */
export type CheckOf = (desc: DescMessage) => (message: Message) => void;

/**
 * Calls the handlers of `dispatcher` without a socket.
 *
 * Deadlines, cancellation, metadata, errors and back-pressure behave as over the network. Messages are passed without a
 * copy, so neither side may change a message after it has passed it on.
 *
 * @param checkOf returns the check for the replies of a type, which throws for replies that cannot be encoded
 */
export function inProcess(dispatcher: Dispatcher, checkOf: CheckOf): Invoker {
  return { ...invokerOf(dispatcher, checkOf, true), unobserved: invokerOf(dispatcher, checkOf, false) };
}

function invokerOf(dispatcher: Dispatcher, checkOf: CheckOf, observe: boolean): Invoker {
  const admit = admissionOf(dispatcher);
  const writerOf = streamWriters(checkOf);
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
        const waiting = admit(handler.method, context);
        if (waiting !== undefined) await waiting;
        const reply = await dispatcher.unary(
          handler,
          request,
          context,
          checked(checkOf(method.output), write),
          observe,
        );
        hideReserved(context);
        return reply;
      } catch (reason) {
        hideReserved(context);
        const error = toCallError(reason);
        if (observe) dispatcher.unserved(context, error);
        throw withMetadata(error, context);
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
        void handed?.return(); // The handler may not have read all requests.
      };
      return new LayeredStream<T>({
        open() {
          reply = new Reply(context);
          handed = new HandedRequests(requests, reply.context);
          const handler = dispatcher.handlerOf(method);
          if (handler.kind !== "stream") throw wrongKind(rpcName(method));
          const { context: inner } = reply;
          const taken = handed;
          const run = (): AsyncIterable<T> =>
            dispatcher.stream(handler, taken, inner, writerOf(method, write) as WriteReply<T>, observe);
          const waiting = admit(handler.method, inner);
          return waiting === undefined ? run() : waiting.then(run);
        },
        first() {
          reply?.settleHeader();
        },
        ended() {
          reply?.settle();
          end();
        },
        failed(reason) {
          reply?.settle();
          const ended = toCallError(reason);
          if (observe && reply !== undefined) dispatcher.unserved(reply.context, ended);
          const error = handed?.failure ?? withMetadata(ended, context);
          end();
          return error;
        },
        cancelled: end,
      });
    },
  };
}

/** Asks the gates of the server about calls, those of each rpc found once, as long as the gates are the same. */
function admissionOf(
  dispatcher: Dispatcher,
): (method: DescMethod, context: CallContext) => Promise<void> | undefined {
  let owner = dispatcher.admission;
  let known = new Map<DescMethod, AdmitCall | undefined>();
  return (method, context) => {
    const { admission } = dispatcher;
    if (admission === undefined) return undefined;
    if (admission !== owner) {
      owner = admission;
      known = new Map();
    }
    let admit = known.get(method);
    if (admit === undefined && !known.has(method)) known.set(method, (admit = admission.inProcess(method)));
    return admit?.(context);
  };
}

/**
 * Headers and trailers of a streamed reply. The handler writes into the context of the caller, unless an interceptor of
 * the caller has set response headers there already: then it writes into a context of its own, from which they are
 * copied.
 */
class Reply {
  readonly context: CallContext;
  readonly #caller: CallContext;
  #settled = false;

  constructor(caller: CallContext) {
    this.#caller = caller;
    const shared = caller.responseHeaderIfAny === undefined && caller.responseTrailerIfAny === undefined;
    this.context = shared
      ? caller
      : new CallContext({
          method: caller.method,
          protocolName: caller.protocolName,
          requestMethod: caller.requestMethod,
          url: caller.url,
          requestHeader: () => caller.requestHeader,
          parent: caller,
          values: caller.values,
        });
    this.context.report = caller.report;
  }

  /** Called when the headers are final: with the first message, or at the end. */
  settleHeader(): void {
    if (this.#settled) return;
    this.#settled = true;
    hideReserved(this.context);
    if (this.context !== this.#caller) append(this.context.responseHeaderIfAny, this.#caller.responseHeader);
  }

  /** Called when the call has ended. */
  settle(): void {
    this.settleHeader();
    hideReserved(this.context);
    if (this.context !== this.#caller)
      append(this.context.responseTrailerIfAny, this.#caller.responseTrailer);
  }

  end(): void {
    if (this.context !== this.#caller) this.context.end();
  }
}

function append(from: Headers | undefined, to: Headers): void {
  if (from !== undefined) for (const [name, value] of from) to.append(name, value);
}

/** Removes reserved names that a handler has set: over the network they would not be sent either. */
function hideReserved({ madeResponseHeader, responseTrailerIfAny }: CallContext): void {
  if (madeResponseHeader !== undefined) dropReserved(madeResponseHeader);
  if (responseTrailerIfAny !== undefined) dropReserved(responseTrailerIfAny);
}

/** Checks each reply before it is passed on. Over the network, encoding makes the same checks. */
function checked<T>(check: (reply: Message) => void, write: WriteReply<T> | undefined): WriteReply<T> {
  return (reply) => {
    check(reply);
    return write === undefined ? (reply as T) : write(reply); // A T is a message then.
  };
}

/** Gives all calls of an rpc that are written alike the same function: a topic calls it for each of its members. */
function streamWriters(
  checkOf: CheckOf,
): (method: DescMethod, write: WriteReply<unknown> | undefined) => WriteReply<unknown> {
  const last = new WeakMap<
    DescMethod,
    { readonly write: WriteReply<unknown> | undefined; readonly send: WriteReply<unknown> }
  >();
  return (method, write) => {
    const known = last.get(method);
    if (known !== undefined && known.write === write) return known.send;
    const send = checked(checkOf(method.output), write);
    last.set(method, { write, send });
    return send;
  };
}

/**
 * The caller's requests as the handler sees them: an error that the caller's iterable throws cancels the call for the
 * handler.
 */
class HandedRequests implements AsyncIterableIterator<Message, void, undefined> {
  readonly #input: Abortable<Message>;
  readonly #context: CallContext;
  /** The error that the caller gets if its iterable has thrown. */
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
