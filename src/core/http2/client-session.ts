import type { Socket } from "node:net";
import { Code, ConnectError } from "../errors/errors.ts";
import type { ClientHttp2Options, ClientKeepalive } from "./client-http2-options.ts";
import { ClientStream, type StreamOwner } from "./client-stream.ts";
import { ControlWriter } from "./control-writer.ts";
import { most31 } from "./frame.ts";
import { FrameReader, type FrameSink } from "./frame-reader.ts";
import { FloodGuard } from "./flood-guard.ts";
import { HpackDecoder } from "./hpack/decoder.ts";
import { sensitiveNames } from "./hpack/encoder.ts";
import { http2Counts, type ConnectionEnd, type Http2Counts } from "./http2-counts.ts";
import { errorCode, Http2Error, protocolError } from "./http2-error.ts";
import { Keepalive } from "./keepalive.ts";
import { goodEnd, ReplyReader } from "./reply-reader.ts";
import { RequestWriter } from "./request-writer.ts";
import type {
  RequestHead,
  RequestStream,
  Session,
  SessionListener,
  SessionStats,
  StreamEnd,
  StreamListener,
} from "./session.ts";
import { clientSettings, PeerSettings } from "./settings.ts";
import { StreamTable } from "./stream-table.ts";
import { WriteTurn } from "./write-turn.ts";

/** Frames without a use that a server may send. */
const glitchLimit = { burst: 10_000, perSecond: 330 };

/** The next connection is begun when so many streams are left, or an eighth of all. */
const agingStreams = 10_000;

/** How long a server may take to close its side of a connection, in milliseconds. */
const closingMs = 1_000;

/** Options of a session. */
export interface ClientSessionOptions {
  readonly keepalive: ClientKeepalive;
  readonly http2: ClientHttp2Options;
  /** What counts the connection. Default: the connections of this process. */
  readonly counts?: Http2Counts;
  /** Whether the process may end while streams are open. Default: false. */
  readonly background?: boolean | undefined;
}

/** What happens to a session before it is in use. */
export interface SessionBirth {
  /** The server's SETTINGS have come. */
  onReady(): void;
  /** The connection has ended before that; undefined for an end without an error. */
  onFailed(error: unknown): void;
}

/** A connection of our own engine (`engine: "own"`, RFC 9113): the client's side. */
export class ClientSession implements Session, FrameSink, StreamOwner {
  readonly #socket: Socket;
  readonly #options: ClientHttp2Options;
  readonly #birth: SessionBirth;
  readonly #guard: FloodGuard;
  readonly #counts: Http2Counts;
  readonly #turn: WriteTurn;
  readonly #control: ControlWriter;
  readonly #reader: FrameReader;
  readonly #peer = new PeerSettings("server");
  readonly #writer: RequestWriter;
  readonly #replies: ReplyReader;
  readonly #keepalive: Keepalive;
  #listener: SessionListener | undefined;
  #ready = false;
  /** Streams that are open, by their numbers; those whose headers wait have none yet. */
  readonly #streams = new StreamTable<ClientStream>();
  /** Streams that are open, with those that have no number yet. */
  #open = 0;
  /** Whether open streams keep the process alive. */
  readonly #holdsProcess: boolean;
  #opened = 0;
  quietSince = 0;
  /** The number of streams from which on the next connection is asked for. */
  readonly #agingAt: number;
  /** How many streams may be open at the same time. */
  #limit = 0;
  #retired = false;
  /** Whether nothing is read and sent any more. */
  #over = false;
  #lost: ConnectError | undefined;
  /** The last stream that the server processes, as its GOAWAY says. */
  #lastStreamId = Infinity;
  #settingsTimer: NodeJS.Timeout | undefined;
  /** When SETTINGS or the last ping were sent, and how long the answer took. */
  #askedAt = 0;
  #rttMs: number | undefined;

