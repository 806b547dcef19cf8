import type { DescMethodStreaming, DescService, Message } from "@bufbuild/protobuf";
import {
  createClient as createConnectClient,
  type CallOptions,
  type Client,
  type StreamResponse,
  type Transport,
} from "@connectrpc/connect";
import { Code, ConnectError } from "../errors/errors.ts";
import { noteClient } from "./client-services.ts";
import { checkProtobufCopy } from "./protobuf-copy.ts";

export type { CallOptions, Client, Transport };

/**
 * The typed client of a service: one function per rpc.
 *
 * It is Connect's client with one difference: breaking out of a `for await` over replies cancels the call, as it closes
 * any other iterator in JavaScript. With Connect's client the call continues until its deadline or signal ends it.
 *
 * @throws TypeError if the descriptor comes from another version of `@bufbuild/protobuf`.
 */
export function createClient<D extends DescService>(service: D, transport: Transport): Client<D> {
  checkProtobufCopy(service);
  noteClient(service);
  const client = createConnectClient(service, transport);
  const functions = client as Record<string, unknown>; // Its keys are the local names of the rpcs.
  for (const anyMethod of service.methods) {
    const method = anyMethod as DescMethodStreaming; // Its kind is checked below.
    if (method.methodKind === "server_streaming") {
      functions[method.localName] = (request: Message, options?: CallOptions) =>
        new ReplyStream(transport, method, once(request), options);
    } else if (method.methodKind === "bidi_streaming") {
      functions[method.localName] = (requests: AsyncIterable<Message>, options?: CallOptions) =>
        new ReplyStream(transport, method, requests, options);
    }
  }
  return client;
}

/** The replies of one call. The call begins when the stream is constructed; `return()` cancels it. */
class ReplyStream implements AsyncIterableIterator<Message, void, undefined> {
  readonly #controller = new AbortController();
  readonly #options: CallOptions;
  readonly #response: Promise<StreamResponse>;
  #replies: AsyncIterator<Message> | undefined;
  #ended = false;

  constructor(
    transport: Transport,
    method: DescMethodStreaming,
    requests: AsyncIterable<Message>,
    options: CallOptions = {},
  ) {
    const own = this.#controller.signal;
    const signal = options.signal === undefined ? own : AbortSignal.any([options.signal, own]);
    this.#options = options;
    this.#response = transport.stream(
      method,
      signal,
      options.timeoutMs,
      options.headers,
      requests,
      options.contextValues,
    );
    this.#response.catch(nothing); // `next()` reports the error.
  }

  async next(): Promise<IteratorResult<Message, void>> {
    if (this.#ended) return { done: true, value: undefined };
    try {
      const response = await this.#response;
      if (this.#replies === undefined) {
        this.#replies = response.message[Symbol.asyncIterator]();
        this.#options.onHeader?.(response.header);
      }
      const result = await this.#replies.next();
      if (result.done !== true) return result;
      this.#ended = true;
      this.#options.onTrailer?.(response.trailer);
      return { done: true, value: undefined };
    } catch (error) {
      this.#cancel();
      throw error;
    }
  }

  async return(): Promise<IteratorResult<Message, void>> {
    this.#cancel();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #cancel(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#controller.abort(new ConnectError("the caller cancelled the call", Code.Canceled));
    this.#replies?.return?.().then(nothing, nothing);
  }
}

async function* once<T>(item: T): AsyncGenerator<T> {
  yield item;
}

function nothing(): void {}
