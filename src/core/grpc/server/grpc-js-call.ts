import type { DescMethod } from "@bufbuild/protobuf";
import type { CallContext } from "../../call/context.ts";
import type { FinishCall } from "../../call/dispatcher.ts";
import { notifyUnserved } from "../../call/observer.ts";
import { Code, ConnectError, toCallError, toCode } from "../../errors/errors.ts";
import { errorCode } from "../../http2/http2-error.ts";
import type { ReplyFields as Fields } from "../../http2/reply-status.ts";
import { requestIdHeader } from "../../metadata/request-id.ts";
import type { RequestStream, StreamEnd, StreamListener } from "../../http2/session.ts";
import { formatClientCert } from "../../metadata/client-cert-header.ts";
import { clientCertHeader, isIdentityHeader } from "../../metadata/identity-headers.ts";
import type { CallRequest, CallStream, ServerStreamListener } from "./call-stream.ts";
import { onlyTrailers, trailersOf, withRequestId } from "./reply-fields.ts";
import { contextOf, type CallEnvironment, type LiveCall } from "./server-call.ts";

/**
 * A call whose handler was added to the grpc-js server: its bytes pass as they are between the stream of the client and
 * one of a `GrpcJsLink`.
 */
export class GrpcJsCall implements ServerStreamListener, LiveCall {
  livePlace = -1;
  readonly context: CallContext;
  /** Its context is one of the dispatcher's. */
  readonly outsideDispatcher = false;
  readonly #environment: CallEnvironment;
  readonly #stream: CallStream;
  readonly #request: CallRequest;
  #inner: RequestStream | undefined;
  /** What has come before there was an inner stream. */
  #early: Buffer[] = [];
  #requestEnded = false;
  /** Bytes that the inner stream has taken and not sent yet. */
  #unsent = 0;
  /** Whether headers were sent, and whether the status was. */
  #begun = false;
  #answered = false;
  #failure: ConnectError | undefined;
  /** Whether the client has left before the answer; undefined once observers were notified. */
  #hasLeft: boolean | undefined = false;
  #finish: FinishCall | undefined;
  #forget: () => void = () => {};

  constructor(environment: CallEnvironment, method: DescMethod, stream: CallStream, request: CallRequest) {
    this.#environment = environment;
    this.#stream = stream;
    this.#request = request;
    this.context = request.context ?? contextOf(method, request, environment);
    environment.calls.add(this);
    stream.keepPlace();
    try {
      this.#finish = environment.dispatcher.follow(this.context);
    } catch (reason) {
      this.context.abort(toCallError(reason));
    }
    this.context.onAbort((reason) => this.fail(reason));
  }

  /**
   * The fields of the request as grpc-js gets them: identity headers of a client that may set them only.
   *
   * @param ours Name of a field that no client may set, and its value.
   */
  headOf(rawFields: readonly string[], ours: readonly [name: string, value: string]): string[] {
    const { peer } = this.#request;
    const trusted = this.#environment.trust.includes(peer);
    const requestId = this.context.answeredId;
    const fields: string[] = requestId === undefined ? [] : [requestIdHeader, requestId];
    for (let i = 0; i < rawFields.length; i += 2) {
      const name = rawFields[i] ?? "";
      if (name === ours[0] || (name === requestIdHeader && requestId !== undefined)) continue;
      if (trusted || !isIdentityHeader(name)) fields.push(name, rawFields[i + 1] ?? "");
    }
    if (!trusted && peer !== undefined) fields.push(clientCertHeader, formatClientCert(peer));
    fields.push(...ours);
    return fields;
  }

