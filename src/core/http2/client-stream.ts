import { ReceiveWindow } from "./receive-window.ts";
import type { ReplyHead } from "./reply-head.ts";
import type { ReplyFields } from "./reply-status.ts";
import type { RequestHead, RequestStream, StreamEnd, StreamListener } from "./session.ts";

/** What a stream needs of its session. */
export interface StreamOwner {
  /** The stream has something to send, or the headers of its request. */
  hasWork(stream: ClientStream): void;
  /** Received bytes are used. */
  give(stream: ClientStream, credit: number): void;
  /** The call wants no more of the stream. */
  cancel(stream: ClientStream): void;
}

/** Bytes of a request that wait on a stream before `write` returns false. */
const highWaterBytes = 32_768;

/** The most replies with a status of 1xx that come before the final one. */
const mostInterim = 16;

/** A stream of our own engine: what the request has still to send, and what of the reply is not delivered yet. */
export class ClientStream implements RequestStream {
  readonly listener: StreamListener;
  readonly head: RequestHead;
  readonly #owner: StreamOwner;
  readonly #window: ReceiveWindow;
  /** Given when the headers are sent; 0 before. */
  id = 0;
  /** What the server lets us send, in bytes; it may be negative. */
  sendWindow = 0;
  /** Whether the session has the stream among those that have data to send. */
  queued = false;
  closed = false;
  /** Whether END_STREAM was sent. */
  endSent = false;
  /** Whether END_STREAM has come. */
  replied = false;
  #first: Uint8Array | undefined;
  #others: Uint8Array[] | undefined;
  /** Bytes of the first chunk that are sent. */
  #sent = 0;
  #pendingBytes = 0;
  #ending = false;
  #wantsDrain = false;
  #paused = false;
  /** What has come while the stream was paused. */
  #backlog: Buffer[] | undefined;
  #trailers: ReplyFields | undefined;
  /** How the stream ended, while its reply is not delivered in full. */
  #end: StreamEnd | undefined;
  /** The status of the reply; 0 before its final headers. */
  #status = 0;
  #interim = 0;
  #contentLength = -1;
  #bodyBytes = 0;

  constructor(owner: StreamOwner, head: RequestHead, listener: StreamListener, windowBytes: number) {
    this.#owner = owner;
    this.head = head;
    this.listener = listener;
    this.#window = new ReceiveWindow(windowBytes);
  }

