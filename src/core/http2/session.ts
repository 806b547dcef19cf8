import type { ConnectError } from "../errors/errors.ts";
import type { ReplyFields } from "./reply-status.ts";

/** What calls see of an HTTP/2 connection, whichever engine carries it. */

/** The header fields of a request. Calls whose fields are equal may share one object. */
export class RequestHead {
  /** Fields of every call of an rpc: name, value, name, value. Heads of one rpc share the array. */
  readonly shared: readonly string[];
  /** Fields of this call. */
  readonly own: readonly string[];
  #fields: string[] | undefined;

  /** The arrays must not be changed any more. */
  constructor(shared: readonly string[], own: readonly string[]) {
    this.shared = shared;
    this.own = own;
  }

  /** All fields; the array must not be changed. */
  get fields(): string[] {
    return (this.#fields ??= [...this.shared, ...this.own]);
  }
}

/** Callbacks for the reply on a stream. */
export interface StreamListener {
  /** @param ended Whether the reply has nothing but these headers (Trailers-Only). */
  onResponse(headers: ReplyFields, ended: boolean): void;
  /** @param borrowed Whether `chunk` is valid during the call only, being part of a buffer that is used again. */
  onData(chunk: Buffer, borrowed: boolean): void;
  /** The reply is complete: all of its data was passed to `onData`. */
  onTrailers(trailers: ReplyFields): void;
  /** After `write` has returned false: more can be written. */
  onDrain(): void;
  /** The stream has closed, for any reason: the last callback. */
  onClose(end: StreamEnd): void;
}

/** How a stream ended. */
export interface StreamEnd {
  /** HTTP/2 error code; 0 for none. */
  readonly rstCode: number;
  /** Whether the server declares that it has not processed the request. */
  readonly unprocessed: boolean;
  /** Whether nothing of the request was sent. Default: false. */
  readonly unsent?: boolean;
  /** The error that ended the connection; undefined while it is alive. */
  readonly lost: ConnectError | undefined;
  /** Why this side has ended the stream: what is wrong with the reply. Undefined if nothing is. */
  readonly fault?: ConnectError | undefined;
}

/** A stream as a call uses it. */
export interface RequestStream {
  /** Sends bytes of the request. @returns false if the call should wait for `onDrain` */
  write(bytes: Uint8Array): boolean;
  /** Ends the request, with these bytes or none. */
  end(bytes?: Uint8Array): void;
  /** Ends the stream (CANCEL) without making the request look complete; no effect when both sides have ended. */
  reset(): void;
  /** Delivers no more data, so that the server has to wait. */
  pause(): void;
  /** Delivers data again; some of it may be delivered before this returns. */
  resume(): void;
}

/** Figures of a connection. */
export interface SessionStats {
  /** Streams that are open. */
  readonly streams: number;
  /** Streams that may be open at the same time; Infinity where the server sets no limit. */
  readonly limit: number;
  /** Round trip of the last ping or of the first SETTINGS, in milliseconds; undefined before the first. */
  readonly rttMs: number | undefined;
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

/** An established HTTP/2 connection to a server. */
export interface Session {
  /** Whether a stream can be opened now. */
  readonly hasCapacity: boolean;
  /** Whether a call was answered. A connection that ends before that counts as a failed attempt to connect. */
  readonly answered: boolean;
  /** Whether a call was made. */
  readonly used: boolean;
  /** When the last open stream closed, by `performance.now()`; 0 if none has. */
  readonly quietSince: number;
  /** Figures of the connection. */
  readonly stats: SessionStats;
  /**
   * Opens a stream. Only while there is room.
   *
   * @throws ConnectError RESOURCE_EXHAUSTED if the server does not take so many headers; another Error if they cannot
   *   be sent at all.
   */
  open(head: RequestHead, listener: StreamListener): RequestStream;
  /** Opens no more streams; the connection ends with the last one that is open. */
  close(): void;
}

/** Callbacks for a session as a whole. */
export interface SessionListener {
  /** A stream can be opened again. */
  onCapacity(): void;
  /** No new stream can be opened any more. */
  onRetired(session: Session): void;
  /** The server announces the end of its connection. @param code the HTTP/2 error code */
  onGoaway(code: number): void;
  /** The server has closed the connection because of too many pings. */
  onTooManyPings(): void;
  /** The connection has few streams left. */
  onAging(session: Session): void;
}

/** A connection that is established and not used yet. */
export interface Connected {
  start(listener: SessionListener): Session;
  /** Ends a connection that is not needed. */
  destroy(): void;
}
