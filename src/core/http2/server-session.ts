import type { Socket } from "node:net";
import { ControlWriter } from "./control-writer.ts";
import { connectionPreface, defaultFrameBytes, most31 } from "./frame.ts";
import { FrameReader, type FrameSink } from "./frame-reader.ts";
import { GlitchBudget, type GlitchLimit } from "./glitch-budget.ts";
import { BlockMemo } from "./hpack/block-memo.ts";
import { CompressionError } from "./hpack/compression-error.ts";
import { HpackDecoder } from "./hpack/decoder.ts";
import { errorCode, floodError, Http2Error, protocolError } from "./http2-error.ts";
import { readIncomingRequest, type IncomingRequest } from "./incoming-request.ts";
import { NumberRing } from "./number-ring.ts";
import { PingStrikes } from "./ping-strikes.ts";
import { ReplyWriter } from "./reply-writer.ts";
import { ServerStream, type ReplyFields, type ServerStreamOwner } from "./server-stream.ts";
import { PeerSettings, serverSettings } from "./settings.ts";
import { WriteTurn } from "./write-turn.ts";

/** Options of a `ServerSession`. */
export interface ServerSessionOptions {
  /** Streams that are served at the same time; as many again wait for their turn, further ones are refused. */
  readonly maxConcurrentStreams: number;
  /** Unread requests and unsent replies of a connection, in bytes; with more, new streams are refused. */
  readonly maxSessionMemoryBytes: number;
  /** Time for the client's connection preface and SETTINGS, in milliseconds. */
  readonly handshakeTimeoutMs: number;
  /** Shortest time between two pings of a client while the server sends nothing, in milliseconds. */
  readonly minPingIntervalMs: number;
  /** How long a connection without streams stays open, in milliseconds. */
  readonly keepAliveTimeoutMs: number;
  /** A client that has vanished loses its connection within twice this time, in milliseconds. */
  readonly heartbeatMs: number;
  /** How long a request that goes on after its reply is read, in milliseconds. */
  readonly lingerMs: number;
}

/** What a session reports. */
export interface ServerSessionListener {
  /** A request is to be served now; the stream needs a listener before the call returns. */
  onRequest(stream: ServerStream, request: IncomingRequest, session: ServerSession): void;
  /** The connection is gone. */
  onClose(session: ServerSession): void;
}

/** What is announced to clients, beside the number of streams. */
const own = { streamWindowBytes: 256 * 1024, maxFrameBytes: defaultFrameBytes, maxHeaderListBytes: 65_535 };

/** Streams that clients end, or make us end, before their reply. */
const resetLimit: GlitchLimit = { burst: 1_000, perSecond: 33 };
const glitchLimit: GlitchLimit = { burst: 10_000, perSecond: 330 };

/** The connection's window is topped up after so many bytes; it is so large that it never holds up a stream. */
const connectionCreditBytes = 1024 * 1024;

/** Entries of a SETTINGS frame that are no glitches. */
const usualSettings = 32;

/** Control frames that wait because the client does not read. */
const mostWaitingControls = 1_000;

/** How long a client may take to close its side of a connection, or to answer the ping of a drain, in milliseconds. */
const closingMs = 1_000;

/** The last ended streams whose numbers are kept. */
const keptEnded = 64;
/** The last streams that we have reset: frames of them may still be under way. */
const keptReset = 1_024;

/** How often a silent client is looked at within `heartbeatMs`. */
const looks = 2;

