import type { DescMethod, DescMethodStreaming, DescMethodUnary, Message } from "@bufbuild/protobuf";
import { readEach, type ReplyBatch } from "../../../core/call/batches.ts";
import { compressionNegotiate, type Compression } from "@connectrpc/connect/protocol";
import type { CallContext } from "../../../core/call/context.ts";
import { bodyArrived } from "../../../core/call/body-check.ts";
import type { ConnectError } from "../../../core/errors/errors.ts";
import type { HttpExchange, ResponseHeaders } from "../../http/exchange.ts";
import { headerValue } from "../../http/header-value.ts";
import { callKind, type DoorKit } from "../door-kit.ts";
import { admitCall, type CallKind, openCall, requestComplete } from "../open-call.ts";
import type { BodyForm } from "./body-form.ts";
import { compressedFlag } from "../../../core/wire/message-prefix.ts";
import { EnvelopeReader } from "./envelope-reader.ts";
import { EnvelopeWriter } from "./envelope-writer.ts";
import { messageCodecs, type MessageCodec } from "./message-codec.ts";
import { compressMinBytes, messageCompressions } from "./message-compression.ts";
import { RequestMessages, type RequestMessagesOptions } from "./request-messages.ts";
import { eachField, type RpcMetadata } from "./rpc-metadata.ts";
import type { StreamProtocol } from "./stream-protocol.ts";

/** Answers a request whose body is made of envelopes. Never throws. */
export type EnvelopedHandler = (form: BodyForm, exchange: HttpExchange) => void;

/** One rpc as `envelopedCall` serves it. */
interface EnvelopedRpc {
  readonly kind: CallKind;
  readonly protocol: StreamProtocol;
  readonly metadata: RpcMetadata;
  readonly kit: DoorKit;
}

/**
 * Serves an rpc of any kind by a protocol of envelopes: the HTTP status of the reply is always 200, its end has the
 * status of the call.
 */
export function envelopedCall(
  method: DescMethod,
  protocol: StreamProtocol,
  kit: DoorKit,
  metadata: RpcMetadata,
): EnvelopedHandler {
  const codecs = messageCodecs(method, kit.binding, protocol.malformed);
  const kind = callKind(method, protocol.name, kit);
  const rpc: EnvelopedRpc = { kind, protocol, metadata, kit };
  return (form, exchange) => void new EnvelopedCall(rpc, form, codecs[form.codec], exchange).serve();
}

/** The options of the request messages of one call. */
type RequestOptions = Omit<RequestMessagesOptions<unknown>, "parse" | "context">;

/** One call in flight. */
class EnvelopedCall {
  readonly #rpc: EnvelopedRpc;
  readonly #form: BodyForm;
  readonly #codec: MessageCodec;
  readonly #exchange: HttpExchange;
  readonly #reader: EnvelopeReader;
  readonly #writer: EnvelopeWriter;
  #context: CallContext | undefined;
  /** How messages of the reply are compressed. */
  #compression: Compression | null = null;

