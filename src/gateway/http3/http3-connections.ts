import { clearInterval, setInterval } from "node:timers";
import type { Http3ServerSession, ServerHttp3Stream } from "@currentspace/http3";
import { LiveSet } from "../../core/call/live-set.ts";
import type { ConnectError } from "../../core/errors/errors.ts";
import { incomingRequest, type IncomingRequest } from "../../core/http2/incoming-request.ts";
import type { ConnectionCount } from "../../core/net/connection-count.ts";
import { http3Counts } from "../../core/net/http3-counts.ts";
import type { EarlyData } from "../connections/early-data.ts";
import type { Http1Options } from "../connections/http1-limits.ts";
import type { ExchangeHooks, ExchangeOwner, LiveExchange } from "../connections/live-exchange.ts";
import { RequestCheck } from "../connections/request-check.ts";
import { type ErrorWriter, setFailure } from "../http/error-writer.ts";
import type { CompleteHead } from "../http/response-head.ts";
import { h3Code } from "./h3-codes.ts";
import { Http3Exchange } from "./http3-exchange.ts";
import type { Http3Options } from "./http3-options.ts";
import { Http3Stream } from "./http3-stream.ts";

/** What the connections of a door are served with. */
export interface Http3ConnectionParts {
  readonly limits: Http1Options;
  readonly options: Pick<Http3Options, "maxStreams" | "keepAlivePeriodMs">;
  readonly errors: ErrorWriter;
  readonly hooks: ExchangeHooks;
  readonly early: EarlyData;
  readonly counts: ConnectionCount;
  /** Serves a good request. */
  readonly serve: (exchange: Http3Exchange) => void;
}

/** A connection. */
interface Client {
  readonly session: Http3ServerSession;
  /** Requests that are open, and those that were broken off and whose handlers still run. */
  busy: number;
}

/** A request body of which more waits for its reader ends, in bytes, unless unary bodies may be larger. */
const leastUnreadBytes = 8 * 1024 * 1024;

/** The connections of a door: makes exchanges of their requests, and refuses those that are malformed or too many. */
export class Http3Connections implements ExchangeOwner {
  readonly inFlight = new LiveSet<LiveExchange>();
  stopping: ConnectError | undefined;
  completeHead: CompleteHead | undefined;
  readonly onHead: ExchangeHooks["onHead"];
  readonly #parts: Http3ConnectionParts;
  readonly #check: RequestCheck;
  /** By the number that the package gives them. */
  readonly #clients = new Map<number, Client>();
  #pings: NodeJS.Timeout | undefined;
  /** Whether new requests and connections go elsewhere. */
  #isDraining = false;

  constructor(parts: Http3ConnectionParts) {
    this.#parts = parts;
    this.completeHead = parts.hooks.completeHead;
    this.onHead = parts.hooks.onHead;
    this.#check = new RequestCheck(parts.limits);
  }

  /** How many connections are open. */
  get size(): number {
    return this.#clients.size;
  }

  exchangeClosed(exchange: LiveExchange): void {
    this.inFlight.delete(exchange);
    this.#parts.hooks.onClose?.(exchange);
  }