/** A connection of our own engine (RFC 9113): the server's side. */
export class ServerSession implements FrameSink, ServerStreamOwner {
  readonly #socket: Socket;
  readonly #options: ServerSessionOptions;
  readonly #listener: ServerSessionListener;
  readonly #turn: WriteTurn;
  readonly #control: ControlWriter;
  readonly #reader: FrameReader;
  readonly #decoder = new HpackDecoder(own.maxHeaderListBytes);
  readonly #memo = new BlockMemo<IncomingRequest>();
  readonly #peer = new PeerSettings("client");
  readonly #writer: ReplyWriter;
  readonly #strikes: PingStrikes;
  readonly #glitches = new GlitchBudget(glitchLimit, () => performance.now());
  readonly #resets = new GlitchBudget(resetLimit, () => performance.now());
  readonly #streams = new Map<number, ServerStream>();
  /** Requests that wait for one of the places, first come, first served. */
  readonly #waiting = new Map<ServerStream, IncomingRequest>();
  #served = 0;
  /** Streams whose reply was sent, or that were reset, and whose listener is to be told in the check phase. */
  #ended: ServerStream[] = [];
  readonly #lingering = new Map<ServerStream, NodeJS.Timeout>();
  readonly #endedIds = new NumberRing(keptEnded);
  readonly #resetIds = new NumberRing(keptReset);
  /** The highest stream that the client has opened. */
  #lastStreamId = 0;
  /** The last stream that is processed, as the final GOAWAY says. */
  #mostStreamId = Infinity;
  #prefaceBytes = 0;
  #ready = false;
  #drain: "none" | "announced" | "final" = "none";
  #drainTimer: NodeJS.Timeout | undefined;
  /** Whether nothing is read and sent any more. */
  #over = false;
  #heldBytes = 0;
  /** Bytes that have come since the last credit for the connection. */
  #uncredited = 0;
  /** The stream of the DATA frame that is being read, and how many of its bytes were not delivered. */
  #data: ServerStream | undefined;
  #dataBytes = 0;
  #dataRest = 0;
  /** Whether headers or data went either way since the client's last ping. */
  #worked = true;
  #waitingControls = 0;
  readonly #handshakeTimer: NodeJS.Timeout;
  readonly #pulse: NodeJS.Timeout;

