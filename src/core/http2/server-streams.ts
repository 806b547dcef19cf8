import type { ControlWriter } from "./control-writer.ts";
import { EndedReplies } from "./ended-replies.ts";
import { most31 } from "./frame.ts";
import { errorCode } from "./http2-error.ts";
import { http2Counts } from "./http2-counts.ts";
import type { IncomingRequest } from "./incoming-request.ts";
import { ReplyWriter } from "./reply-writer.ts";
import type { ServerGuard } from "./server-guard.ts";
import { ServerStream, type ReplyFields, type ServerStreamOwner, type WholeReply } from "./server-stream.ts";
import type { SessionDrain } from "./session-drain.ts";
import type { PeerSettings } from "./settings.ts";
import { closedError, StreamNumbers } from "./stream-numbers.ts";
import { StreamPlaces } from "./stream-places.ts";
import { StreamTable } from "./stream-table.ts";
import type { WriteTurn } from "./write-turn.ts";

/** Limits of the streams of a connection. */
export interface ServerStreamLimits {
  /** Streams that are served at the same time; as many again wait for their turn, further ones are refused. */
  readonly maxConcurrentStreams: number;
  /** Unread requests, unsent replies and header tables, in bytes; with more, new streams are refused. */
  readonly maxSessionMemoryBytes: number;
  /** What a client may send of one request before it is read, in bytes. */
  readonly streamWindowBytes: number;
  /** How long a request that goes on after its reply is read, in milliseconds. */
  readonly lingerMs: number;
}

/** The parts of a session that its streams use. */
export interface ServerStreamParts {
  readonly turn: WriteTurn;
  readonly control: ControlWriter;
  readonly peer: PeerSettings;
  readonly guard: ServerGuard;
  readonly drain: SessionDrain;
  /** The size of the table of the client's header fields, in bytes. */
  readonly tableBytes: () => number;
  /** A request is to be served now. */
  readonly serve: (stream: ServerStream, request: IncomingRequest) => void;
  /** The last stream was closed. */
  readonly emptied: () => void;
}

/** The connection's window is topped up after so many bytes; it is so large that it never holds up a stream. */
const connectionCreditBytes = 1024 * 1024;

/** The streams of one connection of a client: frames of the client for them, and their replies. */
export class ServerStreams implements ServerStreamOwner {
  readonly #limits: ServerStreamLimits;
  readonly #parts: ServerStreamParts;
  readonly #control: ControlWriter;
  readonly #guard: ServerGuard;
  readonly #writer: ReplyWriter;
  readonly #places: StreamPlaces;
  readonly #ended: EndedReplies;
  readonly #numbers = new StreamNumbers();
  readonly #streams = new StreamTable<ServerStream>();
  /** Whether nothing is sent any more. */
  #over = false;
  #heldBytes = 0;
  /** Bytes that have come since the last credit for the connection. */
  #uncredited = 0;
  /** The stream of the DATA frame that is being read, and how many of its bytes were not delivered. */
  #data: ServerStream | undefined;
  #dataBytes = 0;
  #dataRest = 0;

