import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { constants, type Http2ServerRequest, Http2ServerResponse, type ServerHttp2Stream } from "node:http2";
import type { CallContext } from "../../core/call/context.ts";
import type { ConnectError } from "../../core/errors/errors.ts";
import type { PeerIdentity } from "../../core/metadata/peer-identity.ts";
import {
  type InnerCalls,
  addCookies,
  type ExchangeCarrier,
  exchangeKey,
  type RequestBody,
  type RequestHead,
  type ResponseBody,
  type ResponseHeaders,
  type ResponseOptions,
  type ResponseTrailers,
} from "../http/exchange.ts";
import { completedHead } from "../http/response-head.ts";
import type { RequestRecord } from "../http/request-record.ts";
import { cancelCall, type ExchangeOwner, type LiveExchange } from "./live-exchange.ts";

/** An exchange over HTTP/2: a subclass of Node's response, which saves an object per request. */
export class Http2Exchange
  extends Http2ServerResponse
  implements LiveExchange, ResponseBody, ExchangeCarrier
{
  livePlace = -1;
  readonly arrivedAt = performance.now();
  call: CallContext | undefined;
  innerCalls: InnerCalls | undefined;
  cookies: string[] | null | undefined;
  route: string | undefined;
  onStop: ((reason: ConnectError) => void) | undefined;
  /** WebSockets are served over HTTP/1.1 only. */
  readonly upgrade = undefined;
  readonly peer: PeerIdentity | undefined;
  /** Read by Fastify; the stream ends with the response, the connection by GOAWAY. */
  shouldKeepAlive = true;
  /** A method of Node's class that is missing in its types. */
  declare readonly flushHeaders: () => void;
  readonly #request: Http2ServerRequest;
  readonly #owner: ExchangeOwner;
  #withTrailers = false;
  /** Whether the client was told to send its body. */
  #isContinued = false;

  /** @param peer the identity of the client */
  constructor(
    stream: ServerHttp2Stream,
    request: Http2ServerRequest,
    owner: ExchangeOwner,
    peer: PeerIdentity | undefined,
  ) {
    super(stream);
    this.#request = request;
    this.#owner = owner;
    this.peer = peer;
    // Node would always wait for trailers, and end the stream one turn of the event loop after the answer. If a client
    // that is still sending reset the stream in between, that would count as a broken request, and the answer would be
    // lost.
    const respond = stream.respond.bind(stream);
    stream.respond = (headers, options) =>
      respond(headers, {
        ...options,
        waitForTrailers: this.#withTrailers || (headers !== undefined && "trailer" in headers),
      });
    this.on("close", release);
    owner.onHead?.(this);
  }

  get [exchangeKey](): this {
    return this;
  }

  get head(): RequestHead {
    return this.#request;
  }

  get body(): RequestBody {
    return this.#request;
  }

  get record(): RequestRecord | undefined {
    return this.head.record;
  }

  get isSecure(): boolean {
    return this.stream.session?.encrypted === true;
  }

  get remoteAddress(): string | undefined {
    return this.stream.session?.socket.remoteAddress;
  }

  get stopping(): ConnectError | undefined {
    return this.#owner.stopping;
  }

  get answered(): boolean {
    return this.headersSent || this.destroyed;
  }

  get outcome(): number {
    return this.writableFinished ? this.statusCode : 499;
  }

  /** Request and response for Fastify, in Node's compatibility API for HTTP/1. */
  get asHttp1(): readonly [IncomingMessage, ServerResponse] {
    return [this.#request as unknown as IncomingMessage, this as unknown as ServerResponse];
  }

  static {
    // Node's types declare these as properties, but its class has accessors or nothing.
    Object.defineProperties(this.prototype, {
      destroyed: {
        get(this: Http2Exchange) {
          return this.stream.destroyed;
        },
      },
      writableFinished: {
        get(this: Http2Exchange) {
          // Node also finishes a stream that the client has reset.
          return this.stream.writableFinished && !this.stream.aborted;
        },
      },
    });
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
    addCookies(headers, this);
    this.#withTrailers = trailers.length > 0;
    if (trailers.length > 0) headers["trailer"] = trailers.map(([name]) => name).join(", ");
    else if (body !== undefined) headers["content-length"] = String(Buffer.byteLength(body));
    if ((body === undefined || this.#request.method === "HEAD") && trailers.length === 0) {
      this.#endWithHead(status, headers);
      return;
    }
    this.writeHead(status, headers);
    if (trailers.length > 0) this.addTrailers(Object.fromEntries(trailers));
    if (body === undefined) this.end();
    else this.end(body);
  }

  respondInParts(
    status: number,
    headers: ResponseHeaders,
    { trailers = false, empty = false }: ResponseOptions = {},
  ): ResponseBody {
    addCookies(headers, this);
    this.#withTrailers = trailers;
    // An answer to HEAD ends with its head, and Node emits no `close` before its end.
    if (empty || this.#request.method === "HEAD") this.#endWithHead(status, headers);
    else this.writeHead(status, headers);
    return this;
  }

  continueBody(): void {
    if (this.#isContinued || this.answered || this.head.headers.expect !== "100-continue") return;
    this.#isContinued = true;
    this.writeContinue();
  }

  closeAfter(): void {}

  handOver(): never {
    throw new TypeError("WebSockets are not served over HTTP/2");
  }

  cut(): void {
    this.destroy();
  }

  reset(): void {
    this.destroy();
  }

  override writeHead(
    status: number,
    second?: string | OutgoingHttpHeaders | readonly string[],
    third?: OutgoingHttpHeaders | readonly string[],
  ): this {
    let headers = typeof second === "string" ? third : second; // HTTP/2 has no reason phrase.
    const complete = this.#owner.completeHead;
    if (complete !== undefined) {
      headers = completedHead(() => complete(this, this, status), this, headers);
    }
    return super.writeHead(status, headers);
  }

  /** Sends a head that ends the stream in one frame, so that it cannot be lost while the client is still sending. */
  #endWithHead(status: number, headers: ResponseHeaders): void {
    this.statusCode = status;
    for (const [name, value] of Object.entries(headers)) this.setHeader(name, value);
    const complete = this.#owner.completeHead;
    complete?.(this, this, status);
    this.end();
  }

  /** Resets the stream; as on HTTP/1, a truncated answer must not look complete. */
  override destroy(): this {
    const { stream } = this;
    if (stream.destroyed || stream.closed) return this;
    if (stream.writableFinished) stream.close();
    else stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    return this;
  }

  /** The stream is closed. */
  release(): void {
    if (!this.writableFinished) cancelCall(this);
    this.#owner.exchangeClosed(this);
  }
}

function release(this: Http2Exchange): void {
  this.release();
}
