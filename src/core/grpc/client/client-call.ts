import { withMetadata } from "../../call/invoker.ts";
import type { CallContext } from "../../call/context.ts";
import { Code, ConnectError } from "../../errors/errors.ts";
import { replyTooLarge } from "../../errors/reply-too-large.ts";
import { errorCode } from "../../http2/http2-error.ts";
import type { RequestStream, Session, StreamEnd, StreamListener } from "../../http2/session.ts";
import type { AttemptedCall, Progress, StreamSource, StreamSources } from "../../http2/stream-source.ts";
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
 * One call on the wire, of any kind: opens the streams that its source gives it, one after the other, and converts the
 * reply into the context's headers and trailers and one result. Aborting the context cancels it.
 */
export abstract class ClientCall implements AttemptedCall, StreamListener {
  protected readonly rpc: ClientRpc;
  protected readonly context: CallContext;
  readonly #source: StreamSource;
  readonly #maxHeaderListBytes: number;
  #stream: RequestStream | undefined;
  #unsubscribe: (() => void) | undefined;
  #answered = false;
  #attempts = 0;
  #ended = false;
  /** The `grpc-encoding` of the reply. */
  protected encoding: string | undefined;

  constructor(sources: StreamSources, rpc: ClientRpc, context: CallContext) {
    this.#source = sources.sourceOf(context);
    this.#maxHeaderListBytes = sources.options.http2.maxHeaderListBytes;
    this.rpc = rpc;
    this.context = context;
  }

  /** Writes the request; on a second stream again what was written to the first. */
  protected abstract send(stream: RequestStream): void;
  abstract get repeatable(): boolean;
  /** The call has ended: with an error, or with status OK. */
  protected abstract finish(error: ConnectError | undefined): void;

  get ended(): boolean {
    return this.#ended;
  }

  get attempts(): number {
    return this.#attempts;
  }

  /** Begins the call; it may have ended when this returns. */
  begin(): void {
    this.#unsubscribe = this.context.onAbort((reason) => this.fail(withMetadata(reason, this.context)));
    if (!this.#ended) this.#source.begin(this);
  }

  open(session: Session, authority: string): void {
    this.#attempts++;
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
    this.#stream?.reset();
    this.#source.abandoned(this, error);
    this.#finish(error);
  }

  onResponse(headers: ReplyFields, ended: boolean): void {
    if (this.#ended) return;
    this.#answered = true;
    this.#source.answered();
    if (ended) {
      this.conclude(headers);
      return;
    }
    const bytes = metadataBytes(headers);
    if (bytes > this.#maxHeaderListBytes) {
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
    const error = errorOf(end);
    const progress = this.#answered ? "maybe" : progressOf(end);
    if (!this.#source.ended(this, error, progress)) this.#finish(this.#withMetadata(error));
  }

  /** Ends the call with the status in its trailers. */
  protected conclude(trailers: ReplyFields): void {
    if (this.#ended) return;
    const bytes = metadataBytes(trailers);
    if (bytes > this.#maxHeaderListBytes) {
      this.fail(tooMuchMetadata());
      return;
    }
    if (bytes > 0) this.context.receiveTrailer(() => fromHttp2Headers(trailers));
    this.#stream?.reset(); // The reply is complete: the server does not read the rest of the request.
    const error = statusError(trailers);
    this.#source.ended(this, error, "maybe");
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

function progressOf({ unsent, unprocessed }: StreamEnd): Progress {
  if (unsent === true) return "unsent";
  return unprocessed ? "unprocessed" : "maybe";
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
