import { constants, type ServerHttp2Stream } from "node:http2";
import { toBinary, type Message } from "@bufbuild/protobuf";
import { Metadata } from "@grpc/grpc-js";
import { CallContext } from "../../call/context.ts";
import type { Dispatcher } from "../../call/dispatcher.ts";
import { Code, ConnectError, toCode } from "../../errors/errors.ts";
import { replyTooLarge } from "../../errors/reply-too-large.ts";
import type { Handler } from "../../call/handler.ts";
import type { Live, LiveSet } from "../../call/live-set.ts";
import { messageCheck } from "../../codec/message-check.ts";
import { rpcName } from "../../call/service.ts";
import type { WireCall } from "./direct-call.ts";
import type { IdentityTrust } from "../../metadata/identity-trust.ts";
import { fromHttp2Headers, fromRequestHeaders, toMetadata } from "../metadata.ts";
import type { AdmittedRequest } from "./grpc-admission.ts";
import { acceptsReplyCoding, replyCoding } from "./message-compression.ts";
import { toCallStatus } from "./status.ts";

/** What all calls of a server have in common. */
export interface CallEnvironment {
  readonly dispatcher: Dispatcher;
  /** Deadline of a unary call whose client set none, in milliseconds; 0 for none. */
  readonly defaultTimeoutMs: number;
  /** The longest deadline that a client may ask for, in milliseconds; 0 for any. */
  readonly maxTimeoutMs: number;
  /** Largest message to send, in bytes; -1 for any. */
  readonly maxSendBytes: number;
  /** The smallest reply sent in gzip to clients that accept it, in bytes; undefined compresses none. */
  readonly compressionThresholdBytes: number | undefined;
  /** The clients whose identity headers are trusted. */
  readonly trust: IdentityTrust;
  /** Every call, from its request headers to its last byte. */
  readonly calls: LiveSet<ServerCall>;
}

type Listener = Parameters<WireCall["start"]>[0];

/** One call on the wire: receives the client's events as a listener of grpc-js, and sends the reply. */
export abstract class ServerCall implements Listener, Live {
  livePlace = -1;
  readonly context: CallContext;
  protected readonly environment: CallEnvironment;
  protected readonly call: WireCall;
  /** Whether the dispatcher counts the call among its own. */
  protected running = false;
  readonly #request: AdmittedRequest;
  #answered = false;
  /** Size of the last reply that was written, in bytes. */
  #sentBytes = 0;
  #headersSent = false;
  #halfClosed = false;
  #acceptsCoding: boolean | undefined;

  constructor(environment: CallEnvironment, handler: Handler, call: WireCall, request: AdmittedRequest) {
    this.environment = environment;
    this.call = call;
    this.#request = request;
    const { headers, session } = request;
    const trusted = environment.trust.includes(session.peer);
    this.context = new CallContext({
      method: handler.method,
      protocolName: "grpc",
      requestHeader: () => (trusted ? fromHttp2Headers(headers) : fromRequestHeaders(headers)),
      peer: trusted ? environment.trust.behind(headers) : session.peer,
      timeoutMs: request.timeoutMs,
    });
    environment.calls.add(this);
  }

  /** Whether the handler does not run: not yet or no longer. */
  get outsideDispatcher(): boolean {
    return !this.running;
  }

  abstract onReceiveMetadata(): void;

  /** A requested message has arrived. */
  protected abstract received(message: Message): void;

  /** The client has sent END_STREAM. */
  protected abstract requested(): void;

  onReceiveMessage(message: Message): void {
    const { fault } = this.#request.frames;
    if (fault === undefined) this.received(message);
    else this.#malformed(fault);
  }

