import type { DescMethod, DescMethodStreaming, DescMethodUnary, Message } from "@bufbuild/protobuf";
import { compressionNegotiate, type Compression } from "@connectrpc/connect/protocol";
import type { CallContext } from "../../../core/call/context.ts";
import type { ConnectError } from "../../../core/errors/errors.ts";
import type { HttpExchange, ResponseHeaders } from "../../http/exchange.ts";
import { headerValue } from "../../http/header-value.ts";
import type { DoorKit } from "../door-kit.ts";
import { type CallKind, openCall, requestComplete } from "../open-call.ts";
import type { BodyForm } from "./body-form.ts";
import { compressedFlag } from "../../../core/wire/message-prefix.ts";
import { EnvelopeReader } from "./envelope-reader.ts";
import { EnvelopeWriter } from "./envelope-writer.ts";
import { messageCodecs, type MessageCodec } from "./message-codec.ts";
import { compressMinBytes, messageCompressions } from "./message-compression.ts";
import { RequestMessages } from "./request-messages.ts";
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
  const kind: CallKind = { method, protocolName: protocol.name, limits: kit.limits };
  const rpc: EnvelopedRpc = { kind, protocol, metadata, kit };
  return (form, exchange) => void new EnvelopedCall(rpc, form, codecs[form.codec], exchange).serve();
}

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
    const requests = new RequestMessages(this.#reader, {
      codec: this.#codec,
      compression: request,
      maxBytes: kit.limits.maxBodyBytes,
      malformed,
    });
    const context = openCall(kind, this.#exchange, timeoutMs, () => metadata.of(headers));
    this.#context = context;
    const { method } = kind;
    // The kind decides which of the two it is; the types do not follow it.
    if (method.methodKind === "unary") await this.#unary(method as DescMethodUnary, requests, context);
    else await this.#stream(method as DescMethodStreaming, requests, context);
  }

  async #unary(method: DescMethodUnary, requests: RequestMessages, context: CallContext): Promise<void> {
    const { kind, kit } = this.#rpc;
    const { invoker } = kit;
    const message = await context.race(requests.only());
    requestComplete(context, kind);
    await this.#send(await invoker.unary(method, message, context, this.#write), context);
  }

  async #stream(method: DescMethodStreaming, requests: RequestMessages, context: CallContext): Promise<void> {
    const { kind, kit } = this.#rpc;
    const { invoker, streams } = kit;
    const input =
      method.methodKind === "server_streaming" ? one(await context.race(requests.only())) : requests;
    requestComplete(context, kind);
    let timer: NodeJS.Timeout | undefined;
    // Before its request is complete a client rarely waits for the head, and the service may not have set its headers.
    const complete = (): void => {
      timer = setTimeout(() => this.#flush(), streams.headerFlushMs);
    };
    if (input === requests) requests.onEnd = complete;
    else complete();
    const exchange = this.#exchange;
    if (method.methodKind !== "client_streaming") exchange.onStop = (reason) => context.abort(reason);
    try {
      for await (const bytes of invoker.stream(method, input, context, this.#write)) {
        if (timer !== undefined) clearTimeout(timer);
        const written = this.#send(bytes, context);
        if (written !== undefined) await written;
      }
    } finally {
      exchange.onStop = undefined;
      requests.onEnd = undefined;
      clearTimeout(timer);
    }
  }

  readonly #write = (message: Message): Buffer => this.#codec.serialize(message);

  /** Sends a message of the reply; undefined when another one can follow. */
  #send(bytes: Buffer, context: CallContext): Promise<void> | undefined {
    const compression = this.#compression;
    if (compression === null || bytes.length < compressMinBytes) return this.#envelope(0, bytes, context);
    return compression.compress(bytes).then((data) => this.#envelope(compressedFlag, data, context));
  }

  #envelope(flags: number, data: Uint8Array, context: CallContext): Promise<void> | undefined {
    this.#begin();
    const written = this.#writer.write(flags, data);
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

async function* one(message: Message): AsyncGenerator<Message, void, undefined> {
  yield message;
}
