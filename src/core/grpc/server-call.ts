import { constants, type ServerHttp2Stream } from "node:http2";
import { toBinary, type Message } from "@bufbuild/protobuf";
import type { ServerInterceptingCallInterface } from "@grpc/grpc-js";
import { CallContext } from "../context.ts";
import type { Dispatcher } from "../dispatcher.ts";
import { Code, ConnectError, toCallError, toCode } from "../errors.ts";
import type { Handler, StreamHandler, UnaryHandler } from "../handler.ts";
import { rpcName } from "../service.ts";
import { fromHttp2Headers, toMetadata } from "./metadata.ts";
import type { GuardedRequest } from "./request-guard.ts";
import type { OpenCalls } from "./open-calls.ts";
import { RequestQueue } from "./request-queue.ts";
import { toCallStatus } from "./status.ts";

/** What all calls of a server have in common. */
export interface CallEnvironment {
  readonly dispatcher: Dispatcher;
  /** Time for a unary call whose client set no deadline, in milliseconds; 0 for none. */
  readonly defaultTimeoutMs: number;
  /** Largest message to send, in bytes; -1 for any. */
  readonly maxSendBytes: number;
  /** Every call from its request headers to its last byte. */
  readonly calls: OpenCalls<ServerCall>;
}

/** Bytes handed to HTTP/2 and not yet taken by the client, above which a stream waits. */
const maxUnsentBytes = 64 * 1024;

type Listener = Parameters<ServerInterceptingCallInterface["start"]>[0];

/** Runs the rpc of `request` from its headers to its status. */
export function runCall(
  environment: CallEnvironment,
  handler: Handler,
  call: ServerInterceptingCallInterface,
  request: GuardedRequest,
): void {
  call.start(
    handler.kind === "unary"
      ? new UnaryCall(environment, handler, call, request)
      : new StreamCall(environment, handler, call, request),
  );
}

/** One call on the wire: the listener that grpc-js tells what the client does, and what is answered. */
export abstract class ServerCall implements Listener {
  readonly context: CallContext;
  protected readonly environment: CallEnvironment;
  protected readonly call: ServerInterceptingCallInterface;
  /** Whether the dispatcher has the call in its own book. */
  protected running = false;
  readonly #request: GuardedRequest;
  #answered = false;
  #headersSent = false;
  #halfClosed = false;

