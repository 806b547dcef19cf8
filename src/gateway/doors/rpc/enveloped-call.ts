import type { DescMethod, DescMethodStreaming, DescMethodUnary, Message } from "@bufbuild/protobuf";
import { compressionNegotiate, type Compression } from "@connectrpc/connect/protocol";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { CallContext } from "../../../core/call/context.ts";
import type { ConnectError } from "../../../core/errors/errors.ts";
import { compressedFlag } from "../../../core/wire/message-prefix.ts";
import { type CallTime, callTimeOf } from "../deadline.ts";
import type { Exchange } from "../../http/exchange.ts";
import { EnvelopeReader } from "./envelope-reader.ts";
import { EnvelopeWriter } from "./envelope-writer.ts";
import { messageCodecs, type MessageCodec } from "./message-codec.ts";
import { compressMinBytes, messageCompressions } from "./message-compression.ts";
import { RequestMessages } from "./request-messages.ts";
import { headerValue, openCall } from "./rpc-call.ts";
import { eachField, type RpcMetadata } from "./rpc-metadata.ts";
import type { RpcOptions } from "./rpc-options.ts";
import type { StreamProtocol } from "./stream-protocol.ts";

/** How the bodies of one exchange look, by its content type. */
export interface BodyForm {
  readonly codec: "json" | "proto";
  /** Whether everything is base64. */
  readonly text: boolean;
  readonly contentType: string;
}

/** Answers a request whose body is made of envelopes. Never throws. */
export type EnvelopedHandler = (form: BodyForm, request: FastifyRequest, reply: FastifyReply) => void;

/** One rpc as `envelopedCall` serves it. */
interface EnvelopedRpc {
  readonly method: DescMethod;
  readonly protocol: StreamProtocol;
  readonly metadata: RpcMetadata;
  readonly options: RpcOptions;
}

/** Serves an rpc of any kind by a protocol of envelopes: the status of the reply is 200, its end says how it went. */
export function envelopedCall(
  method: DescMethod,
  protocol: StreamProtocol,
  options: RpcOptions,
  metadata: RpcMetadata,
): EnvelopedHandler {
  const codecs = messageCodecs(method, options, protocol.malformed);
  const rpc: EnvelopedRpc = { method, protocol, metadata, options };
  return (form, request, reply) =>
    void new EnvelopedCall(rpc, form, codecs[form.codec], request, reply).serve();
}

/** One call on its way. */
class EnvelopedCall {
  readonly #rpc: EnvelopedRpc;
  readonly #form: BodyForm;
  readonly #codec: MessageCodec;
  readonly #request: FastifyRequest;
  readonly #reply: FastifyReply;
  readonly #reader: EnvelopeReader;
  readonly #writer: EnvelopeWriter;
  #context: CallContext | undefined;
  /** How messages of the reply are compressed. */
  #compression: Compression | null = null;