  /** A connection was opened. */
  connect(session: Http3ServerSession): void {
    const { counts, options } = this.#parts;
    if (this.#isDraining) {
      void session.close(h3Code.noError, "the server is shutting down");
      return;
    }
    counts.opened();
    http3Counts.open++;
    const key = session._connHandle;
    this.#clients.set(key, { session, busy: 0 });
    session.on("error", () => {}); // The `close` event that follows reports it.
    session.once("close", () => {
      this.#clients.delete(key);
      counts.closed();
      http3Counts.open--;
      if (this.#clients.size > 0) return;
      clearInterval(this.#pings);
      this.#pings = undefined;
    });
    if (options.keepAlivePeriodMs > 0)
      this.#pings ??= setInterval(() => this.#ping(), options.keepAlivePeriodMs).unref();
  }

  /**
   * From now on clients have to send new requests elsewhere: they are told that theirs were not begun, and connections
   * are closed at once. The package has no GOAWAY for servers.
   */
  drain(): void {
    this.#isDraining = true;
  }

  /** As `drain`, undone: another listener takes the place of the one before. */
  resume(): void {
    this.#isDraining = false;
  }

  /**
   * A request has come.
   *
   * @param forget the package may forget the stream
   */
  request(
    stream: ServerHttp3Stream,
    headers: Readonly<Record<string, string | string[]>>,
    isEnded: boolean,
    forget: () => void,
  ): void {
    const client = this.#clients.get(stream._connHandle);
    const request = incomingRequest(
      (add) => eachField(headers, add),
      () => false,
    );
    const refusal =
      isEnded && request.contentLength > 0 ? h3Code.messageError : this.#refusalOf(client, request);
    if (client === undefined || refusal !== undefined) {
      stream.on("error", () => {}); // It is closed.
      stream.close(refusal ?? h3Code.requestRejected);
      forget();
      return;
    }
    this.#begin(stream, request, { client, isEnded, forget });
  }

  #refusalOf(client: Client | undefined, { fault, hasPseudo }: IncomingRequest): number | undefined {
    if (fault !== undefined || !hasPseudo) return h3Code.messageError;
    const isFull = client === undefined || client.busy >= this.#parts.options.maxStreams;
    return isFull || this.#isDraining ? h3Code.requestRejected : undefined;
  }

  #begin(
    inner: ServerHttp3Stream,
    { fields, rawFields, contentLength }: IncomingRequest,
    { client, isEnded, forget }: { client: Client; isEnded: boolean; forget: () => void },
  ): void {
    const { limits, errors, early, serve } = this.#parts;
    const { session } = client;
    const stream = new Http3Stream(inner, {
      remoteAddress: session.remoteAddress,
      remotePort: session.remotePort,
      isHead: fields[":method"] === "HEAD",
      contentLength,
      mostUnreadBytes: Math.max(leastUnreadBytes, limits.maxBodyBytes * 2),
      forget,
    });
    const refusal = this.#check.http2Problem(fields, rawFields);
    fields.host ??= fields[":authority"];
    // For all later code, a body of unknown length is a chunked one.
    if (!isEnded && contentLength < 0) fields["transfer-encoding"] = "chunked";
    const exchange = new Http3Exchange(stream, fields, rawFields, this);
    client.busy++;
    stream.once("close", () => releasePlace(client, exchange));
    stream.once("finish", () => this.#linger(stream));
    this.inFlight.add(exchange);
    if (refusal !== undefined) {
      setFailure(exchange.head, refusal);
      const { status, headers, body } = errors.toReply(refusal);
      exchange.respond(status, headers, body);
      return;
    }
    if (early.admits(exchange, !session.handshakeComplete)) serve(exchange);
  }

  /** Reads and discards what a client still sends after an early answer, for a while; then the stream is reset. */
  #linger(stream: Http3Stream): void {
    if (stream.requestEnded || stream.destroyed) return;
    stream.resume();
    const timer = setTimeout(() => stream.closeWith(h3Code.noError), this.#parts.limits.lingerMs);
    stream.once("close", () => clearTimeout(timer));
  }

  #ping(): void {
    for (const { session, busy } of this.#clients.values()) if (busy > 0) session.ping();
  }
}

/** A client that breaks off its requests must not make more handlers run than there are places for requests. */
function releasePlace(client: Client, { call }: LiveExchange): void {
  const work = call?.work;
  const release = (): void => void client.busy--;
  if (work === undefined) release();
  else work.then(release, release);
}

/** Names that JavaScript puts before all others of an object, whatever came first. */
const index = /^(?:0|[1-9]\d*)$/;

/** Gives the fields of a head in their order, as far as the package keeps it. */
function eachField(
  headers: Readonly<Record<string, string | string[]>>,
  add: (name: string, value: string) => void,
): void {
  const names = Object.keys(headers);
  const first = names.findIndex((name) => !index.test(name));
  const ordered = first > 0 ? [...names.slice(first), ...names.slice(0, first)] : names;
  for (const name of ordered) {
    const value = headers[name];
    if (typeof value === "string") add(name, value);
    else if (value !== undefined) for (const item of value) add(name, item);
  }
}
