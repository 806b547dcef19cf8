import { withMetadata } from "../../call/invoker.ts";
import { type AttemptTrace, clientTracing } from "../../call/client-trace.ts";
import type { CallContext } from "../../call/context.ts";
import { Code, ConnectError } from "../../errors/errors.ts";
import { replyTooLarge } from "../../errors/reply-too-large.ts";
import { copySpent } from "../../errors/spent-retries.ts";
import { errorCode } from "../../http2/http2-error.ts";
import type { RequestStream, Session, StreamEnd, StreamListener } from "../../http2/session.ts";
import type { AttemptedCall, Progress, StreamSource, StreamSources } from "../../http2/stream-source.ts";
import type { ClientRpc } from "./client-rpc.ts";
import { FurtherAttempt, type CallOfAttempts } from "./further-attempt.ts";
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
export abstract class ClientCall implements AttemptedCall, StreamListener, CallOfAttempts {
  protected readonly rpc: ClientRpc;
  protected readonly context: CallContext;
  protected readonly source: StreamSource;
  readonly #maxHeaderListBytes: number;
  /** The stream of the attempt in progress; undefined between attempts. */
  protected stream: RequestStream | undefined;
  /** What listens to that stream: the call itself at first. */
  #listener: StreamListener | undefined = this;
  /** Headers of a reply that is not handed over yet: those of a failed attempt are forgotten. */
  #head: ReplyFields | undefined;
  #unsubscribe: (() => void) | undefined;
  /** The span of the attempt in progress; undefined while traces are off. */
  #trace: AttemptTrace | undefined;
  #answered = false;
  #attempts = 0;
  #ended = false;
  /** The `grpc-encoding` of the reply. */
  protected encoding: string | undefined;

  constructor(sources: StreamSources, rpc: ClientRpc, context: CallContext) {
    this.source = sources.sourceOf(context);
    this.#maxHeaderListBytes = sources.options.http2.maxHeaderListBytes;
    this.rpc = rpc;
    this.context = context;
  }

  /** Writes the request; on a further stream again what was written to the one before. */
  protected abstract send(stream: RequestStream): void;
  /** The reply of the attempt before is forgotten. */
  protected abstract renew(): void;
  abstract get repeatable(): boolean;
  abstract get committed(): boolean;
  abstract get requestBytes(): number | undefined;
  /** The body as it goes over the wire; undefined for streams. */
  protected get wholeBody(): Uint8Array | undefined {
    return undefined;
  }
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
    this.#unsubscribe = this.context.onAbort((reason) => {
      this.#settleHead();
      this.fail(withMetadata(reason, this.context));
    });
    if (!this.#ended) this.source.begin(this);
  }

  open(session: Session, authority: string): void {
    if (this.#attempts++ > 0) this.#begin();
    const listener = this.#listener;
    if (listener === undefined) return; // Not so: each attempt has one.
    const { terms, previousAttempts } = this.source;
    try {
      this.#trace = clientTracing.tracer?.begin(this.context, authority, this.#attempts - 1);
      const head = this.rpc.head(
        authority,
        this.context,
        previousAttempts,
        terms.attemptTimeoutMs,
        this.wholeBody,
        this.#trace,
      );
      this.stream = session.open(head, listener);
    } catch (reason) {
      if (reason instanceof ConnectError) {
        this.fail(reason);
        return;
      }
      const text = "the call cannot be begun";
      this.fail(new ConnectError(text, Code.Internal, undefined, undefined, reason));
      return;
    }
    this.send(this.stream);
  }

  refuse(error: ConnectError): void {
    const copy = new ConnectError(error.rawMessage, error.code, undefined, undefined, error.cause);
    copy.details = error.details;
    copySpent(error, copy);
    this.fail(copy);
  }

  /** Ends the call with `error`, and the stream if there is one; nothing happens after the end. */
  fail(error: ConnectError): void {
    if (this.#ended) return;
    this.stream?.reset();
    this.#endTrace(error);
    this.source.abandoned(this, error);
    this.#finish(error);
  }

  cut(): void {
    this.stream?.reset();
    if (this.#trace !== undefined)
      this.#endTrace(new ConnectError("the attempt was given up", Code.Canceled));
    this.#leave();
  }

  drop(): void {
    if (this.#ended) return;
    this.cut();
    this.#ended = true;
    this.#unsubscribe?.();
  }

  isCurrent(attempt: StreamListener): boolean {
    return this.#listener === attempt && !this.#ended;
  }

  onResponse(headers: ReplyFields, ended: boolean): void {
    if (this.isCurrent(this)) this.answered(headers, ended);
  }

  onData(chunk: Buffer, borrowed: boolean): void {
    if (this.isCurrent(this)) this.arrived(chunk, borrowed);
  }

  onDrain(): void {
    if (this.isCurrent(this)) this.drained();
  }

  onTrailers(trailers: ReplyFields): void {
    if (this.isCurrent(this)) this.completed(trailers);
  }

  onClose(end: StreamEnd): void {
    if (this.isCurrent(this)) this.closed(end);
  }

  answered(headers: ReplyFields, ended: boolean): void {
    this.#answered = true;
    this.source.answered();
    if (ended) {
      this.completed(headers);
      return;
    }
    const bytes = metadataBytes(headers);
    if (bytes > this.#maxHeaderListBytes) {
      this.fail(tooMuchMetadata());
      return;
    }
    if (bytes > 0) this.#head = headers;
    if (this.committed) this.#settleHead();
    const encoding = headers["grpc-encoding"];
    if (encoding !== undefined) this.encoding = String(encoding);
    const fault = responseFault(headers);
    if (fault === undefined) return;
    this.stream?.reset();
    this.#settle(fault, "maybe");
  }

  abstract arrived(chunk: Buffer, borrowed: boolean): void;

  abstract drained(): void;

  /** Ends the attempt with the status in its trailers. */
  completed(trailers: ReplyFields): void {
    const bytes = metadataBytes(trailers);
    if (bytes > this.#maxHeaderListBytes) {
      this.fail(tooMuchMetadata());
      return;
    }
    this.stream?.reset(); // The reply is complete: the server does not read the rest of the request.
    const error = statusError(trailers);
    this.#settle(error, "maybe", trailers, bytes > 0);
  }

  closed(end: StreamEnd): void {
    this.#settle(errorOf(end), this.#answered ? "maybe" : progressOf(end));
  }

  /** The attempt is over: the call with it, unless there is a further one. */
  #settle(
    error: ConnectError | undefined,
    progress: Progress,
    trailers?: ReplyFields,
    hasMetadata = false,
  ): void {
    this.#leave();
    this.#endTrace(error);
    if (this.source.ended(this, error, progress, trailers)) return;
    this.#settleHead();
    if (trailers !== undefined && hasMetadata) this.context.receiveTrailer(() => fromHttp2Headers(trailers));
    this.#finish(error === undefined ? undefined : this.#withMetadata(error));
  }

  #endTrace(error: ConnectError | undefined): void {
    const trace = this.#trace;
    this.#trace = undefined;
    trace?.end(error);
  }

  /** What the stream of the attempt still reports is ignored. */
  #leave(): void {
    this.stream = undefined;
    this.#listener = undefined;
  }

  /** A further attempt. */
  #begin(): void {
    this.#listener = new FurtherAttempt(this);
    this.#answered = false;
    this.#head = undefined;
    this.encoding = undefined;
    this.renew();
  }

  #settleHead(): void {
    const head = this.#head;
    this.#head = undefined;
    if (head !== undefined) this.context.receiveHeader(() => fromHttp2Headers(head));
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
