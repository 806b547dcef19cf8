import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { SessionLimits } from "../../http2/session-limits.ts";
import type { CallStream, ReplyFields, ServerStreamListener, WholeReply } from "./call-stream.ts";

/** Bytes of a request that are not used yet, above which no more are read. */
const maxUnusedBytes = 64 * 1024;

// Node's types do not have `sendDate`.
const withoutBody = { endStream: true, sendDate: false };
const withTrailers = { waitForTrailers: true, sendDate: false };

const owner = Symbol("call");
type OwnedStream = ServerHttp2Stream & { [owner]: NodeStream | undefined };

/** A stream of `node:http2` as calls use it. */
export class NodeStream implements CallStream {
  readonly #stream: OwnedStream;
  readonly #limits: SessionLimits;
  #listener: ServerStreamListener | undefined;
  #unused = 0;
  #requestEnded = false;
  /** Whether the whole reply was sent. */
  #finished = false;
  #trailers: ReplyFields | undefined;
  /** Size of the last chunk that was sent, in bytes. */
  #lastBytes = 0;

  /** @param limits limits and state of the stream's connection */
  constructor(stream: ServerHttp2Stream, limits: SessionLimits) {
    this.#stream = Object.assign(stream, { [owner]: this });
    this.#limits = limits;
    stream.on("error", ignored); // The `close` event that follows reports a broken stream.
  }

  get closed(): boolean {
    return this.#stream.destroyed || this.#stream.closed;
  }

  listen(listener: ServerStreamListener): void {
    const stream = this.#stream;
    this.#listener = listener;
    stream.on("close", closed);
    stream.on("end", ended);
    stream.on("drain", drained);
    stream.on("data", arrived);
  }

  respond(head: ReplyFields, ends: boolean): void {
    if (this.closed) return;
    this.#limits.active();
    if (ends) {
      this.#stream.respond(headersOf(head), withoutBody);
      process.nextTick(finish, this);
      return;
    }
    this.#stream.on("wantTrailers", sendTrailers);
    this.#stream.respond(headersOf(head), withTrailers);
  }

  write(bytes: Uint8Array): boolean {
    if (this.closed) return false;
    this.#limits.active();
    this.#lastBytes = bytes.length;
    return this.#stream.write(bytes);
  }

  writeBehind(prefix: Uint8Array, bytes: Uint8Array): boolean {
    return this.write(joined(prefix, bytes));
  }

  end(bytes?: Uint8Array, trailers?: ReplyFields): void {
    if (this.closed) return;
    this.#limits.active();
    this.#trailers = trailers;
    if (bytes !== undefined) this.#lastBytes = bytes.length;
    this.#stream.end(bytes);
  }

  reply({ head, prefix, bytes, trailers }: WholeReply): void {
    this.respond(head, false);
    this.end(joined(prefix, bytes), trailers);
  }

  reset(code: number): void {
    this.#stream.close(code);
  }

  use(bytes: number): void {
    const before = this.#unused;
    this.#unused -= bytes;
    if (before > maxUnusedBytes && this.#unused <= maxUnusedBytes) this.#stream.resume();
  }

  keepPlace(): void {
    this.#limits.turns.keep(this.#stream);
  }

  settled(): void {
    this.#limits.turns.settled(this.#stream);
  }

  /** @internal A chunk of the request has come. */
  arrived(chunk: Buffer): void {
    this.#unused += chunk.length;
    this.#listener?.onData(chunk);
    if (this.#unused > maxUnusedBytes) this.#stream.pause();
  }

  /** @internal The client has sent everything, or Node has ended the readable side of a reset stream. */
  ended(): void {
    if ((this.#stream.rstCode ?? 0) !== constants.NGHTTP2_NO_ERROR) return;
    this.#requestEnded = true;
    if (!this.#finished) this.#listener?.onEnd();
  }

  /** @internal More can be written. */
  drained(): void {
    this.#listener?.onDrain();
  }

  /** @internal All bytes of the reply have been sent. */
  sendTrailers(): void {
    try {
      this.#stream.sendTrailers(this.#trailers === undefined ? {} : headersOf(this.#trailers));
    } catch {
      this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR); // Node rejects an invalid trailer.
    }
    this.finish();
  }

  /** @internal The whole reply was sent. */
  finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#listener?.onFinish();
    if (this.#requestEnded || this.#stream.closed) return;
    // The rest of the request is not read; a reset sent at once would overtake the status.
    this.#stream.resume();
    setImmediate(() => this.#stream.close(constants.NGHTTP2_NO_ERROR));
  }

  /** @internal The stream is over. */
  release(): void {
    this.#stream[owner] = undefined; // Node keeps a closed stream until the next major garbage collection.
    this.#limits.closed(this.#stream, this.#lastBytes);
    this.#listener?.release();
  }
}

/** Headers of fields that many replies share. */
const prepared = new Map<ReplyFields["shared"], OutgoingHttpHeaders>();

function headersOf(fields: ReplyFields): OutgoingHttpHeaders {
  if (fields.prepared === undefined) return toHeaders([...fields.shared, ...fields.own]);
  let shared = prepared.get(fields.shared);
  if (shared === undefined) prepared.set(fields.shared, (shared = toHeaders(fields.shared)));
  return fields.own.length === 0 ? shared : { ...shared, ...toHeaders(fields.own) };
}

function toHeaders(fields: readonly string[]): OutgoingHttpHeaders {
  const headers: Record<string, string | string[]> = {};
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? "";
    const value = fields[i + 1] ?? "";
    const before = headers[name];
    headers[name] = before === undefined ? value : [before, value].flat();
  }
  return headers;
}

function joined(prefix: Uint8Array, bytes: Uint8Array): Buffer {
  const both = Buffer.allocUnsafe(prefix.length + bytes.length);
  both.set(prefix);
  both.set(bytes, prefix.length);
  return both;
}

function ignored(): void {}

function finish(stream: NodeStream): void {
  stream.finish();
}

function closed(this: OwnedStream): void {
  this[owner]?.release();
}

function ended(this: OwnedStream): void {
  this[owner]?.ended();
}

function drained(this: OwnedStream): void {
  this[owner]?.drained();
}

function arrived(this: OwnedStream, chunk: Buffer): void {
  this[owner]?.arrived(chunk);
}

function sendTrailers(this: OwnedStream): void {
  this[owner]?.sendTrailers();
}
