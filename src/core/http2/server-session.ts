import type { Socket } from "node:net";
import { ControlWriter } from "./control-writer.ts";
import { most31 } from "./frame.ts";
import { EndedReplies } from "./ended-replies.ts";
import { FrameReader, type FrameSink } from "./frame-reader.ts";
import { ServerGuard } from "./server-guard.ts";
import { errorCode, Http2Error, protocolError } from "./http2-error.ts";
import { http2Counts, type ConnectionEnd, type CountedConnection } from "./http2-counts.ts";
import type { IncomingRequest } from "./incoming-request.ts";
import { ReplyWriter } from "./reply-writer.ts";
import { PrefaceReader, RequestDecoder } from "./request-decoder.ts";
import { http2TuningDefaults, type ServerSessionOptions } from "./server-session-options.ts";
import { ServerStream, type ReplyFields, type ServerStreamOwner, type WholeReply } from "./server-stream.ts";
import { SessionDrain } from "./session-drain.ts";
import { SessionLife, type LivingSession } from "./session-life.ts";
import { PeerSettings, serverSettings } from "./settings.ts";
import { closedError, StreamNumbers } from "./stream-numbers.ts";
import { StreamPlaces } from "./stream-places.ts";
import { WriteTurn } from "./write-turn.ts";

export type { ServerSessionOptions };

/** What a session reports. */
export interface ServerSessionListener {
  /** A request is to be served now; the stream needs a listener before the call returns. */
  onRequest(stream: ServerStream, request: IncomingRequest, session: ServerSession): void;
  /** The connection is gone. */
  onClose(session: ServerSession): void;
}

const counts = http2Counts.server;

/** The largest list of header fields that is kept, in bytes. */
const maxHeaderListBytes = 65_535;

/** The connection's window is topped up after so many bytes; it is so large that it never holds up a stream. */
const connectionCreditBytes = 1024 * 1024;

/**
 * A connection of our own engine (RFC 9113): the server's side. It has the frames of a client and the table of its
 * streams; what a client may do beside useful work is the matter of `ServerGuard`, which streams are served that of
 * `StreamPlaces`, time that of `SessionLife`, and the end that of `SessionDrain`.
 */
export class ServerSession implements FrameSink, ServerStreamOwner, LivingSession, CountedConnection {
  readonly #socket: Socket;
  readonly #maxMemoryBytes: number;
  readonly #streamWindowBytes: number;
  readonly #turn: WriteTurn;
  readonly #control: ControlWriter;
  readonly #reader: FrameReader;
  readonly #preface = new PrefaceReader();
  readonly #decoder = new RequestDecoder(maxHeaderListBytes);
  readonly #peer = new PeerSettings("client");
  readonly #writer: ReplyWriter;
  readonly #flood: ServerGuard;
  readonly #places: StreamPlaces;
  readonly #life: SessionLife;
  readonly #drain: SessionDrain;
  readonly #streams = new Map<number, ServerStream>();
  readonly #ended: EndedReplies;
  readonly #numbers = new StreamNumbers();
  #ready = false;
  /** Whether nothing is read and sent any more. */
  #over = false;
  #heldBytes = 0;
  /** Bytes that have come since the last credit for the connection. */
  #uncredited = 0;
  /** The stream of the DATA frame that is being read, and how many of its bytes were not delivered. */
  #data: ServerStream | undefined;
  #dataBytes = 0;
  #dataRest = 0;

