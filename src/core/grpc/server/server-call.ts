import type { CallReports } from "../../admission/call-reports.ts";
import { CallContext } from "../../call/context.ts";
import type { Dispatcher } from "../../call/dispatcher.ts";
import { type CallObserver, notifyUnserved } from "../../call/observer.ts";
import type { Live, LiveSet } from "../../call/live-set.ts";
import { Code, ConnectError, toCallError } from "../../errors/errors.ts";
import { errorCode } from "../../http2/http2-error.ts";
import { setPreviousAttempts } from "../../metadata/previous-attempts.ts";
import { previousAttemptsHeader } from "../../metadata/retry-headers.ts";
import type { IdentityTrust } from "../../metadata/identity-trust.ts";
import { requestIdHeader, type RequestIds } from "../../metadata/request-id.ts";
import { prefixBytes, writePrefix } from "../../wire/message-prefix.ts";
import { MessageReader, type MessageSink } from "../../wire/message-reader.ts";
import { fromHttp2Headers, fromRequestHeaders } from "../metadata.ts";
import type { CallRequest, CallStream, ServerStreamListener } from "./call-stream.ts";
import { acceptsReplyCoding } from "./message-compression.ts";
import { headOf, onlyTrailers, trailersOf } from "./reply-fields.ts";
import { MessageDecoder } from "./request-messages.ts";
import type { ServedRpc } from "./served-rpc.ts";

/** What all calls of a server have in common. */
export interface CallEnvironment {
  readonly dispatcher: Dispatcher;
  /** Deadline of a unary call whose client set none, in milliseconds; 0 for none. */
  readonly defaultTimeoutMs: number;
  /** The longest deadline that a client may ask for, in milliseconds; 0 for any. */
  readonly maxTimeoutMs: number;
  /** Largest message to receive, in bytes after decompression. */
  readonly maxMessageBytes: number;
  /** Largest message to send, in bytes; -1 for any. */
  readonly maxSendBytes: number;
  /** The smallest reply sent in gzip to clients that accept it, in bytes; undefined compresses none. */
  readonly compressionThresholdBytes: number | undefined;
  /** The clients whose identity headers are trusted. */
  readonly trust: IdentityTrust;
  /** Gives calls the ids that are in their answers; undefined where answers have none. */
  readonly requestIds: RequestIds | undefined;
  /** Notified of calls. */
  readonly observers: readonly CallObserver[];
  /** Tells observers when calls arrive and are answered; undefined where none is told. */
  readonly reports: CallReports | undefined;
  /** Every call, from its request headers to its last byte. */
  readonly calls: LiveSet<LiveCall>;
}

/** A call on the wire, as a stop of the server sees it. */
export interface LiveCall extends Live {
  readonly context: CallContext;
  /** Whether the dispatcher does not count the call among its own: its handler does not run, not yet or no longer. */
  readonly outsideDispatcher: boolean;
}

/** The context of a call: identity headers count only if the client is trusted to set them. */
export function contextOf(
  method: CallContext["method"],
  { headers, peer, timeoutMs }: Omit<CallRequest, "context">,
  { trust, requestIds }: Pick<CallEnvironment, "trust" | "requestIds">,
): CallContext {
  const trusted = trust.includes(peer);
  const context = new CallContext({
    method,
    protocolName: "grpc",
    requestHeader: () => (trusted ? fromHttp2Headers(headers) : fromRequestHeaders(headers)),
    peer: trusted ? trust.behind(headers) : peer,
    timeoutMs,
    requestId: requestIds?.of(headers[requestIdHeader], () => trusted),
  });
  const attempts = headers[previousAttemptsHeader];
  if (typeof attempts === "string") setPreviousAttempts(context, attempts);
  return context;
}

/** The prefix of the message that is being written: it is copied at once. */
const prefix = new Uint8Array(prefixBytes);

/** One call on a stream, of either kind: reads the messages of the request, and writes the reply. */
export abstract class ServerCall implements ServerStreamListener, MessageSink, LiveCall {
  livePlace = -1;
  readonly context: CallContext;
  protected readonly environment: CallEnvironment;
  protected readonly rpc: ServedRpc;
  protected readonly stream: CallStream;
  /** Whether the dispatcher counts the call among its own. */
  protected running = false;
  /** Whether the client has sent everything. */
  protected halfClosed = false;
  protected readonly decoder: MessageDecoder;
  readonly #request: CallRequest;
  readonly #reader: MessageReader;
  /** Bytes of the chunk that is being read: of complete messages, and of those that are used later. */
  #read = 0;
  #kept = 0;
  /** Bytes of earlier chunks of the message that is incomplete. */
  #gathered = 0;
  /** Bytes that were used while they were gathered, of messages that wait: the next bytes are held in their place. */
  #advanced = 0;
  #answered = false;
  /** What the client got, or why it got nothing; undefined for OK. */
  #failure: ConnectError | undefined;
  #hasLeft = false;
  #headersSent = false;
  #over = false;
  #acceptsCoding: boolean | undefined;

  constructor(environment: CallEnvironment, rpc: ServedRpc, stream: CallStream, request: CallRequest) {
    this.environment = environment;
    this.rpc = rpc;
    this.stream = stream;
    this.#request = request;
    this.context = request.context ?? contextOf(rpc.handler.method, request, environment);
    this.decoder = new MessageDecoder(request.headers, rpc.read, environment.maxMessageBytes);
    this.#reader = new MessageReader(this, environment.maxMessageBytes, "request");
    environment.calls.add(this);
  }

  get outsideDispatcher(): boolean {
    return !this.running;
  }

  /** Whether the status was sent, or never will be. */
  protected get answered(): boolean {
    return this.#answered;
  }

