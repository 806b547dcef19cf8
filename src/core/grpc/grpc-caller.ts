import { fromBinary, toBinary, type DescMessage, type DescMethod, type Message } from "@bufbuild/protobuf";
import type { ChannelInterface, InterceptingListener, Metadata, StatusObject } from "@grpc/grpc-js";
import { Abortable } from "../abortable.ts";
import type { Caller } from "../caller.ts";
import type { CallContext } from "../context.ts";
import { Code, ConnectError, decodeStatusDetails, fromStatus, toCode, toRequestError } from "../errors.ts";
import { rpcName } from "../service.ts";
import { fromMetadata, toMetadata } from "./metadata.ts";
import { takeLateStatus } from "./stream-repair.ts";

/** A call on a channel of grpc-js: message bytes in and out, one `startRead` for each message wanted. */
type Call = ReturnType<ChannelInterface["createCall"]>;

/**
 * Calls over a channel of grpc-js. The channel is asked for with each call, since it may not exist before the first.
 *
 * Follows gRPC over HTTP/2 (grpc/grpc doc/PROTOCOL-HTTP2.md); a reply that breaks it is an error with the code that
 * gRPC's client specification gives it.
 */
export function grpcCaller(channel: () => ChannelInterface): Caller {
  return {
    protocolName: "grpc",
    unary: (method, request, context) => unary(channel, method, request, context),
    async *stream(method, requests, context) {
      if (context.reason !== undefined) throw context.reason;
      const call = new StreamCall(open(channel(), method, context), method, context);
      try {
        call.begin(requests);
        for (;;) {
          const message = await call.next();
          if (message === undefined) return;
          yield message;
        }
      } finally {
        call.leave();
      }
    },
  };
}

async function unary(
  channel: () => ChannelInterface,
  method: DescMethod,
  request: Message,
  context: CallContext,
): Promise<Message> {
  if (context.reason !== undefined) throw context.reason;
  const bytes = serialise(method, request);
  const call = open(channel(), method, context);
  return new Promise((resolve, reject) => {
    let reply: Uint8Array | undefined;
    let replies = 0;
    const unsubscribe = context.onAbort((reason) => {
      cancel(call, reason);
      reject(reason);
    });
    call.start(toMetadata(context.requestHeader), {
      onReceiveMetadata: (metadata) => receiveHeader(metadata, context),
      onReceiveMessage(message: Uint8Array) {
        reply = message;
        replies++;
        call.startRead(); // A second message would hold the status back for ever.
      },
      onReceiveStatus(status) {
        unsubscribe();
        try {
          const error = receiveStatus(status, context);
          if (error !== undefined) throw error;
          if (reply === undefined || replies > 1) throw wrongCount(method, replies);
          resolve(deserialise(method, reply));
        } catch (error) {
          reject(error);
        }
      },
    });
    call.startRead();
    call.sendMessageWithContext({}, bytes);
    call.halfClose();
  });
}

/** One call of a streaming kind: pumps requests as fast as the peer takes them, asks for replies one at a time. */
class StreamCall implements InterceptingListener {
  readonly #call: Call;
  readonly #method: DescMethod;
  readonly #context: CallContext;
  #requests: Abortable<Message> | undefined;
  #unsubscribe: (() => void) | undefined;
  /** Whoever waits for the next reply. */
  #reader: PromiseWithResolvers<Message | undefined> | undefined;
  /** Lets the pump go on when a message is written or never will be. */
  #written: (() => void) | undefined;
  #end: { readonly error: ConnectError | undefined } | undefined;

  constructor(call: Call, method: DescMethod, context: CallContext) {
    this.#call = call;
    this.#method = method;
    this.#context = context;
  }

  begin(requests: AsyncIterable<Message>): void {
    this.#call.start(toMetadata(this.#context.requestHeader), this);
    this.#requests = new Abortable(requests, this.#context);
    this.#unsubscribe = this.#context.onAbort((reason) => this.#fail(reason));
    void this.#pump(this.#requests);
  }

  /** The next reply, undefined at the end of the call. */
  next(): Promise<Message | undefined> {
    const end = this.#end;
    if (end !== undefined) {
      return end.error === undefined ? Promise.resolve(undefined) : Promise.reject(end.error);
    }
    this.#reader = Promise.withResolvers();
    this.#call.startRead();
    return this.#reader.promise;
  }