  constructor(socket: Socket, options: ServerSessionOptions, listener: ServerSessionListener) {
    const tuning = { ...http2TuningDefaults, ...options };
    this.#socket = socket;
    this.#maxMemoryBytes = options.maxSessionMemoryBytes;
    this.#streamWindowBytes = tuning.streamWindowBytes;
    this.#turn = new WriteTurn(socket, this.#fill, this.#onWritten);
    this.#control = new ControlWriter(this.#turn);
    this.#ended = new EndedReplies(options.lingerMs, (stream) => this.#finish(stream));
    this.#writer = new ReplyWriter(this.#turn, this.#peer, this.#ended.add);
    this.#flood = new ServerGuard(tuning, options.minPingIntervalMs);
    this.#places = new StreamPlaces(options.maxConcurrentStreams, (stream, request) => {
      this.#flood.sent();
      listener.onRequest(stream, request, this);
    });
    this.#reader = new FrameReader(this, {
      maxFrameBytes: tuning.maxFrameBytes,
      maxBlockBytes: 2 * maxHeaderListBytes,
    });
    this.#life = new SessionLife(socket, options, this);
    this.#drain = new SessionDrain(socket, this.#control);
    counts.begin(this);
    socket.setNoDelay(true);
    socket.on("error", () => this.#drain.blame("lost")); // The event `close` follows.
    socket.once("close", () => {
      this.#lose();
      counts.end(this, this.#drain.closed());
      listener.onClose(this);
    });
    // Node counts more streams than there are, so that servers on it announce twice their limit; so do we.
    this.#control.greetClient(
      serverSettings({
        maxConcurrentStreams: Math.min(2 * options.maxConcurrentStreams, 2 ** 32 - 1),
        streamWindowBytes: tuning.streamWindowBytes,
        maxFrameBytes: tuning.maxFrameBytes,
        maxHeaderListBytes,
      }),
    );
    socket.on("data", (bytes: Buffer) => this.#read(bytes));
  }

  /** Resolves when the connection is gone. */
  get closed(): Promise<void> {
    const socket = this.#socket;
    return new Promise((resolve) => (socket.closed ? resolve() : socket.once("close", () => resolve())));
  }

  get streams(): number {
    return this.#streams.size;
  }

  get isBusy(): boolean {
    return this.#streams.size > 0;
  }

  /** Asks the client to go elsewhere; the connection closes when its last stream has. */
  drain(cause: ConnectionEnd = "drain"): void {
    if (!this.#over) this.#drain.announce(cause, () => this.#finishDrain());
  }

  /** Closes the connection at once. */
  destroy(): void {
    this.cut("drain");
  }

  cut(cause: ConnectionEnd): void {
    this.#drain.blame(cause);
    this.#lose();
    this.#socket.destroy();
  }

  probe(): void {
    if (!this.#over) this.#control.ping();
  }

  sendHead(stream: ServerStream, head: ReplyFields, ends: boolean): void {
    if (this.#over) return;
    this.#flood.sent();
    this.#writer.writeHead(stream, head, ends);
  }

  sendReply(stream: ServerStream, reply: WholeReply): boolean {
    if (this.#over) return true; // The stream is about to be closed.
    this.#flood.sent();
    return this.#writer.writeReply(stream, reply);
  }

  sendData(stream: ServerStream, prefix: Uint8Array, bytes: Uint8Array): boolean {
    if (this.#over) return true;
    this.#flood.sent();
    return this.#writer.writeData(stream, prefix, bytes);
  }

  hasWork(stream: ServerStream): void {
    if (this.#over) return;
    this.#flood.sent();
    this.#writer.hasWork(stream);
  }

  give(stream: ServerStream, credit: number): void {
    if (!this.#over) this.#control.windowUpdate(stream.id, credit);
  }

  hold(bytes: number): void {
    this.#heldBytes += bytes;
  }

  settled(): void {
    this.#places.settled();
  }

  reset(stream: ServerStream, code: number): void {
    this.#resetStream(stream.id, code);
    stream.drop();
    this.#ended.add(stream);
  }

  headers(streamId: number, ended: boolean, bytes: Buffer, start: number, end: number): void {
    this.#flood.received();
    const request = this.#decoder.decode(bytes, start, end);
    if (this.#numbers.opens(streamId)) {
      this.#flood.opened();
      if (streamId > this.#drain.mostStreamId) this.#numbers.reset(streamId);
      else this.#open(streamId, request, ended);
      return;
    }
    const stream = this.#streams.get(streamId);
    if (stream === undefined) this.#numbers.checkHeaders(streamId);
    else this.#onTrailers(stream, request, ended);
  }

  data(streamId: number, length: number): void {
    this.#flood.received();
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
      this.#numbers.checkData(streamId);
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
    if (this.#dataBytes === 0 && !ended) this.#flood.glitch("empty DATA");
    if (stream === undefined || stream.closed) return;
    if (this.#dataRest > 0) stream.pad(this.#dataRest);
    if (ended) this.#onRequestEnd(stream);
  }

  rstStream(streamId: number): void {
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      this.#numbers.checkBegun(streamId, "RST_STREAM");
      this.#flood.glitch("RST_STREAM of closed streams");
      return;
    }
    if (!stream.endSent) this.#flood.reset();
    this.#numbers.ended(streamId);
    this.#close(stream);
  }

  settings(bytes: Buffer, start: number, end: number): void {
    if (this.#ready) this.#flood.settings((end - start) / 6);
    this.#ready = true;
    this.#life.greeted();
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
      this.#drain.acknowledged();
      return;
    }
    this.#flood.ping();
    this.#answer();
    this.#control.pingAck(bytes, start);
  }

  goaway(_lastStreamId: number, code: number): void {
    if (code !== errorCode.noError) this.#drain.blame("goaway");
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
      this.#numbers.checkBegun(streamId, "WINDOW_UPDATE");
      this.#flood.glitch("WINDOW_UPDATE of closed streams");
    } else if (increment === 0) {
      this.#refuse(stream, errorCode.protocolError);
    } else if (stream.sendWindow + increment > most31) {
      this.#refuse(stream, errorCode.flowControlError);
    } else {
      this.#writer.widen(stream, increment);
    }
  }

  ignored(): void {
    this.#flood.glitch("frames without a meaning");
  }

  #read(chunk: Buffer): void {
    if (this.#over) return;
    try {
      const rest = this.#preface.isComplete ? chunk : this.#preface.read(chunk);
      if (rest.length > 0) this.#reader.push(rest, rest.length);
    } catch (error) {
      this.#breakOff(error);
    }
  }

  #open(streamId: number, request: IncomingRequest, ended: boolean): void {
    const { contentLength } = request;
    if (request.tooLarge) {
      this.#refuseNew(streamId, errorCode.enhanceYourCalm);
      return;
    }
    if (request.fault !== undefined || !request.hasPseudo || (ended && contentLength > 0)) {
      this.#refuseNew(streamId, errorCode.protocolError);
      return;
    }
    if (this.#places.isFull(this.#streams.size) || this.#heldBytes > this.#maxMemoryBytes) {
      this.#answer();
      counts.refusedStreams++;
      this.#resetStream(streamId, errorCode.refusedStream);
      return;
    }
    const window = this.#streamWindowBytes;
    const stream = new ServerStream(
      this,
      streamId,
      ended,
      contentLength,
      window,
      this.#peer.initialWindowBytes,
    );
    this.#streams.set(streamId, stream);
    this.#places.add(stream, request);
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
    if (this.#ended.lingers(stream)) this.#finish(stream);
  }

  /** Ends a stream because of what the client has sent. */
  #refuse(stream: ServerStream, code: number): void {
    this.#resetStream(stream.id, code);
    this.#close(stream);
    this.#flood.reset();
  }

  /** As `#refuse`, for a stream that does not even begin. */
  #refuseNew(streamId: number, code: number): void {
    this.#resetStream(streamId, code);
    this.#flood.reset();
  }

  #resetStream(streamId: number, code: number): void {
    this.#numbers.reset(streamId);
    if (!this.#over) this.#control.rstStream(streamId, code);
  }

  #answer(): void {
    this.#flood.answer(this.#socket.writableLength > 0);
  }

  /** Closes a stream whose reply is complete, or that was reset. */
  #finish(stream: ServerStream): void {
    if (!stream.closed) this.#numbers.ended(stream.id);
    this.#close(stream);
  }

  /** Closes a stream and reports that. */
  #close(stream: ServerStream): void {
    if (!stream.closed) stream.drop();
    if (!this.#streams.delete(stream.id)) return;
    this.#ended.forget(stream);
    stream.close();
    this.#places.closed(stream);
    stream.left = true;
    if (this.#streams.size > 0) return;
    this.#life.idle();
    if (this.#drain.isFinal) this.#leave();
  }

  /** No stream that comes after this one is processed. */
  #finishDrain(): void {
    if (this.#over || this.#drain.isFinal) return;
    this.#drain.finish(this.#numbers.last, this.#streams.size > 0);
    if (this.#streams.size === 0) this.#leave();
  }

  /** The connection is gone, or as good as gone. */
  #lose(): void {
    if (this.#over) return;
    this.#stop();
    for (const stream of [...this.#streams.values()]) this.#close(stream);
  }

  #stop(): void {
    this.#over = true;
    this.#life.end();
    this.#places.close();
  }

  /** Ends the connection because of what the client has sent. */
  #breakOff(reason: unknown): void {
    if (this.#over) return;
    const error =
      reason instanceof Http2Error ? reason : new Http2Error(errorCode.internalError, "an internal error");
    this.#drain.blame(error.code === errorCode.enhanceYourCalm ? "flood" : "protocol");
    this.#drain.leave(error.code, error.message.slice(0, 64), this.#numbers.last);
    this.#lose();
  }

  /** Ends a connection without streams. */
  #leave(): void {
    if (this.#over) return;
    this.#drain.leave(errorCode.noError, "", this.#numbers.last);
    this.#stop();
  }

  readonly #fill = (): void => {
    if (this.#over) return;
    if (this.#writer.isHeldUp && this.#writer.write()) this.#flood.sent();
    this.#ended.report();
  };

  readonly #onWritten = (): void => {
    if (this.#socket.writableLength === 0) this.#flood.emptied();
    if (!this.#over && this.#writer.isHeldUp) this.#turn.schedule();
  };
}
