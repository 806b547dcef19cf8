import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Readable } from "node:stream";
import type { CallContext } from "../../core/call/context.ts";
import type { EdgeRequest } from "../../core/call/edge-request.ts";
import type { ConnectError } from "../../core/errors/errors.ts";
import type { PeerIdentity } from "../../core/metadata/peer-identity.ts";
import type { SharedBytes } from "../../core/wire/shared-bytes.ts";
import type { RequestRecord } from "./request-record.ts";
import type { SocketHeaders } from "./socket-headers.ts";

/** Calls of an exchange that has several. */
export interface InnerCalls {
  /** The server stops, see `CallContext.drain`. */
  drain(): void;
  /** Ends those that are under way, and those that are still to begin. */
  abort(reason: ConnectError): void;
}

/** The head of an HTTP request, whatever its version. */
export interface RequestHead {
  readonly method: string;
  /** The request target: path and query as the client sent them. */
  readonly url: string;
  /** Names in lower case. */
  readonly headers: IncomingHttpHeaders;
  /** Names and values as they came, by turns; undefined where `headers` says everything. */
  readonly rawHeaders?: readonly string[];
  /** `1.0`, `1.1`, `2.0` or `3.0`. */
  readonly httpVersion: string;
  readonly httpVersionMajor: number;
  /** The id of the request; undefined where servers give none. Set when the head has come. */
  requestId?: string | undefined;
  /** Counts what the request brings and gets; undefined where no observer is told of it. Set when the head has come. */
  record?: RequestRecord | undefined;
  /** The error with which the gateway has answered; undefined for none. */
  failure?: ConnectError | undefined;
  /** Whether the request continues a call whose first request was another one. */
  continues?: boolean;
}

/** The body of an HTTP request, as Node streams it. */
export interface RequestBody extends Readable {
  /** Whether the whole body has arrived. */
  readonly complete: boolean;
}

/** Takes the bytes of a body, one chunk after the other. */
export interface BodySink {
  add(chunk: Buffer): void;
  /** The body has ended. */
  end(): void;
  /** The client has disconnected before the end of the body. Is of no effect behind `end`. */
  fail(reason: ConnectError): void;
}

/** Header fields of an answer; names in lower case. */
export type ResponseHeaders = Record<string, string | string[]>;

/** Trailer fields of an answer; names in lower case. */
export type ResponseTrailers = readonly [name: string, value: string][];

/** The body of an answer that is sent in parts. `StreamWriter` adds back-pressure to it. */
export interface ResponseBody {
  /** Counts the bytes; undefined where no observer is told of them. */
  readonly record: RequestRecord | undefined;
  /** Whether the connection (the stream on HTTP/2) is closed. */
  readonly destroyed: boolean;
  /** Whether the operating system has received the whole answer. */
  readonly writableFinished: boolean;
  /** Writes a part; returns false if the next one should wait for the event `drain`. */
  write(chunk: string | Uint8Array): boolean;
  /** As `write`, of bytes for many clients. Undefined where that is no cheaper. */
  writeShared?(chunk: SharedBytes): boolean;
  /**
   * Ends the answer, after a last part if there is one; calls `sent` when the operating system has received all of it.
   */
  end(chunk: string | Uint8Array | undefined, sent: () => void): unknown;
  on(event: "drain" | "close", listener: () => void): unknown;
  once(event: "drain" | "close", listener: () => void): unknown;
  /** Sends the head now, without waiting for the first part. */
  flushHeaders(): void;
  /** Sets the trailers, before the end. */
  addTrailers(trailers: Readonly<Record<string, string>>): void;
  /**
   * Closes the connection (the stream on HTTP/2) after the written bytes and without ending the answer, so that the
   * client detects a truncated answer.
   */
  cut(): void;
  /**
   * Resets the connection. Over HTTP/1.0, where the end of the connection ends the answer, only a reset shows that the
   * answer is truncated.
   */
  reset(): void;
  /** Closes the connection (the stream on HTTP/2) at once. */
  destroy(): unknown;
}

/** Options of an answer that is sent in parts. */
export interface ResponseOptions {
  /** Whether trailers may follow that no `trailer` header announces. Default: false. */
  readonly trailers?: boolean;
  /** Whether the answer has no body, so that the head ends it: on HTTP/2 in the same frame. Default: false. */
  readonly empty?: boolean;
}

