import { Code, ConnectError } from "../../../core/errors/errors.ts";
import { incompleteRequest } from "../../http/disconnect-error.ts";
import type { HttpExchange, RequestBody } from "../../http/exchange.ts";
import { flagsAt, lengthAt, prefixBytes } from "../../../core/wire/message-prefix.ts";
import { ReadAhead } from "../../http/read-ahead.ts";
import { Base64Chunks } from "./base64-chunks.ts";
import { messageTooLarge } from "./message-compression.ts";

/** One message of a stream with the flags of its prefix. */
export interface Envelope {
  readonly flags: number;
  readonly data: Buffer;
}

/** Options of `EnvelopeReader`. */
export interface EnvelopeReaderOptions {
  /** The largest message, in bytes as received, before decompression. */
  readonly maxBytes: number;
  /** How long to wait, in milliseconds: for the next byte, or if `whole` is set, for the whole body. */
  readonly timeoutMs: number;
  readonly whole: boolean;
  /** Whether the body is base64. */
  readonly text: boolean;
}

/** The pending wait for more bytes. */
interface Waiter {
  resolve(more: boolean): void;
  reject(error: ConnectError): void;
}

/**
 * Splits a request body into envelopes on demand: without a pending `next()`, no more is read from the client than
 * `ReadAhead` allows, and nothing before the first `next()`. A message whose announced length is too large is refused
 * by its prefix alone.
 */
export class EnvelopeReader {
  readonly #exchange: HttpExchange;
  readonly #request: RequestBody;
  readonly #options: EnvelopeReaderOptions;
  readonly #base64: Base64Chunks | undefined;
  readonly #ahead: ReadAhead;
  #chunks: Buffer[] = [];
  #size = 0;
  #ended = false;
  #fault: ConnectError | undefined;
  #discarding = false;
  #waiter: Waiter | undefined;
  #timer: NodeJS.Timeout | undefined;
  #recorded: Buffer[] | undefined;

  constructor(exchange: HttpExchange, options: EnvelopeReaderOptions) {
    const request = exchange.body;
    this.#exchange = exchange;
    this.#request = request;
    this.#options = options;
    this.#ahead = new ReadAhead(exchange);
    this.#base64 = options.text ? new Base64Chunks() : undefined;
    const { record } = exchange.head;
    request.on("data", (chunk: Buffer) => {
      if (record !== undefined) record.bytesIn += chunk.length;
      this.#receive(chunk);
    });
    request.on("end", () => this.#finish());
    request.on("error", nothing); // The `close` event that follows reports the error.
    request.on("close", () => this.#closed());
    request.pause();
  }

  /**
   * The next envelope; undefined at the end of the body.
   *
   * @throws ConnectError RESOURCE_EXHAUSTED for a message that is too large, DEADLINE_EXCEEDED when the client sends
   * nothing for too long, INVALID_ARGUMENT when the body ends inside a message or is not valid base64, CANCELLED when
   * the client disconnects
   */
  async next(): Promise<Envelope | undefined> {
    while (this.#size < prefixBytes) {
      if (await this.#more()) continue;
      if (this.#size === 0) return undefined;
      throw brokenOff();
    }
    const prefix = this.#read(prefixBytes);
    const length = lengthAt(prefix, 0);
    if (length > this.#options.maxBytes) throw messageTooLarge(this.#options.maxBytes);
    while (this.#size < length) if (!(await this.#more())) throw brokenOff();
    return { flags: flagsAt(prefix, 0), data: this.#read(length) };
  }

  /** From now on keeps all bytes as they come, for `recorded`. Must be called before the first `next()`. */
  record(): void {
    this.#recorded = [];
  }

  /** The body as it came. */
  get recorded(): Buffer {
    return Buffer.concat(this.#recorded ?? []);
  }

  /** Whether the next envelope has arrived as a whole, in part of a chunk at least. */
  get ready(): boolean {
    const [first = empty] = this.#chunks;
    return first.length >= prefixBytes && this.#size >= prefixBytes + lengthAt(first, 0);
  }

  /** Discards the rest of the body, so that a client that is still sending receives the answer. */
  discard(): void {
    this.#discarding = true;
    this.#chunks = [];
    this.#size = 0;
    clearTimeout(this.#timer);
    this.#ahead.discard();
  }

  #more(): Promise<boolean> {
    if (this.#fault !== undefined) return Promise.reject(this.#fault);
    if (this.#ended) return Promise.resolve(false);
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
      const { timeoutMs, whole } = this.#options;
      if (this.#timer === undefined) this.#timer = setTimeout(expire, timeoutMs, this);
      else if (!whole) this.#timer.refresh();
      if (this.#exchange.head.headers.expect !== undefined) this.#exchange.continueBody();
      this.#request.resume();
    });
  }

  #receive(chunk: Buffer): void {
    if (this.#discarding) return;
    this.#recorded?.push(chunk);
    const bytes = this.#base64 === undefined ? chunk : this.#base64.decode(chunk);
    if (bytes === undefined) this.#fail(notBase64());
    else this.#add(bytes);
  }

  #add(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#chunks.push(bytes);
    this.#size += bytes.length;
    this.#ahead.add(bytes.length);
    this.#wake()?.resolve(true);
  }

  #finish(): void {
    if (this.#ended || this.#discarding) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    const rest = this.#base64?.end();
    if (this.#base64 !== undefined && rest === undefined) this.#fail(notBase64());
    else if (rest !== undefined && rest.length > 0) this.#add(rest);
    else this.#wake()?.resolve(false);
  }

  #closed(): void {
    if (!this.#ended) this.#fail(incompleteRequest());
  }

  /** @internal `timeoutMs` has passed. */
  expired(): void {
    // Without a pending `next()` the handler is slow, not the client.
    if (this.#waiter === undefined && !this.#options.whole) return;
    this.#fail(
      new ConnectError(
        `the request did not arrive within ${this.#options.timeoutMs} ms`,
        Code.DeadlineExceeded,
      ),
    );
  }

  #fail(error: ConnectError): void {
    this.#fault ??= error;
    clearTimeout(this.#timer);
    this.#wake()?.reject(this.#fault);
  }

  #wake(): Waiter | undefined {
    const waiter = this.#waiter;
    this.#waiter = undefined;
    return waiter;
  }

  /** Removes and returns the next `count` bytes, which have arrived. */
  #read(count: number): Buffer {
    const [first = empty] = this.#chunks;
    this.#size -= count;
    this.#ahead.remove(count);
    if (first.length > count) {
      this.#chunks[0] = first.subarray(count);
      return first.subarray(0, count);
    }
    if (first.length === count) {
      this.#chunks.shift();
      return first;
    }
    const all = Buffer.concat(this.#chunks);
    this.#chunks = all.length > count ? [all.subarray(count)] : [];
    return all.subarray(0, count);
  }
}

const empty = Buffer.alloc(0);

function expire(reader: EnvelopeReader): void {
  reader.expired();
}

function brokenOff(): ConnectError {
  return new ConnectError("the request breaks off inside a message", Code.InvalidArgument);
}

function notBase64(): ConnectError {
  return new ConnectError("the request is not base64", Code.InvalidArgument);
}

function nothing(): void {}
