import type { FieldList } from "./hpack/encoder.ts";
import { ReceiveWindow } from "./receive-window.ts";

export type { FieldList };

/** What a stream needs of its session. */
export interface ServerStreamOwner {
  /** Sends headers. */
  sendHead(stream: ServerStream, head: ReplyFields, ends: boolean): void;
  /** Sends a whole reply at once. @returns false, and sends nothing, if windows or the socket do not let it */
  sendReply(stream: ServerStream, reply: WholeReply): boolean;
  /** Sends data at once. @returns false, and sends nothing, if windows or the socket do not let it */
  sendData(stream: ServerStream, prefix: Uint8Array, bytes: Uint8Array): boolean;
  /** The stream has data to send, or its end. */
  hasWork(stream: ServerStream): void;
  /** Received bytes are used. */
  give(stream: ServerStream, credit: number): void;
  /** Ends the stream at once. */
  reset(stream: ServerStream, code: number): void;
  /** The stream holds so many bytes more, or fewer. */
  hold(bytes: number): void;
  /** The handler of a stream that is over has settled. */
  settled(stream: ServerStream): void;
}

/** What a stream reports to the exchange that it carries. */
export interface ServerStreamListener {
  /** Bytes of the request: they count against its window until `use` is called with their number. */
  onData(bytes: Buffer): void;
  /** The request is complete. */
  onEnd(): void;
  /** Called after `write` has returned false, when there is room again. */
  onDrain(): void;
  /** The whole reply is sent. */
  onFinish(): void;
  /** The stream is over, after `onFinish` or without it. */
  release(): void;
}

/** Headers, or trailers, of a reply, in two lists. */
export interface ReplyFields {
  /** Fields that many replies share; they may enter the compression table. */
  readonly shared: FieldList;
  /** Fields of this reply. */
  readonly own: FieldList;
  /** Whether `shared` is one of few objects, which never change: its block is encoded once for each connection. */
  readonly prepared?: true;
}

/** A reply of one piece. */
export interface WholeReply {
  readonly head: ReplyFields;
  /** The first bytes of the body; they may change after the call that gets them. */
  readonly prefix: Uint8Array;
  /** The bytes that follow; they must not change any more. */
  readonly bytes: Uint8Array;
  readonly trailers: ReplyFields;
}

/** Bytes of a reply that wait on a stream before `write` returns false. */
const highWaterBytes = 32_768;

/** A stream of a server of our own engine: what of the request is not used yet, and what of the reply is to be sent. */
export class ServerStream {
  readonly id: number;
  readonly #owner: ServerStreamOwner;
  readonly #window: ReceiveWindow;
  #listener: ServerStreamListener | undefined;
  /** What the client lets us send, in bytes; it may be negative. */
  sendWindow: number;
  /** Whether the session has the stream among those that have data to send. */
  queued = false;
  closed = false;
  /** Whether the stream has one of the places for streams that are served at the same time. */
  served = false;
  /** Whether a handler runs for the stream, which keeps its place until the handler has settled. */
  handling = false;
  /** Whether the session has no place for the stream any more but the one that its handler keeps. */
  left = false;
  /** Whether END_STREAM was sent. */
  endSent = false;
  /** Whether END_STREAM has come. */
  requestEnded: boolean;
  #first: Uint8Array | undefined;
  #others: Uint8Array[] | undefined;
  /** Bytes of the first chunk that are sent. */
  #sent = 0;
  #pendingBytes = 0;
  #ending = false;
  #trailers: ReplyFields | undefined;
  #wantsDrain = false;
  /** What has come before there was a listener. */
  #early: Buffer[] | undefined;
  /** Bytes of the request that are not used yet. */
  #unused = 0;
  readonly #contentLength: number;
  #bodyBytes = 0;

  /**
   * @param contentLength The declared length of the request, in bytes; -1 for none.
   * @param windowBytes What the client may send before it is used.
   * @param sendWindow What the client lets us send at first.
   */
  constructor(
    owner: ServerStreamOwner,
    id: number,
    requestEnded: boolean,
    contentLength: number,
    windowBytes: number,
    sendWindow: number,
  ) {
    this.#owner = owner;
    this.id = id;
    this.requestEnded = requestEnded;
    this.#contentLength = contentLength;
    this.#window = new ReceiveWindow(windowBytes);
    this.sendWindow = sendWindow;
  }

  /** Reports to `listener` from now on, what has come already first. */
  listen(listener: ServerStreamListener): void {
    this.#listener = listener;
    const early = this.#early;
    this.#early = undefined;
    if (early !== undefined) for (const chunk of early) listener.onData(chunk);
    if (this.requestEnded) listener.onEnd();
  }

  /** Sends the headers of the reply, which end it where nothing follows. */
  respond(head: ReplyFields, ends: boolean): void {
    if (!this.closed) this.#owner.sendHead(this, head, ends);
  }