  constructor(
    environment: CallEnvironment,
    handler: Handler,
    call: ServerInterceptingCallInterface,
    request: GuardedRequest,
  ) {
    this.environment = environment;
    this.call = call;
    this.#request = request;
    this.context = new CallContext({
      method: handler.method,
      protocolName: "grpc",
      requestHeader: () => fromHttp2Headers(request.headers),
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
    this.#halfClosed = true;
    const { frames } = this.#request;
    if (frames.partial) this.#malformed("the request breaks off inside a message");
    else if (frames.fault !== undefined) this.#malformed(frames.fault);
    else this.requested();
  }

  /** The call is over: the client has left, or the status is on its way. */
  onCancel(): void {
    const { stream } = this.#request;
    this.environment.calls.delete(this);
    if (!this.#answered) {
      this.#answered = true;
      this.context.abort(endOf(stream));
    }
    // The rest of the request is not wanted; a reset that is sent at once would overtake the status.
    if (!this.#halfClosed && !stream.closed) setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR));
    this.context.end();
  }

  /** Sends one reply, behind the headers if it is the first. @returns Its size; undefined if the call failed. */
  protected send(message: Message, sent: () => void): number | undefined {
    if (this.#answered) return undefined;
    let bytes: Uint8Array;
    try {
      bytes = toBinary(this.context.method.output, message);
    } catch (reason) {
      this.fail(toCallError(reason));
      return undefined;
    }
    const { maxSendBytes } = this.environment;
    if (maxSendBytes >= 0 && bytes.byteLength > maxSendBytes) {
      const text = `${rpcName(this.context.method)} answered with ${bytes.byteLength} bytes, allowed are ${maxSendBytes}`;
      this.fail(new ConnectError(text, Code.ResourceExhausted));
      return undefined;
    }
    this.#sendHeaders();
    this.#request.session.active();
    this.call.sendMessage(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), sent);
    return bytes.byteLength;
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

  /** Headers that somebody has set go ahead; without any, grpc-js sends its own with the first message. */
  #sendHeaders(): void {
    if (this.#headersSent) return;
    this.#headersSent = true;
    const headers = this.context.responseHeaderIfAny;
    if (headers !== undefined) this.call.sendMetadata(toMetadata(headers));
  }

  #malformed(text: string): void {
    this.context.abort(new ConnectError(text, Code.Internal));
  }
}

class UnaryCall extends ServerCall {
  readonly #handler: UnaryHandler;
  readonly #unsubscribe: () => void;
  #message: Message | undefined;

  constructor(
    environment: CallEnvironment,
    handler: UnaryHandler,
    call: ServerInterceptingCallInterface,
    request: GuardedRequest,
  ) {
    super(environment, handler, call, request);
    this.#handler = handler;
    const { context } = this;
    if (context.deadline === undefined && environment.defaultTimeoutMs > 0) {
      context.limit(environment.defaultTimeoutMs);
    }
    this.#unsubscribe = context.onAbort((reason) => this.fail(reason));
  }

  onReceiveMetadata(): void {
    this.call.startRead();
  }

  protected received(message: Message): void {
    if (this.#message !== undefined) {
      this.#refuse("takes one message, more came");
      return;
    }
    this.#message = message;
    this.call.startRead();
  }

  protected requested(): void {
    if (this.#message === undefined) {
      this.#refuse("takes one message, none came");
      return;
    }
    const { context, environment } = this;
    if (context.reason !== undefined) return;
    this.#unsubscribe(); // From here on the dispatcher hears the abort.
    this.running = true;
    environment.dispatcher.unary(this.#handler, this.#message, context).then(
      (reply) => {
        this.running = false;
        if (this.send(reply, nothing) !== undefined) this.finish();
      },
      (reason: unknown) => {
        this.running = false;
        this.fail(toCallError(reason));
      },
    );
  }

  #refuse(text: string): void {
    this.context.abort(new ConnectError(`${rpcName(this.context.method)} ${text}`, Code.Unimplemented));
  }
}

class StreamCall extends ServerCall {
  readonly #handler: StreamHandler;
  readonly #requests: RequestQueue;
  #unsent = 0;
  #wake: (() => void) | undefined;

  constructor(
    environment: CallEnvironment,
    handler: StreamHandler,
    call: ServerInterceptingCallInterface,
    request: GuardedRequest,
  ) {
    super(environment, handler, call, request);
    this.#handler = handler;
    this.#requests = new RequestQueue(() => call.startRead());
  }

  onReceiveMetadata(): void {
    this.context.onAbort((reason) => {
      this.#requests.end(reason);
      this.fail(reason);
      this.#wake?.();
    });
    this.running = true;
    void this.#run();
  }

  protected received(message: Message): void {
    this.#requests.push(message);
  }

  protected requested(): void {
    this.#requests.end();
  }

  async #run(): Promise<void> {
    try {
      for await (const reply of this.environment.dispatcher.stream(
        this.#handler,
        this.#requests,
        this.context,
      )) {
        this.#unsent += this.#sendReply(reply);
        if (this.#unsent > maxUnsentBytes) await this.#drained();
      }
      this.running = false;
      this.finish();
    } catch (reason) {
      this.running = false;
      this.fail(toCallError(reason));
    }
  }

  #sendReply(reply: Message): number {
    let size = 0;
    const sent = this.send(reply, () => {
      this.#unsent -= size;
      if (this.#unsent <= maxUnsentBytes) this.#wake?.();
    });
    if (sent === undefined)
      throw this.context.reason ?? new ConnectError("the call has ended", Code.Canceled);
    size = sent;
    return size;
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => {
      if (this.context.reason === undefined) this.#wake = resolve;
      else resolve();
    });
  }
}

/** Why a call ended that nobody here has answered: grpc-js has, or the client has left. */
function endOf(stream: ServerHttp2Stream): ConnectError {
  const { sentHeaders, sentTrailers } = stream;
  const status = sentTrailers?.["grpc-status"] ?? sentHeaders?.["grpc-status"];
  if (status === undefined) return new ConnectError("the client cancelled the call", Code.Canceled);
  return new ConnectError("the request cannot be read", toCode(Number(status)));
}

function nothing(): void {}
