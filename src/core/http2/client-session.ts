import type { Socket } from "node:net";
import { Code, ConnectError } from "../errors/errors.ts";
import { ClientStream, type StreamOwner } from "./client-stream.ts";
import { ControlWriter } from "./control-writer.ts";
import { most31 } from "./frame.ts";
import { FrameReader, type FrameSink } from "./frame-reader.ts";
import { GlitchBudget } from "./glitch-budget.ts";
import { errorCode, floodError, Http2Error, protocolError } from "./http2-error.ts";
import { Keepalive } from "./keepalive.ts";
import { maxHeaderListBytes } from "./reply-status.ts";
import { goodEnd, ReplyReader } from "./reply-reader.ts";
import { RequestWriter } from "./request-writer.ts";
import type {
  ClientKeepalive,
  RequestHead,
  RequestStream,
  Session,
  SessionListener,
  StreamEnd,
  StreamListener,
} from "./session.ts";
import { clientSettings, PeerSettings, type ClientSettings } from "./settings.ts";
import { WriteTurn } from "./write-turn.ts";

/** What is announced to servers. */
const own: ClientSettings = {
  streamWindowBytes: 256 * 1024,
  maxFrameBytes: 64 * 1024,
  maxHeaderListBytes,
};

/** Streams of one connection: all odd numbers that there are. */
const mostStreams = 2 ** 30;

/** Entries of a SETTINGS frame that are no glitches. */
const usualSettings = 32;

/** Control frames that wait because the server does not read. */
const mostWaitingControls = 1_000;

/** How long a server may take to close its side of a connection, in milliseconds. */
const closingMs = 1_000;