  constructor(socket: Socket, options: ServerSessionOptions, listener: ServerSessionListener) {
    this.#socket = socket;
    this.#options = options;
    this.#listener = listener;
    this.#turn = new WriteTurn(socket, this.#fill, this.#onWritten);
    this.#control = new ControlWriter(this.#turn);
    this.#writer = new ReplyWriter(this.#turn, this.#peer, (stream) => this.#ended.push(stream));
    this.#strikes = new PingStrikes(options.minPingIntervalMs);
    this.#reader = new FrameReader(this, {
      maxFrameBytes: own.maxFrameBytes,
      maxBlockBytes: 2 * own.maxHeaderListBytes,
    });
    this.#handshakeTimer = setTimeout(() => this.destroy(), options.handshakeTimeoutMs);
    this.#pulse = this.#watch();
    socket.setNoDelay(true);
    socket.on("error", () => {}); // The event `close` follows.
    socket.once("close", () => {
      this.#lose();
      listener.onClose(this);
    });
    socket.setTimeout(options.keepAliveTimeoutMs, () => this.#rest());
    // Node counts more streams than there are, so that servers on it announce twice their limit; so do we.
    this.#control.greetClient(
      serverSettings({
        ...own,
        maxConcurrentStreams: Math.min(2 * options.maxConcurrentStreams, 2 ** 32 - 1),
      }),
    );
    socket.on("data", (bytes: Buffer) => this.#read(bytes));
  }

  /** Resolves when the connection is gone. */
  get closed(): Promise<void> {
    const socket = this.#socket;
    return new Promise((resolve) => (socket.closed ? resolve() : socket.once("close", () => resolve())));
  }

  /** Asks the client to go elsewhere; the connection closes when its last stream has. */
  drain(): void {
    if (this.#drain !== "none" || this.#over) return;
    this.#drain = "announced";
    this.#control.goaway(errorCode.noError, "", most31);
    this.#control.ping();
    this.#drainTimer = setTimeout(() => this.#finishDrain(), closingMs);
  }

  /** Closes the connection at once. */
  destroy(): void {
    this.#lose();
    this.#socket.destroy();
  }

  sendHead(stream: ServerStream, head: ReplyFields, ends: boolean): void {
    if (this.#over) return;
    this.#active();
    this.#writer.writeHead(stream, head, ends);
  }

  hasWork(stream: ServerStream): void {
    if (this.#over) return;
    this.#active();
    this.#writer.hasWork(stream);
  }

  give(stream: ServerStream, credit: number): void {
    if (!this.#over) this.#control.windowUpdate(stream.id, credit);
  }

  hold(bytes: number): void {
    this.#heldBytes += bytes;
  }

  reset(stream: ServerStream, code: number): void {
    this.#resetStream(stream.id, code);
    stream.drop();
    this.#ended.push(stream);
  }

  headers(streamId: number, ended: boolean, bytes: Buffer, start: number, end: number): void {
    this.#worked = true;
    const request = this.#decode(bytes, start, end);
    const stream = this.#streams.get(streamId);
    if (stream !== undefined) {
      this.#onTrailers(stream, request, ended);
      return;
    }
    if (streamId % 2 === 0) throw protocolError("HEADERS of an even stream");
    if (streamId <= this.#lastStreamId) {
      this.#checkOver(streamId, "HEADERS");
      if (!this.#resetIds.has(streamId)) throw protocolError("HEADERS of a lower stream");
      return;
    }
    this.#lastStreamId = streamId;
    this.#glitches.earn(4);
    if (streamId > this.#mostStreamId) this.#resetIds.add(streamId);
    else this.#open(streamId, request, ended);
  }

  data(streamId: number, length: number): void {
    this.#worked = true;
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
      this.#checkBegun(streamId, "DATA");
      if (!this.#resetIds.has(streamId)) throw closedError("DATA");
    } else if (stream.requestEnded) {
      throw closedError("DATA");
    } else if (!stream.receiveFrame(length)) {
      this.#refuse(stream, errorCode.flowControlError);
    } else {
      this.#data = stream;
    }
  }

  dataBytes(bytes: Buffer, start: number, end: number): void {
    const stream = this.#data;
    if (stream === undefined || stream.closed || end === start) return;
    this.#dataRest -= end - start;
    const fault = stream.receiveData(bytes.subarray(start, end));
    if (fault !== undefined && !stream.closed) this.#refuse(stream, errorCode.protocolError);
  }

  dataEnd(ended: boolean): void {
    const stream = this.#data;
    this.#data = undefined;
    if (this.#dataBytes === 0 && !ended) this.#glitch("empty DATA");
    if (stream === undefined || stream.closed) return;
    if (this.#dataRest > 0) stream.pad(this.#dataRest);
    if (ended) this.#onRequestEnd(stream);
  }

  rstStream(streamId: number): void {
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      this.#checkBegun(streamId, "RST_STREAM");
      this.#glitch("RST_STREAM of closed streams");
      return;
    }
    if (!stream.endSent) this.#countReset();
    this.#endedIds.add(streamId);
    this.#close(stream);
  }

  settings(bytes: Buffer, start: number, end: number): void {
    if (this.#ready) {
      this.#glitch("SETTINGS");
      for (let count = (end - start) / 6; count > usualSettings; count--) this.#glitch("SETTINGS");
    }
    this.#ready = true;
    clearTimeout(this.#handshakeTimer);
    const windowBefore = this.#peer.initialWindowBytes;
    this.#peer.apply(bytes, start, end, this.#writer.limitTable);
    const change = this.#peer.initialWindowBytes - windowBefore;
    if (change !== 0) for (const stream of this.#streams.values()) this.#writer.widen(stream, change);
    this.#answer();
    this.#control.settingsAck();
  }

  settingsAck(): void {}

  ping(ack: boolean, bytes: Buffer, start: number): void {
    if (ack) {
      if (this.#drain === "announced") this.#finishDrain();
      return;
    }
    if (!this.#worked) this.#glitch("PING");
    this.#worked = false;
    if (this.#strikes.isOut()) throw floodError("too_many_pings");
    this.#answer();
    this.#control.pingAck(bytes, start);
  }

  goaway(): void {
    this.#finishDrain();
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
      this.#refuse(stream, errorCode.protocolError);
    } else if (stream.sendWindow + increment > most31) {
      this.#refuse(stream, errorCode.flowControlError);
    } else {
      this.#writer.widen(stream, increment);
    }
  }

  ignored(): void {
    this.#glitch("frames without a meaning");
  }

  #read(chunk: Buffer): void {
    if (this.#over) return;
    try {
      const rest = this.#prefaceBytes < connectionPreface.length ? this.#readPreface(chunk) : chunk;
      if (rest.length > 0) this.#reader.push(rest, rest.length);
    } catch (error) {
      this.#breakOff(error);
    }
  }

  /** @returns the bytes behind the preface */
  #readPreface(chunk: Buffer): Buffer {
    const length = Math.min(chunk.length, connectionPreface.length - this.#prefaceBytes);
    const expected = connectionPreface.slice(this.#prefaceBytes, this.#prefaceBytes + length);
    if (chunk.toString("latin1", 0, length) !== expected) throw protocolError("no connection preface");
    this.#prefaceBytes += length;
    return chunk.subarray(length);
  }

  #decode(bytes: Buffer, start: number, end: number): IncomingRequest {
    const { version } = this.#decoder;
    const known = this.#memo.find(bytes, start, end, version);
    if (known !== undefined) return known;
    try {
      const request = readIncomingRequest(this.#decoder, bytes, start, end);
      if (this.#decoder.version === version) this.#memo.keep(bytes, start, end, version, request);
      return request;
    } catch (error) {
      if (!(error instanceof CompressionError)) throw error;
      throw new Http2Error(errorCode.compressionError, error.message);
    }
  }

  #open(streamId: number, request: IncomingRequest, ended: boolean): void {
    const { maxConcurrentStreams, maxSessionMemoryBytes } = this.#options;
    if (request.tooLarge) {
      this.#refuseNew(streamId, errorCode.enhanceYourCalm);
      return;
    }
    const { contentLength } = request;
    if (request.fault !== undefined || !request.hasPseudo || (ended && contentLength > 0)) {
      this.#refuseNew(streamId, errorCode.protocolError);
      return;
    }
    if (this.#streams.size >= 2 * maxConcurrentStreams || this.#heldBytes > maxSessionMemoryBytes) {
      this.#answer();
      this.#resetStream(streamId, errorCode.refusedStream);
      return;
    }
    const { initialWindowBytes } = this.#peer;
    const stream = new ServerStream(
      this,
      streamId,
      ended,
      contentLength,
      own.streamWindowBytes,
      initialWindowBytes,
    );
    this.#streams.set(streamId, stream);
    if (this.#served < maxConcurrentStreams) this.#serve(stream, request);
    else this.#waiting.set(stream, request);
  }

  #serve(stream: ServerStream, request: IncomingRequest): void {
    this.#served++;
    stream.served = true;
    this.#active();
    this.#listener.onRequest(stream, request, this);
  }

  #onTrailers(stream: ServerStream, { fault, hasPseudo, tooLarge }: IncomingRequest, ended: boolean): void {
    if (stream.requestEnded) throw closedError("HEADERS");
    if (tooLarge) this.#refuse(stream, errorCode.enhanceYourCalm);
    else if (fault !== undefined || hasPseudo || !ended) this.#refuse(stream, errorCode.protocolError);
    else this.#onRequestEnd(stream);
  }

  #onRequestEnd(stream: ServerStream): void {
    if (stream.receiveEnd() !== undefined) {
      this.#refuse(stream, errorCode.protocolError);
      return;
    }
    if (this.#lingering.has(stream)) {
      this.#endedIds.add(stream.id);
      this.#close(stream);
    }
  }

  /** Ends a stream because of what the client has sent. */
  #refuse(stream: ServerStream, code: number): void {
    this.#resetStream(stream.id, code);
    this.#close(stream);
    this.#countReset();
  }

  /** As `#refuse`, for a stream that does not even begin. */
  #refuseNew(streamId: number, code: number): void {
    this.#resetStream(streamId, code);
    this.#countReset();
  }

  #resetStream(streamId: number, code: number): void {
    this.#resetIds.add(streamId);
    if (!this.#over) this.#control.rstStream(streamId, code);
  }

  #countReset(): void {
    if (!this.#resets.spend()) throw floodError("too many streams are reset");
  }

  #glitch(what: string): void {
    if (!this.#glitches.spend()) throw floodError(`too many: ${what}`);
  }

  /** A frame of the client is answered at once: such answers wait if it does not read them. */
  #answer(): void {
    if (this.#socket.writableLength > 0 && ++this.#waitingControls > mostWaitingControls) {
      throw floodError("answers are not read");
    }
  }

  /** Headers or data go out. */
  #active(): void {
    this.#worked = true;
    this.#strikes.forget();
  }

  /** Checks a frame of a stream that is not open. */
  #checkOver(streamId: number, frame: string): void {
    this.#checkBegun(streamId, frame);
    if (this.#endedIds.has(streamId)) throw closedError(frame);
  }

  #checkBegun(streamId: number, frame: string): void {
    if (streamId % 2 === 0 || streamId > this.#lastStreamId) {
      throw protocolError(`${frame} of a stream that was not opened`);
    }
  }

  /** Closes a stream and reports that. */
  #close(stream: ServerStream): void {
    if (!stream.closed) stream.drop();
    if (!this.#streams.delete(stream.id)) return;
    clearTimeout(this.#lingering.get(stream));
    this.#lingering.delete(stream);
    this.#waiting.delete(stream);
    stream.close();
    if (stream.served) {
      this.#served--;
      this.#serveNext();
    }
    if (this.#streams.size === 0 && this.#drain === "final") this.#leave();
  }

  #serveNext(): void {
    for (const [stream, request] of this.#waiting) {
      if (this.#over || this.#served >= this.#options.maxConcurrentStreams) return;
      this.#waiting.delete(stream);
      this.#serve(stream, request);
    }
  }

  /** Reports the ends of replies, and of streams that were reset. */
  #reportEnds(): void {
    // Reports may make further streams end.
    for (let i = 0; i < this.#ended.length; i++) {
      const stream = this.#ended[i];
      if (stream !== undefined) this.#onEnded(stream);
    }
    this.#ended = [];
  }

  #onEnded(stream: ServerStream): void {
    if (stream.closed) {
      this.#close(stream);
      return;
    }
    stream.finish();
    if (stream.closed) return;
    if (stream.requestEnded) {
      this.#endedIds.add(stream.id);
      this.#close(stream);
      return;
    }
    // Reads on for a while, so that an early reply reaches a client that is still sending.
    const timer = setTimeout(() => stream.reset(errorCode.noError), this.#options.lingerMs);
    this.#lingering.set(stream, timer);
  }

  /** No stream that comes after this one is processed. */
  #finishDrain(): void {
    clearTimeout(this.#drainTimer);
    if (this.#over || this.#drain === "final") return;
    this.#drain = "final";
    this.#mostStreamId = this.#lastStreamId;
    if (this.#streams.size === 0) this.#leave();
    else this.#control.goaway(errorCode.noError, "", this.#lastStreamId);
  }

  /** The connection was silent for as long as it may be. */
  #rest(): void {
    if (this.#streams.size === 0) this.drain();
  }

  /** Pings a client from which nothing came for a while, and closes its connection if it does not answer. */
  #watch(): NodeJS.Timeout {
    let before = 0;
    let silence = 0;
    const look = (): void => {
      const { bytesRead } = this.#socket;
      silence = bytesRead === before && this.#streams.size > 0 ? silence + 1 : 0;
      before = bytesRead;
      if (silence === 1) this.#control.ping();
      else if (silence > looks) this.destroy();
    };
    return setInterval(look, this.#options.heartbeatMs / looks).unref();
  }

  /** The connection is gone, or as good as gone. */
  #lose(): void {
    if (this.#over) return;
    this.#stop();
    for (const stream of [...this.#streams.values()]) this.#close(stream);
  }

  #stop(): void {
    this.#over = true;
    clearTimeout(this.#handshakeTimer);
    clearTimeout(this.#drainTimer);
    clearInterval(this.#pulse);
    this.#waiting.clear();
  }

  /** Ends the connection because of what the client has sent. */
  #breakOff(reason: unknown): void {
    if (this.#over) return;
    const error =
      reason instanceof Http2Error ? reason : new Http2Error(errorCode.internalError, "an internal error");
    this.#closeSocket(error.code, error.message.slice(0, 64));
    this.#lose();
  }

  /** Ends a connection without streams. */
  #leave(): void {
    if (this.#over) return;
    this.#closeSocket(errorCode.noError, "");
    this.#stop();
  }

  #closeSocket(code: number, debug: string): void {
    this.#control.goaway(code, debug, this.#lastStreamId);
    this.#socket.end();
    setTimeout(() => this.#socket.destroy(), closingMs).unref();
  }

  readonly #fill = (): void => {
    if (this.#over) return;
    if (this.#writer.isHeldUp && this.#writer.write()) this.#active();
    this.#reportEnds();
  };

  readonly #onWritten = (): void => {
    if (this.#socket.writableLength === 0) this.#waitingControls = 0;
    if (!this.#over && this.#writer.isHeldUp) this.#turn.schedule();
  };
}

function closedError(frame: string): Http2Error {
  return new Http2Error(errorCode.streamClosed, `${frame} behind END_STREAM`);
}
