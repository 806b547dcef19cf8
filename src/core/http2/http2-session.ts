import { constants, type ClientHttp2Session, type ClientHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { Code, ConnectError } from "../errors/errors.ts";
import type { ReplyFields } from "./reply-status.ts";

/** Pings that find out whether the peer of a quiet connection still lives. */
export interface ClientKeepalive {
  /** Pause between pings while calls are under way and nothing comes, in milliseconds; 0 for no pings. */
  readonly timeMs: number;
  /** How long the answer to a ping may take, in milliseconds. */
  readonly timeoutMs: number;
}

/** Hears what comes back on a stream. */
export interface StreamListener {
  /** @param ended Whether the headers are all there is of the reply. */
  onResponse(headers: ReplyFields, ended: boolean): void;
  onData(chunk: Buffer): void;
  onTrailers(trailers: ReplyFields): void;
  /** The stream is gone, for whatever reason: the last thing that is heard of it. */
  onClose(end: StreamEnd): void;
}

/** How a stream went. */
export interface StreamEnd {
  /** Error code of HTTP/2; 0 for none. */
  readonly rstCode: number;
  /** Whether the server says that it has not looked at the request. */
  readonly unprocessed: boolean;
  /** Why the connection broke, if it did. */
  readonly lost: ConnectError | undefined;
}

/** Hears of a session as a whole. */
export interface SessionListener {
  /** There is room for a stream again. */
  onRoom(): void;
  /** No new stream can be opened any more. */
  onRetired(session: Http2Session): void;
  /** The server finds that the keepalive pings too often. */
  onTooManyPings(): void;
}

/** A stream with what it belongs to, so that no listener has to be made for each stream. */
interface OwnStream extends ClientHttp2Stream {
  owner?: Http2Session | undefined;
  listener?: StreamListener | undefined;
}

const requestOptions = { endStream: false };

/**
 * An HTTP/2 connection whose server has introduced itself: opens streams, counts them, watches over the connection by
 * pings, and takes the server's word when it retires the connection (GOAWAY).
 */
export class Http2Session {
  readonly #session: ClientHttp2Session;
  readonly #keepalive: ClientKeepalive;
  readonly #listener: SessionListener;
  #open = 0;
  /** How many streams may be open, as the server says. */
  #limit: number;
  #retired = false;
  #lost: ConnectError | undefined;
  /** The last stream that a retiring server looks at. */
  #lastStreamId = Infinity;
  /** Whether something came since the keepalive last looked. */
  #heard = false;
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
      if (this.hasRoom) listener.onRoom();
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
  get hasRoom(): boolean {
    const { closed, destroyed } = this.#session; // Known here before the events that tell of it.
    return this.#open < this.#limit && !this.#retired && !closed && !destroyed;
  }

  /** Opens a stream with these header fields: name, value, name, value. Only while there is room. */
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

  /** Opens no more streams; the connection ends with the last one that is open. */
  close(): void {
    this.#retired = true;
    this.#session.close();
  }

  /** Something came on a stream. */
  heard(): void {
    this.#heard = true;
  }

  /** A stream has closed; tells how. */
  streamClosed({ id = Infinity, rstCode }: ClientHttp2Stream): StreamEnd {
    if (--this.#open === 0) this.#session.unref();
    if (this.#session.destroyed) this.#lost ??= lost("the connection broke");
    const unprocessed = rstCode === constants.NGHTTP2_REFUSED_STREAM || id > this.#lastStreamId;
    return { rstCode: rstCode ?? constants.NGHTTP2_NO_ERROR, unprocessed, lost: this.#lost };
  }

  /** The place of a closed stream is free. */
  offerRoom(): void {
    if (this.hasRoom) this.#listener.onRoom();
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

  /** Looks after the connection while calls are under way and nothing is heard. */
  #onPulse(): void {
    const heard = this.#heard;
    this.#heard = false;
    if (heard || this.#open === 0 || this.#session.destroyed) return;
    const timer = setTimeout(() => {
      if (this.#heard) return;
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
  this.owner?.heard();
  this.listener?.onResponse(headers, (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0);
}

function onData(this: OwnStream, chunk: Buffer): void {
  this.owner?.heard();
  this.listener?.onData(chunk);
}

function onTrailers(this: OwnStream, trailers: ReplyFields): void {
  this.listener?.onTrailers(trailers);
}

/** What is wrong is told when the stream closes. */
function onError(): void {}

function onClose(this: OwnStream): void {
  const { owner, listener } = this;
  if (owner === undefined) return;
  // Node holds a stream until the next collection of the whole heap: nothing of the call may hang on it.
  this.owner = undefined;
  this.listener = undefined;
  listener?.onClose(owner.streamClosed(this));
  owner.offerRoom();
}

/**
 * Servers on Node 26 count streams that were reset a moment ago, and refuse the next ones when that makes too many: an
 * eighth of what they allow is left free for those.
 */
function limitOf({ remoteSettings }: ClientHttp2Session): number {
  return Math.ceil((remoteSettings.maxConcurrentStreams ?? Infinity) * 0.875);
}

function lost(text: string, cause?: unknown): ConnectError {
  return new ConnectError(text, Code.Unavailable, undefined, undefined, cause);
}