  write(bytes: Uint8Array): boolean {
    this.#add(bytes);
    this.#owner.hasWork(this);
    return !(this.#wantsDrain = this.#pendingBytes >= highWaterBytes);
  }

  end(bytes?: Uint8Array): void {
    if (bytes !== undefined) this.#add(bytes);
    this.#ending = true;
    this.#owner.hasWork(this);
  }

  reset(): void {
    if (!this.closed) this.#owner.cancel(this);
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    const backlog = this.#backlog;
    if (backlog === undefined) return;
    while (backlog.length > 0) {
      if (this.#isHeld(backlog)) return;
      const chunk = backlog.shift();
      if (chunk !== undefined) this.#deliver(chunk, false);
    }
    if (this.#isHeld(backlog)) return;
    this.#backlog = undefined;
    const trailers = this.#trailers;
    this.#trailers = undefined;
    if (trailers !== undefined) this.listener.onTrailers(trailers);
    if (this.#end !== undefined) this.listener.onClose(this.#end);
  }

  /** Bytes of the request that are to be sent. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Whether END_STREAM follows the bytes that are to be sent. */
  get ending(): boolean {
    return this.#ending;
  }

  /** Whether there is a DATA frame to send, if windows allow. */
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
    if (taken === left) {
      this.#first = this.#others?.shift();
      this.#sent = 0;
    }
    return piece;
  }

  /** Whether the call waits to write on and may do so now; true once for each wait. */
  drains(): boolean {
    if (!this.#wantsDrain || this.#pendingBytes >= highWaterBytes) return false;
    this.#wantsDrain = false;
    return true;
  }

  /** Drops what is not sent and not delivered: the call wants no more, or the reply does not come to its end. */
  drop(): void {
    this.closed = true;
    this.#dropRequest();
    this.#backlog = undefined;
    this.#trailers = undefined;
  }

  /** The stream is over, as `end` says. What of a complete reply is not delivered yet still is. */
  close(end: StreamEnd): void {
    if (this.replied && this.#backlog !== undefined) {
      this.closed = true;
      this.#dropRequest();
      this.#end = end;
      return;
    }
    this.drop();
    this.listener.onClose(end);
  }

  #dropRequest(): void {
    this.#first = undefined;
    this.#others = undefined;
    this.#pendingBytes = 0;
  }

  /** Whether the final headers of the reply have come. */
  get answered(): boolean {
    return this.#status !== 0;
  }

  /**
   * Headers or trailers of the reply.
   *
   * @returns why the reply is malformed; undefined if it is not
   */
  receiveHead(head: ReplyHead, ended: boolean): string | undefined {
    if (head.fault !== undefined) return head.fault;
    if (this.#status !== 0) return this.#receiveTrailers(head, ended);
    if (head.status === 0) return "no status";
    if (head.status < 200) {
      if (ended) return `status ${head.status} ends the reply`;
      return ++this.#interim > mostInterim ? "too many interim replies" : undefined;
    }
    this.#status = head.status;
    if (ended && head.contentLength > 0) return "content-length of a reply without a body";
    this.#contentLength = head.contentLength;
    this.replied = ended;
    this.listener.onResponse(head.fields, ended);
    return undefined;
  }

  #receiveTrailers({ fields, status }: ReplyHead, ended: boolean): string | undefined {
    if (!ended) return "headers in the middle of a reply";
    if (status !== 0) return "a status in trailers";
    if (!this.#isComplete) return "less data than content-length says";
    this.replied = true;
    if (this.#backlog === undefined) this.listener.onTrailers(fields);
    else this.#trailers = fields;
    return undefined;
  }

  /** A DATA frame begins. @returns whether the server may send so much */
  receiveFrame(length: number): boolean {
    return this.#window.receive(length);
  }

  /**
   * Data of the reply.
   *
   * @returns why the reply is malformed; undefined if it is not
   */
  receiveData(bytes: Buffer, start: number, end: number): string | undefined {
    this.#bodyBytes += end - start;
    if (this.#contentLength >= 0 && this.#bodyBytes > this.#contentLength)
      return "more data than content-length says";
    const chunk = bytes.subarray(start, end);
    if (this.#paused || this.#backlog !== undefined) (this.#backlog ??= []).push(Buffer.from(chunk));
    else this.#deliver(chunk, true);
    return undefined;
  }

  /**
   * The reply has ended with DATA, without trailers.
   *
   * @returns why the reply is malformed; undefined if it is not
   */
  receiveEnd(): string | undefined {
    this.replied = true;
    return this.#isComplete ? undefined : "less data than content-length says";
  }

  /** Bytes of this stream count for flow control and are not delivered: padding. */
  use(bytes: number): void {
    const credit = this.#window.use(bytes);
    if (credit > 0 && !this.closed && !this.replied) this.#owner.give(this, credit);
  }

  get #isComplete(): boolean {
    return this.#contentLength < 0 || this.#bodyBytes === this.#contentLength;
  }

  #deliver(chunk: Buffer, borrowed: boolean): void {
    this.use(chunk.length);
    this.listener.onData(chunk, borrowed);
  }

  /** Whether this backlog is to be delivered no further for now, or at all. */
  #isHeld(backlog: Buffer[]): boolean {
    return this.#paused || this.#backlog !== backlog;
  }

  #add(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (this.#first === undefined) this.#first = bytes;
    else (this.#others ??= []).push(bytes);
    this.#pendingBytes += bytes.length;
  }
}

const nothing = new Uint8Array(0);
