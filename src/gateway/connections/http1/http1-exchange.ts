import type { IncomingMessage, OutgoingHttpHeader, OutgoingHttpHeaders } from "node:http";
import type { Socket } from "node:net";
import type { CallContext } from "../../../core/call/context.ts";
import type { ConnectError } from "../../../core/errors/errors.ts";
import { ServerResponse } from "../../../core/net/node-http.ts";
import type { SharedBytes } from "../../../core/wire/shared-bytes.ts";
import { identityOf, type PeerIdentity } from "../../../core/metadata/peer-identity.ts";
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
  type UpgradeRequest,
} from "../../http/exchange.ts";
import { completedHead } from "../../http/response-head.ts";
import type { RequestRecord } from "../../http/request-record.ts";
import { cancelCall, type ExchangeOwner } from "../live-exchange.ts";
import type { TurnExchange } from "./turn-exchange.ts";

/** The head of a request that a server of Node has parsed: it has a method and a target. */
type ParsedRequest = IncomingMessage & { readonly method: string; readonly url: string };

/** An exchange over HTTP/1: a subclass of Node's response, which saves an object per request. */
export class Http1Exchange
  extends ServerResponse<IncomingMessage>
  implements TurnExchange, ResponseBody, ExchangeCarrier
{
  livePlace = -1;
  arrivedAt = 0;
  call: CallContext | undefined;
  innerCalls: InnerCalls | undefined;
  cookies: string[] | null | undefined;
  route: string | undefined;
  onStop: ((reason: ConnectError) => void) | undefined;
  upgrade: UpgradeRequest | undefined;
  /** Whether its client waits for `100 Continue`. */
  awaitsContinue = false;
  #owner: ExchangeOwner | undefined;
  #handedOver = false;
  /** Whether the head and a part were written. */
  #hasBegun = false;
  #awaitsDrain = false;

  get [exchangeKey](): this {
    return this;
  }

  get head(): RequestHead {
    return this.req as ParsedRequest;
  }

  get body(): RequestBody {
    return this.req;
  }

  get carrier(): Socket {
    return this.req.socket;
  }

  get lane(): "node" {
    return "node";
  }

  get requestComplete(): boolean {
    return this.req.complete;
  }

  get peer(): PeerIdentity | undefined {
    return identityOf(this.req.socket);
  }

  get record(): RequestRecord | undefined {
    return this.head.record;
  }

  get isSecure(): boolean {
    return "encrypted" in this.req.socket;
  }

  get remoteAddress(): string | undefined {
    return this.req.socket.remoteAddress;
  }

  get stopping(): ConnectError | undefined {
    return this.#owner?.stopping;
  }

  get answered(): boolean {
    return this.headersSent || this.destroyed;
  }

  get outcome(): number {
    if (this.#handedOver) return 101;
    return this.writableFinished ? this.statusCode : 499;
  }

  begin(owner: ExchangeOwner): void {
    this.#owner = owner;
    this.on("close", release);
    this.arrivedAt = performance.now();
    owner.onHead?.(this);
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
    if (trailers.length > 0) {
      headers["trailer"] = trailers.map(([name]) => name).join(", ");
      this.writeHead(status, headers);
      if (body !== undefined) this.write(body);
      this.addTrailers(trailers);
      this.end();
      return;
    }
    if (body !== undefined) headers["content-length"] = String(Buffer.byteLength(body));
    // RFC 9110, section 8.6: these have no content, and no length of it.
    else if (status !== 204 && status !== 304) headers["content-length"] = "0";
    this.writeHead(status, headers);
    this.end(body);
  }

  respondInParts(
    status: number,
    headers: ResponseHeaders,
    { empty = false }: ResponseOptions = {},
  ): ResponseBody {
    addCookies(headers, this);
    this.writeHead(status, headers);
    if (empty) this.end();
    return this;
  }

  /** Writes the chunk, as Node would, to the connection itself: one write of bytes that are the same for all. */
  writeShared(bytes: SharedBytes): boolean {
    const { socket } = this;
    if (!this.#hasBegun || socket === null) {
      this.#hasBegun = true; // Node sends the head with the first part.
      return this.write(bytes.bytes);
    }
    if (socket.write(this.chunkedEncoding ? bytes.made(chunkOf) : bytes.bytes)) return true;
    if (!this.#awaitsDrain) {
      this.#awaitsDrain = true;
      socket.once("drain", () => {
        this.#awaitsDrain = false;
        this.emit("drain");
      });
    }
    return false;
  }

  continueBody(): void {
    if (!this.awaitsContinue || this.headersSent) return;
    this.awaitsContinue = false;
    this.writeContinue();
  }

  closeAfter(): void {
    if (!this.headersSent) this.shouldKeepAlive = false;
  }

  handOver({ socket }: UpgradeRequest): void {
    this.#handedOver = true;
    this.detachSocket(socket);
    this.emit("close");
  }

  cut(): void {
    if (this.socket === null) this.destroy();
    else this.socket.destroySoon();
  }

  reset(): void {
    this.socket?.resetAndDestroy();
  }

  override writeHead(
    status: number,
    second?: string | OutgoingHttpHeaders | OutgoingHttpHeader[],
    third?: OutgoingHttpHeaders | OutgoingHttpHeader[],
  ): this {
    // A client that was not told to go on may send its body or not: no other request can follow.
    if (this.awaitsContinue) this.shouldKeepAlive = false;
    const reason = typeof second === "string" ? second : undefined;
    let headers = typeof second === "string" ? third : second;
    const complete = this.#owner?.completeHead;
    if (complete !== undefined) {
      headers = completedHead(() => complete(this, this, status), this, headers);
    }
    return reason === undefined ? super.writeHead(status, headers) : super.writeHead(status, reason, headers);
  }

  /** The connection is free for its next request, or closed. */
  release(): void {
    if (!this.writableFinished) cancelCall(this);
    this.#owner?.exchangeClosed(this);
  }
}

/** A chunk of the chunked transfer coding (RFC 9112, section 7.1). */
function chunkOf(bytes: Buffer): Buffer {
  const head = `${bytes.length.toString(16)}\r\n`;
  const chunk = Buffer.allocUnsafe(head.length + bytes.length + 2);
  chunk.write(head, "latin1");
  bytes.copy(chunk, head.length);
  chunk.write("\r\n", head.length + bytes.length, "latin1");
  return chunk;
}

function release(this: Http1Exchange): void {
  this.release();
}