  /**
   * A message of the request has come, with valid flags.
   *
   * @param held Its bytes, with the prefix, which are used when the call has used the message.
   * @returns whether the call will use them later
   */
  protected abstract received(flags: number, bytes: Buffer, held: number): boolean;

  /** All messages of the request have come. */
  protected abstract requested(): void;

  onData(chunk: Buffer): void {
    this.context.receivedBytes += chunk.length;
    this.context.connection?.seen();
    if (this.#answered) {
      this.stream.use(chunk.length);
      return;
    }
    this.#read = 0;
    this.#kept = 0;
    try {
      this.#reader.add(chunk);
    } catch (reason) {
      this.context.abort(toCallError(reason));
      this.fail(toCallError(reason));
    }
    // An incomplete message is gathered, up to its limit: if it waited for the window, it could not become complete.
    this.#gathered += chunk.length - this.#read;
    const unkept = chunk.length - this.#kept;
    const repaid = Math.min(this.#advanced, unkept);
    this.#advanced -= repaid;
    if (repaid < unkept) this.stream.use(unkept - repaid);
  }

  message(flags: number, bytes: Buffer): void {
    const whole = prefixBytes + bytes.length;
    const gathered = this.#gathered;
    this.#read += whole - gathered;
    this.#gathered = 0;
    if (this.#answered) return;
    this.context.received++;
    this.decoder.check(flags);
    if (!this.received(flags, bytes, whole)) return;
    this.#kept += whole - gathered;
    this.#advanced += gathered;
  }

  onEnd(): void {
    this.halfClosed = true;
    if (this.#answered) return;
    if (this.#reader.partial) {
      const error = new ConnectError("the request breaks off inside a message", Code.Internal);
      this.context.abort(error);
      this.fail(error);
    } else {
      this.requested();
    }
  }

  onDrain(): void {}

  onFinish(): void {
    this.#leave();
  }

  release(): void {
    if (!this.#answered) {
      this.#answered = true;
      this.#hasLeft = true;
      this.#failure = new ConnectError("the client cancelled the call", Code.Canceled);
      this.context.abort(this.#failure);
    }
    this.#leave();
  }

  /** The call is over for the client: its status was sent, or its stream is closed. */
  #leave(): void {
    if (this.#over) return;
    this.#over = true;
    this.environment.calls.delete(this);
    this.context.end();
    // Without a failure it was answered.
    if (this.#failure !== undefined) notifyUnserved(this.environment.observers, this.#failure, this.context);
    this.environment.reports?.answered(this.context, this.#failure, this.#hasLeft);
  }

  /** The dispatcher begins to run the handler. */
  protected begin(): void {
    this.running = true;
    this.stream.keepPlace();
  }

  /** The dispatcher has ended; the handler itself may still run if the call was aborted. */
  protected ended(): void {
    this.running = false;
    const { stream } = this;
    const { work, reason } = this.context;
    if (reason === undefined || work === undefined) {
      stream.settled();
      return;
    }
    const settled = (): void => stream.settled();
    work.then(settled, settled);
  }

  /** Whether the bytes of a reply are to go through `compressReply`. */
  protected compresses(bytes: Uint8Array): boolean {
    const threshold = this.environment.compressionThresholdBytes;
    return threshold !== undefined && bytes.byteLength >= threshold && this.#readsCoding();
  }

  /** Sends a message of the reply. @returns false if the call should wait for `onDrain` */
  protected write(flags: number, bytes: Uint8Array): boolean {
    if (this.#answered) return true;
    this.#sendHeaders();
    this.context.sent++;
    this.context.sentBytes += prefixBytes + bytes.byteLength;
    writePrefix(prefix, flags, bytes.byteLength);
    return this.stream.writeBehind(prefix, bytes);
  }

  /** Sends the response headers, before the first message. */
  protected sendHead(): void {
    if (!this.#answered) this.#sendHeaders();
  }

  /** Sends the one message of the reply, and ends the call with OK. */
  protected reply(flags: number, bytes: Uint8Array): void {
    if (this.#answered) return;
    this.#answered = true;
    try {
      const head = this.#head();
      const trailers = trailersOf(this.context);
      this.context.sentBytes += prefixBytes + bytes.byteLength;
      writePrefix(prefix, flags, bytes.byteLength);
      this.stream.reply({ head, prefix, bytes, trailers });
    } catch {
      this.stream.reset(errorCode.internalError); // A field that cannot be sent.
    }
  }

  /** Ends the call with OK, after its messages. */
  protected finish(): void {
    this.#end(undefined);
  }

  /** Ends the call with an error, unless it has ended already. */
  protected fail(error: ConnectError): void {
    this.#end(error);
  }

  #end(error: ConnectError | undefined): void {
    if (this.#answered) return;
    this.#answered = true;
    this.#failure = error;
    try {
      const trailers = trailersOf(this.context, error);
      if (!this.#headersSent && !this.context.hasResponseHeader && !this.#readsAnyCoding()) {
        this.stream.respond(onlyTrailers(trailers, this.context.answeredId), true);
        return;
      }
      this.#sendHeaders();
      this.stream.end(undefined, trailers);
    } catch {
      this.stream.reset(errorCode.internalError); // For example error details that cannot be encoded.
    }
  }

  /** Sends the response headers once, with the first message or the status. */
  #sendHeaders(): void {
    if (this.#headersSent) return;
    this.#headersSent = true;
    this.stream.respond(this.#head(), false);
  }

  #head() {
    return headOf(this.context, this.#readsAnyCoding());
  }

  #readsAnyCoding(): boolean {
    return this.environment.compressionThresholdBytes !== undefined && this.#readsCoding();
  }

  #readsCoding(): boolean {
    return (this.#acceptsCoding ??= acceptsReplyCoding(this.#request.headers));
  }
}
