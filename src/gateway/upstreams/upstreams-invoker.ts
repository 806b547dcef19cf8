import {
  fromBinary,
  toBinary,
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
  type Message,
} from "@bufbuild/protobuf";
import { ReplyBatch, type ReadReplies, type RequestBatch } from "../../core/call/batches.ts";
import type { CallContext } from "../../core/call/context.ts";
import type { Invoker } from "../../core/call/invoker.ts";
import { LayeredStream } from "../../core/call/layered-stream.ts";
import type { WriteReply } from "../../core/call/write-reply.ts";

/** An invoker that has every form of calls. */
export interface WholeInvoker extends Required<Omit<Invoker, "unobserved">> {
  readonly unobserved?: WholeInvoker;
}

/**
 * `invoker` with the forms that it lacks: requests are decoded and replies encoded, for servers of this process and
 * transports of other libraries.
 */
export function wholeInvoker(invoker: Invoker): WholeInvoker {
  const { protocolName, unobserved } = invoker;
  return {
    protocolName,
    ...(unobserved && { unobserved: wholeInvoker(unobserved) }),
    unary: (method, request, context, write) => invoker.unary(method, request, context, write),
    stream: (method, requests, context, write) => invoker.stream(method, requests, context, write),
    unaryBytes:
      invoker.unaryBytes?.bind(invoker) ??
      ((method, request, context, read) =>
        invoker.unary(method, toMessage(method, request), context, (reply) =>
          read(toBinary(method.output, reply)),
        )),
    streamBytes:
      invoker.streamBytes?.bind(invoker) ??
      ((method, requests, context, read) =>
        invoker.stream(method, toMessages(method, requests), context, (reply) =>
          read(new ReplyBatch([toBinary(method.output, reply)])),
        )),
  };
}

function toMessage({ input }: DescMethod, request: Message | Uint8Array): Message {
  return request instanceof Uint8Array ? fromBinary(input, request) : request;
}

async function* toMessages(
  method: DescMethod,
  batches: AsyncIterable<RequestBatch>,
): AsyncGenerator<Message, void, undefined> {
  for await (const batch of batches) for (const request of batch) yield toMessage(method, request);
}

/** Finds what makes the calls of an rpc. @throws ConnectError where there is nothing */
export type ChooseInvoker = (method: DescMethod) => WholeInvoker;

/** Makes each call by the invoker that `choose` gives for its rpc, which it remembers. */
export class ChoosingInvoker implements WholeInvoker {
  readonly protocolName = "grpc";
  readonly #choose: ChooseInvoker;
  readonly #chosen = new Map<DescMethod, WholeInvoker>();

  readonly unobserved?: WholeInvoker;

  constructor(choose: ChooseInvoker, unobserved?: WholeInvoker) {
    this.#choose = choose;
    if (unobserved !== undefined) this.unobserved = unobserved;
  }

  /** From the next call on, other invokers may be right. */
  forget(): void {
    this.#chosen.clear();
  }

  unary<T = Message>(
    method: DescMethodUnary,
    request: Message,
    context: CallContext,
    write?: WriteReply<T>,
  ): Promise<T> {
    try {
      return this.#of(method).unary(method, request, context, write);
    } catch (reason) {
      return Promise.reject(reason);
    }
  }

  unaryBytes<T>(
    method: DescMethodUnary,
    request: Message | Uint8Array,
    context: CallContext,
    read: (reply: Uint8Array) => T,
  ): Promise<T> {
    try {
      return this.#of(method).unaryBytes(method, request, context, read);
    } catch (reason) {
      return Promise.reject(reason);
    }
  }

  stream<T = Message>(
    method: DescMethodStreaming,
    requests: AsyncIterable<Message>,
    context: CallContext,
    write?: WriteReply<T>,
  ): AsyncGenerator<T, void, undefined> {
    try {
      return this.#of(method).stream(method, requests, context, write);
    } catch (reason) {
      return failed(reason);
    }
  }

  streamBytes<T>(
    method: DescMethodStreaming,
    requests: AsyncIterable<RequestBatch>,
    context: CallContext,
    read: ReadReplies<T>,
  ): AsyncGenerator<T, void, undefined> {
    try {
      return this.#of(method).streamBytes(method, requests, context, read);
    } catch (reason) {
      return failed(reason);
    }
  }

  #of(method: DescMethod): WholeInvoker {
    let invoker = this.#chosen.get(method);
    if (invoker === undefined) this.#chosen.set(method, (invoker = this.#choose(method)));
    return invoker;
  }
}

/** A stream that fails at its begin. */
function failed<T>(reason: unknown): AsyncGenerator<T, void, undefined> {
  return new LayeredStream<T>({
    open() {
      throw reason;
    },
  });
}
