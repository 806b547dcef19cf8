import type { CallContext } from "../../../../core/call/context.ts";
import { Code, ConnectError, toCallError } from "../../../../core/errors/errors.ts";

/** What one request gets. */
export interface Batch {
  /** JSON texts of messages. */
  readonly texts: readonly string[];
  /** Number of the batch; a client that has it asks for the next one by it. */
  readonly number: number;
  /** Whether nothing comes after it. */
  readonly isLast: boolean;
}

/** What a `PolledStream` is made of. */
export interface PolledStreamInit {
  /** The messages as JSON, those that arrived together at once. */
  readonly messages: AsyncIterable<readonly string[]>;
  readonly context: CallContext;
  /** Text that is held; the stream is paused beyond, in bytes. */
  readonly bufferBytes: number;
}

/** How long the first message of a batch waits for those that come with it, in milliseconds. */
const gatherMs = 10;

/**
 * A stream that is read in batches by one request after another. A batch is kept until the client asks for the next
 * one, so that an answer that was lost on its way can be had again.
 */
export class PolledStream {
  readonly context: CallContext;
  readonly #init: PolledStreamInit;
  #waiting: string[] = [];
  #last: Batch = { texts: [], number: 0, isLast: false };
  #bytes = 0;
  #end: { readonly error: ConnectError | undefined } | undefined;
  #room: (() => void) | undefined;
  /** Ends the wait of the request under way. */
  #wake: (() => void) | undefined;
  #cutWait: (() => void) | undefined;

  constructor(init: PolledStreamInit) {
    this.#init = init;
    this.context = init.context;
    void this.#read();
  }

  /** Whether the batch of this number is the last one that was given, or the one before. */
  knows(number: number): boolean {
    return number === this.#last.number || number === this.#last.number - 1;
  }

  /**
   * The batch after the one of number `after`: as soon as there are messages or the stream ends, empty and without a
   * new number when `waitMs` have passed or `cutWait` was called. A request under way gets an empty batch at once.
   *
   * Throws the error of the stream when all messages before it were given.
   */
  async next(after: number, waitMs: number): Promise<Batch> {
    this.cutWait();
    if (after === this.#last.number - 1) return this.#last;
    for (const text of this.#last.texts) this.#bytes -= Buffer.byteLength(text);
    this.#last = { ...this.#last, texts: [] };
    this.#room?.();
    if (this.#waiting.length === 0 && this.#end === undefined && waitMs > 0) await this.#wait(waitMs);
    if (this.#waiting.length === 0) {
      if (this.#end?.error !== undefined) throw this.#end.error;
      return { texts: [], number: after, isLast: this.#end !== undefined };
    }
    const isLast = this.#end !== undefined && this.#end.error === undefined;
    this.#last = { texts: this.#waiting, number: after + 1, isLast };
    this.#waiting = [];
    return this.#last;
  }

  /** Ends the wait of the request under way, with what there is. */
  cutWait(): void {
    this.#cutWait?.();
  }

  /** Nobody asks any more. */
  close(reason: ConnectError): void {
    this.context.abort(reason);
    this.#room?.();
  }

  async #read(): Promise<void> {
    const { messages, context, bufferBytes } = this.#init;
    try {
      for await (const texts of messages) {
        for (const text of texts) {
          if (context.reason !== undefined) throw context.reason;
          this.#waiting.push(text);
          this.#bytes += Buffer.byteLength(text);
          this.#wake?.();
          while (this.#bytes >= bufferBytes && context.reason === undefined) {
            await new Promise<void>((resolve) => (this.#room = resolve));
          }
        }
      }
      this.#end = { error: undefined };
    } catch (reason) {
      this.#end = { error: toCallError(reason) };
    }
    context.end();
    this.#wake?.();
  }

  async #wait(waitMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, waitMs);
    let gathering: NodeJS.Timeout | undefined;
    this.#cutWait = resolve;
    this.#wake = () => {
      if (this.#end !== undefined) resolve();
      else gathering ??= setTimeout(resolve, gatherMs);
    };
    await promise;
    clearTimeout(timer);
    clearTimeout(gathering);
    if (this.#cutWait === resolve) this.#cutWait = this.#wake = undefined;
  }
}

/** Why a stream ends whose client does not come again. */
export function abandoned(): ConnectError {
  return new ConnectError("the client did not ask for more", Code.Canceled);
}