/** How long the acknowledgement of our SETTINGS may take, in milliseconds. */
const settingsTimeoutMs = 10_000;

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
  readonly #birth: SessionBirth;
  readonly #turn: WriteTurn;
  readonly #control: ControlWriter;
  readonly #reader: FrameReader;
  readonly #peer = new PeerSettings("server");
  readonly #writer: RequestWriter;
  readonly #replies: ReplyReader;
  readonly #keepalive: Keepalive;
  readonly #glitches = new GlitchBudget({ burst: 10_000, perSecond: 330 }, () => performance.now());
  #listener: SessionListener | undefined;
  #ready = false;
  /** Streams that are open, by their numbers; those whose headers wait have none yet. */
  readonly #streams = new Map<number, ClientStream>();
  /** Streams that are open, with those that have no number yet. */
  #open = 0;
  #opened = 0;
  /** How many streams may be open at the same time. */
  #limit = 0;
  #retired = false;
  /** Whether nothing is read and sent any more. */
  #over = false;
  #lost: ConnectError | undefined;
  /** The last stream that the server processes, as its GOAWAY says. */
  #lastStreamId = Infinity;
  /** Whether headers or data went either way since the server's last ping. */
  #worked = true;
  #waitingControls = 0;
  #settingsTimer: NodeJS.Timeout | undefined;

  constructor(socket: Socket, keepalive: ClientKeepalive, birth: SessionBirth) {
    this.#socket = socket;
    this.#birth = birth;
    this.#turn = new WriteTurn(socket, this.#fill, this.#onWritten);
    this.#reader = new FrameReader(this, {
      maxFrameBytes: own.maxFrameBytes,
      maxBlockBytes: 2 * maxHeaderListBytes,
    });
    this.#control = new ControlWriter(this.#turn);
    this.#writer = new RequestWriter(this.#turn, this.#peer);
    this.#replies = new ReplyReader(
      {
        streams: this.#streams,
        nextId: () => this.#writer.nextId,
        markReceived: () => {
          this.#worked = true;
          this.#keepalive.markReceived();
        },
        glitch: (what) => this.#glitch(what),
        end: (stream, end) => this.#end(stream, end),
      },
      this.#control,
    );
    this.#keepalive = new Keepalive(keepalive, {
      isBusy: () => this.#open > 0,
      ping: () => this.#control.ping(),
      lose: () => {
        this.#lose("the server does not answer pings");
        this.#socket.destroy();
      },
    });
    socket.on("error", (error) => this.#lose("the connection broke", error));
    socket.on("close", () => this.#lose("the connection was closed"));
  }

  /** Sends preface and settings; the socket is connected. */
  greet(): void {
    this.#control.greet(clientSettings(own));
    this.#settingsTimer = setTimeout(() => {
      this.#breakOff(new Http2Error(errorCode.settingsTimeout, "SETTINGS are not acknowledged"));
    }, settingsTimeoutMs).unref();
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
    this.#keepalive.start();
    if (this.#open === 0) this.#socket.unref();
    // The server may have retired the connection in the same turn in which it became ready.
    if (this.#retired) queueMicrotask(() => listener.onRetired(this));
    return this;
  }

  destroy(): void {
    this.#lose("the connection is not needed");
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

  open(head: RequestHead, listener: StreamListener): RequestStream {
    this.#writer.check(head);
    const stream = new ClientStream(this, head, listener, own.streamWindowBytes);
    if (this.#open++ === 0) this.#socket.ref();
    this.#writer.open(stream);
    if (++this.#opened === mostStreams) this.#retire();
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
    if (this.#ready) {
      this.#glitch("SETTINGS");
      for (let count = (end - start) / 6; count > usualSettings; count--) this.#glitch("SETTINGS");
    }
    const windowBefore = this.#peer.initialWindowBytes;
    this.#peer.apply(bytes, start, end, this.#writer.limitTable);
    const change = this.#peer.initialWindowBytes - windowBefore;
    if (change !== 0) for (const stream of this.#streams.values()) this.#writer.widen(stream, change);
    this.#limit = limitOf(this.#peer.maxConcurrentStreams);
    this.#writer.room();
    this.#answer();
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
  }

  ping(ack: boolean, bytes: Buffer, start: number): void {
    if (ack) return;
    if (!this.#worked) this.#glitch("PING");
    this.#worked = false;
    this.#answer();
    this.#control.pingAck(bytes, start);
  }

  goaway(lastStreamId: number, code: number, bytes: Buffer, start: number, end: number): void {
    if (lastStreamId > this.#lastStreamId) throw protocolError("GOAWAY with a higher last stream");
    this.#lastStreamId = lastStreamId;
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
    for (const stream of [...this.#streams.values()]) {
      if (stream.id > lastStreamId) this.#end(stream, unprocessed);
    }
    if (code !== errorCode.noError) this.#endAll();
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
      this.#glitch("WINDOW_UPDATE of closed streams");
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
    this.#glitch("frames without a meaning");
  }

  #glitch(what: string): void {
    if (!this.#glitches.spend()) throw floodError(`too many: ${what}`);
  }

  /** A frame of the server is answered at once: such answers wait if it does not read them. */
  #answer(): void {
    if (this.#socket.writableLength > 0 && ++this.#waitingControls > mostWaitingControls) {
      throw floodError("answers are not read");
    }
  }

  #end(stream: ClientStream, end: StreamEnd): void {
    if (stream.closed) return;
    stream.close(end);
    this.#forget(stream);
  }

  #endAll(): void {
    const end = { rstCode: errorCode.noError, unprocessed: false, lost: this.#lost };
    const unprocessed = { rstCode: errorCode.refusedStream, unprocessed: true, lost: this.#lost };
    for (const stream of this.#writer.dropUnsent()) this.#end(stream, { ...unprocessed, unsent: true });
    for (const stream of [...this.#streams.values()]) {
      this.#end(stream, stream.id > this.#lastStreamId ? unprocessed : end);
    }
  }

  /** A stream has closed: there is room for another. */
  #forget(stream: ClientStream): void {
    this.#streams.delete(stream.id);
    if (--this.#open === 0) {
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

  /** The connection is gone, or as good as gone. */
  #lose(text: string, cause?: unknown): void {
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
    if (reason === error) this.#lose(`the server broke the rules of HTTP/2: ${error.message}`, error);
    else this.#lose("an internal error", reason);
  }

  /** Ends a connection without streams. */
  #leave(): void {
    if (this.#over) return;
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
      if (opened > 0) this.#glitches.earn(4 * opened);
    } catch (error) {
      this.#breakOff(error); // A fault of ours, which must not end the process.
    }
  };

  /** Headers or data of a stream are sent. */
  readonly #onSent = (stream: ClientStream): void => {
    this.#worked = true;
    this.#keepalive.sent();
    if (stream.endSent && stream.replied) this.#end(stream, goodEnd);
    else if (stream.drains()) stream.listener.onDrain();
  };

  readonly #onWritten = (): void => {
    if (this.#socket.writableLength === 0) this.#waitingControls = 0;
    if (!this.#over && this.#writer.isHeldUp) this.#turn.schedule();
  };
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