  /**
   * The inner stream is open.
   *
   * @param closed called when it is closed
   */
  opened(inner: RequestStream, closed: () => void): void {
    this.#forget = closed;
    this.#inner = inner;
    if (this.#answered) {
      inner.reset();
      return;
    }
    const early = this.#early;
    this.#early = [];
    for (const chunk of early) this.onData(chunk);
    if (this.#requestEnded) inner.end();
  }

  /** Ends the call with an error, unless it has ended already. */
  fail(error: ConnectError): void {
    if (this.#answered) return;
    this.#inner?.reset();
    this.#sendError(this.#finished(error));
    this.#end();
  }

  #sendError(error: ConnectError): void {
    try {
      const trailers = trailersOf(this.context, error);
      if (this.#begun) this.#stream.end(undefined, trailers);
      else this.#stream.respond(onlyTrailers(trailers, this.context.answeredId), true);
    } catch {
      this.#stream.reset(errorCode.internalError);
    }
  }

  onData(chunk: Buffer): void {
    if (this.#answered) {
      this.#stream.use(chunk.length);
    } else if (this.#inner === undefined) {
      this.#early.push(chunk);
    } else if (this.#inner.write(chunk)) {
      this.#stream.use(chunk.length);
    } else {
      this.#unsent += chunk.length;
    }
  }

  onEnd(): void {
    this.#requestEnded = true;
    if (!this.#answered) this.#inner?.end();
  }

  onFinish(): void {
    this.#leave();
  }

  release(): void {
    if (!this.#answered) {
      const error = new ConnectError("the client cancelled the call", Code.Canceled);
      this.#hasLeft = true;
      this.#finished(error);
      this.#end();
      this.#inner?.reset();
      this.context.abort(error);
    }
    this.#leave();
  }

  onDrain(): void {
    if (!this.#answered) this.#inner?.resume();
  }

  /** The inner stream takes more of the request. */
  drained(): void {
    const unsent = this.#unsent;
    this.#unsent = 0;
    this.#stream.use(unsent);
  }

  /** The headers of the reply have come. @param ended whether they are the whole of it */
  replyBegun(headers: Fields, ended: boolean): void {
    if (this.#answered) return;
    if (ended && this.#hasOtherStatus(headers)) return;
    this.#begun = true;
    const status = String(headers[":status"] ?? 200);
    const fields = { shared: [":status", status], own: listOf(headers) };
    const { answeredId } = this.context;
    this.#stream.respond(answeredId === undefined ? fields : withRequestId(fields, answeredId), ended);
    if (ended) this.#end();
  }

  /** A chunk of the reply has come, which must not change any more. */
  replyData(chunk: Buffer): void {
    if (!this.#answered && !this.#stream.write(chunk)) this.#inner?.pause();
  }

  /** The reply is complete. */
  replyEnded(trailers: Fields): void {
    if (this.#answered) return;
    if (this.#hasOtherStatus(trailers)) return;
    this.#stream.end(undefined, { shared: [], own: listOf(trailers) });
    this.#end();
  }

  /** The inner stream is over. */
  innerClosed({ rstCode, lost }: StreamEnd): void {
    this.#forget();
    this.#stream.settled();
    if (this.#answered) return;
    const error = lost ?? new ConnectError("the handler has broken off the call", Code.Internal);
    if (rstCode === errorCode.noError || lost !== undefined) {
      this.fail(error);
      return;
    }
    this.#finished(error);
    this.#end();
    this.#stream.reset(rstCode);
  }

  /**
   * The handler has ended the call with the status in `fields`.
   *
   * @returns whether observers have put another status in its place, which is sent then
   */
  #hasOtherStatus(fields: Fields): boolean {
    const error = statusOf(fields);
    const answer = this.#finished(error);
    if (answer === undefined || answer === error) return false;
    this.#sendError(answer);
    this.#end();
    return true;
  }

  /** The call has ended, and its status is about to be sent. @returns the status, an error or undefined for OK */
  #finished<E extends ConnectError | undefined>(error: E): E | ConnectError {
    this.#answered = true;
    const finish = this.#finish;
    this.#finish = undefined;
    const answer = finish === undefined ? error : finish(error);
    this.#failure = answer;
    return answer;
  }

  #end(): void {
    if (this.#inner === undefined) this.#stream.settled();
    this.#early = [];
  }

  #leave(): void {
    this.#environment.calls.delete(this);
    this.context.end();
    if (this.#hasLeft === undefined) return;
    if (this.#failure !== undefined) notifyUnserved(this.#environment.observers, this.#failure, this.context);
    this.#environment.reports?.answered(this.context, this.#failure, this.#hasLeft);
    this.#hasLeft = undefined;
  }
}

/** The side of a `GrpcJsCall` that gets the reply of the handler. */
export class GrpcJsReply implements StreamListener {
  readonly #call: GrpcJsCall;

  constructor(call: GrpcJsCall) {
    this.#call = call;
  }

  onResponse(headers: Fields, ended: boolean): void {
    this.#call.replyBegun(headers, ended);
  }

  onData(chunk: Buffer, borrowed: boolean): void {
    this.#call.replyData(borrowed ? Buffer.from(chunk) : chunk);
  }

  onTrailers(trailers: Fields): void {
    this.#call.replyEnded(trailers);
  }

  onDrain(): void {
    this.#call.drained();
  }

  onClose(end: StreamEnd): void {
    this.#call.innerClosed(end);
  }
}

/** Fields as a list, without those of HTTP/2 itself. */
function listOf(fields: Fields): string[] {
  const list: string[] = [];
  for (const name of Object.keys(fields)) {
    const value = fields[name];
    if (value === undefined || name.startsWith(":")) continue;
    for (const one of Array.isArray(value) ? value : [value]) list.push(name, String(one));
  }
  return list;
}

/** The error that a status stands for; undefined for OK. */
function statusOf(fields: Fields): ConnectError | undefined {
  const code = Number(fields["grpc-status"]);
  if (code === 0) return undefined;
  return new ConnectError(decoded(String(fields["grpc-message"] ?? "")), toCode(code));
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
