import type {
  DescMessage,
  DescMethod,
  DescMethodStreaming,
  DescMethodUnary,
  Message,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import type { ContextValues, StreamResponse, Transport, UnaryResponse } from "@connectrpc/connect";
import { messageMaker } from "../codec/init-to-message.ts";
import { Abortable } from "./abortable.ts";
import type { Invoker } from "./invoker.ts";
import { CallContext } from "./context.ts";
import { Code, ConnectError, toCallError } from "../errors/errors.ts";
import { asClientSees } from "../errors/reply-too-large.ts";
import { dropReserved } from "../metadata/reserved-headers.ts";
import { UnaryReply } from "./unary-reply.ts";
import { writeReply, type WriteReply } from "./write-reply.ts";

/** Anything that Connect clients pass as headers. */
type HeaderInit = ConstructorParameters<typeof Headers>[0];

/** Options of `toTransport`. */
export interface TransportOptions {
  /** Timeout of a unary call without a `timeoutMs`, in milliseconds; 0 for none. Default: 0. */
  readonly defaultTimeoutMs: number;
}

/** The defaults of `TransportOptions`. */
export const transportDefaults: TransportOptions = Object.freeze({ defaultTimeoutMs: 0 });

/** The invoker of each transport that `toTransport` made, for `toInvoker`. */
const made = new WeakMap<Transport, Invoker>();

/**
 * `invoker` as a `Transport` for Connect's `createClient`. As with Connect's own transports, a `timeoutMs` of 0 or less
 * means no timeout, even if there is a default.
 */
export function toTransport(invoker: Invoker, options: Partial<TransportOptions> = {}): Transport {
  const { defaultTimeoutMs } = { ...transportDefaults, ...options };
  const transport: Transport = {
    async unary<I extends DescMessage, O extends DescMessage>(
      method: DescMethodUnary<I, O>,
      signal: AbortSignal | undefined,
      timeoutMs: number | undefined,
      header: HeaderInit,
      input: MessageInitShape<I>,
      values?: ContextValues,
    ): Promise<UnaryResponse<I, O>> {
      const context = contextOf(invoker, method, signal, timeoutMs ?? defaultTimeoutMs, header, values);
      try {
        const message = await invoker.unary(method, toMessage(method.input, input), context);
        return new UnaryReply(context, method, message as MessageShape<O>); // The invoker replies with that type.
      } catch (reason) {
        throw asClientSees(reason);
      } finally {
        context.end();
      }
    },

    async stream<I extends DescMessage, O extends DescMessage>(
      method: DescMethodStreaming<I, O>,
      signal: AbortSignal | undefined,
      timeoutMs: number | undefined,
      header: HeaderInit,
      input: AsyncIterable<MessageInitShape<I>>,
      values?: ContextValues,
    ): Promise<StreamResponse<I, O>> {
      const context = contextOf(invoker, method, signal, timeoutMs ?? 0, header, values);
      const replies = new Replies(invoker.stream(method, toMessages(method.input, input), context), context);
      await replies.begin();
      return {
        stream: true,
        service: method.parent,
        method,
        header: context.responseHeader,
        trailer: context.responseTrailer,
        message: replies as AsyncIterable<Message> as AsyncIterable<MessageShape<O>>, // As above.
      };
    },
  };
  made.set(transport, invoker);
  return transport;
}

/** From now on `invoker` is what `toInvoker` gives for `transport`, which passes its calls on to that. */
export function standFor(transport: Transport, invoker: Invoker): void {
  made.set(transport, invoker);
}

/** The invoker that `transport` was made from; for a transport of another library, an invoker that calls it. */
export function toInvoker(transport: Transport): Invoker {
  return made.get(transport) ?? foreignInvoker(transport);
}

function foreignInvoker(transport: Transport): Invoker {
  return {
    protocolName: "transport",
    async unary<T = Message>(
      method: DescMethodUnary,
      request: Message,
      context: CallContext,
      write?: WriteReply<T>,
    ) {
      if (context.reason !== undefined) throw context.reason;
      const response = await context
        .race(
          transport.unary(
            method,
            context.signal,
            wholeMs(context.timeoutMs()),
            context.requestHeader,
            request as MessageInitShape<DescMessage>, // A message is its own init.
            context.values,
          ),
        )
        .catch(rethrow);
      append(response.header, context.responseHeader);
      append(response.trailer, context.responseTrailer);
      return writeReply(method, write, response.message);
    },
    async *stream<T = Message>(
      method: DescMethodStreaming,
      requests: AsyncIterable<Message>,
      context: CallContext,
      write?: WriteReply<T>,
    ) {
      if (context.reason !== undefined) throw context.reason;
      try {
        const response = await context.race(
          transport.stream(
            method,
            context.signal,
            wholeMs(context.timeoutMs()),
            context.requestHeader,
            generated(requests) as AsyncIterable<MessageInitShape<DescMessage>>, // As above.
            context.values,
          ),
        );
        append(response.header, context.responseHeader);
        context.responseHeaderArrived();
        const replies = new Abortable(response.message, context);
        for await (const message of replies) yield writeReply(method, write, message);
        append(response.trailer, context.responseTrailer);
      } catch (reason) {
        rethrow(reason);
      }
    },
  };
}

/** `messages` as a generator: Connect's transports call its `throw`, which iterators need not have. */
async function* generated(messages: AsyncIterable<Message>): AsyncGenerator<Message, void, undefined> {
  for await (const message of messages) yield message;
}

/** The replies of one call as its client reads them; the context ends with them. */
class Replies implements AsyncIterableIterator<Message, void, undefined> {
  readonly #source: AsyncGenerator<Message, void, undefined>;
  readonly #context: CallContext;
  #first: Promise<IteratorResult<Message, void>> | undefined;
  #ended = false;

  constructor(source: AsyncGenerator<Message, void, undefined>, context: CallContext) {
    this.#source = source;
    this.#context = context;
  }

  /** Starts the call and waits for its headers, which are final with the first message at the latest. */
  async begin(): Promise<void> {
    const first = this.#pull();
    this.#first = first;
    first.catch(() => {}); // `next()` reports it, where the headers have come before.
    const arrived = new Promise<void>((resolve) => this.#context.onResponseHeader(resolve));
    await Promise.race([first, arrived]);
  }

  next(): Promise<IteratorResult<Message, void>> {
    const first = this.#first;
    if (first === undefined) return this.#pull();
    this.#first = undefined;
    return first;
  }

  async return(): Promise<IteratorResult<Message, void>> {
    if (!this.#ended) {
      this.#ended = true;
      this.#context.abort(new ConnectError("the caller cancelled the call", Code.Canceled));
      await this.#source.return().catch(() => {});
      this.#context.end();
    }
    this.#first = undefined;
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async #pull(): Promise<IteratorResult<Message, void>> {
    if (this.#ended) return { done: true, value: undefined };
    try {
      const result = await this.#source.next();
      if (result.done === true) this.#end();
      return result;
    } catch (error) {
      this.#end();
      throw asClientSees(error);
    }
  }

  #end(): void {
    this.#ended = true;
    this.#context.end();
  }
}

/** Transports of other libraries may write the timeout into a header of whole milliseconds. */
function wholeMs(timeoutMs: number | undefined): number | undefined {
  return timeoutMs === undefined ? undefined : Math.max(Math.ceil(timeoutMs), 1);
}

function contextOf(
  invoker: Invoker,
  method: DescMethod,
  signal: AbortSignal | undefined,
  timeoutMs: number,
  header: HeaderInit,
  values: ContextValues | undefined,
): CallContext {
  return new CallContext({
    method,
    protocolName: invoker.protocolName,
    // A copy: interceptors may change it.
    requestHeader: header === undefined ? undefined : () => dropReserved(new Headers(header)),
    timeoutMs: timeoutMs > 0 ? timeoutMs : undefined,
    signal,
    values,
  });
}

async function* toMessages<I extends DescMessage>(
  schema: I,
  input: AsyncIterable<MessageInitShape<I>>,
): AsyncGenerator<Message, void, undefined> {
  for await (const init of input) yield toMessage(schema, init);
}

function toMessage<I extends DescMessage>(schema: I, init: MessageInitShape<I>): Message {
  try {
    return messageMaker(schema)(init);
  } catch (reason) {
    const text = `the request cannot be made a ${schema.typeName}`;
    throw new ConnectError(text, Code.Internal, undefined, undefined, reason);
  }
}

function append(from: Headers, to: Headers): void {
  for (const [name, value] of from) to.append(name, value);
}

function rethrow(reason: unknown): never {
  throw toCallError(reason);
}
