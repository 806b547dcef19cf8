import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Readable } from "node:stream";
import type { CallContext } from "../../core/call/context.ts";
import type { ConnectError } from "../../core/errors/errors.ts";
import type { PeerIdentity } from "../../core/metadata/peer-identity.ts";
import type { SocketHeaders } from "./socket-headers.ts";

/** The head of an HTTP request, whatever its version. */
export interface RequestHead {
  readonly method: string;
  /** The request target: path and query as the client wrote them. */
  readonly url: string;
  /** Names in lower case. */
  readonly headers: IncomingHttpHeaders;
  /** `1.0`, `1.1` or `2.0`. */
  readonly httpVersion: string;
  readonly httpVersionMajor: number;
}

/** The body of an HTTP request, as Node streams it. */
export interface RequestBody extends Readable {
  /** Whether the whole body has arrived. */
  readonly complete: boolean;
}

/** Header fields of an answer; names in lower case. */
export type ResponseHeaders = Record<string, string | string[]>;

/** Trailer fields of an answer; names in lower case. */
export type ResponseTrailers = readonly [name: string, value: string][];

/** The body of an answer that is sent in parts. `StreamWriter` adds back-pressure to it. */
export interface ResponseBody {
  /** Whether the connection, or the stream of HTTP/2, is gone. */
  readonly destroyed: boolean;
  /** Whether the `close` event has been emitted. */
  readonly closed: boolean;
  /** Whether the whole answer has been handed to the system. */
  readonly writableFinished: boolean;
  /** Writes a part; false when the next one should wait for the event `drain`. */
  write(chunk: string | Uint8Array): boolean;
  /** Ends the answer, after a last part if there is one; `sent` is called when all of it was handed to the system. */
  end(chunk: string | Uint8Array | undefined, sent: () => void): unknown;
  on(event: "drain" | "close", listener: () => void): unknown;
  once(event: "drain" | "close", listener: () => void): unknown;
  /** Sends the head now, without waiting for the first part. */
  flushHeaders(): void;
  /** Sets the trailers, before the end. */
  addTrailers(trailers: Readonly<Record<string, string>>): void;
  /**
   * Ends the connection (the stream on HTTP/2) after what was written and without ending the answer, so that its client
   * can never mistake the part for the whole.
   */
  cut(): void;
  /** Resets the connection: over HTTP/1.0, where its end is the end of the answer, nothing else shows that it is a part. */
  reset(): void;
  /** Closes the connection (the stream on HTTP/2) at once. */
  destroy(): unknown;
}

/** How an answer in parts is sent. */
export interface ResponseOptions {
  /** Whether trailers may come that no `trailer` header announces. Default: false. */
  readonly trailers?: boolean;
  /** Whether no part follows, so that the head ends the answer: on HTTP/2 in the same frame. Default: false. */
  readonly empty?: boolean;
}

/** What belongs to a request that asks to become a WebSocket. */
export interface UpgradeRequest {
  readonly request: IncomingMessage;
  readonly socket: Socket;
  /** The bytes behind the head of the request: the beginning of the first frames. */
  readonly head: Buffer;
  /** Headers from the query. */
  readonly headers: SocketHeaders;
  /** Whether the first frame brings more headers. */
  readonly headersInFrame: boolean;
}

/**
 * One HTTP request and its answer, as every door sees it. HTTP/1.1, HTTP/2, and Fastify's request with its reply have an
 * implementation each.
 */
export interface HttpExchange {
  readonly head: RequestHead;
  readonly body: RequestBody;
  /** The whole body, where it came together with the head; undefined where `body` is to be read. */
  readonly wholeBody?: Buffer | undefined;
  /** The identity of the client; undefined where it has none that is trusted. */
  readonly peer: PeerIdentity | undefined;
  /** When the head had arrived and was the next of its connection, in `performance.now()` milliseconds. */
  readonly arrivedAt: number;
  /** Set for requests that ask to become a WebSocket. */
  readonly upgrade: UpgradeRequest | undefined;
  /** Set while the server stops, when answers that clients reopen by themselves should not begin. */
  readonly stopping: ConnectError | undefined;
  /** Whether an answer has begun, or can reach no client any more. */
  readonly answered: boolean;
  /** Whether the connection, or the stream of HTTP/2, is gone. */
  readonly destroyed: boolean;
  /** The call under way, which is cancelled when the client disconnects. */
  readonly call: CallContext | undefined;
  /** Template of the route that answers, for metrics and reports; undefined where no route was found. */
  route: string | undefined;
  /**
   * Ends the answer under way when the server stops, in a way that its client sees; undefined for answers that end by
   * themselves, and for those that only a closed connection can end.
   */
  onStop: ((reason: ConnectError) => void) | undefined;
  /** Makes `call` the call under way: it is cancelled when the client disconnects before the answer is complete. */
  attach(call: CallContext): void;
  /** Calls `listener` when the answer was sent or the client has disconnected; returns how to unsubscribe. */
  onClose(listener: () => void): () => void;
  /**
   * Sends the whole answer.
   *
   * @param body undefined for none; its length becomes `content-length`
   * @throws Error for header fields that HTTP cannot hold; nothing was sent then
   */
  respond(
    status: number,
    headers: ResponseHeaders,
    body: string | Uint8Array | undefined,
    trailers?: ResponseTrailers,
  ): void;
  /** Makes the head of an answer in parts ready, which leaves with the first part. @throws Error as `respond` */
  respondInParts(status: number, headers: ResponseHeaders, options?: ResponseOptions): ResponseBody;
  /** Lets a client that waits for `100 Continue` send its body. */
  continueBody(): void;
  /** Makes the connection close behind this answer, where HTTP/1.1 would keep it. */
  closeAfter(): void;
  /** Ends the exchange without an answer: the connection is that of a WebSocket from now on. */
  handOver(upgrade: UpgradeRequest): void;
  /** Closes the connection (the stream on HTTP/2) at once. */
  destroy(): void;
}

const exchangeKey: unique symbol = Symbol("exchange");

/** A response of Node that belongs to an exchange. */
export interface ExchangeCarrier {
  readonly [exchangeKey]: HttpExchange;
}

export { exchangeKey };

/** The exchange of a response of Node; undefined for one of a server that is not the gateway's. */
export function exchangeOf(response: object): HttpExchange | undefined {
  return (response as Partial<ExchangeCarrier>)[exchangeKey]; // Any object may have the key or not.
}

/** Adds a header field; `set-cookie` and `vary` are lists, any other name has one value, the last. */
export function setField(headers: ResponseHeaders, name: string, value: string): void {
  const before = headers[name];
  const isList = before !== undefined && (name === "set-cookie" || name === "vary");
  headers[name] = isList ? [before, value].flat() : value;
}