  constructor(
    rpc: EnvelopedRpc,
    form: BodyForm,
    codec: MessageCodec,
    request: FastifyRequest,
    reply: FastifyReply,
  ) {
    const { method, options } = rpc;
    this.#rpc = rpc;
    this.#form = form;
    this.#codec = codec;
    this.#request = request;
    this.#reply = reply;
    const { text } = form;
    const whole = method.methodKind === "unary" || method.methodKind === "server_streaming";
    const timeoutMs = whole ? options.bodyTimeoutMs : options.bodyIdleMs;
    const maxBytes = options.maxBodyBytes;
    this.#reader = new EnvelopeReader(request.raw, { maxBytes, timeoutMs, whole, text });
    this.#writer = new EnvelopeWriter(reply, {
      text,
      trailers: rpc.protocol.name === "grpc",
      writeIdleMs: options.writeIdleMs,
    });
  }

  async serve(): Promise<void> {
    let error: ConnectError | undefined;
    try {
      await this.#call();
    } catch (reason) {
      error = this.#rpc.options.errors.toError(reason, this.#reply.raw as Exchange); // As every response here.
      this.#context?.abort(error); // So that all that the call started hears of it.
    }
    try {
      this.#end(error);
    } catch {
      this.#reply.raw.destroy(); // A header of somebody's hook that cannot be written.
    }
    this.#reader.drop();
    this.#context?.end();
  }

  async #call(): Promise<void> {
    const { method, protocol, metadata, options } = this.#rpc;
    const { headers } = this.#request.raw;
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
      maxBytes: options.maxBodyBytes,
      malformed,
    });
    const time = callTimeOf(timeoutMs, options);
    this.#context = openCall(method, protocol.name, time.ownMs, metadata, this.#request, this.#reply);
    const context = this.#context;
    // The kind says which of the two it is, and the types do not follow.
    if (method.methodKind === "unary") await this.#unary(method as DescMethodUnary, requests, context, time);
    else await this.#stream(method as DescMethodStreaming, requests, context, time);
  }

  async #unary(
    method: DescMethodUnary,
    requests: RequestMessages,
    context: CallContext,
    { defaultMs }: CallTime,
  ): Promise<void> {
    const { invoker } = this.#rpc.options;
    const message = await context.race(requests.only());
    // A client's own time runs from the arrival of its request, the default one when the request is there.
    if (defaultMs !== undefined) context.limit(defaultMs);
    await this.#send(await invoker.unary(method, message, context, this.#write), context);
  }

  async #stream(
    method: DescMethodStreaming,
    requests: RequestMessages,
    context: CallContext,
    { defaultMs }: CallTime,
  ): Promise<void> {
    const { invoker, headerFlushMs } = this.#rpc.options;
    const input =
      method.methodKind === "server_streaming" ? one(await context.race(requests.only())) : requests;
    if (defaultMs !== undefined) context.limit(defaultMs);
    let timer: NodeJS.Timeout | undefined;
    // Before the client has sent everything it hardly waits for the head, and the service may not have its headers.
    const complete = (): void => {
      timer = setTimeout(() => this.#flush(), headerFlushMs);
    };
    if (input === requests) requests.onEnd = complete;
    else complete();
    const exchange = this.#reply.raw as Exchange; // Every server here makes its responses of this class.
    if (method.methodKind !== "client_streaming") exchange.leave = (reason) => context.abort(reason);
    try {
      for await (const bytes of invoker.stream(method, input, context, this.#write)) {
        if (timer !== undefined) clearTimeout(timer);
        const taken = this.#send(bytes, context);
        if (taken !== undefined) await taken;
      }
    } finally {
      exchange.leave = undefined;
      requests.onEnd = undefined;
      clearTimeout(timer);
    }
  }

  readonly #write = (message: Message): Buffer => this.#codec.serialize(message);

  /** Sends a message of the reply; undefined when there is room for another. */
  #send(bytes: Buffer, context: CallContext): Promise<void> | undefined {
    const compression = this.#compression;
    if (compression === null || bytes.length < compressMinBytes) return this.#envelope(0, bytes, context);
    return compression.compress(bytes).then((data) => this.#envelope(compressedFlag, data, context));
  }

  #envelope(flags: number, data: Uint8Array, context: CallContext): Promise<void> | undefined {
    this.#begin();
    const taken = this.#writer.write(flags, data);
    return taken && context.race(taken);
  }

  #begin(): void {
    if (!this.#writer.begun) this.#writer.begin(this.#head());
  }

  #head(): Record<string, string | string[]> {
    const { protocol, metadata } = this.#rpc;
    const headers: Record<string, string | string[]> = { "content-type": this.#form.contentType };
    if (this.#compression !== null) headers[protocol.encodingHeader] = this.#compression.name;
    if (this.#context?.responseHeaderIfAny !== undefined) {
      eachField(metadata.reply(this.#context).header, "", (name, value) => {
        const before = headers[name];
        headers[name] = before === undefined ? value : [before, value].flat();
      });
    }
    return headers;
  }

  /** The first message is long in coming: the client should see that somebody is there. */
  #flush(): void {
    if (this.#writer.begun || this.#reply.raw.destroyed) return;
    try {
      this.#begin();
      this.#writer.flush();
    } catch {
      this.#reply.raw.destroy(); // As in `serve`.
    }
  }

  #end(error: ConnectError | undefined): void {
    if (this.#reply.raw.destroyed) return;
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

/** Which compressions could be used instead is the one thing that an error before its call has to say beside itself. */
function fromNegotiation(error: ConnectError | undefined, { acceptEncodingHeader }: StreamProtocol): Headers {
  const known = error?.metadata.get(acceptEncodingHeader);
  return new Headers(typeof known === "string" ? { [acceptEncodingHeader]: known } : undefined);
}

async function* one(message: Message): AsyncGenerator<Message, void, undefined> {
  yield message;
}