/** The connection of a request for an upgrade to WebSocket, and the headers outside of its head. */
export interface UpgradeRequest {
  readonly request: IncomingMessage;
  readonly socket: Socket;
  /** The bytes received behind the head of the request: the beginning of the first frames. */
  readonly head: Buffer;
  /** Headers from the query. */
  readonly headers: SocketHeaders;
  /** Whether the first frame contains further headers. */
  readonly headersInFrame: boolean;
}

/**
 * One HTTP request and its answer, independent of the protocol version. There is one implementation each for HTTP/1.1,
 * HTTP/2, and Fastify's request with its reply.
 */
export interface HttpExchange extends EdgeRequest {
  readonly head: RequestHead;
  readonly body: RequestBody;
  /** The whole body, where it came together with the head; undefined where `body` is to be read. */
  readonly wholeBody?: Buffer | undefined;
  /** Passes the body to `sink` as it comes, in place of `body`; undefined where only `body` can be read. */
  gatherBody?(sink: BodySink): void;
  /** The identity of the client; undefined for an anonymous one. */
  readonly peer: PeerIdentity | undefined;
  /** Address of the other end of the connection; undefined where it has none. */
  readonly remoteAddress: string | undefined;
  /**
   * When the head had arrived and earlier requests of its connection were answered, in `performance.now()`
   * milliseconds.
   */
  readonly arrivedAt: number;
  /** Set for requests for an upgrade to WebSocket. */
  readonly upgrade: UpgradeRequest | undefined;
  /**
   * The reason while the server stops: answers that clients reopen by themselves should not begin then. Otherwise
   * undefined.
   */
  readonly stopping: ConnectError | undefined;
  /** Whether an answer has begun, or the client has disconnected. */
  readonly answered: boolean;
  /** Whether the connection (the stream on HTTP/2) is closed. */
  readonly destroyed: boolean;
  /** The call in flight, which is cancelled when the client disconnects. */
  readonly call: CallContext | undefined;
  /** The calls of an exchange that has several, in place of `call`; they end with it as that does. Undefined for none. */
  innerCalls: InnerCalls | undefined;
  /** Template of the route that answers, for metrics and reports; undefined if no route was found. */
  route: string | undefined;
  /**
   * Ends the answer in flight when the server stops, so that the client sees why; undefined for answers that end by
   * themselves, and for those that only a closed connection can end.
   */
  onStop: ((reason: ConnectError) => void) | undefined;
  /** Makes `call` the call in flight: it is cancelled when the client disconnects before the answer is complete. */
  attach(call: CallContext): void;
  /** Calls `listener` when the answer was sent or the client has disconnected; returns a function that unsubscribes. */
  onClose(listener: () => void): () => void;
  /**
   * Sends the whole answer.
   *
   * @param body undefined for none; its length becomes `content-length`
   * @throws Error for invalid header fields; nothing was sent then
   */
  respond(
    status: number,
    headers: ResponseHeaders,
    body: string | Uint8Array | undefined,
    trailers?: ResponseTrailers,
  ): void;
  /** Prepares the head of an answer in parts, which is sent with the first part. @throws Error as `respond` */
  respondInParts(status: number, headers: ResponseHeaders, options?: ResponseOptions): ResponseBody;
  /**
   * Must be called before the body is read, if the head has `expect`: sends `100 Continue` to a client that waits for
   * it. A request that is refused by its head is answered without. Of no effect a second time, and behind the answer.
   */
  continueBody(): void;
  /** Closes the connection after this answer, even if HTTP/1.1 would keep it. */
  closeAfter(): void;
  /** Ends the exchange without an answer: from now on the connection belongs to a WebSocket. */
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

/** The exchange of a response of Node; undefined for a response of a server that is not the gateway's. */
export function exchangeOf(response: object): HttpExchange | undefined {
  return (response as Partial<ExchangeCarrier>)[exchangeKey]; // Any object may have the key or not.
}

/** Adds what the gateway itself sets as cookies to the header fields of an answer. */
export function addCookies(headers: ResponseHeaders, { cookies }: Pick<HttpExchange, "cookies">): void {
  if (cookies) for (const cookie of cookies) setField(headers, "set-cookie", cookie);
}

/** Adds a header field; `set-cookie` and `vary` are lists, any other name has one value, the last one set. */
export function setField(headers: ResponseHeaders, name: string, value: string): void {
  const before = headers[name];
  const isList = before !== undefined && (name === "set-cookie" || name === "vary");
  headers[name] = isList ? [before, value].flat() : value;
}