  onReceiveHalfClose(): void {
    // Node also ends the readable side of a reset stream; `onCancel` follows.
    if ((this.#request.stream.rstCode ?? 0) !== constants.NGHTTP2_NO_ERROR) return;
    this.#halfClosed = true;
    const { frames } = this.#request;
    if (frames.partial) this.#malformed("the request breaks off inside a message");
    else if (frames.fault !== undefined) this.#malformed(frames.fault);
    else this.requested();
  }

  /** The call has ended: the client has cancelled or disconnected, or the status was sent. */
  onCancel(): void {
    const { stream, session } = this.#request;
    this.environment.calls.delete(this);
    session.closed(stream, this.#sentBytes);
    if (!this.#answered) {
      this.#answered = true;
      this.context.abort(endOf(stream));
    }
    // The rest of the request is not read; a reset sent at once would overtake the status.
    if (!this.#halfClosed && !stream.closed) setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR));
    this.context.end();
  }

  /**
   * The bytes of a reply.
   *
   * @throws TypeError or Error for a message with invalid values; ConnectError INTERNAL for one that is too large
   */
  protected encode(message: Message): Buffer {
    const { output } = this.context.method;
    messageCheck(output)(message); // The encoder itself accepts a number for a string.
    const bytes = toBinary(output, message);
    const { maxSendBytes } = this.environment;
    if (maxSendBytes >= 0 && bytes.byteLength > maxSendBytes) {
      const name = rpcName(this.context.method);
      throw replyTooLarge(`${name} answered with ${bytes.byteLength} bytes, allowed are ${maxSendBytes}`);
    }
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Whether the bytes of a reply are to go through `compressReply`. */
  protected compresses(bytes: Buffer): boolean {
    const threshold = this.environment.compressionThresholdBytes;
    return threshold !== undefined && bytes.byteLength >= threshold && this.#readsCoding();
  }

  /** Sends the bytes of a reply, after the headers if it is the first. @returns Whether the call had not ended. */
  protected write(bytes: Buffer, sent: () => void): boolean {
    if (this.#answered) return false;
    this.#sendHeaders();
    this.#request.session.active();
    this.#sentBytes = bytes.byteLength;
    this.call.sendMessage(bytes, sent);
    return true;
  }

  /** Ends the call with OK. */
  protected finish(): void {
    if (this.#answered) return;
    this.#sendHeaders();
    this.#sendStatus();
  }

  /** Ends the call with an error, unless it has ended already. */
  protected fail(error: ConnectError): void {
    if (this.#answered) return;
    this.#sendHeaders();
    this.#sendStatus(error);
  }

  #sendStatus(error?: ConnectError): void {
    this.#answered = true;
    this.#request.session.active();
    try {
      this.call.sendStatus(toCallStatus(this.context, error));
    } catch {
      this.#request.stream.close(constants.NGHTTP2_INTERNAL_ERROR); // For example error details that cannot be encoded.
    }
  }

  /** Sends the response headers once, if there are any; otherwise the engine sends its own with the first message. */
  #sendHeaders(): void {
    if (this.#headersSent) return;
    this.#headersSent = true;
    const headers = this.context.responseHeaderIfAny;
    const metadata = headers === undefined ? undefined : toMetadata(headers);
    if (this.environment.compressionThresholdBytes !== undefined && this.#readsCoding()) {
      const compressed = metadata ?? new Metadata();
      compressed.set("grpc-encoding", replyCoding.name);
      this.call.sendMetadata(compressed);
    } else if (metadata !== undefined) {
      this.call.sendMetadata(metadata);
    }
  }

  #readsCoding(): boolean {
    return (this.#acceptsCoding ??= acceptsReplyCoding(this.#request.headers));
  }

  #malformed(text: string): void {
    this.context.abort(new ConnectError(text, Code.Internal));
  }
}

/**
 * The error of a call that ended before its handler answered: grpc-js has refused it or the client has cancelled it.
 */
function endOf(stream: ServerHttp2Stream): ConnectError {
  const { sentHeaders, sentTrailers } = stream;
  const status = sentTrailers?.["grpc-status"] ?? sentHeaders?.["grpc-status"];
  if (status === undefined) return new ConnectError("the client cancelled the call", Code.Canceled);
  return new ConnectError("the request cannot be read", toCode(Number(status)));
}
