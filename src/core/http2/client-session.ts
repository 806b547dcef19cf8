import type { Socket } from "node:net";
import { Code, ConnectError } from "../errors/errors.ts";
import { replyTooLarge } from "../errors/reply-too-large.ts";
import { ClientStream, type StreamOwner } from "./client-stream.ts";
import { ControlWriter } from "./control-writer.ts";
import { most31 } from "./frame.ts";
import { FrameReader, type FrameSink } from "./frame-reader.ts";
import { GlitchBudget } from "./glitch-budget.ts";
import { BlockMemo } from "./hpack/block-memo.ts";
import { CompressionError } from "./hpack/compression-error.ts";
import { HpackDecoder } from "./hpack/decoder.ts";
import { errorCode, floodError, Http2Error, protocolError } from "./http2-error.ts";
import { Keepalive } from "./keepalive.ts";
import { readReplyHead, type ReplyHead } from "./reply-head.ts";
import { maxHeaderListBytes } from "./reply-status.ts";
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

/** The connection's window is topped up after so many bytes; it is so large that it never holds up a stream. */
const connectionCreditBytes = 1024 * 1024;

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

/** The last ended streams whose numbers are kept. */
const keptNumbers = 64;

const goodEnd: StreamEnd = Object.freeze({ rstCode: errorCode.noError, unprocessed: false, lost: undefined });

/** What happens to a session before it is in use. */
export interface SessionBirth {
  /** The server's SETTINGS have come. */
  onReady(): void;
  /** The connection has ended before that; undefined for an end without an error. */
  onFailed(error: Error | undefined): void;
}

/** A connection of our own engine (`engine: "own"`, RFC 9113): the client's side. */
export class ClientSession implements Session, FrameSink, StreamOwner {
  readonly #socket: Socket;
  readonly #birth: SessionBirth;
  readonly #turn: WriteTurn;
  readonly #control: ControlWriter;
  readonly #reader: FrameReader;
  readonly #decoder = new HpackDecoder(maxHeaderListBytes);
  readonly #memo = new BlockMemo<ReplyHead>();
  readonly #peer = new PeerSettings("server");
  readonly #writer: RequestWriter;
  readonly #keepalive: Keepalive;
  readonly #glitches = new GlitchBudget({ burst: 10_000, perSecond: 330 }, () => performance.now());
  #listener: SessionListener | undefined;
  #ready = false;
  /** Whether a reply has begun to arrive, or no call was made. */
  #answered = true;
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
  /** Bytes that have come since the last credit for the connection. */
  #uncredited = 0;
  /** The stream of the DATA frame that is being read, and how many of its bytes were not delivered. */
  #data: ClientStream | undefined;
  #dataBytes = 0;
  #dataRest = 0;
  /** Whether headers or data went either way since the server's last ping. */
  #worked = true;
  #waitingControls = 0;
  readonly #ended: number[] = [];
  #endedCount = 0;
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

  get hasRoom(): boolean {
    return this.#open < this.#limit && !this.#retired;
  }

  get answered(): boolean {
    return this.#answered;
  }

