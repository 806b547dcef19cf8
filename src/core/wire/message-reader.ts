import { Code, ConnectError } from "../errors/errors.ts";
import { replyTooLarge } from "../errors/reply-too-large.ts";
import { compressedFlag, flagsAt, lengthAt, prefixBytes } from "./message-prefix.ts";

/** Receives the messages of a body. */
export interface MessageSink {
  /** @param flags First byte of the prefix, 0 or 1: whether `bytes` are compressed. */
  message(flags: number, bytes: Buffer): void;
}

const nothing = Buffer.alloc(0);

/**
 * Splits the body of a reply or a request into messages. A message inside one chunk is a view of it or a copy; one that
 * spans several chunks is copied into a buffer of at most twice the size of the bytes received.
 */
export class MessageReader {
  readonly #sink: MessageSink;
  readonly #maxMessageBytes: number;
  readonly #of: "reply" | "request";
  /** The bytes received of the incomplete message, its prefix included. */
  #buffer: Buffer = nothing;
  #have = 0;

  /** @param of Whether the messages belong to a reply or a request, for errors. */
  constructor(sink: MessageSink, maxMessageBytes: number, of: "reply" | "request" = "reply") {
    this.#sink = sink;
    this.#maxMessageBytes = maxMessageBytes;
    this.#of = of;
  }

  /** Whether the body so far ends inside a message. */
  get partial(): boolean {
    return this.#have > 0;
  }

  /**
   * @param borrowed Whether `chunk` is valid during the call only, so that messages inside it are copied.
   * @throws ConnectError for a message above the limit, RESOURCE_EXHAUSTED in a request and INTERNAL in a reply;
   *   INTERNAL for flags without a meaning.
   */
  add(chunk: Buffer, borrowed = false): void {
    let at = this.#have === 0 ? 0 : this.#complete(chunk);
    while (chunk.length - at >= prefixBytes) {
      const end = at + prefixBytes + this.#lengthAt(chunk, at);
      if (end > chunk.length) break;
      const message = borrowed ? copyOf(chunk, at + prefixBytes, end) : chunk.subarray(at + prefixBytes, end);
      this.#sink.message(flagsAt(chunk, at), message);
      at = end;
    }
    if (at < chunk.length) this.#keep(chunk, at, chunk.length);
  }

  /**
   * Adds bytes of `chunk` to the incomplete message and emits it if it is complete. Returns where the next message
   * begins.
   */
  #complete(chunk: Buffer): number {
    let at = 0;
    if (this.#have < prefixBytes) {
      at = Math.min(prefixBytes - this.#have, chunk.length);
      this.#keep(chunk, 0, at);
      if (this.#have < prefixBytes) return at;
    }
    const wanted = prefixBytes + this.#lengthAt(this.#buffer, 0);
    const end = Math.min(at + wanted - this.#have, chunk.length);
    this.#keep(chunk, at, end);
    if (this.#have === wanted) {
      const whole = this.#buffer;
      this.#buffer = nothing;
      this.#have = 0;
      this.#sink.message(flagsAt(whole, 0), whole.subarray(prefixBytes, wanted));
    }
    return end;
  }

  #keep(chunk: Buffer, from: number, to: number): void {
    const need = this.#have + to - from;
    if (need > this.#buffer.length) {
      const bigger = Buffer.allocUnsafe(Math.max(need, 2 * this.#have));
      this.#buffer.copy(bigger, 0, 0, this.#have);
      this.#buffer = bigger;
    }
    chunk.copy(this.#buffer, this.#have, from, to);
    this.#have = need;
  }

  #lengthAt(bytes: Buffer, at: number): number {
    if (flagsAt(bytes, at) > compressedFlag) {
      throw new ConnectError(`a message of the ${this.#of} has unknown flags`, Code.Internal);
    }
    const length = lengthAt(bytes, at);
    if (length > this.#maxMessageBytes) throw tooLarge(this.#maxMessageBytes, this.#of);
    return length;
  }
}

function copyOf(bytes: Buffer, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafe(end - start);
  bytes.copy(copy, 0, start, end);
  return copy;
}

/** The error for a message of a reply, or request, that is larger than `maxMessageBytes`. */
export function tooLarge(maxMessageBytes: number, of: "reply" | "request" = "reply"): ConnectError {
  const text = `a message of the ${of} is larger than ${maxMessageBytes} bytes`;
  return of === "reply" ? replyTooLarge(text) : new ConnectError(text, Code.ResourceExhausted);
}
