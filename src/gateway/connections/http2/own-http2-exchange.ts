import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import type { CallContext } from "../../../core/call/context.ts";
import type { ConnectError } from "../../../core/errors/errors.ts";
import { errorCode } from "../../../core/http2/http2-error.ts";
import type { IncomingRequest } from "../../../core/http2/incoming-request.ts";
import type { FieldList, ServerStream, ServerStreamListener } from "../../../core/http2/server-stream.ts";
import type { PeerIdentity } from "../../../core/metadata/peer-identity.ts";
import { incompleteRequest } from "../../http/disconnect-error.ts";
import {
  type InnerCalls,
  addCookies,
  type BodySink,
  type RequestBody,
  type RequestHead,
  type ResponseBody,
  type ResponseHeaders,
  type ResponseOptions,
  type ResponseTrailers,
} from "../../http/exchange.ts";
import type { RequestRecord } from "../../http/request-record.ts";
import { cancelCall, type ExchangeOwner, type LiveExchange } from "../live-exchange.ts";
import { OwnRequestBody } from "./own-request-body.ts";
import { HeadFields } from "../../http/head-fields.ts";
import { replyFields, trailerFields } from "./reply-fields.ts";

/** An exchange over HTTP/2 by our own engine. */
export class OwnHttp2Exchange
  extends EventEmitter
  implements LiveExchange, ResponseBody, ServerStreamListener
{
  livePlace = -1;
  readonly arrivedAt = performance.now();
  readonly head: RequestHead;
  readonly peer: PeerIdentity | undefined;
  /** WebSockets come over HTTP/1.1 only. */
  readonly upgrade = undefined;
  call: CallContext | undefined;
  innerCalls: InnerCalls | undefined;
  cookies: string[] | null | undefined;
  route: string | undefined;
  onStop: ((reason: ConnectError) => void) | undefined;
  closed = false;
  writableFinished = false;
  readonly #stream: ServerStream;
  readonly #owner: ExchangeOwner;
  readonly #socket: Socket;
  #status = 0;
  /** Whether the client was told to send its body. */
  #isContinued = false;
  /** Whether the reply has ended with its headers, so that nothing of a body is sent. */
  #isBodyless = false;
  #body: OwnRequestBody | undefined;
  /** What gathers the body, in place of `#body`. */
  #sink: BodySink | undefined;
  /** What has come before the body was asked for. */
  #early: Buffer[] | undefined;
  #trailers: FieldList | undefined;
  #sent: (() => void) | undefined;

  /** @param client whose connection it is */
  constructor(
    stream: ServerStream,
    request: IncomingRequest,
    owner: ExchangeOwner,
    client: { readonly peer: PeerIdentity | undefined; readonly socket: Socket },
  ) {
    super();
    this.#stream = stream;
    this.#owner = owner;
    this.head = headOf(request, stream.requestEnded);
    this.peer = client.peer;
    this.#socket = client.socket;
    owner.onHead?.(this);
    stream.listen(this);
  }

  get body(): RequestBody {
    const existing = this.#body;
    if (existing !== undefined) return existing;
    const body = (this.#body = new OwnRequestBody(this.#stream));
    for (const chunk of this.#early ?? []) body.receive(chunk);
    this.#early = undefined;
    if (this.#stream.requestEnded) body.arrived();
    if (this.#stream.closed && !this.#stream.requestEnded) body.destroy();
    return body;
  }

  get record(): RequestRecord | undefined {
    return this.head.record;
  }

  get isSecure(): boolean {
    return this.head.headers[":scheme"] === "https";
  }

  get remoteAddress(): string | undefined {
    return this.#socket.remoteAddress;
  }

  get stopping(): ConnectError | undefined {
    return this.#owner.stopping;
  }

  get answered(): boolean {
    return this.#status !== 0 || this.destroyed;
  }

  get destroyed(): boolean {
    return this.#stream.closed;
  }

  get outcome(): number {
    return this.writableFinished ? this.#status : 499;
  }

  gatherBody(sink: BodySink): void {
    this.#sink = sink;
    for (const chunk of this.#early ?? []) this.#gather(sink, chunk);
    this.#early = undefined;
    if (this.#stream.requestEnded) sink.end();
    else if (this.#stream.closed) sink.fail(incompleteRequest());
  }

  attach(call: CallContext): void {
    this.call = call;
  }

  onClose(listener: () => void): () => void {
    this.once("close", listener);
    return () => void this.off("close", listener);
  }

  respond(
    status: number,
    headers: ResponseHeaders,
    body: string | Uint8Array | undefined,
    trailers: ResponseTrailers = [],
  ): void {
    const bytes = typeof body === "string" ? Buffer.from(body) : body;
    const last = trailers.length > 0 ? trailerFields(trailers) : undefined;
    if (last !== undefined) headers["trailer"] = trailers.map(([name]) => name).join(", ");
    else if (bytes !== undefined) headers["content-length"] = String(bytes.length);
    this.#begin(status, headers, bytes === undefined && last === undefined);
    if (!this.#isBodyless) this.#stream.end(bytes, last);
  }

  respondInParts(
    status: number,
    headers: ResponseHeaders,
    { empty = false }: ResponseOptions = {},
  ): ResponseBody {
    this.#begin(status, headers, empty);
    return this;
  }

  continueBody(): void {
    if (this.#isContinued || this.answered || this.head.headers.expect !== "100-continue") return;
    this.#isContinued = true;
    this.#stream.respond({ shared: [":status", "100"], own: [] }, false);
  }

  closeAfter(): void {}

  handOver(): never {
    throw new TypeError("no WebSocket comes over HTTP/2");
  }

  write(chunk: string | Uint8Array): boolean {
    if (this.#isBodyless) return true;
    return this.#stream.write(typeof chunk === "string" ? Buffer.from(chunk) : chunk);
  }

  end(chunk: string | Uint8Array | undefined, sent: () => void): void {
    this.#sent = sent;
    if (this.writableFinished) {
      this.#sent = undefined;
      sent();
    } else if (!this.#isBodyless) {
      this.#stream.end(typeof chunk === "string" ? Buffer.from(chunk) : chunk, this.#trailers);
    }
  }

  /** The head leaves at the end of the turn in which it was made. */
  flushHeaders(): void {}

  addTrailers(trailers: Readonly<Record<string, string>>): void {
    this.#trailers = trailerFields(Object.entries(trailers));
  }

  cut(): void {
    this.destroy();
  }

  reset(): void {
    this.destroy();
  }

  /** As on HTTP/1, an answer that is broken off must not look complete. */
  destroy(): void {
    this.#stream.reset(this.writableFinished ? errorCode.noError : errorCode.internalError);
  }

  onData(bytes: Buffer): void {
    if (this.writableFinished) this.#stream.use(bytes.length);
    else if (this.#sink !== undefined) this.#gather(this.#sink, bytes);
    else if (this.#body !== undefined) this.#body.receive(bytes);
    else (this.#early ??= []).push(bytes);
  }

  onEnd(): void {
    this.#sink?.end();
    this.#body?.arrived();
  }

  onDrain(): void {
    this.emit("drain");
  }

  onFinish(): void {
    this.writableFinished = true;
    // What of the request is still to come is of no interest.
    for (const chunk of this.#early ?? []) this.#stream.use(chunk.length);
    this.#early = undefined;
    this.#body?.resume();
    const sent = this.#sent;
    this.#sent = undefined;
    sent?.();
  }

  release(): void {
    this.closed = true;
    if (!this.writableFinished) {
      cancelCall(this);
      this.#keepPlace(this.call?.work);
    }
    if (!this.#stream.requestEnded) this.#sink?.fail(incompleteRequest());
    if (this.#body?.complete === false) this.#body.destroy();
    this.#owner.exchangeClosed(this);
    this.emit("close");
  }

  #gather(sink: BodySink, bytes: Buffer): void {
    sink.add(bytes);
    this.#stream.use(bytes.length);
  }

  /** A client that resets its streams must not make more handlers run than there are places for streams. */
  #keepPlace(work: PromiseLike<unknown> | undefined): void {
    if (work === undefined) return;
    const stream = this.#stream;
    const settled = (): void => stream.settled();
    stream.keepPlace();
    work.then(settled, settled);
  }

  #begin(status: number, headers: ResponseHeaders, ends: boolean): void {
    if (this.#status !== 0) throw new Error("the reply has begun already");
    if (this.cookies !== undefined) addCookies(headers, this);
    this.#owner.completeHead?.(this, new HeadFields(headers), status);
    const fields = replyFields(status, headers);
    this.#status = status;
    this.#isBodyless =
      ends || this.head.method === "HEAD" || status === 204 || status === 205 || status === 304;
    this.#stream.respond(fields, this.#isBodyless);
  }
}

/** The head of a request as doors read it. */
function headOf({ fields, rawFields }: IncomingRequest, isEnded: boolean): RequestHead {
  fields.host ??= fields[":authority"];
  // To every door a body of unknown length is a chunked one.
  const isChunked = !isEnded && fields["content-length"] === undefined;
  return {
    method: fields[":method"] ?? "",
    url: fields[":path"] ?? "",
    headers: isChunked ? { ...fields, "transfer-encoding": "chunked" } : fields,
    rawHeaders: rawFields,
    httpVersion: "2.0",
    httpVersionMajor: 2,
    requestId: undefined,
    record: undefined,
  };
}