  constructor(socket: Socket, options: ClientSessionOptions, birth: SessionBirth) {
    const { keepalive, http2, counts = http2Counts.client } = options;
    this.#socket = socket;
    this.#counts = counts;
    this.#holdsProcess = options.background !== true;
    this.#options = http2;
    this.#birth = birth;
    this.#guard = new FloodGuard(socket, glitchLimit);
    this.#agingAt =
      http2.maxConnectionStreams - Math.min(agingStreams, Math.ceil(http2.maxConnectionStreams / 8));
    this.#turn = new WriteTurn(socket, this.#fill, this.#onWritten);
    this.#reader = new FrameReader(this, {
      maxFrameBytes: http2.maxFrameBytes,
      maxBlockBytes: 2 * http2.maxHeaderListBytes,
    });
    this.#control = new ControlWriter(this.#turn);
    this.#writer = new RequestWriter(this.#turn, this.#peer, sensitiveOf(http2));
    this.#replies = new ReplyReader(
      {
        streams: this.#streams,
        nextId: () => this.#writer.nextId,
        markReceived: () => {
          this.#guard.work();
          this.#keepalive.markReceived();
        },
        glitch: (what) => this.#guard.glitch(what),
        end: (stream, end) => this.#end(stream, end),
      },
      this.#control,
      new HpackDecoder(http2.maxHeaderListBytes, http2.headerTableBytes),
    );
    this.#keepalive = new Keepalive(keepalive, {
      isBusy: () => this.#open > 0,
      ping: () => {
        this.#askedAt = performance.now();
        this.#control.ping();
      },
      answered: () => counts.pings.answered++,
      lose: () => {
        counts.pings.unanswered++;
        this.#lose("timeout", "the server does not answer pings");
        this.#socket.destroy();
      },
    });
    socket.on("error", (error) => this.#lose("lost", "the connection broke", error));
    socket.on("close", () => {
      const expected = this.#retired || this.#open === 0;
      this.#lose(expected ? "closed" : "lost", "the connection was closed");
    });
  }

  /** Sends preface and settings; the socket is connected. */
  greet(): void {
    this.#control.greet(clientSettings(this.#options, this.#options.headerTableBytes));
    this.#askedAt = performance.now();
    this.#settingsTimer = setTimeout(() => {
      this.#breakOff(new Http2Error(errorCode.settingsTimeout, "SETTINGS are not acknowledged"));
    }, this.#options.settingsTimeoutMs).unref();
  }

  /** Bytes of the server: `bytes[0, end)`, valid during the call only. */
  read(bytes: Buffer, end: number): void {
    if (this.#over) return;
    this.#keepalive.received();
    try {
      this.#reader.push(bytes, end);
    } catch (error) {
      this.#breakOff(error);
    }
  }

  start(listener: SessionListener): this {
    this.#listener = listener;
    if (!this.#over) this.#counts.begin(this);
    this.#keepalive.start();
    if (this.#open === 0) this.#socket.unref();
    // The server may have retired the connection in the same turn in which it became ready.
    if (this.#retired) queueMicrotask(() => listener.onRetired(this));
    return this;
  }

  destroy(): void {
    this.#lose("closed", "the connection is not needed");
    this.#socket.destroy();
  }

  get hasCapacity(): boolean {
    return this.#open < this.#limit && !this.#retired;
  }

  get answered(): boolean {
    return this.#replies.answered;
  }

  get used(): boolean {
    return this.#opened > 0;
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
    this.#writer.check(head);
    const stream = new ClientStream(this, head, listener, this.#options.streamWindowBytes);
    if (this.#open++ === 0 && this.#holdsProcess) this.#socket.ref();
    this.#writer.open(stream);
    if (++this.#opened >= this.#agingAt) this.#age();
    return stream;
  }

  close(): void {
    this.#retired = true;
    if (this.#open === 0) this.#leave();
  }

  hasWork(stream: ClientStream): void {
    if (!this.#over) this.#writer.hasWork(stream);
  }

  give(stream: ClientStream, credit: number): void {
    if (!this.#over) this.#control.windowUpdate(stream.id, credit);
  }

  cancel(stream: ClientStream): void {
    if (stream.replied && stream.endSent) return; // It closes as soon as the present frame is handled.
    if (stream.id !== 0) this.#control.rstStream(stream.id, errorCode.cancel);
    stream.drop();
    this.#forget(stream);
  }

  headers(streamId: number, ended: boolean, bytes: Buffer, start: number, end: number): void {
    this.#replies.headers(streamId, ended, bytes, start, end);
  }

  data(streamId: number, length: number): void {
    this.#replies.data(streamId, length);
  }

  dataBytes(bytes: Buffer, start: number, end: number): void {
    this.#replies.dataBytes(bytes, start, end);
  }

  dataEnd(ended: boolean): void {
    this.#replies.dataEnd(ended);
  }

  rstStream(streamId: number, code: number): void {
    this.#replies.rstStream(streamId, code);
  }

  settings(bytes: Buffer, start: number, end: number): void {
    if (this.#ready) this.#guard.settings((end - start) / 6);
    const windowBefore = this.#peer.initialWindowBytes;
    this.#peer.apply(bytes, start, end, this.#writer.limitTable);
    const change = this.#peer.initialWindowBytes - windowBefore;
    if (change !== 0) for (const stream of this.#streams) this.#writer.widen(stream, change);
    this.#limit = limitOf(this.#peer.maxConcurrentStreams);
    this.#writer.room();
    this.#guard.answer();
    this.#control.settingsAck();
    if (this.#ready) {
      if (this.hasCapacity) this.#listener?.onCapacity();
      return;
    }
    this.#ready = true;
    this.#birth.onReady();
  }

  settingsAck(): void {
    clearTimeout(this.#settingsTimer);
    this.#rttMs ??= performance.now() - this.#askedAt;
  }

  ping(ack: boolean, bytes: Buffer, start: number): void {
    if (ack) {
      this.#rttMs = performance.now() - this.#askedAt;
      return;
    }
    this.#guard.ping();
    this.#guard.answer();
    this.#control.pingAck(bytes, start);
  }

  goaway(lastStreamId: number, code: number, bytes: Buffer, start: number, end: number): void {
    if (lastStreamId > this.#lastStreamId) throw protocolError("GOAWAY with a higher last stream");
    this.#lastStreamId = lastStreamId;
    this.#listener?.onGoaway(code);
    const debug = printable(bytes, start, end);
    if (code !== errorCode.noError) {
      this.#lost ??= lost(
        `the server ended the connection (HTTP/2 code ${code}${debug === "" ? "" : `: ${debug}`})`,
      );
    }
    if (code === errorCode.enhanceYourCalm && debug === "too_many_pings") this.#listener?.onTooManyPings();
    this.#retire();
    const unprocessed = { rstCode: errorCode.refusedStream, unprocessed: true, lost: this.#lost };
    for (const stream of this.#writer.dropUnsent()) this.#end(stream, { ...unprocessed, unsent: true });
    for (const stream of this.#streams) {
      if (stream.id > lastStreamId) this.#end(stream, unprocessed);
    }
    if (code !== errorCode.noError) {
      this.#counts.end(this, "goaway");
      this.#endAll();
    }
    if (this.#open === 0) this.#leave();
  }

  windowUpdate(streamId: number, increment: number): void {
    if (streamId === 0) {
      if (increment === 0) throw protocolError("WINDOW_UPDATE of 0");
      this.#writer.widenConnection(increment);
      return;
    }
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      this.#replies.checkBegun(streamId, "WINDOW_UPDATE");
      this.#guard.glitch("WINDOW_UPDATE of closed streams");
    } else if (increment === 0) {
      this.#replies.refuseMalformed(stream, "a window update of 0");
    } else if (stream.sendWindow + increment > most31) {
      const text = "the server opens the window of the request too wide";
      this.#replies.refuse(stream, errorCode.flowControlError, new ConnectError(text, Code.Internal));
    } else {
      this.#writer.widen(stream, increment);
    }
  }

  ignored(): void {
    this.#guard.glitch("frames without a meaning");
  }

  #end(stream: ClientStream, end: StreamEnd): void {
    if (stream.closed) return;
    if (end.unprocessed) this.#counts.refusedStreams++;
    stream.close(end);
    this.#forget(stream);
  }

  #endAll(): void {
    const end = { rstCode: errorCode.noError, unprocessed: false, lost: this.#lost };
    const unprocessed = { rstCode: errorCode.refusedStream, unprocessed: true, lost: this.#lost };
    for (const stream of this.#writer.dropUnsent()) this.#end(stream, { ...unprocessed, unsent: true });
    for (const stream of this.#streams) {
      this.#end(stream, stream.id > this.#lastStreamId ? unprocessed : end);
    }
  }

  /** A stream has closed: there is room for another. */
  #forget(stream: ClientStream): void {
    this.#streams.delete(stream.id);
    if (--this.#open === 0) {
      this.quietSince = performance.now();
      this.#socket.unref();
      if (this.#retired) this.#leave();
    }
    this.#writer.room();
    if (this.hasCapacity) this.#listener?.onCapacity();
  }

  #retire(): void {
    if (this.#retired) return;
    this.#retired = true;
    this.#listener?.onRetired(this);
  }

  /** Few numbers of streams are left, or none. */
  #age(): void {
    if (this.#opened < this.#options.maxConnectionStreams) {
      this.#listener?.onAging(this);
      return;
    }
    this.#retire();
  }

  /** The connection is gone, or as good as gone. */
  #lose(end: ConnectionEnd, text: string, cause?: unknown): void {
    this.#counts.end(this, end);
    this.#stop();
    if (!this.#ready) {
      this.#ready = true;
      this.#birth.onFailed(cause);
      return;
    }
    this.#lost ??= lost(text, cause);
    this.#retire();
    this.#endAll();
  }

  #stop(): void {
    this.#over = true;
    clearTimeout(this.#settingsTimer);
    this.#keepalive.stop();
  }

  /** Ends the connection because of what the server has sent. */
  #breakOff(reason: unknown): void {
    if (this.#over) return;
    const error =
      reason instanceof Http2Error ? reason : new Http2Error(errorCode.internalError, "an internal error");
    this.#closeSocket(error.code, error.message.slice(0, 64));
    if (reason === error) {
      this.#lose(endOf(error.code), `the server broke the rules of HTTP/2: ${error.message}`, error);
    } else {
      this.#lose("lost", "an internal error", reason);
    }
  }

  /** Ends a connection without streams. */
  #leave(): void {
    if (this.#over) return;
    this.#counts.end(this, this.#opened >= this.#agingAt ? "age" : "closed");
    this.#stop();
    this.#closeSocket(errorCode.noError, "");
  }

  #closeSocket(code: number, debug: string): void {
    this.#control.goaway(code, debug);
    this.#socket.end();
    setTimeout(() => this.#socket.destroy(), closingMs).unref();
  }

  readonly #fill = (): void => {
    if (this.#over) return;
    try {
      const opened = this.#writer.write(this.#streams, this.#limit, this.#onSent);
      if (opened > 0) this.#guard.opened(opened);
    } catch (error) {
      this.#breakOff(error); // A fault of ours, which must not end the process.
    }
  };

  /** Headers or data of a stream are sent. */
  readonly #onSent = (stream: ClientStream): void => {
    this.#guard.work();
    this.#keepalive.sent();
    if (stream.endSent && stream.replied) this.#end(stream, goodEnd);
    else if (stream.drains()) stream.listener.onDrain();
  };

  readonly #onWritten = (): void => {
    this.#guard.written();
    if (!this.#over && this.#writer.isHeldUp) this.#turn.schedule();
  };
}

/** Names of fields that never enter a table. */
function sensitiveOf({ sensitiveHeaders }: ClientHttp2Options): ReadonlySet<string> {
  if (sensitiveHeaders.length === 0) return sensitiveNames;
  return new Set([...sensitiveNames, ...sensitiveHeaders.map((name) => name.toLowerCase())]);
}

/** Why a connection ends that this side breaks off, by the code of its GOAWAY. */
function endOf(code: number): ConnectionEnd {
  if (code === errorCode.enhanceYourCalm) return "flood";
  return code === errorCode.settingsTimeout ? "timeout" : "protocol";
}

/**
 * The streams to open at the same time: seven eighths of the server's limit. Servers on Node 26 still count streams
 * that were reset a moment ago and refuse new ones beyond the limit; the rest is reserved for those.
 */
function limitOf(maxConcurrentStreams: number): number {
  return Math.ceil(maxConcurrentStreams * 0.875);
}

function lost(text: string, cause?: unknown): ConnectError {
  return new ConnectError(text, Code.Unavailable, undefined, undefined, cause);
}

/** The debug data of a GOAWAY for a message: at most 256 characters of printable ASCII. */
function printable(bytes: Buffer, start: number, end: number): string {
  return bytes.toString("latin1", start, Math.min(end, start + 256)).replaceAll(/[^ -~]/g, "?");
}