  /** Sends bytes; they must not change any more. @returns false if the caller should wait for `onDrain` */
  write(bytes: Uint8Array): boolean {
    if (this.closed) return false;
    this.#add(bytes);
    this.#owner.hasWork(this);
    return !(this.#wantsDrain = this.#pendingBytes >= highWaterBytes);
  }

  /**
   * Sends bytes in two pieces, as `write` does.
   *
   * @param prefix May change after the call.
   */
  writeBehind(prefix: Uint8Array, bytes: Uint8Array): boolean {
    if (this.closed) return false;
    if (!this.queued && this.#pendingBytes === 0 && this.#owner.sendData(this, prefix, bytes)) return true;
    return this.write(joined(prefix, bytes));
  }

  /** Sends a whole reply: instead of `respond` and `end`. */
  reply(reply: WholeReply): void {
    if (this.closed || this.#ending) return;
    if (this.#owner.sendReply(this, reply)) {
      this.#ending = true;
      return;
    }
    this.respond(reply.head, false);
    this.end(joined(reply.prefix, reply.bytes), reply.trailers);
  }

  /** Ends the reply, after a last chunk and with trailers if there are any. */
  end(bytes?: Uint8Array, trailers?: FieldList | ReplyFields): void {
    if (this.closed || this.#ending) return;
    if (bytes !== undefined) this.#add(bytes);
    this.#trailers = isList(trailers) ? { shared: noFields, own: trailers } : trailers;
    this.#ending = true;
    this.#owner.hasWork(this);
  }

  /** A handler begins to run for the stream: its place stays taken until `settled`, even if the stream is closed before. */
  keepPlace(): void {
    this.handling = true;
  }

  /** The handler has settled. */
  settled(): void {
    if (!this.handling) return;
    this.handling = false;
    if (this.left) this.#owner.settled(this);
  }

  /** Ends the stream at once, with one of `errorCode`; `release` comes later. */
  reset(code: number): void {
    if (!this.closed) this.#owner.reset(this, code);
  }

  /** Bytes of the request are used: the client may send as many more. */
  use(bytes: number): void {
    if (this.closed) return;
    this.#unused -= bytes;
    this.#owner.hold(-bytes);
    this.#credit(bytes);
  }

  /** Bytes of the reply that are to be sent. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Whether the end of the reply follows the bytes that are to be sent. */
  get ending(): boolean {
    return this.#ending;
  }

  /** Trailers that follow the bytes that are to be sent. */
  get trailers(): ReplyFields | undefined {
    return this.#trailers;
  }

  /** Whether there is a frame to send, if windows allow. */
  get hasWork(): boolean {
    return !this.closed && !this.endSent && (this.#pendingBytes > 0 || this.#ending);
  }

  /** Takes bytes to send: at most `most`, of one chunk. */
  take(most: number): Uint8Array {
    const chunk = this.#first ?? nothing;
    const left = chunk.length - this.#sent;
    const taken = Math.min(left, most);
    const piece = taken === chunk.length ? chunk : chunk.subarray(this.#sent, this.#sent + taken);
    this.#sent += taken;
    this.#pendingBytes -= taken;
    this.#owner.hold(-taken);
    if (taken === left) {
      this.#first = this.#others?.shift();
      this.#sent = 0;
    }
    return piece;
  }

  /** Frames were sent. */
  onSent(): void {
    if (!this.#wantsDrain || this.#pendingBytes >= highWaterBytes) return;
    this.#wantsDrain = false;
    this.#listener?.onDrain();
  }

  /** A DATA frame begins. @returns whether the client may send so much */
  receiveFrame(length: number): boolean {
    return this.#window.receive(length);
  }

  /** Data of the request. @returns why the request is malformed; undefined if it is not */
  receiveData(bytes: Buffer): string | undefined {
    this.#bodyBytes += bytes.length;
    if (this.#contentLength >= 0 && this.#bodyBytes > this.#contentLength) {
      return "more data than content-length says";
    }
    this.#unused += bytes.length;
    this.#owner.hold(bytes.length);
    if (this.#listener === undefined) (this.#early ??= []).push(bytes);
    else this.#listener.onData(bytes);
    return undefined;
  }

  /** The request has ended. @returns why it is malformed; undefined if it is not */
  receiveEnd(): string | undefined {
    if (this.#contentLength >= 0 && this.#bodyBytes !== this.#contentLength) {
      return "less data than content-length says";
    }
    this.requestEnded = true;
    this.#listener?.onEnd();
    return undefined;
  }

  /** Bytes of this stream count for flow control and are nothing else: padding. */
  pad(bytes: number): void {
    this.#credit(bytes);
  }

  /** The whole reply is sent. */
  finish(): void {
    this.#listener?.onFinish();
  }

  /** The stream is over: what is not sent will not be. */
  drop(): void {
    this.closed = true;
    this.#owner.hold(-this.#pendingBytes - this.#unused);
    this.#first = undefined;
    this.#others = undefined;
    this.#pendingBytes = 0;
    this.#unused = 0;
    this.#early = undefined;
  }

  /** The last report, after `drop`. */
  close(): void {
    this.#listener?.release();
  }

  #credit(bytes: number): void {
    const credit = this.#window.use(bytes);
    if (credit > 0 && !this.closed && !this.requestEnded) this.#owner.give(this, credit);
  }

  #add(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (this.#first === undefined) this.#first = bytes;
    else (this.#others ??= []).push(bytes);
    this.#pendingBytes += bytes.length;
    this.#owner.hold(bytes.length);
  }
}

const nothing = new Uint8Array(0);
const noFields: FieldList = [];

function isList(fields: FieldList | ReplyFields | undefined): fields is FieldList {
  return Array.isArray(fields);
}

function joined(prefix: Uint8Array, bytes: Uint8Array): Uint8Array {
  const both = Buffer.allocUnsafe(prefix.length + bytes.length);
  both.set(prefix);
  both.set(bytes, prefix.length);
  return both;
}
