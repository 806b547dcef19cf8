import type { Message } from "@bufbuild/protobuf";
import type { ConnectError } from "../../errors/errors.ts";
import type { MessageDecoder } from "./request-messages.ts";

interface Waiter {
  readonly resolve: (result: IteratorResult<Message, void> | Promise<IteratorResult<Message, void>>) => void;
  readonly reject: (reason: unknown) => void;
}

/** A message as it has come. */
export interface QueuedMessage {
  /** Of its prefix. */
  readonly flags: number;
  readonly bytes: Buffer;
  /** Bytes of the request that are used when the message is read. */
  readonly held: number;
}

const done: IteratorResult<Message, void> = { done: true, value: undefined };

/**
 * The messages that a client sends, decoded one by one on demand. What the handler has not read yet counts against the
 * window of the stream: a slow handler causes back-pressure.
 */
export class RequestQueue implements AsyncIterableIterator<Message, void, undefined> {
  readonly #decoder: MessageDecoder;
  readonly #used: (bytes: number) => void;
  readonly #waiters: Waiter[] = [];
  #queued: QueuedMessage[] = [];
  /** Where the oldest message of `#queued` is. */
  #first = 0;
  #end: { readonly error: ConnectError | undefined } | undefined;
  /** The message that is being decompressed; those after it wait. */
  #decoding: Promise<unknown> | undefined;

  /** @param used Called with the bytes of every message that is read. */
  constructor(decoder: MessageDecoder, used: (bytes: number) => void) {
    this.#decoder = decoder;
    this.#used = used;
  }

  push(message: QueuedMessage): void {
    if (this.#end !== undefined) {
      this.#used(message.held);
      return;
    }
    const waiter = this.#waiters.shift();
    if (waiter === undefined) this.#queued.push(message);
    else this.#give(waiter, message);
  }

  /**
   * Ends the queue after the messages that have come; with an error at once: pending and later `next()` reject with it.
   */
  end(error?: ConnectError): void {
    if (this.#end !== undefined && (error === undefined || this.#end.error !== undefined)) return;
    this.#end = { error };
    if (error !== undefined) this.#drop();
    for (const waiter of this.#waiters.splice(0)) {
      if (error === undefined) waiter.resolve(done);
      else waiter.reject(error);
    }
  }

  next(): Promise<IteratorResult<Message, void>> {
    const message = this.#queued[this.#first];
    if (message !== undefined) {
      this.#first++;
      if (this.#first === this.#queued.length) {
        this.#queued = [];
        this.#first = 0;
      }
      return new Promise((resolve, reject) => this.#give({ resolve, reject }, message));
    }
    if (this.#end !== undefined) {
      return this.#end.error === undefined ? Promise.resolve(done) : Promise.reject(this.#end.error);
    }
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<Message, void>> {
    this.end();
    this.#drop();
    return Promise.resolve(done);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #give(waiter: Waiter, { flags, bytes, held }: QueuedMessage): void {
    this.#used(held);
    try {
      const before = this.#decoding;
      const message = this.#decoder.decode(flags, bytes);
      if (before === undefined && !(message instanceof Promise)) {
        waiter.resolve({ done: false, value: message });
        return;
      }
      const decoding = Promise.all([message, before]).then(([value]) => ({ done: false as const, value }));
      this.#decoding = decoding;
      const decoded = (): void => {
        if (this.#decoding === decoding) this.#decoding = undefined;
      };
      decoding.then(decoded, decoded);
      waiter.resolve(decoding);
    } catch (reason) {
      waiter.reject(reason);
    }
  }

  /** Messages that will not be read are used. */
  #drop(): void {
    for (const { held } of this.#queued.slice(this.#first)) this.#used(held);
    this.#queued = [];
    this.#first = 0;
  }
}
