import { constants, type ClientHttp2Session, type ClientHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { Code, ConnectError } from "../errors/errors.ts";
import type { ReplyFields } from "./reply-status.ts";

/** Pings that find a dead peer while a connection carries no other traffic. */
export interface ClientKeepalive {
  /** Time between pings while calls are in flight and nothing is received, in milliseconds; 0 for no pings. */
  readonly timeMs: number;
  /** How long the acknowledgement of a ping may take, in milliseconds. */
  readonly timeoutMs: number;
}

/** Callbacks for the reply on a stream. */
export interface StreamListener {
  /** @param ended Whether the reply has nothing but these headers (Trailers-Only). */
  onResponse(headers: ReplyFields, ended: boolean): void;
  onData(chunk: Buffer): void;
  onTrailers(trailers: ReplyFields): void;
  /** The stream has closed, for any reason: the last callback. */
  onClose(end: StreamEnd): void;
}

/** How a stream ended. */
export interface StreamEnd {
  /** HTTP/2 error code; 0 for none. */
  readonly rstCode: number;
  /** Whether the server declares that it has not processed the request. */
  readonly unprocessed: boolean;
  /** The error that ended the connection; undefined while it is alive. */
  readonly lost: ConnectError | undefined;
}

/** Callbacks for a session as a whole. */
export interface SessionListener {
  /** A stream can be opened again. */
  onCapacity(): void;
  /** No new stream can be opened any more. */
  onRetired(session: Http2Session): void;
  /** The server has closed the connection because of too many pings. */
  onTooManyPings(): void;
}

/** A stream with its owner and listener, so that all streams share the same listener functions. */
interface OwnStream extends ClientHttp2Stream {
  owner?: Http2Session | undefined;
  listener?: StreamListener | undefined;
}

const requestOptions = { endStream: false };

/**
 * An established HTTP/2 connection to a server: opens and counts streams, finds a dead peer by pings, and opens no more
 * streams once the server retires the connection (GOAWAY).
 */
export class Http2Session {
  readonly #session: ClientHttp2Session;
  readonly #keepalive: ClientKeepalive;
  readonly #listener: SessionListener;
  #open = 0;
  /** How many streams may be open at the same time, by the server's SETTINGS. */
  #limit: number;
  #retired = false;
  #lost: ConnectError | undefined;
  /** The last stream that a server processes after GOAWAY. */
  #lastStreamId = Infinity;
  /** Whether a reply's bytes have arrived since the last tick of the keepalive. */
  #received = false;
  readonly #pulse: NodeJS.Timeout | undefined;

  constructor(
    session: ClientHttp2Session,
    socket: Socket,
    keepalive: ClientKeepalive,
    listener: SessionListener,
  ) {
    this.#session = session;
    this.#keepalive = keepalive;
    this.#listener = listener;
    this.#limit = limitOf(session);
    session.on("remoteSettings", () => {
      this.#limit = limitOf(session);
      if (this.hasCapacity) listener.onCapacity();
    });
    session.on("goaway", (code: number, lastStreamId: number, data?: Buffer) => {
      this.#onGoaway(code, lastStreamId, data);
    });
    session.on("error", (error: Error) => this.#lose("the connection broke", error));
    session.on("close", () => this.#onClose());
    socket.on("close", () => this.#lose("the connection was closed"));
    session.unref();
    const { timeMs } = keepalive;
    if (timeMs > 0 && timeMs < 2 ** 31) this.#pulse = setInterval(() => this.#onPulse(), timeMs).unref();
  }

  /** Whether a stream can be opened now. */
  get hasCapacity(): boolean {
    const { closed, destroyed } = this.#session; // Set before the events are emitted.
    return this.#open < this.#limit && !this.#retired && !closed && !destroyed;
  }

  /** Opens a stream with these header fields: name, value, name, value. Only while there is capacity. */
  open(fields: string[], listener: StreamListener): ClientHttp2Stream {
    const stream: OwnStream = this.#session.request(fields, requestOptions);
    stream.owner = this;
    stream.listener = listener;
    stream.on("response", onResponse);
    stream.on("data", onData);
    stream.on("trailers", onTrailers);
    stream.on("error", onError);
    stream.on("close", onClose);
    if (this.#open++ === 0) this.#session.ref();
    return stream;
  }

  /** Opens no more streams; the connection closes with its last open stream. */
  close(): void {
    this.#retired = true;
    this.#session.close();
  }

  /** Records that headers or data have arrived on a stream. */
  markReceived(): void {
    this.#received = true;
  }

  /** A stream has closed. @returns how it ended */
  streamClosed({ id = Infinity, rstCode }: ClientHttp2Stream): StreamEnd {
    if (--this.#open === 0) this.#session.unref();
    if (this.#session.destroyed) this.#lost ??= lost("the connection broke");
    const unprocessed = rstCode === constants.NGHTTP2_REFUSED_STREAM || id > this.#lastStreamId;
    return { rstCode: rstCode ?? constants.NGHTTP2_NO_ERROR, unprocessed, lost: this.#lost };
  }

  /** Notifies the listener that a closed stream has made capacity for another one. */
  notifyCapacity(): void {
    if (this.hasCapacity) this.#listener.onCapacity();
  }

  #onGoaway(code: number, lastStreamId: number, data: Buffer | undefined): void {
    this.#lastStreamId = lastStreamId;
    if (code !== constants.NGHTTP2_NO_ERROR)
      this.#lost ??= lost(`the server ended the connection (HTTP/2 code ${code})`);
    if (code === constants.NGHTTP2_ENHANCE_YOUR_CALM && data?.toString() === "too_many_pings") {
      this.#listener.onTooManyPings();
    }
    this.#retire();
  }

  /** Pings while calls are in flight and nothing is received; closes the connection of a dead peer. */
  #onPulse(): void {
    const received = this.#received;
    this.#received = false;
    if (received || this.#open === 0 || this.#session.destroyed) return;
    const timer = setTimeout(() => {
      if (this.#received) return;
      this.#lose("the server does not answer pings");
      this.#session.destroy();
    }, this.#keepalive.timeoutMs).unref();
    this.#session.ping(() => clearTimeout(timer));
  }

  #lose(text: string, cause?: unknown): void {
    this.#lost ??= lost(text, cause);
    this.#retire();
  }

  #retire(): void {
    if (this.#retired) return;
    this.#retired = true;
    this.#listener.onRetired(this);
  }

  #onClose(): void {
    clearInterval(this.#pulse);
    this.#retire();
  }
}

function onResponse(this: OwnStream, headers: ReplyFields, flags: number): void {
  this.owner?.markReceived();
  this.listener?.onResponse(headers, (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0);
}

function onData(this: OwnStream, chunk: Buffer): void {
  this.owner?.markReceived();
  this.listener?.onData(chunk);
}

function onTrailers(this: OwnStream, trailers: ReplyFields): void {
  this.listener?.onTrailers(trailers);
}

/** `onClose` reports the end of the stream; without a listener here the process would end. */
function onError(): void {}

function onClose(this: OwnStream): void {
  const { owner, listener } = this;
  if (owner === undefined) return;
  // Node keeps a closed stream until the next major garbage collection: it must not reference the call.
  this.owner = undefined;
  this.listener = undefined;
  listener?.onClose(owner.streamClosed(this));
  owner.notifyCapacity();
}

/**
 * The streams to open at the same time: seven eighths of the server's limit. Servers on Node 26 still count streams
 * that were reset a moment ago and refuse new ones beyond the limit; the rest is reserved for those.
 */
function limitOf({ remoteSettings }: ClientHttp2Session): number {
  return Math.ceil((remoteSettings.maxConcurrentStreams ?? Infinity) * 0.875);
}

function lost(text: string, cause?: unknown): ConnectError {
  return new ConnectError(text, Code.Unavailable, undefined, undefined, cause);
}
