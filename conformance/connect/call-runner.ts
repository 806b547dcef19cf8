import { setTimeout as wait } from "node:timers/promises";
import type { DescMethod, DescMethodStreaming, DescMethodUnary, Message, Registry } from "@bufbuild/protobuf";
import { anyUnpack, type Any } from "@bufbuild/protobuf/wkt";
import { createClient, type CallOptions, type Transport } from "@connectrpc/connect";
import { type Code, ConnectError } from "../../src/index.ts";
import { toHeaders } from "./conformance-service.ts";
import type { ClientRequest, Payload } from "./contract.ts";

/** The outcome of a call. */
export interface Outcome {
  responseHeaders: ReturnType<typeof toHeaders>;
  responseTrailers: ReturnType<typeof toHeaders>;
  payloads: Payload[];
  numUnsentRequests: number;
  error?: { code: Code; message: string; details: Partial<Any>[] };
}

/** The function of a client for an rpc that is only known at run time. */
type ClientStream = (
  requests: AsyncIterable<Message>,
  options: { [K in keyof CallOptions]?: CallOptions[K] | undefined },
) => Promise<{ payload: Payload }>;

/** One call as specified by the suite. */
export class CallRunner {
  readonly #request: ClientRequest;
  readonly #method: DescMethod;
  readonly #registry: Registry;
  readonly #cancel = new AbortController();
  readonly #outcome: Outcome = {
    responseHeaders: [],
    responseTrailers: [],
    payloads: [],
    numUnsentRequests: 0,
  };
  readonly #headers = new Headers();
  #sent = 0;
  /** Resumes the requests of a full-duplex stream when a reply has arrived. */
  #replied = Promise.withResolvers<void>();

  constructor(request: ClientRequest, method: DescMethod, registry: Registry) {
    this.#request = request;
    this.#registry = registry;
    this.#method = method;
    for (const { name, value } of request.requestHeaders) {
      for (const one of value) this.#headers.append(name, one);
    }
  }

  async unary(transport: Transport): Promise<Outcome> {
    const [message] = this.#messages();
    if (message === undefined) throw new Error("a unary call has one message");
    await wait(this.#request.requestDelayMs);
    this.#cancelAfterClose();
    try {
      const { signal } = this.#cancel;
      const method = this.#method as DescMethodUnary; // Checked by the caller.
      const reply = await transport.unary(method, signal, this.#request.timeoutMs, this.#headers, message);
      this.#outcome.payloads.push((reply.message as unknown as { payload: Payload }).payload);
      this.#outcome.responseHeaders = toHeaders(reply.header);
      this.#outcome.responseTrailers = toHeaders(reply.trailer);
    } catch (error) {
      this.#failed(error);
    }
    return this.#outcome;
  }

  async stream(transport: Transport): Promise<Outcome> {
    const { timeoutMs, cancel, requestMessages } = this.#request;
    const timing = cancel?.cancelTiming;
    try {
      const { signal } = this.#cancel;
      const method = this.#method as DescMethodStreaming; // Checked by the caller.
      if (method.methodKind === "client_streaming") return await this.#clientStream(transport);
      const reply = await transport.stream(method, signal, timeoutMs, this.#headers, this.#requests());
      this.#outcome.responseHeaders = toHeaders(reply.header);
      for await (const message of reply.message) {
        this.#outcome.payloads.push((message as unknown as { payload: Payload }).payload);
        this.#replied.resolve();
        this.#replied = Promise.withResolvers();
        if (timing?.case === "afterNumResponses" && timing.value === this.#outcome.payloads.length) {
          this.#cancel.abort();
        }
      }
      this.#outcome.responseTrailers = toHeaders(reply.trailer);
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#replied.resolve();
      this.#outcome.numUnsentRequests = requestMessages.length - this.#sent;
    }
    return this.#outcome;
  }

  /** The client around the transport checks that there is exactly one reply. */
  async #clientStream(transport: Transport): Promise<Outcome> {
    const { parent, localName } = this.#method;
    const client = createClient(parent, transport) as unknown as Record<string, ClientStream>;
    const call = client[localName];
    if (call === undefined) throw new Error(`the client has no ${localName}`);
    const { payload } = await call(this.#requests(), {
      signal: this.#cancel.signal,
      timeoutMs: this.#request.timeoutMs,
      headers: this.#headers,
      onHeader: (headers) => {
        this.#outcome.responseHeaders = toHeaders(headers);
      },
      onTrailer: (headers) => {
        this.#outcome.responseTrailers = toHeaders(headers);
      },
    });
    this.#outcome.payloads.push(payload);
    return this.#outcome;
  }

  async *#requests(): AsyncGenerator<Message> {
    const fullDuplex = this.#request.streamType === 5;
    for (const message of this.#messages()) {
      await wait(this.#request.requestDelayMs);
      const { promise } = this.#replied;
      this.#sent += 1;
      yield message;
      if (fullDuplex) await promise;
    }
    if (this.#request.cancel?.cancelTiming.case === "beforeCloseSend") {
      this.#cancel.abort();
      await wait(10_000, undefined, { ref: false }); // The end of the requests must not be sent.
    }
    this.#cancelAfterClose();
  }

  #messages(): Message[] {
    return this.#request.requestMessages.map((any) => {
      const message = anyUnpack(any, this.#registry);
      if (message === undefined) throw new Error(`${any.typeUrl} is no message of the suite`);
      return message;
    });
  }

  #cancelAfterClose(): void {
    const { cancel } = this.#request;
    if (cancel === undefined) return;
    const timing = cancel.cancelTiming;
    if (timing.case === undefined) setTimeout(() => this.#cancel.abort(), 0);
    else if (timing.case === "afterCloseSendMs") setTimeout(() => this.#cancel.abort(), timing.value);
  }

  #failed(reason: unknown): void {
    const error = ConnectError.from(reason);
    this.#outcome.error = {
      code: error.code,
      message: error.rawMessage,
      details: error.details.map((detail) => {
        if ("desc" in detail) throw new Error("details come over the wire here");
        return { typeUrl: `type.googleapis.com/${detail.type}`, value: detail.value };
      }),
    };
    // The error's metadata has the headers and trailers; the suite accepts headers among the trailers.
    this.#outcome.responseTrailers = toHeaders(error.metadata);
    if (this.#outcome.responseHeaders.length === 0) this.#outcome.responseHeaders = toHeaders(error.metadata);
  }
}
