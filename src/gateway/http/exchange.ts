import type { IncomingMessage, OutgoingHttpHeader, OutgoingHttpHeaders } from "node:http";
import type { Socket } from "node:net";
import type { CallContext } from "../../core/call/context.ts";
import { Code, ConnectError } from "../../core/errors/errors.ts";
import type { Live } from "../../core/call/live-set.ts";
import { ServerResponse } from "../../core/net/node-http.ts";
import { identityOf, type PeerIdentity } from "../../core/metadata/peer-identity.ts";
import type { HttpError } from "./http-error.ts";
import type { SocketHeaders } from "./socket-headers.ts";

/** What becomes of an exchange when it is over. */
export interface ExchangeOwner {
  /** The response was sent whole, or its connection is gone. */
  exchangeClosed(exchange: Exchange): void;
  /** Why answers whose clients come again by themselves do not begin any more: the server stops. Undefined while it does not. */
  readonly stopping: ConnectError | undefined;
}

/** What belongs to a request that asks to become a WebSocket. */
export interface UpgradeRequest {
  readonly socket: Socket;
  /** What came behind the head of the request: the beginning of the first frames. */
  readonly head: Buffer;
  /** Headers from the query. */
  readonly headers: SocketHeaders;
  /** Whether the first frame brings more headers. */
  readonly headersInFrame: boolean;
}

/**
 * The response object of every HTTP request here: Node's own, which also knows the call it answers, so that a client
 * that leaves cancels that call without a listener for each request.
 */
export class Exchange extends ServerResponse<IncomingMessage> implements Live {
  livePlace = -1;
  /** When the request's turn came, in `performance.now()` milliseconds; 0 before it. */
  startedAt = 0;
  /** The call under way, aborted when the client leaves. */
  context: CallContext | undefined;
  /** Template of the route that answers, for metrics and reports; undefined where none was found. */
  route: string | undefined;
  /** Why the request is refused before anybody looks at it. */
  refusal: HttpError | undefined;
  /**
   * Ends the answer under way because the server stops, in a way that its client sees; undefined for answers that end by
   * themselves, and for those that only a cut connection can end.
   */
  leave: ((reason: ConnectError) => void) | undefined;
  /** Set for requests that ask to become a WebSocket. */
  upgrade: UpgradeRequest | undefined;
  /** Completes the head of the answer just before it is written; undefined for nothing. */
  onHead: ((exchange: Exchange, status: number) => void) | undefined;
  /** Set by whoever accepted the request. */
  owner: ExchangeOwner | undefined;
  #handedOver = false;

  /** Who the client is; undefined for nobody who is known. */
  get peer(): PeerIdentity | undefined {
    return identityOf(this.req.socket);
  }

  /** The status that was sent; 499 when the client left before the answer was complete. */
  get outcome(): number {
    if (this.#handedOver) return 101;
    return this.writableFinished ? this.statusCode : 499;
  }

  override writeHead(
    status: number,
    second?: string | OutgoingHttpHeaders | OutgoingHttpHeader[],
    third?: OutgoingHttpHeaders | OutgoingHttpHeader[],
  ): this {
    const reason = typeof second === "string" ? second : undefined;
    let headers = typeof second === "string" ? third : second;
    headers = completeHead(this, status, headers);
    return reason === undefined ? super.writeHead(status, headers) : super.writeHead(status, reason, headers);
  }

  /** Ends the exchange without an answer: the connection belongs to the caller, who answers the upgrade. */
  handOver({ socket }: UpgradeRequest): void {
    this.#handedOver = true;
    this.detachSocket(socket);
    this.emit("close");
  }

  /** Makes the connection close after this response. */
  closeAfter(): void {
    if (!this.headersSent) this.shouldKeepAlive = false;
  }
}

/** Lets `onHead` complete a head that is about to be written; returns the headers that are left to write. */
export function completeHead<List extends readonly OutgoingHttpHeader[]>(
  exchange: Exchange,
  status: number,
  headers: OutgoingHttpHeaders | List | undefined,
): OutgoingHttpHeaders | List | undefined {
  const { onHead } = exchange;
  if (onHead === undefined) return headers;
  exchange.onHead = undefined;
  const isList = Array.isArray(headers);
  if (headers !== undefined && !isList) {
    for (const [name, value] of Object.entries(headers)) {
      if (value !== undefined) exchange.setHeader(name, value);
    }
  }
  onHead(exchange, status);
  return isList ? headers : undefined;
}

/** The listener of the `close` event of every `Exchange`. */
export function exchangeClosed(this: Exchange): void {
  if (!this.writableFinished) {
    this.context?.abort(new ConnectError("the client left before the answer was complete", Code.Canceled));
  }
  this.owner?.exchangeClosed(this);
}

/** A response that can end with trailers of HTTP when that is asked for before its head is written. */
export interface TrailersOnDemand {
  /** Whether trailers follow the body. */
  withTrailers: boolean;
}
