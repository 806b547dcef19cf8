import type { Message } from "@bufbuild/protobuf";
import { type ReadySource, takesReady } from "../../../core/call/one-request.ts";
import type { ConnectError } from "../../../core/errors/errors.ts";

/** A message, or its protobuf bytes. */
export type SocketMessage = Message | Uint8Array;

/** The source of the messages of a `MessageQueue`. */
export interface QueueSource {
  /** The queue is full: the source should send no more. */
  pause(): void;
  /** The queue has capacity again. */
  resume(): void;
}

/** The size at which a queue is full, in bytes of its waiting frames. */
const windowBytes = 64 * 1024;

/** The cost of a message besides its bytes, in bytes. */
const messageBytes = 64;

const done: IteratorResult<SocketMessage, void> = Object.freeze({ done: true, value: undefined });

/** The request messages of one call on their way from the socket to the handler, which reads them one at a time. */
export class MessageQueue
  implements AsyncIterableIterator<SocketMessage, void, undefined>, ReadySource<SocketMessage>
{
  readonly #source: QueueSource;
  readonly #messages: { readonly message: SocketMessage; readonly bytes: number }[] = [];
  readonly #readers: PromiseWithResolvers<IteratorResult<SocketMessage, void>>[] = [];
  #bytes = 0;
  #full = false;
  #end: { readonly error: ConnectError | undefined } | undefined;
  #returned = false;

  constructor(source: QueueSource) {
    this.#source = source;
  }

  /** Bytes of the messages that the handler has not read. */
  get waitingBytes(): number {
    return this.#bytes;
  }

  /** Whether no more messages can be added. */
  get ended(): boolean {
    return this.#end !== undefined;
  }

  /** Adds a message that was received as `size` bytes. */
  push(message: SocketMessage, size: number): void {
    if (this.#end !== undefined || this.#returned) return;
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
    this.#source.pause();
  }

  /** Ends the queue; with an error, waiting messages are dropped, and pending and later `next()` reject with it. */
  end(error?: ConnectError): void {
    if (this.#end !== undefined) return;
    this.#end = { error };
    if (error !== undefined) this.#clear();
    for (const reader of this.#readers.splice(0)) {
      if (error === undefined) reader.resolve(done);
      else reader.reject(error);
    }
  }

  [takesReady](): SocketMessage | undefined {
    const first = this.#messages[0];
    if (first === undefined) return undefined;
    void this.return();
    return first.message;
  }

  next(): Promise<IteratorResult<SocketMessage, void>> {
    const first = this.#messages.shift();
    if (first !== undefined) {
      this.#bytes -= first.bytes;
      if (this.#full && this.#bytes < windowBytes / 2) this.#resume();
      return Promise.resolve({ done: false, value: first.message });
    }
    if (this.#end?.error !== undefined) return Promise.reject(this.#end.error);
    if (this.#end !== undefined || this.#returned) return Promise.resolve(done);
    const reader = Promise.withResolvers<IteratorResult<SocketMessage, void>>();
    this.#readers.push(reader);
    return reader.promise;
  }

  /** The handler reads no more: waiting and later messages are dropped. */
  return(): Promise<IteratorResult<SocketMessage, void>> {
    this.#returned = true;
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
    if (this.#full) this.#resume();
  }

  #resume(): void {
    this.#full = false;
    this.#source.resume();
  }
}
