import type { IncomingMessage, OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { CallContext } from "../../core/call/context.ts";
import type { ConnectError } from "../../core/errors/errors.ts";
import { LiveSet } from "../../core/call/live-set.ts";
import { identityOf, type PeerIdentity } from "../../core/metadata/peer-identity.ts";
import {
  type InnerCalls,
  addCookies,
  exchangeKey,
  type RequestBody,
  type RequestHead,
  type ResponseBody,
  type ResponseHeaders,
  type ResponseOptions,
} from "../http/exchange.ts";
import { completedHead, type CompleteHead } from "../http/response-head.ts";
import { HttpError } from "../http/http-error.ts";
import { asksForWebSocket } from "../http/websocket-handshake.ts";
import type { Http1Options } from "./http1-limits.ts";
import { cancelCall, type ExchangeHooks, type ExchangeOwner, type LiveExchange } from "./live-exchange.ts";
import { RequestCheck } from "./request-check.ts";

/**
 * Requests that arrive through no port of the gateway itself: by `inject`, or through the server of an app that has
 * registered the rpcs as a plugin.
 */
export class GuestExchanges implements ExchangeOwner {
  completeHead: CompleteHead | undefined;
  readonly onHead: ExchangeHooks["onHead"];
  stopping: ConnectError | undefined;
  readonly #inFlight = new LiveSet<LiveExchange>();
  readonly #onClose: ExchangeHooks["onClose"];
  readonly #check: RequestCheck;

  constructor(options: Http1Options, { onClose, completeHead, onHead }: ExchangeHooks) {
    this.#onClose = onClose;
    this.completeHead = completeHead;
    this.onHead = onHead;
    this.#check = new RequestCheck(options);
  }

  /** All exchanges in flight. */
  get inFlight(): readonly LiveExchange[] {
    return [...this.#inFlight];
  }

  /** Resolves when no exchange is in flight. */
  idle(): Promise<void> {
    return this.#inFlight.idle();
  }

  /** The exchange of a request to another server, and the error if it is refused. */
  adopt(
    request: IncomingMessage,
    response: ServerResponse,
  ): { readonly exchange: LiveExchange; readonly refusal: ConnectError | undefined } {
    const exchange = new GuestExchange(request, response, this);
    this.#inFlight.add(exchange);
    return { exchange, refusal: this.#check.problem(request) ?? this.#refusal(request) };
  }

  #refusal(request: IncomingMessage): ConnectError | undefined {
    if (this.stopping !== undefined) return this.stopping;
    if (!asksForWebSocket(request)) return undefined;
    return new HttpError(501, "WebSockets are served on a port of the gateway's own only");
  }

  exchangeClosed(exchange: LiveExchange): void {
    this.#inFlight.delete(exchange);
    this.#onClose?.(exchange);
  }

  /** The server stops: from now on answers that clients reopen by themselves do not begin. */
  stopBeginning(reason: ConnectError): void {
    this.stopping = reason;
  }

  /** Destroys all exchanges in flight. */
  cut(): void {
    for (const exchange of this.#inFlight) exchange.destroy();
  }
}

/** The arguments that may follow the status in `writeHead`. */
type HeadPart = string | OutgoingHttpHeaders | OutgoingHttpHeader[];

/** A request and response of another server, over HTTP/1 or with the same interface. */
class GuestExchange implements LiveExchange {
  livePlace = -1;
  readonly arrivedAt = performance.now();
  call: CallContext | undefined;
  innerCalls: InnerCalls | undefined;
  cookies: string[] | null | undefined;
  route: string | undefined;
  onStop: ((reason: ConnectError) => void) | undefined;
  /** The connection belongs to the other server. */
  readonly upgrade = undefined;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #owner: ExchangeOwner;

  constructor(request: IncomingMessage, response: ServerResponse, owner: ExchangeOwner) {
    this.#request = request;
    this.#response = response;
    this.#owner = owner;
    Object.defineProperty(response, exchangeKey, { value: this });
    if (owner.completeHead !== undefined) this.#completeHeads(owner.completeHead);
    response.on("close", () => {
      if (!response.writableFinished) cancelCall(this);
      owner.exchangeClosed(this);
    });
    owner.onHead?.(this);
  }

  get head(): RequestHead {
    return this.#request as IncomingMessage & RequestHead; // Requests of servers have a method and a target.
  }

  get body(): RequestBody {
    return this.#request;
  }

  get peer(): PeerIdentity | undefined {
    return identityOf(this.#request.socket);
  }

  get isSecure(): boolean {
    return "encrypted" in this.#request.socket;
  }

  get remoteAddress(): string | undefined {
    return this.#request.socket.remoteAddress;
  }

  get stopping(): ConnectError | undefined {
    return this.#owner.stopping;
  }

  get answered(): boolean {
    return this.#response.headersSent || this.#response.destroyed;
  }

  get destroyed(): boolean {
    return this.#response.destroyed;
  }

  get outcome(): number {
    return this.#response.writableFinished ? this.#response.statusCode : 499;
  }

  attach(call: CallContext): void {
    this.call = call;
  }

  onClose(listener: () => void): () => void {
    this.#response.once("close", listener);
    return () => void this.#response.off("close", listener);
  }

  respond(status: number, headers: ResponseHeaders, body: string | Uint8Array | undefined): void {
    addCookies(headers, this);
    this.#response.writeHead(status, headers);
    this.#response.end(body);
  }

  respondInParts(
    status: number,
    headers: ResponseHeaders,
    { empty = false }: ResponseOptions = {},
  ): ResponseBody {
    addCookies(headers, this);
    const response = this.#response;
    response.writeHead(status, headers);
    if (empty) response.end();
    return Object.assign(response, {
      record: this.head.record,
      cut: () => (response.socket === null ? response.destroy() : response.socket.destroySoon()),
      reset: () => response.socket?.resetAndDestroy(),
    });
  }

  /** The server of the connection has sent it. */
  continueBody(): void {}

  closeAfter(): void {
    if (!this.#response.headersSent) this.#response.shouldKeepAlive = false;
  }

  handOver(): never {
    throw new TypeError("the connection belongs to another server");
  }

  destroy(): void {
    this.#response.destroy();
  }

  #completeHeads(complete: CompleteHead): void {
    const response = this.#response;
    const writeHead = response.writeHead.bind(response) as (
      status: number,
      second?: HeadPart,
      third?: HeadPart,
    ) => unknown; // The widest of its overloads.
    response.writeHead = (status: number, second?: HeadPart, third?: HeadPart): ServerResponse => {
      const [reason, fields] = typeof second === "string" ? [second, third] : [undefined, second];
      const headers = completedHead(
        () => complete(this, response, status),
        response,
        typeof fields === "string" ? undefined : fields,
      );
      if (reason === undefined) writeHead(status, headers);
      else writeHead(status, reason, headers);
      return response;
    };
  }
}