  open(head: RequestHead, listener: StreamListener): RequestStream {
    this.#writer.check(head);
    const stream = new ClientStream(this, head, listener, own.streamWindowBytes);
    if (this.#opened === 0) this.#answered = false;
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
    this.#hear();
    const head = this.#decode(bytes, start, end);
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      this.#checkOver(streamId, "HEADERS");
      return;
    }
    if (stream.replied) throw closedError("HEADERS");
    if (head.tooLarge) {
      this.#refuse(
        stream,
        errorCode.cancel,
        replyTooLarge("the headers or trailers of the reply are too large"),
      );
      return;
    }
    this.#answered = true;
    const fault = stream.receiveHead(head, ended);
    if (stream.closed) return;
    if (fault !== undefined) this.#refuseMalformed(stream, fault);
    else if (ended) this.#onReplied(stream);
  }

  data(streamId: number, length: number): void {
    this.#hear();
    this.#uncredited += length;
    if (this.#uncredited >= connectionCreditBytes) {
      this.#control.windowUpdate(0, this.#uncredited);
      this.#uncredited = 0;
    }
    this.#data = undefined;
    this.#dataBytes = length;
    this.#dataRest = length;
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      this.#checkOver(streamId, "DATA");
    } else if (stream.replied) {
      throw closedError("DATA");
    } else if (!stream.answered) {
      this.#refuseMalformed(stream, "data before headers");
    } else if (!stream.receiveFrame(length)) {
      const text = "the server sends more data than it may";
      this.#refuse(stream, errorCode.flowControlError, new ConnectError(text, Code.Internal));
    } else {
      this.#data = stream;
    }
  }

  dataBytes(bytes: Buffer, start: number, end: number): void {
    const stream = this.#data;
    if (stream === undefined || stream.closed || end === start) return;
    this.#dataRest -= end - start;
    const fault = stream.receiveData(bytes, start, end);
    if (fault !== undefined && !stream.closed) this.#refuseMalformed(stream, fault);
  }

  dataEnd(ended: boolean): void {
    const stream = this.#data;
    this.#data = undefined;
    if (this.#dataBytes === 0 && !ended) this.#glitch("empty DATA");
    if (stream === undefined || stream.closed) return;
    if (this.#dataRest > 0) stream.use(this.#dataRest);
    if (!ended) return;
    const fault = stream.receiveEnd();
    if (fault !== undefined) {
      this.#refuseMalformed(stream, fault);
      return;
    }
    if (!stream.endSent) this.#control.rstStream(stream.id, errorCode.cancel);
    stream.endSent = true;
    this.#onReplied(stream);
  }

  rstStream(streamId: number, code: number): void {
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      this.#checkBegun(streamId, "RST_STREAM");
      this.#glitch("RST_STREAM of closed streams");
    } else if (stream.replied) {
      this.#end(stream, goodEnd); // The reply is complete, and the server does not read the rest of the request.
    } else {
      const unprocessed = code === errorCode.refusedStream;
      this.#end(stream, { rstCode: code, unprocessed, lost: undefined });
    }
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
    this.#answer();
    this.#control.settingsAck();
    if (this.#ready) {
      if (this.hasRoom) this.#listener?.onRoom();
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
    for (const stream of this.#writer.dropUnsent()) this.#end(stream, unprocessed);
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
      this.#checkBegun(streamId, "WINDOW_UPDATE");
      this.#glitch("WINDOW_UPDATE of closed streams");
    } else if (increment === 0) {
      this.#refuseMalformed(stream, "a window update of 0");
    } else if (stream.sendWindow + increment > most31) {
      const text = "the server opens the window of the request too wide";
      this.#refuse(stream, errorCode.flowControlError, new ConnectError(text, Code.Internal));
    } else {
      this.#writer.widen(stream, increment);
    }
  }

  ignored(): void {
    this.#glitch("frames without a meaning");
  }

  /** Headers or data have come. */
  #hear(): void {
    this.#worked = true;
    this.#keepalive.heard();
  }

  #decode(bytes: Buffer, start: number, end: number): ReplyHead {
    const { version } = this.#decoder;
    const known = this.#memo.find(bytes, start, end, version);
    if (known !== undefined) return known;
    try {
      const head = readReplyHead(this.#decoder, bytes, start, end);
      if (this.#decoder.version === version) this.#memo.keep(bytes, start, end, version, head);
      return head;
    } catch (error) {
      if (!(error instanceof CompressionError)) throw error;
      throw new Http2Error(errorCode.compressionError, error.message);
    }
  }

  /** Checks a frame of a stream that is not open. */
  #checkOver(streamId: number, frame: string): void {
    this.#checkBegun(streamId, frame);
    if (this.#ended.includes(streamId)) throw closedError(frame);
  }

  #checkBegun(streamId: number, frame: string): void {
    if (streamId % 2 === 0 || streamId >= this.#writer.nextId) {
      throw protocolError(`${frame} of a stream that was not opened`);
    }
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

  /** The reply of a stream is complete. */
  #onReplied(stream: ClientStream): void {
    this.#ended[this.#endedCount++ % keptNumbers] = stream.id;
    if (stream.endSent) this.#end(stream, goodEnd);
  }

  #refuseMalformed(stream: ClientStream, why: string): void {
    const error = new ConnectError(`the reply is malformed: ${why}`, Code.Internal);
    this.#refuse(stream, errorCode.protocolError, error);
  }

  /** Ends a stream because of what the server has sent. */
  #refuse(stream: ClientStream, code: number, fault: ConnectError): void {
    this.#control.rstStream(stream.id, code);
    stream.replied = false;
    this.#end(stream, { rstCode: code, unprocessed: false, lost: undefined, fault });
  }

  #end(stream: ClientStream, end: StreamEnd): void {
    if (stream.closed) return;
    stream.close(end);
    this.#forget(stream);
  }

  #endAll(): void {
    const end = { rstCode: errorCode.noError, unprocessed: false, lost: this.#lost };
    const unsent = { rstCode: errorCode.refusedStream, unprocessed: true, lost: this.#lost };
    for (const stream of this.#writer.dropUnsent()) this.#end(stream, unsent);
    for (const stream of [...this.#streams.values()]) {
      this.#end(stream, stream.id > this.#lastStreamId ? unsent : end);
    }
  }

  /** A stream has closed: there is room for another. */
  #forget(stream: ClientStream): void {
    this.#streams.delete(stream.id);
    if (--this.#open === 0) {
      this.#socket.unref();
      if (this.#retired) this.#leave();
    }
    if (this.hasRoom) this.#listener?.onRoom();
  }

  #retire(): void {
    if (this.#retired) return;
    this.#retired = true;
    this.#listener?.onRetired(this);
  }

  /** The connection is gone, or as good as gone. */
  #lose(text: string, cause?: Error): void {
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
    this.#lose(`the server broke the rules of HTTP/2: ${error.message}`, error);
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
    const opened = this.#writer.write(this.#streams, this.#onSent);
    if (opened > 0) this.#glitches.earn(4 * opened);
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

function closedError(frame: string): Http2Error {
  return new Http2Error(errorCode.streamClosed, `${frame} behind END_STREAM`);
}

function lost(text: string, cause?: unknown): ConnectError {
  return new ConnectError(text, Code.Unavailable, undefined, undefined, cause);
}

/** The debug data of a GOAWAY for a message: at most 256 characters of printable ASCII. */
function printable(bytes: Buffer, start: number, end: number): string {
  return bytes.toString("latin1", start, Math.min(end, start + 256)).replaceAll(/[^ -~]/g, "?");
}