  /** Cancels the call if it has not ended. */
  leave(): void {
    if (this.#end !== undefined) return;
    this.#fail(new ConnectError("the caller left before the end", Code.Canceled));
  }

  onReceiveMetadata(metadata: Metadata): void {
    receiveHeader(metadata, this.#context);
  }

  onReceiveMessage(bytes: Uint8Array): void {
    if (this.#end !== undefined) return;
    try {
      this.#reader?.resolve(deserialise(this.#method, bytes));
    } catch (error) {
      this.#fail(error as ConnectError); // Nothing else comes from there.
    }
  }

  onReceiveStatus(status: StatusObject): void {
    if (this.#end === undefined) this.#finish(receiveStatus(status, this.#context));
  }

  async #pump(requests: Abortable<Message>): Promise<void> {
    try {
      for await (const request of requests) {
        if (this.#end !== undefined) return;
        const bytes = serialise(this.#method, request);
        await new Promise<void>((resolve) => {
          this.#written = resolve;
          this.#call.sendMessageWithContext({ callback: () => resolve() }, bytes);
        });
        if (this.#end !== undefined) return;
      }
      if (this.#end === undefined) this.#call.halfClose();
    } catch (error) {
      this.#fail(toRequestError(error));
    }
  }

  #fail(error: ConnectError): void {
    if (this.#end !== undefined) return;
    this.#finish(error);
    cancel(this.#call, error);
  }

  #finish(error: ConnectError | undefined): void {
    this.#end = { error };
    this.#unsubscribe?.();
    void this.#requests?.return();
    this.#written?.();
    if (error === undefined) this.#reader?.resolve(undefined);
    else this.#reader?.reject(error);
  }
}

function open(channel: ChannelInterface, method: DescMethod, context: CallContext): Call {
  const timeoutMs = context.timeoutMs();
  // The wire has eight digits of hours; what is longer than that is no deadline.
  const deadline = timeoutMs === undefined || timeoutMs > 1e8 * 3_600_000 ? Infinity : Date.now() + timeoutMs;
  return channel.createCall(`/${rpcName(method)}`, deadline, null, null, null);
}

function cancel(call: Call, reason: ConnectError): void {
  const code = reason.code === Code.DeadlineExceeded ? Code.DeadlineExceeded : Code.Canceled;
  call.cancelWithStatus(code as number, reason.rawMessage); // The numbers are gRPC's own.
}

function serialise(method: DescMethod, message: Message): Buffer {
  try {
    const bytes = toBinary<DescMessage>(method.input, message);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  } catch (reason) {
    const text = `a request of ${rpcName(method)} cannot be written`;
    throw new ConnectError(text, Code.Internal, undefined, undefined, reason);
  }
}

function deserialise(method: DescMethod, bytes: Uint8Array): Message {
  try {
    // Fields of type bytes are views of the same kind, and a Buffer is not what the types promise.
    return fromBinary<DescMessage>(
      method.output,
      new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    );
  } catch (reason) {
    const text = `a reply of ${rpcName(method)} is no ${method.output.typeName}`;
    throw new ConnectError(text, Code.Internal, undefined, undefined, reason);
  }
}

function wrongCount(method: DescMethod, count: number): ConnectError {
  const found = count === 0 ? "none" : "more";
  return new ConnectError(`${rpcName(method)} answers with one message, ${found} came`, Code.Unimplemented);
}

function receiveHeader(metadata: Metadata, context: CallContext): void {
  for (const [name, value] of fromMetadata(metadata)) context.responseHeader.append(name, value);
}

/** Puts the trailers into the context; the error of the call, or undefined for OK. */
function receiveStatus(status: StatusObject, context: CallContext): ConnectError | undefined {
  const { code, details, metadata } = takeLateStatus(status);
  for (const [name, value] of fromMetadata(metadata)) context.responseTrailer.append(name, value);
  if (code === 0) return undefined;
  const error = hasExpired(code, context) ? expired() : toError(code, details, metadata);
  const { responseHeaderIfAny, responseTrailerIfAny } = context;
  for (const headers of [responseHeaderIfAny, responseTrailerIfAny]) {
    if (headers !== undefined) for (const [name, value] of headers) error.metadata.append(name, value);
  }
  return error;
}

/**
 * Servers reset a call at its deadline, which looks like a cancelled one; by their clocks, of whole milliseconds, that
 * can be a moment before this side's own timer.
 */
function hasExpired(code: number, context: CallContext): boolean {
  return code === Code.Canceled && (context.timeoutMs() ?? Infinity) <= 1;
}

function expired(): ConnectError {
  return new ConnectError("the deadline of the call has passed", Code.DeadlineExceeded);
}

function toError(code: number, message: string | undefined, metadata: Metadata): ConnectError {
  // What grpc-js ends a call with whose messages say that they are compressed in a way that it does not know.
  if (message === undefined) {
    return new ConnectError("a message of the reply cannot be decompressed", Code.Internal);
  }
  const [bytes] = metadata.get("grpc-status-details-bin");
  const rich = bytes instanceof Uint8Array ? decodeStatusDetails(bytes) : undefined;
  if (rich !== undefined && rich.code === code) return fromStatus(rich);
  return new ConnectError(message, endedWithoutStatus.test(message) ? Code.Unknown : toCode(code));
}

/** How grpc-js says that a reply of HTTP status 200 ended without trailers, which it takes for INTERNAL. */
const endedWithoutStatus = /\(Call ended without gRPC status\)$/;