  constructor(rpc: EnvelopedRpc, form: BodyForm, codec: MessageCodec, exchange: HttpExchange) {
    this.#rpc = rpc;
    this.#form = form;
    this.#codec = codec;
    this.#exchange = exchange;
    const { text } = form;
    const { methodKind } = rpc.kind.method;
    const { limits, streams } = rpc.kit;
    const whole = methodKind === "unary" || methodKind === "server_streaming";
    const timeoutMs = whole ? limits.bodyTimeoutMs : streams.bodyIdleMs;
    this.#reader = new EnvelopeReader(exchange, { maxBytes: limits.maxBodyBytes, timeoutMs, whole, text });
    this.#writer = new EnvelopeWriter(exchange, {
      text,
      trailers: rpc.protocol.name === "grpc",
      writeIdleMs: streams.writeIdleMs,
    });
  }

  async serve(): Promise<void> {
    let error: ConnectError | undefined;
    try {
      await this.#call();
    } catch (reason) {
      error = this.#rpc.kit.errors.toError(reason, this.#exchange);
      this.#context?.abort(error); // Cancels what the call has started.
    }
    try {
      this.#end(error);
    } catch {
      this.#exchange.destroy(); // A hook has set an invalid header.
    }
    this.#reader.discard();
    this.#context?.end();
  }

  async #call(): Promise<void> {
    const { kind, protocol, metadata, kit } = this.#rpc;
    const { headers } = this.#exchange.head;
    const timeoutMs = protocol.timeoutMs(headers);
    const { request, response, error } = compressionNegotiate(
      messageCompressions,
      headerValue(headers[protocol.encodingHeader]),
      headerValue(headers[protocol.acceptEncodingHeader]),
      protocol.acceptEncodingHeader,
    );
    this.#compression = response;
    if (error !== undefined) throw error;
    metadata.check(headers, protocol.malformed);
    const { malformed } = protocol;
    const options = { compression: request, maxBytes: kit.limits.maxBodyBytes, malformed };
    const context = openCall(kind, this.#exchange, timeoutMs, () => metadata.of(headers));
    this.#context = context;
    const admitted = admitCall(kind, protocol.name, this.#exchange, context);
    if (admitted !== undefined) await admitted;
    const { method } = kind;
    // The kind decides which of the two it is; the types do not follow it.
    if (method.methodKind === "unary") await this.#unary(method as DescMethodUnary, options, context);
    else await this.#stream(method as DescMethodStreaming, options, context);
  }

  async #unary(method: DescMethodUnary, options: RequestOptions, context: CallContext): Promise<void> {
    const { kind, kit } = this.#rpc;
    const { invoker, transcoding } = kit;
    const codec = this.#codec;
    const only = async <M>(parse: (bytes: Uint8Array) => M): Promise<M> => {
      if (context.bodyCheck !== undefined) return parse(await this.#checked(options, context));
      const requests = new RequestMessages(this.#reader, { ...options, context, parse });
      const message = await context.race(requests.only());
      requestComplete(context, kind);
      return message;
    };
    const reply =
      transcoding === "messages" || invoker.unaryBytes === undefined
        ? await invoker.unary(method, await only(codec.parse), context, codec.serialize)
        : await invoker.unaryBytes(method, await only(codec.toBinary), context, codec.fromBinary);
    await this.#send([reply], context);
  }

  /** The bytes of the one message, after gates have looked at the body as it came. */
  async #checked(options: RequestOptions, context: CallContext): Promise<Uint8Array> {
    this.#reader.record();
    const requests = new RequestMessages(this.#reader, { ...options, context, parse: (bytes) => bytes });
    const bytes = await context.race(requests.only());
    await context.race(bodyArrived(context, this.#reader.recorded));
    requestComplete(context, this.#rpc.kind);
    return bytes;
  }

  async #stream(method: DescMethodStreaming, options: RequestOptions, context: CallContext): Promise<void> {
    const { invoker, transcoding } = this.#rpc.kit;
    const codec = this.#codec;
    const streamBytes = invoker.streamBytes?.bind(invoker);
    if (transcoding === "messages" || streamBytes === undefined) {
      const requests = new RequestMessages(this.#reader, { ...options, context, parse: codec.parse });
      const write = (message: Message): Buffer[] => [codec.serialize(message)];
      await this.#replies(method, requests, context, (first) =>
        invoker.stream(method, first === undefined ? requests : one(first), context, write),
      );
      return;
    }
    const requests = new RequestMessages(this.#reader, { ...options, context, parse: codec.toBinary });
    const read = (batch: ReplyBatch): Buffer[] => readEach(batch, codec.fromBinary);
    await this.#replies(method, requests, context, (first) => {
      const batches = first === undefined ? requests.batches() : one([first]);
      return streamBytes(method, batches, context, read);
    });
  }

  /** Makes a streaming call and sends its replies. `run` gets the request of an rpc that takes only one. */
  async #replies<M>(
    { methodKind }: DescMethodStreaming,
    requests: RequestMessages<M>,
    context: CallContext,
    run: (first: M | undefined) => AsyncIterable<readonly Buffer[]>,
  ): Promise<void> {
    const { kind, kit } = this.#rpc;
    const first = methodKind === "server_streaming" ? await context.race(requests.only()) : undefined;
    requestComplete(context, kind);
    let timer: NodeJS.Timeout | undefined;
    // Before its request is complete a client rarely waits for the head, and the service may not have set its headers.
    const complete = (): void => {
      timer = setTimeout(() => this.#flush(), kit.streams.headerFlushMs);
    };
    if (first === undefined) requests.onEnd = complete;
    else complete();
    // A stream that says where it begins says so before its first message.
    context.onResponseHeader(() => this.#flush());
    const exchange = this.#exchange;
    if (methodKind !== "client_streaming") exchange.onStop = (reason) => context.abort(reason);
    try {
      for await (const messages of run(first)) {
        if (timer !== undefined) clearTimeout(timer);
        const written = this.#send(messages, context);
        if (written !== undefined) await written;
      }
    } finally {
      exchange.onStop = undefined;
      requests.onEnd = undefined;
      clearTimeout(timer);
    }
  }

  /** Sends messages of the reply; undefined when others can follow. */
  #send(messages: readonly Buffer[], context: CallContext): Promise<void> | undefined {
    const compression = this.#compression;
    if (compression === null || messages.every(({ length }) => length < compressMinBytes)) {
      return this.#envelopes(0, messages, context);
    }
    return this.#sendCompressed(messages, compression, context);
  }

  async #sendCompressed(
    messages: readonly Buffer[],
    compression: Compression,
    context: CallContext,
  ): Promise<void> {
    for (const message of messages) {
      const isSmall = message.length < compressMinBytes;
      const data = isSmall ? message : await compression.compress(message);
      await this.#envelopes(isSmall ? 0 : compressedFlag, [data], context);
    }
  }

  #envelopes(
    flags: number,
    messages: readonly Uint8Array[],
    context: CallContext,
  ): Promise<void> | undefined {
    this.#begin();
    context.sent += messages.length;
    const written = this.#writer.write(flags, messages);
    return written && context.race(written);
  }

  #begin(): void {
    this.#writer.begin(this.#head);
  }

  readonly #head = (): ResponseHeaders => {
    const { protocol, metadata } = this.#rpc;
    const headers: ResponseHeaders = { "content-type": this.#form.contentType };
    if (this.#compression !== null) headers[protocol.encodingHeader] = this.#compression.name;
    if (this.#context?.responseHeaderIfAny !== undefined) {
      eachField(metadata.reply(this.#context).header, "", (name, value) => {
        const before = headers[name];
        headers[name] = before === undefined ? value : [before, value].flat();
      });
    }
    return headers;
  };

  /** Sends the head without a message, so that the client sees that the server is alive. */
  #flush(): void {
    if (this.#writer.begun || this.#exchange.destroyed) return;
    try {
      this.#begin();
      this.#writer.flush();
    } catch {
      this.#exchange.destroy(); // As in `serve`.
    }
  }

  #end(error: ConnectError | undefined): void {
    if (this.#exchange.destroyed) return;
    const { protocol, metadata } = this.#rpc;
    const trailer =
      this.#context === undefined
        ? fromNegotiation(error, protocol)
        : metadata.reply(this.#context, error).trailer;
    if (
      protocol.only !== undefined &&
      !this.#writer.begun &&
      this.#context?.responseHeaderIfAny === undefined
    ) {
      this.#writer.only({ ...this.#head(), ...Object.fromEntries(protocol.only(trailer, error)) });
      return;
    }
    this.#begin();
    protocol.end(this.#writer, trailer, error);
  }
}

/** The trailers of an error before the call began: the supported compressions, if the negotiation has failed. */
function fromNegotiation(error: ConnectError | undefined, { acceptEncodingHeader }: StreamProtocol): Headers {
  const known = error?.metadata.get(acceptEncodingHeader);
  return new Headers(typeof known === "string" ? { [acceptEncodingHeader]: known } : undefined);
}

async function* one<M>(message: M): AsyncGenerator<M, void, undefined> {
  yield message;
}
