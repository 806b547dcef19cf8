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
  /** Time for a unary call whose client set no deadline, in milliseconds; 0 for none. */
  readonly defaultTimeoutMs: number;
  /** The longest deadline that a client may ask for, in milliseconds; 0 for any. */
  readonly maxTimeoutMs: number;
  /** Largest message to send, in bytes; -1 for any. */
  readonly maxSendBytes: number;
  /** Replies of so many bytes and more go out in gzip where the client reads it; undefined compresses none. */
  readonly compressionThresholdBytes: number | undefined;
  /** Whose identity headers are believed. */
  readonly trust: IdentityTrust;
  /** Every call from its request headers to its last byte. */
  readonly calls: LiveSet<ServerCall>;
}

type Listener = Parameters<WireCall["start"]>[0];

/** One call on the wire: the listener that grpc-js tells what the client does, and what is answered. */
export abstract class ServerCall implements Listener, Live {
  livePlace = -1;
  readonly context: CallContext;
  protected readonly environment: CallEnvironment;
  protected readonly call: WireCall;
  /** Whether the dispatcher has the call in its own book. */
  protected running = false;
  readonly #request: AdmittedRequest;
  #answered = false;
  /** Bytes of the last reply that was handed over. */
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

  /** Whether the handler has not been asked yet, or has answered. */
  get outsideDispatcher(): boolean {
    return !this.running;
  }

  abstract onReceiveMetadata(): void;

  /** The client has sent one message that was asked for. */
  protected abstract received(message: Message): void;

  /** The client has sent everything. */
  protected abstract requested(): void;

  onReceiveMessage(message: Message): void {
    const { fault } = this.#request.frames;
    if (fault === undefined) this.received(message);
    else this.#malformed(fault);
  }

  onReceiveHalfClose(): void {
    // Node ends the readable side of a stream that was reset, too; `onCancel` follows.
    if ((this.#request.stream.rstCode ?? 0) !== constants.NGHTTP2_NO_ERROR) return;
    this.#halfClosed = true;
    const { frames } = this.#request;
    if (frames.partial) this.#malformed("the request breaks off inside a message");
    else if (frames.fault !== undefined) this.#malformed(frames.fault);
    else this.requested();
  }

  /** The call is over: the client has left, or the status is on its way. */
  onCancel(): void {
    const { stream, session } = this.#request;
    this.environment.calls.delete(this);
    session.closed(stream, this.#sentBytes);
    if (!this.#answered) {
      this.#answered = true;
      this.context.abort(endOf(stream));
    }
    // The rest of the request is not wanted; a reset that is sent at once would overtake the status.
    if (!this.#halfClosed && !stream.closed) setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR));
    this.context.end();
  }

  /**
   * The bytes of a reply.
   *
   * @throws TypeError or Error for a message that has wrong values; ConnectError INTERNAL for one that is too
   *   large
   */
  protected encode(message: Message): Buffer {
    const { output } = this.context.method;
    messageCheck(output)(message); // The encoder takes a number for a text.
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

  /** Sends the bytes of a reply, behind the headers if it is the first. @returns Whether the call still lives. */
  protected write(bytes: Buffer, sent: () => void): boolean {
    if (this.#answered) return false;
    this.#sendHeaders();
    this.#request.session.active();
    this.#sentBytes = bytes.byteLength;
    this.call.sendMessage(bytes, sent);
    return true;
  }

  /** Ends the call well. */
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
      this.#request.stream.close(constants.NGHTTP2_INTERNAL_ERROR); // Details that cannot be written, for example.
    }
  }

  /** Headers that are needed go ahead; without any, grpc-js sends its own with the first message. */
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

/** Why a call ended that nobody here has answered: grpc-js has, or the client has left. */
function endOf(stream: ServerHttp2Stream): ConnectError {
  const { sentHeaders, sentTrailers } = stream;
  const status = sentTrailers?.["grpc-status"] ?? sentHeaders?.["grpc-status"];
  if (status === undefined) return new ConnectError("the client cancelled the call", Code.Canceled);
  return new ConnectError("the request cannot be read", toCode(Number(status)));
}
