import type { Compression } from "@connectrpc/connect/protocol";
import type { CallContext } from "../../../core/call/context.ts";
import { Code, ConnectError } from "../../../core/errors/errors.ts";
import { compressedFlag } from "../../../core/wire/message-prefix.ts";
import type { EnvelopeReader } from "./envelope-reader.ts";

/** Options of `RequestMessages`. */
export interface RequestMessagesOptions<M> {
  /** The call that counts the messages. */
  readonly context: Pick<CallContext, "received">;
  /** Makes a message of its bytes. Throws ConnectErrors. */
  readonly parse: (bytes: Uint8Array) => M;
  /** The compression of messages with the compressed flag; null for none. */
  readonly compression: Compression | null;
  /** The largest message after decompression, in bytes. */
  readonly maxBytes: number;
  /** The code of requests that break the protocol. */
  readonly malformed: Code;
}

const done: IteratorReturnResult<void> = { done: true, value: undefined };

/** The messages of a request body, read from the client one by one on demand. */
export class RequestMessages<M> implements AsyncIterableIterator<M, void, undefined> {
  /** Called when the client has sent all messages. */
  onEnd: (() => void) | undefined;
  readonly #reader: EnvelopeReader;
  readonly #options: RequestMessagesOptions<M>;

  constructor(reader: EnvelopeReader, options: RequestMessagesOptions<M>) {
    this.#reader = reader;
    this.#options = options;
  }

  /** Throws the ConnectErrors of the reader, and those of messages that cannot be read. */
  async next(): Promise<IteratorResult<M, void>> {
    const envelope = await this.#reader.next();
    if (envelope === undefined) {
      this.onEnd?.();
      return done;
    }
    const { flags, data } = envelope;
    if ((flags & ~compressedFlag) !== 0)
      throw this.#malformed(`unknown flags ${flags} in front of a message`);
    const { parse, context } = this.#options;
    context.received++;
    const bytes = flags === compressedFlag ? await this.#decompress(data) : data;
    return { done: false, value: parse(bytes) };
  }

  /** The message of a request with exactly one. Throws UNIMPLEMENTED for any other number. */
  async only(): Promise<M> {
    const first = await this.next();
    if (first.done === true) throw wrongCount("none");
    if ((await this.#reader.next()) !== undefined) throw wrongCount("more");
    return first.value;
  }

  return(): Promise<IteratorResult<M, void>> {
    return Promise.resolve(done);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The messages in batches: those that have arrived together. */
  async *batches(): AsyncGenerator<readonly M[], void, undefined> {
    for (;;) {
      const first = await this.next();
      if (first.done === true) return;
      const batch = [first.value];
      let failure: { readonly reason: unknown } | undefined;
      try {
        while (this.#reader.ready) {
          const next = await this.next();
          if (next.done === true) break;
          batch.push(next.value);
        }
      } catch (reason) {
        failure = { reason };
      }
      yield batch;
      if (failure !== undefined) throw failure.reason;
    }
  }

  async #decompress(data: Uint8Array): Promise<Uint8Array> {
    const { compression, maxBytes, malformed } = this.#options;
    if (compression === null) {
      throw new ConnectError("the message is compressed, but no header names the compression", Code.Internal);
    }
    if (data.length === 0) return data; // Some clients set the flag also for empty messages.
    try {
      return await compression.decompress(data, maxBytes);
    } catch (reason) {
      if (!(reason instanceof ConnectError) || reason.code !== Code.InvalidArgument) throw reason;
      throw new ConnectError(reason.rawMessage, malformed);
    }
  }

  #malformed(text: string): ConnectError {
    return new ConnectError(text, this.#options.malformed);
  }
}

function wrongCount(found: "none" | "more"): ConnectError {
  return new ConnectError(`the rpc takes one message, ${found} came`, Code.Unimplemented);
}
