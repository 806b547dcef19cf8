import { withMetadata } from "../../call/invoker.ts";
import type { CallContext } from "../../call/context.ts";
import { Code, ConnectError } from "../../errors/errors.ts";
import { replyTooLarge } from "../../errors/reply-too-large.ts";
import type { Opener } from "../../http2/call-queue.ts";
import type { Connection } from "../../http2/http2-connection.ts";
import { errorCode } from "../../http2/http2-error.ts";
import type { RequestStream, Session, StreamEnd, StreamListener } from "../../http2/session.ts";
import type { ClientRpc } from "./client-rpc.ts";
import { fromHttp2Headers } from "../metadata.ts";
import {
  endedWithoutStatus,
  metadataBytes,
  resetError,
  responseFault,
  statusError,
  type ReplyFields,
} from "../../http2/reply-status.ts";

/**
 * One call on the wire, of any kind: opens a stream, a second one if the server has not processed the first, and
 * converts the reply into the context's headers and trailers and one result. Aborting the context cancels it.
 */
export abstract class ClientCall implements Opener, StreamListener {
  protected readonly rpc: ClientRpc;
  protected readonly context: CallContext;
  readonly #connection: Connection;
  #stream: RequestStream | undefined;
  #unsubscribe: (() => void) | undefined;
  #answered = false;
  #retried = false;
  #ended = false;
  /** The `grpc-encoding` of the reply. */
  protected encoding: string | undefined;

  constructor(connection: Connection, rpc: ClientRpc, context: CallContext) {
    this.#connection = connection;
    this.rpc = rpc;
    this.context = context;
  }

  /** Writes the request; on a second stream again what was written to the first. */
  protected abstract send(stream: RequestStream): void;
  /** Whether the request can be sent on a second stream. */
  protected abstract get repeatable(): boolean;
  /** The call has ended: with an error, or with status OK. */
  protected abstract finish(error: ConnectError | undefined): void;

  get ended(): boolean {
    return this.#ended;
  }

  /** Begins the call; it may have ended when this returns. */
  begin(): void {
    this.#unsubscribe = this.context.onAbort((reason) => this.fail(withMetadata(reason, this.context)));
    if (!this.#ended) this.#connection.begin(this);
  }

  open(session: Session, authority: string): void {
    try {
      this.#stream = session.open(this.rpc.head(authority, this.context), this);
    } catch (reason) {
      if (reason instanceof ConnectError) {
        this.fail(reason);
        return;
      }
      const text = "the call cannot be begun";
      this.fail(new ConnectError(text, Code.Internal, undefined, undefined, reason));
      return;
    }
    this.send(this.#stream);
  }

  refuse({ rawMessage, code, cause }: ConnectError): void {
    this.fail(new ConnectError(rawMessage, code, undefined, undefined, cause));
  }

  /** Ends the call with `error`, and the stream if there is one; nothing happens after the end. */
  fail(error: ConnectError): void {
    if (this.#ended) return;
    const stream = this.#stream;
    if (stream === undefined) this.#connection.forget(this);
    else stream.reset();
    this.#finish(error);
  }

  onResponse(headers: ReplyFields, ended: boolean): void {
    if (this.#ended) return;
    this.#answered = true;
    if (ended) {
      this.conclude(headers);
      return;
    }
    const bytes = metadataBytes(headers);
    if (bytes > this.#connection.options.http2.maxHeaderListBytes) {
      this.fail(tooMuchMetadata());
      return;
    }
    if (bytes > 0) this.context.receiveHeader(() => fromHttp2Headers(headers));
    const encoding = headers["grpc-encoding"];
    if (encoding !== undefined) this.encoding = String(encoding);
    const fault = responseFault(headers);
    if (fault !== undefined) this.fail(this.#withMetadata(fault));
  }

  abstract onData(chunk: Buffer, borrowed: boolean): void;

  abstract onDrain(): void;

  onTrailers(trailers: ReplyFields): void {
    this.conclude(trailers);
  }

  onClose(end: StreamEnd): void {
    if (this.#ended) return;
    this.#stream = undefined;
    if (end.unprocessed && !this.#answered && !this.#retried && this.repeatable) {
      this.#retried = true;
      this.#connection.begin(this);
    } else {
      this.#finish(this.#withMetadata(errorOf(end)));
    }
  }

  /** Ends the call with the status in its trailers. */
  protected conclude(trailers: ReplyFields): void {
    if (this.#ended) return;
    const bytes = metadataBytes(trailers);
    if (bytes > this.#connection.options.http2.maxHeaderListBytes) {
      this.fail(tooMuchMetadata());
      return;
    }
    if (bytes > 0) this.context.receiveTrailer(() => fromHttp2Headers(trailers));
    this.#stream?.reset(); // The reply is complete: the server does not read the rest of the request.
    const error = statusError(trailers);
    this.#finish(error === undefined ? undefined : this.#withMetadata(error));
  }

  #finish(error: ConnectError | undefined): void {
    this.#ended = true;
    this.#unsubscribe?.();
    this.finish(error?.code === Code.Canceled && this.#hasExpired ? this.#withMetadata(expired()) : error);
  }

  /**
   * Whether the deadline has passed or passes within 2 ms. Servers reset a call at its deadline, which looks like a
   * cancelled one, and may do so just before this side's timer, since timers count whole milliseconds.
   */
  get #hasExpired(): boolean {
    return (this.context.timeoutMs() ?? Infinity) <= 2;
  }

  /** Adds the headers and trailers of the reply to its error. */
  #withMetadata(error: ConnectError): ConnectError {
    const { responseHeaderIfAny, responseTrailerIfAny } = this.context;
    for (const headers of [responseHeaderIfAny, responseTrailerIfAny]) {
      if (headers !== undefined) for (const [name, value] of headers) error.metadata.append(name, value);
    }
    return error;
  }
}

function errorOf({ rstCode, lost, fault }: StreamEnd): ConnectError {
  if (fault !== undefined) return fault;
  if (lost !== undefined) {
    const { rawMessage, code, cause } = lost;
    return new ConnectError(rawMessage, code, undefined, undefined, cause);
  }
  return rstCode === errorCode.noError ? endedWithoutStatus() : resetError(rstCode);
}

function expired(): ConnectError {
  return new ConnectError("the deadline of the call has passed", Code.DeadlineExceeded);
}

function tooMuchMetadata(): ConnectError {
  return replyTooLarge("the headers or trailers of the reply are too large");
}
