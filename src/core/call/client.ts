import type { DescMethodStreaming, DescService, Message } from "@bufbuild/protobuf";
import {
  createClient as createConnectClient,
  type CallOptions,
  type Client,
  type StreamResponse,
  type Transport,
} from "@connectrpc/connect";
import { Code, ConnectError } from "../errors/errors.ts";
import { checkProtobufCopy } from "./protobuf-copy.ts";

export type { CallOptions, Client, Transport };

/**
 * The typed client of a service: one function per rpc.
 *
 * Connect's own, except that leaving a `for await` over replies early cancels the call, as it does everywhere else in
 * JavaScript; Connect's goes on until the deadline or the signal.
 *
 * @throws TypeError if the descriptor comes from another version of `@bufbuild/protobuf`.
 */
export function createClient<D extends DescService>(service: D, transport: Transport): Client<D> {
  checkProtobufCopy(service);
  const client = createConnectClient(service, transport);
  const functions = client as Record<string, unknown>; // Its keys are the local names of the rpcs.
  for (const anyMethod of service.methods) {
    const method = anyMethod as DescMethodStreaming; // Its kind is looked at below.
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

/** The replies of one call, which begins at once and is cancelled by `return()`. */
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
    this.#response.catch(nothing); // Whoever asks for a reply gets the error.
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
    this.#controller.abort(new ConnectError("the caller left before the end", Code.Canceled));
    this.#replies?.return?.().then(nothing, nothing);
  }
}

async function* once<T>(item: T): AsyncGenerator<T> {
  yield item;
}

function nothing(): void {}
