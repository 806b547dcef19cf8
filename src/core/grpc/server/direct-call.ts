import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { Message } from "@bufbuild/protobuf";
import type { Metadata, ServerInterceptingCallInterface } from "@grpc/grpc-js";
import { Code, ConnectError, toCallError } from "../../errors/errors.ts";
import { compressedFlag, prefixBytes, writePrefix } from "../../wire/message-prefix.ts";
import { MessageReader, type MessageSink } from "../../wire/message-reader.ts";
import { acceptedEncodings } from "./message-compression.ts";

/** The part of grpc-js' call interface that server calls use. */
export type WireCall = Pick<
  ServerInterceptingCallInterface,
  "start" | "startRead" | "sendMetadata" | "sendMessage" | "sendStatus"
>;

type Listener = Parameters<WireCall["start"]>[0];
type Status = Parameters<WireCall["sendStatus"]>[0];

const owner = Symbol("call");
type OwnedStream = ServerHttp2Stream & { [owner]: DirectCall | undefined };

const statusOnly: OutgoingHttpHeaders = { ":status": 200, "content-type": "application/grpc+proto" };
const headersFirst: OutgoingHttpHeaders = {
  ...statusOnly,
  "grpc-accept-encoding": acceptedEncodings,
  "grpc-encoding": "identity",
};
const withTrailers = { waitForTrailers: true, sendDate: false };
const withoutBody = { endStream: true, sendDate: false };
const okFields: OutgoingHttpHeaders = { "grpc-status": 0, "grpc-message": "" };

/**
 * A unary call with an uncompressed request, served on its HTTP/2 stream without grpc-js, which costs such a call more
 * than all other work together. Its behaviour to the handler and to the client is that of grpc-js.
 *
 * The reply is held until the status follows, at once, so that both are sent together.
 */
export class DirectCall implements WireCall, MessageSink {
  readonly #stream: OwnedStream;
  readonly #reader: MessageReader;
  readonly #read: (bytes: Buffer) => Message;
  #listener: Listener | undefined;
  #headers: Metadata | undefined;
  #reply: Buffer | undefined;
  #status: OutgoingHttpHeaders | undefined;
  #over = false;

  /**
   * @param maxMessageBytes Largest message to receive, less than 0 for any.
   * @param read Decodes a message; throws for malformed bytes.
   */
  constructor(stream: ServerHttp2Stream, maxMessageBytes: number, read: (bytes: Buffer) => Message) {
    this.#stream = Object.assign(stream, { [owner]: this });
    this.#reader = new MessageReader(this, maxMessageBytes < 0 ? Infinity : maxMessageBytes, "request");
    this.#read = read;
  }

  /** Always undefined: the call itself refuses malformed frames. */
  get fault(): undefined {
    return undefined;
  }

  /** Whether the request so far ends inside a message. */
  get partial(): boolean {
    return this.#reader.partial;
  }

  start(listener: Listener): void {
    const stream = this.#stream;
    this.#listener = listener;
    stream.on("error", ignored); // The `close` event that follows reports a broken stream.
    stream.on("close", closed);
    stream.on("end", ended);
    stream.on("data", arrived);
  }

  /** No operation: a request has one message, which is read as it arrives. */
  startRead(): void {}

  sendMetadata(metadata: Metadata): void {
    this.#headers = metadata;
  }

  /**
   * @param message Its `copy` writes it behind the prefix; that of a compressed message also sets the flag, see
   * `toGzip`.
   */
  sendMessage(message: Buffer, sent: () => void): void {
    const framed = Buffer.allocUnsafe(prefixBytes + message.byteLength);
    writePrefix(framed, 0, message.byteLength);
    message.copy(framed, prefixBytes);
    this.#reply = framed;
    sent();
  }

  /** @throws Error if the status cannot be written. */
  sendStatus(status: Status): void {
    const stream = this.#stream;
    if (this.#status !== undefined || stream.destroyed || stream.closed) return;
    const fields = fieldsOf(status);
    this.#status = fields;
    if (this.#reply === undefined && this.#headers === undefined) {
      stream.respond({ ...statusOnly, ...fields }, withoutBody);
      process.nextTick(() => this.cancelled());
      return;
    }
    const custom = this.#headers?.toHttp2Headers();
    stream.on("wantTrailers", sendTrailers);
    stream.respond(custom === undefined ? headersFirst : { ...headersFirst, ...custom }, withTrailers);
    stream.end(this.#reply);
  }

  /** All bytes of the reply have been sent; the trailers follow. */
  sendTrailers(): void {
    try {
      this.#stream.sendTrailers(this.#status ?? okFields);
    } catch {
      this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR); // Node rejects an invalid trailer.
    }
    this.cancelled();
  }

  /** Parses a chunk of the request. */
  add(chunk: Buffer): void {
    if (this.#status !== undefined) return;
    try {
      this.#reader.add(chunk);
    } catch (reason) {
      this.#refuse(toCallError(reason));
    }
  }

  message(flags: number, bytes: Buffer): void {
    if (this.#status !== undefined) return;
    if (flags === compressedFlag) {
      throw new ConnectError("a compressed message without a grpc-encoding", Code.Internal);
    }
    let message: Message;
    try {
      message = this.#read(bytes);
    } catch {
      throw new ConnectError("the request cannot be read", Code.Internal);
    }
    this.#listener?.onReceiveMessage(message);
  }

  /** The client has sent everything. */
  halfClosed(): void {
    if (this.#status === undefined) this.#listener?.onReceiveHalfClose();
  }

  /** The call has ended: its status was sent or its stream has closed. */
  cancelled(): void {
    if (this.#over) return;
    this.#over = true;
    this.#listener?.onCancel();
  }

  #refuse(error: ConnectError): void {
    const code: number = error.code; // The two enums have the same numbers.
    this.sendStatus({ code, details: error.rawMessage, metadata: null });
  }
}

function fieldsOf({ code, details, metadata }: Status): OutgoingHttpHeaders {
  if (code === 0 && details === "" && metadata === null) return okFields;
  return { "grpc-status": code, "grpc-message": encodeURI(details), ...metadata?.toHttp2Headers() };
}

function ignored(): void {}

function closed(this: OwnedStream): void {
  this[owner]?.cancelled();
  this[owner] = undefined; // Node keeps a closed stream until the next major garbage collection.
}

function ended(this: OwnedStream): void {
  this[owner]?.halfClosed();
}

function arrived(this: OwnedStream, chunk: Buffer): void {
  this[owner]?.add(chunk);
}

function sendTrailers(this: OwnedStream): void {
  this[owner]?.sendTrailers();
}