  constructor(limits: ServerStreamLimits, parts: ServerStreamParts) {
    this.#limits = limits;
    this.#parts = parts;
    this.#control = parts.control;
    this.#guard = parts.guard;
    this.#ended = new EndedReplies(limits.lingerMs, (stream) => this.#finish(stream));
    this.#writer = new ReplyWriter(parts.turn, parts.peer, this.#ended.add);
    this.#places = new StreamPlaces(limits.maxConcurrentStreams, (stream, request) => {
      this.#guard.sent();
      parts.serve(stream, request);
    });
  }

  /** How many streams are open. */
  get size(): number {
    return this.#streams.size;
  }

  /** The highest stream that the client has opened. */
  get last(): number {
    return this.#numbers.last;
  }

  /** Whether data waits for the socket or for windows. */
  get isHeldUp(): boolean {
    return this.#writer.isHeldUp;
  }

  /** The client's SETTINGS_HEADER_TABLE_SIZE. */
  readonly limitTable = (bytes: number): void => this.#writer.limitTable(bytes);

  sendHead(stream: ServerStream, head: ReplyFields, ends: boolean): void {
    if (this.#over) return;
    this.#guard.sent();
    this.#writer.writeHead(stream, head, ends);
  }

  sendReply(stream: ServerStream, reply: WholeReply): boolean {
    if (this.#over) return true; // The stream is about to be closed.
    this.#guard.sent();
    return this.#writer.writeReply(stream, reply);
  }

  sendData(stream: ServerStream, prefix: Uint8Array, bytes: Uint8Array): boolean {
    if (this.#over) return true;
    this.#guard.sent();
    return this.#writer.writeData(stream, prefix, bytes);
  }

  hasWork(stream: ServerStream): void {
    if (this.#over) return;
    this.#guard.sent();
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

  /** A header block opens a stream, or is the trailers of a request. */
  headers(streamId: number, ended: boolean, request: IncomingRequest): void {
    if (this.#numbers.opens(streamId)) {
      this.#guard.opened();
      if (streamId > this.#parts.drain.mostStreamId) this.#numbers.reset(streamId);
      else this.#open(streamId, request, ended);
      return;
    }
    const stream = this.#streams.get(streamId);
    if (stream === undefined) this.#numbers.checkHeaders(streamId);
    else this.#onTrailers(stream, request, ended);
  }

  /** A DATA frame begins. */
  data(streamId: number, length: number): void {
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

  /** Bytes of the DATA frame that has begun. */
  dataBytes(bytes: Buffer, start: number, end: number): void {
    const stream = this.#data;
    if (stream === undefined || stream.closed || end === start) return;
    this.#dataRest -= end - start;
    const fault = stream.receiveData(bytes.subarray(start, end));
    if (fault !== undefined && !stream.closed) this.#refuse(stream, errorCode.protocolError);
  }

  /** The DATA frame that has begun is complete. */
  dataEnd(ended: boolean): void {
    const stream = this.#data;
    this.#data = undefined;
    if (this.#dataBytes === 0 && !ended) this.#guard.glitch("empty DATA");
    if (stream === undefined || stream.closed) return;
    if (this.#dataRest > 0) stream.pad(this.#dataRest);
    if (ended) this.#onRequestEnd(stream);
  }

  /** The client resets a stream. */
  rstStream(streamId: number): void {
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      this.#numbers.checkBegun(streamId, "RST_STREAM");
      this.#guard.glitch("RST_STREAM of closed streams");
      return;
    }
    if (!stream.endSent) this.#guard.reset();
    this.#numbers.ended(streamId);
    this.#close(stream);
  }

  /** The client gives credit to a stream. */
  widen(streamId: number, increment: number): void {
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      this.#numbers.checkBegun(streamId, "WINDOW_UPDATE");
      this.#guard.glitch("WINDOW_UPDATE of closed streams");
    } else if (increment === 0) {
      this.#refuse(stream, errorCode.protocolError);
    } else if (stream.sendWindow + increment > most31) {
      this.#refuse(stream, errorCode.flowControlError);
    } else {
      this.#writer.widen(stream, increment);
    }
  }

  /** The client gives credit to the connection. */
  widenConnection(increment: number): void {
    this.#writer.widenConnection(increment);
  }

  /** SETTINGS have changed the windows of all streams by so many bytes. */
  widenAll(change: number): void {
    for (const stream of this.#streams) this.#writer.widen(stream, change);
  }

  /** Adds frames that are due to the turn, and reports the ends of replies. */
  fill(): void {
    if (this.#writer.isHeldUp && this.#writer.write()) this.#guard.sent();
    this.#ended.report();
  }

  /** Nothing is sent any more, and no stream that waits is served. */
  stop(): void {
    this.#over = true;
    this.#places.close();
  }

  /** Closes all streams. */
  closeAll(): void {
    for (const stream of this.#streams) this.#close(stream);
  }

  get #memoryBytes(): number {
    return this.#heldBytes + this.#parts.tableBytes() + this.#writer.tableBytes;
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
    const { maxSessionMemoryBytes, streamWindowBytes } = this.#limits;
    if (this.#places.isFull(this.#streams.size) || this.#memoryBytes > maxSessionMemoryBytes) {
      this.#guard.answer();
      http2Counts.server.refusedStreams++;
      this.#resetStream(streamId, errorCode.refusedStream);
      return;
    }
    const { initialWindowBytes } = this.#parts.peer;
    const stream = new ServerStream(
      this,
      streamId,
      ended,
      contentLength,
      streamWindowBytes,
      initialWindowBytes,
    );
    this.#streams.add(stream);
    this.#places.add(stream, request);
  }

  #onTrailers(stream: ServerStream, { fault, hasPseudo, tooLarge }: IncomingRequest, ended: boolean): void {
    if (stream.requestEnded) throw closedError("HEADERS");
    if (tooLarge) this.#refuse(stream, errorCode.enhanceYourCalm);
    else if (fault !== undefined || hasPseudo || !ended) this.#refuse(stream, errorCode.protocolError);
    else this.#onRequestEnd(stream);
  }

  #onRequestEnd(stream: ServerStream): void {
    if (stream.receiveEnd() !== undefined) this.#refuse(stream, errorCode.protocolError);
    else if (this.#ended.lingers(stream)) this.#finish(stream);
  }

  /** Ends a stream because of what the client has sent. */
  #refuse(stream: ServerStream, code: number): void {
    this.#resetStream(stream.id, code);
    this.#close(stream);
    this.#guard.reset();
  }

  /** As `#refuse`, for a stream that does not even begin. */
  #refuseNew(streamId: number, code: number): void {
    this.#resetStream(streamId, code);
    this.#guard.reset();
  }

  #resetStream(streamId: number, code: number): void {
    this.#numbers.reset(streamId);
    if (!this.#over) this.#control.rstStream(streamId, code);
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
    if (this.#streams.size === 0) this.#parts.emptied();
  }
}
