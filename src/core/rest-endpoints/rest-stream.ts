import {
  fromBinary,
  toBinary,
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
  type Message,
} from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { Code, ConnectError, toCallError } from "../errors/errors.ts";
import type { RequestHead, RequestStream, StreamListener } from "../http2/session.ts";
import { withPrefix } from "../wire/message-prefix.ts";
import { MessageReader, type MessageSink } from "../wire/message-reader.ts";
import type { KnownMethod } from "./called-methods.ts";
import { NotSent } from "./http1-sockets.ts";
import { errorFields, headFields, isLost, okFields } from "./reply-fields.ts";
import { RequestMessages } from "./request-messages.ts";

/** Fields that belong to gRPC and mean nothing to an HTTP API. */
const ofGrpc: ReadonlySet<string> = new Set(["te", "content-type", "grpc-accept-encoding", "grpc-encoding"]);

/**
 * One attempt of a call, which the REST client makes: the frames that the call writes become messages, and the messages of
 * the reply become frames.
 */
export class RestStream implements RequestStream, MessageSink {
  readonly #method: KnownMethod;
  readonly #head: RequestHead;
  readonly #listener: StreamListener;
  readonly #reader = new MessageReader(this, Number.MAX_SAFE_INTEGER, "request");
  readonly #requests = new RequestMessages<Message>(() => this.#listener.onDrain());
  readonly #ending = new AbortController();
  #canTakeMore = true;
  #isAnswered = false;
  #isPaused = false;
  #resume: (() => void) | undefined;

  constructor(method: KnownMethod, head: RequestHead, listener: StreamListener) {
    this.#method = method;
    this.#head = head;
    this.#listener = listener;
  }

  write(bytes: Uint8Array): boolean {
    this.#canTakeMore = true;
    this.#reader.add(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    return this.#canTakeMore;
  }

  message(_flags: number, bytes: Buffer): void {
    const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength); // Fields of bytes are no `Buffer`s.
    const message = fromBinary(this.#method.desc.input, plain);
    if (!this.#requests.add(message, bytes.length)) this.#canTakeMore = false;
  }

  end(bytes?: Uint8Array): void {
    if (bytes !== undefined) this.write(bytes);
    this.#requests.end();
  }

  reset(): void {
    this.#ending.abort(new ConnectError("the caller cancelled the call", Code.Canceled));
    this.resume();
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#resume?.();
  }

  /** Makes the call. Resolves at its end, whichever that is. */
  async run(transport: Transport): Promise<void> {
    try {
      const trailer = await this.#call(transport);
      this.#listener.onTrailers(okFields(trailer));
      this.#close();
    } catch (reason) {
      this.#fail(toCallError(reason));
    }
  }

  /** @returns the trailers */
  async #call(transport: Transport): Promise<Headers> {
    const { desc } = this.#method;
    const { typeName } = desc.parent;
    // Health and reflection: what asks for them takes this answer as that of servers which have neither.
    if (/^grpc\.\w+\.v/.test(typeName)) {
      throw new ConnectError(`endpoints that speak REST do not have ${typeName}`, Code.Unimplemented);
    }
    const { signal } = this.#ending;
    const headers = headersOf(this.#head);
    if (isUnary(desc)) {
      const request = await this.#first();
      // The deadline is the call's, whose end resets the stream.
      const { header, trailer, message } = await transport.unary(desc, signal, undefined, headers, request);
      this.#answer(header);
      this.#deliver(message);
      return trailer;
    }
    // All others are streams.
    const reply = await transport.stream(
      desc as DescMethodStreaming,
      signal,
      undefined,
      headers,
      this.#requests,
    );
    this.#answer(reply.header);
    for await (const message of reply.message) {
      this.#deliver(message);
      if (this.#isPaused) await new Promise<void>((resolve) => (this.#resume = resolve));
    }
    return reply.trailer;
  }

  async #first(): Promise<Message> {
    for await (const message of this.#requests) return message;
    throw new ConnectError("the call has no request message", Code.Internal);
  }

  #answer(headers: Headers): void {
    this.#isAnswered = true;
    this.#listener.onResponse(headFields(headers), false);
  }

  #deliver(message: Message): void {
    this.#listener.onData(withPrefix(toBinary(this.#method.desc.output, message)), false);
  }

  #fail(error: ConnectError): void {
    const { cause } = error;
    if (cause instanceof NotSent) this.#close({ unsent: true, lost: unreachable(cause) });
    else if (isLost(error)) this.#close({ unsent: false, lost: error });
    else {
      const fields = errorFields(error);
      if (this.#isAnswered) this.#listener.onTrailers(fields);
      else this.#listener.onResponse(fields, true);
      this.#close();
    }
  }

  #close(
    end: { unsent: boolean; lost: ConnectError | undefined } = { unsent: false, lost: undefined },
  ): void {
    this.#listener.onClose({ rstCode: 0, unprocessed: false, ...end });
  }
}

function isUnary(desc: DescMethod): desc is DescMethodUnary {
  return desc.methodKind === "unary";
}

function unreachable({ cause }: NotSent): ConnectError {
  return new ConnectError("no connection to the server", Code.Unavailable, undefined, undefined, cause);
}

function headersOf({ fields }: RequestHead): Headers {
  const headers = new Headers();
  for (let at = 0; at < fields.length; at += 2) {
    const [name = "", value = ""] = [fields[at], fields[at + 1]];
    if (name === ":authority") headers.set("host", value);
    else if (!name.startsWith(":") && !ofGrpc.has(name)) headers.append(name, value);
  }
  return headers;
}
