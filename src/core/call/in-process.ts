import type {
  DescMessage,
  DescMethod,
  DescMethodStreaming,
  DescMethodUnary,
  Message,
} from "@bufbuild/protobuf";
import { Abortable } from "./abortable.ts";
import type { AdmitCall } from "./admit.ts";
import { LayeredStream, type StreamLayer } from "./layered-stream.ts";
import { withMetadata, type Invoker } from "./invoker.ts";
import { oneOf, type OneRequest, type ReadOne, readsOne } from "./one-request.ts";
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
  const kit: InProcessKit = { dispatcher, admit, writerOf: streamWriters(checkOf), observe };
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
      return new LayeredStream<T>(new InProcessStream(method, requests, context, write, kit));
    },
  };
}

/** How the streams of an invoker reach their handlers. */
interface InProcessKit {
  readonly dispatcher: Dispatcher;
  readonly admit: (method: DescMethod, context: CallContext) => Promise<void> | undefined;
  readonly writerOf: ReturnType<typeof streamWriters>;
  readonly observe: boolean;
}

/** The call of a handler whose replies are a stream; one object for each, as each member of a room is such a call. */
class InProcessStream implements StreamLayer {
  readonly #method: DescMethodStreaming;
  readonly #requests: AsyncIterable<Message>;
  readonly #context: CallContext;
  readonly #write: WriteReply<unknown> | undefined;
  readonly #kit: InProcessKit;
  #reply: Reply | undefined;
  #handed: HandedRequests | undefined;

  constructor(
    method: DescMethodStreaming,
    requests: AsyncIterable<Message>,
    context: CallContext,
    write: WriteReply<unknown> | undefined,
    kit: InProcessKit,
  ) {
    this.#method = method;
    this.#requests = requests;
    this.#context = context;
    this.#write = write;
    this.#kit = kit;
  }

  open(): AsyncIterable<unknown> | Promise<AsyncIterable<unknown>> {
    const { dispatcher, admit, writerOf, observe } = this.#kit;
    const { context } = (this.#reply = new Reply(this.#context));
    const handed = (this.#handed = new HandedRequests(this.#requests, context));
    const handler = dispatcher.handlerOf(this.#method);
    if (handler.kind !== "stream") throw wrongKind(rpcName(this.#method));
    const run = (): AsyncIterable<unknown> =>
      dispatcher.stream(handler, handed, context, writerOf(this.#method, this.#write), observe);
    const waiting = admit(handler.method, context);
    return waiting === undefined ? run() : waiting.then(run);
  }

  first(): void {
    this.#reply?.settleHeader();
  }

  ended(): void {
    this.#reply?.settle();
    this.cancelled();
  }

  failed(reason: unknown): unknown {
    const reply = this.#reply;
    reply?.settle();
    const ended = toCallError(reason);
    const { dispatcher, observe } = this.#kit;
    if (observe && reply !== undefined) dispatcher.unserved(reply.context, ended);
    const error = this.#handed?.failure ?? withMetadata(ended, this.#context);
    this.cancelled();
    return error;
  }

  cancelled(): void {
    this.#reply?.end();
    this.#handed?.end(); // The handler may not have read all requests.
  }
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
    const shared = !caller.hasResponseHeader && caller.responseTrailerIfAny === undefined;
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
class HandedRequests implements AsyncIterableIterator<Message, void, undefined>, OneRequest<Message> {
  readonly #source: AsyncIterable<Message>;
  readonly #context: CallContext;
  /** Undefined while nothing has iterated over them. */
  #input: Abortable<Message> | undefined;
  #isOver = false;
  /** The error that the caller gets if its iterable has thrown. */
  failure: ConnectError | undefined;

  constructor(source: AsyncIterable<Message>, context: CallContext) {
    this.#source = source;
    this.#context = context;
  }

  get [readsOne](): ReadOne<Message> | undefined {
    const one = oneOf(this.#source);
    return one && (() => this.#one(one));
  }

  next(): Promise<IteratorResult<Message, void>> {
    if (this.#isOver) return Promise.resolve(over);
    const input = (this.#input ??= new Abortable(this.#source, this.#context));
    return this.#handed(() => input.next());
  }

  return(): Promise<IteratorResult<Message, void>> {
    this.end();
    return Promise.resolve(over);
  }

  /** No more of them are read. */
  end(): void {
    this.#isOver = true;
    void this.#input?.return();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #one(one: ReadOne<Message>): Message | Promise<Message> {
    const { reason } = this.#context;
    if (reason !== undefined) throw reason;
    const found = one();
    return found instanceof Promise ? this.#handed(() => this.#context.race(found)) : found;
  }

  async #handed<T>(read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (error) {
      if (this.#context.reason !== undefined) throw this.#context.reason;
      this.failure = toRequestError(error);
      const reason = new ConnectError("the caller's requests failed", Code.Canceled);
      this.#context.abort(reason);
      throw reason;
    }
  }
}

const over: IteratorReturnResult<void> = Object.freeze({ done: true, value: undefined });

function wrongKind(name: string): ConnectError {
  return new ConnectError(`${name} is registered here with another kind of call`, Code.Internal);
}
