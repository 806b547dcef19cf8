import { constants, type ClientHttp2Session, type ClientHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import { Code, ConnectError } from "../errors/errors.ts";
import type { ReplyFields } from "./reply-status.ts";
import type { ClientKeepalive } from "./client-http2-options.ts";
import { http2Counts, type ConnectionEnd } from "./http2-counts.ts";
import type {
  RequestHead,
  RequestStream,
  Session,
  SessionListener,
  SessionStats,
  StreamEnd,
  StreamListener,
} from "./session.ts";

/** A stream of Node with ours, so that all streams share the same listener functions. */
interface NodeStream extends ClientHttp2Stream {
  ours?: OwnStream | undefined;
}

const requestOptions = { endStream: false };

const counts = http2Counts.client;

/** What Node has where the server's SETTINGS have no limit. */
const noLimit = 2 ** 32 - 1;

/**
 * A connection on `node:http2` (`engine: "node"`): opens and counts streams, finds a dead peer by pings, and opens no more
 * streams once the server retires the connection (GOAWAY).
 */
export class Http2Session implements Session {
  /** Attempts to connect count by their handshakes alone, as they always did with this engine. */
  readonly answered = true;
  readonly used = true;
  quietSince = 0;
  readonly #session: ClientHttp2Session;
  readonly #socket: Socket;
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
  #rttMs: number | undefined;

  constructor(
    session: ClientHttp2Session,
    socket: Socket,
    keepalive: ClientKeepalive,
    listener: SessionListener,
  ) {
    this.#session = session;
    this.#socket = socket;
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
    session.on("error", (error: Error) => this.#lose("lost", "the connection broke", error));
    session.on("close", () => this.#onClose());
    socket.on("close", () => {
      this.#lose(this.#retired || this.#open === 0 ? "closed" : "lost", "the connection was closed");
    });
    // It may have ended in the same turn in which it became ready.
    if (session.closed || session.destroyed)
      queueMicrotask(() => this.#lose("lost", "the connection was closed"));
    else counts.begin(this);
    session.unref();
    const { timeMs } = keepalive;
    if (timeMs > 0 && timeMs < 2 ** 31) this.#pulse = setInterval(() => this.#onPulse(), timeMs).unref();
  }

  /** Whether a stream can be opened now. */
  get hasCapacity(): boolean {
    const { closed, destroyed } = this.#session; // Set before the events are emitted.
    return this.#open < this.#limit && !this.#retired && !closed && !destroyed;
  }

  /** Streams that are open. */
  get streams(): number {
    return this.#open;
  }

  get stats(): SessionStats {
    return {
      streams: this.#open,
      limit: this.#limit,
      rttMs: this.#rttMs,
      sentBytes: this.#socket.bytesWritten,
      receivedBytes: this.#socket.bytesRead,
    };
  }

  open(head: RequestHead, listener: StreamListener): RequestStream {
    const stream: NodeStream = this.#session.request(head.fields, requestOptions);
    const ours = new OwnStream(stream, this, listener);
    stream.ours = ours;
    stream.on("response", onResponse);
    stream.on("data", onData);
    stream.on("trailers", onTrailers);
    stream.on("error", onError);
    stream.on("close", onClose);
    if (this.#open++ === 0) this.#session.ref();
    return ours;
  }

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
    if (--this.#open === 0) {
      this.quietSince = performance.now();
      this.#session.unref();
    }
    if (this.#session.destroyed) this.#lost ??= lost("the connection broke");
    const unprocessed = rstCode === constants.NGHTTP2_REFUSED_STREAM || id > this.#lastStreamId;
    if (unprocessed) counts.refusedStreams++;
    return { rstCode: rstCode ?? constants.NGHTTP2_NO_ERROR, unprocessed, lost: this.#lost };
  }

  /** Notifies the listener that a closed stream has made capacity for another one. */
  notifyCapacity(): void {
    if (this.hasCapacity) this.#listener.onCapacity();
  }

  #onGoaway(code: number, lastStreamId: number, data: Buffer | undefined): void {
    this.#lastStreamId = lastStreamId;
    this.#listener.onGoaway(code);
    if (code !== constants.NGHTTP2_NO_ERROR) {
      this.#lost ??= lost(`the server ended the connection (HTTP/2 code ${code})`);
      counts.end(this, "goaway");
    }
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
      counts.pings.unanswered++;
      this.#lose("timeout", "the server does not answer pings");
      this.#session.destroy();
    }, this.#keepalive.timeoutMs).unref();
    this.#session.ping((error, durationMs) => {
      clearTimeout(timer);
      if (error !== null) return;
      counts.pings.answered++;
      this.#rttMs = durationMs;
    });
  }

  #lose(end: ConnectionEnd, text: string, cause?: unknown): void {
    counts.end(this, end);
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
    counts.end(this, "closed");
    this.#retire();
  }
}

/** One stream. */
class OwnStream implements RequestStream {
  readonly #stream: ClientHttp2Stream;
  readonly owner: Http2Session;
  readonly listener: StreamListener;
  /** Whether the reply is complete. */
  #replied = false;

  constructor(stream: ClientHttp2Stream, owner: Http2Session, listener: StreamListener) {
    this.#stream = stream;
    this.owner = owner;
    this.listener = listener;
  }

  write(bytes: Uint8Array): boolean {
    const goesOn = this.#stream.write(bytes);
    if (!goesOn) this.#stream.once("drain", onDrain);
    return goesOn;
  }

  end(bytes?: Uint8Array): void {
    if (bytes === undefined) this.#stream.end();
    else this.#stream.end(bytes);
  }

  reset(): void {
    const stream = this.#stream;
    if (this.#replied && stream.writableEnded && stream.writableLength === 0) return;
    // Node would send END_STREAM first: the request would look complete to the server.
    if (!stream.writableEnded) stream.end = () => stream;
    stream.close(constants.NGHTTP2_CANCEL);
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  response(headers: ReplyFields, ended: boolean): void {
    this.#replied = ended;
    this.listener.onResponse(headers, ended);
  }

  /** Trailers of a paused stream arrive before its last data is delivered. */
  trailers(trailers: ReplyFields): void {
    this.#replied = true;
    if (this.#stream.readableLength === 0) this.listener.onTrailers(trailers);
    else this.#stream.once("end", () => this.listener.onTrailers(trailers));
  }
}

function onResponse(this: NodeStream, headers: ReplyFields, flags: number): void {
  this.ours?.owner.markReceived();
  this.ours?.response(headers, (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0);
}

function onData(this: NodeStream, chunk: Buffer): void {
  this.ours?.owner.markReceived();
  this.ours?.listener.onData(chunk, false);
}

function onTrailers(this: NodeStream, trailers: ReplyFields): void {
  this.ours?.trailers(trailers);
}

function onDrain(this: NodeStream): void {
  this.ours?.listener.onDrain();
}

/** `onClose` reports the end of the stream; without a listener here the process would end. */
function onError(): void {}

function onClose(this: NodeStream): void {
  const { ours } = this;
  if (ours === undefined) return;
  // Node keeps a closed stream until the next major garbage collection: it must not reference the call.
  this.ours = undefined;
  ours.listener.onClose(ours.owner.streamClosed(this));
  ours.owner.notifyCapacity();
}

/**
 * The streams to open at the same time: seven eighths of the server's limit. Servers on Node 26 still count streams
 * that were reset a moment ago and refuse new ones beyond the limit; the rest is reserved for those.
 */
function limitOf({ remoteSettings }: ClientHttp2Session): number {
  const most = remoteSettings.maxConcurrentStreams ?? noLimit;
  return most === noLimit ? Infinity : Math.ceil(most * 0.875);
}

function lost(text: string, cause?: unknown): ConnectError {
  return new ConnectError(text, Code.Unavailable, undefined, undefined, cause);
}
