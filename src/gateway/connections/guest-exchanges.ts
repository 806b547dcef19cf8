import type { IncomingMessage, OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { ConnectError } from "../../core/errors/errors.ts";
import { LiveSet } from "../../core/call/live-set.ts";
import { identityOf } from "../../core/metadata/peer-identity.ts";
import { completeHead, type Exchange, exchangeClosed, type ExchangeOwner } from "../http/exchange.ts";
import type { Http1Options } from "./http1-limits.ts";
import { RequestCheck } from "./request-check.ts";

/** What may follow the status in `writeHead`. */
type HeadPart = string | OutgoingHttpHeaders | OutgoingHttpHeader[];

type WriteHead = (status: number, second?: HeadPart, third?: HeadPart) => unknown;

/**
 * Requests that come by no port of the gateway's own: by `inject`, or by the server of an app that has the rpcs as a
 * plugin. Makes their responses what those of the gateway's own ports are, and knows those that are under way.
 */
export class GuestExchanges implements ExchangeOwner {
  readonly #inFlight = new LiveSet<Exchange>();
  stopping: ConnectError | undefined;
  readonly #onClose: ((exchange: Exchange) => void) | undefined;
  readonly #prepare: ((exchange: Exchange) => void) | undefined;
  readonly #check: RequestCheck;

  /**
   * @param onClose Is called with every exchange that ended.
   * @param prepare Is called with every exchange before its request is looked at.
   */
  constructor(
    options: Http1Options,
    onClose?: (exchange: Exchange) => void,
    prepare?: (exchange: Exchange) => void,
  ) {
    this.#onClose = onClose;
    this.#prepare = prepare;
    this.#check = new RequestCheck(options);
  }

  /** Every exchange that is under way. */
  get inFlight(): readonly Exchange[] {
    return [...this.#inFlight];
  }

  /** Resolves when no exchange is under way. */
  idle(): Promise<void> {
    return this.#inFlight.idle();
  }

  /** Takes over a response that another server made; its `refusal` says what is wrong with the request. */
  adopt(request: IncomingMessage, response: ServerResponse): Exchange {
    const writeHead = response.writeHead.bind(response) as WriteHead; // Of its overloads the widest.
    const members: Partial<Exchange> = {
      livePlace: -1,
      owner: this,
      startedAt: performance.now(),
      closeAfter() {
        if (!response.headersSent) response.shouldKeepAlive = false;
      },
    };
    Object.assign(response, members);
    Object.defineProperties(response, {
      peer: { get: () => identityOf(request.socket) },
      outcome: { get: () => (response.writableFinished ? response.statusCode : 499) },
    });
    const exchange = response as Exchange; // It has every member of it now that is used of one without an upgrade.
    this.#prepare?.(exchange);
    if (exchange.onHead !== undefined) {
      exchange.writeHead = (status: number, second?: HeadPart, third?: HeadPart): Exchange => {
        const [reason, given] = typeof second === "string" ? [second, third] : [undefined, second];
        const headers = completeHead(exchange, status, typeof given === "string" ? undefined : given);
        if (reason === undefined) writeHead(status, headers);
        else writeHead(status, reason, headers);
        return exchange;
      };
    }
    exchange.refusal = this.#check.problem(request);
    exchange.on("close", exchangeClosed);
    this.#inFlight.add(exchange);
    return exchange;
  }

  exchangeClosed(exchange: Exchange): void {
    this.#inFlight.delete(exchange);
    this.#onClose?.(exchange);
  }

  /** The server stops: answers whose clients come again by themselves do not begin any more. */
  stopBeginning(reason: ConnectError): void {
    this.stopping = reason;
  }

  /** Breaks off every answer that is under way. */
  cut(): void {
    for (const exchange of this.#inFlight) exchange.destroy();
  }
}
