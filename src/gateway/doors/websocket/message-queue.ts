import type { Message } from "@bufbuild/protobuf";
import type { ConnectError } from "../../../core/errors/errors.ts";

/** A message, or its protobuf bytes. */
export type SocketMessage = Message | Uint8Array;

/** Who fills a `MessageQueue`. */
export interface QueueFeeder {
  /** More waits than should: send no more. */
  full(): void;
  /** There is room again. */
  room(): void;
}

/** Where a queue is full, in bytes of the frames that wait in it. */
const windowBytes = 64 * 1024;

/** What a message costs besides its bytes. */
const messageBytes = 64;

const done: IteratorResult<SocketMessage, void> = Object.freeze({ done: true, value: undefined });

/** The messages of one call between the socket they come from and the handler that takes them, one at a time. */
export class MessageQueue implements AsyncIterableIterator<SocketMessage, void, undefined> {
  readonly #feeder: QueueFeeder;
  readonly #messages: { readonly message: SocketMessage; readonly bytes: number }[] = [];
  readonly #readers: PromiseWithResolvers<IteratorResult<SocketMessage, void>>[] = [];
  #bytes = 0;
  #full = false;
  #end: { readonly error: ConnectError | undefined } | undefined;
  #unread = false;

  constructor(feeder: QueueFeeder) {
    this.#feeder = feeder;
  }

  /** Bytes of the messages that nobody has taken yet. */
  get waitingBytes(): number {
    return this.#bytes;
  }

  /** Whether no more messages can be added. */
  get ended(): boolean {
    return this.#end !== undefined;
  }

  /** Adds a message that came as `size` bytes. */
  push(message: SocketMessage, size: number): void {
    if (this.#end !== undefined || this.#unread) return;
    const reader = this.#readers.shift();
    if (reader !== undefined) {
      reader.resolve({ done: false, value: message });
      return;
    }
    const bytes = size + messageBytes;
    this.#messages.push({ message, bytes });
    this.#bytes += bytes;
    if (this.#full || this.#bytes < windowBytes) return;
    this.#full = true;
    this.#feeder.full();
  }

  /** No more messages come; with an error, whoever asks gets that in their place, the waiting ones included. */
  end(error?: ConnectError): void {
    if (this.#end !== undefined) return;
    this.#end = { error };
    if (error !== undefined) this.#clear();
    for (const reader of this.#readers.splice(0)) {
      if (error === undefined) reader.resolve(done);
      else reader.reject(error);
    }
  }

  next(): Promise<IteratorResult<SocketMessage, void>> {
    const first = this.#messages.shift();
    if (first !== undefined) {
      this.#bytes -= first.bytes;
      if (this.#full && this.#bytes < windowBytes / 2) this.#release();
      return Promise.resolve({ done: false, value: first.message });
    }
    if (this.#end?.error !== undefined) return Promise.reject(this.#end.error);
    if (this.#end !== undefined || this.#unread) return Promise.resolve(done);
    const reader = Promise.withResolvers<IteratorResult<SocketMessage, void>>();
    this.#readers.push(reader);
    return reader.promise;
  }

  /** The handler wants no more: what still comes is dropped. */
  return(): Promise<IteratorResult<SocketMessage, void>> {
    this.#unread = true;
    this.#clear();
    for (const reader of this.#readers.splice(0)) reader.resolve(done);
    return Promise.resolve(done);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #clear(): void {
    this.#messages.length = 0;
    this.#bytes = 0;
    if (this.#full) this.#release();
  }

  #release(): void {
    this.#full = false;
    this.#feeder.room();
  }
}
