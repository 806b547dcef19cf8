import type { CallContext } from "../../../../core/call/context.ts";
import { Code, ConnectError, toCallError } from "../../../../core/errors/errors.ts";
import { resumeHeader } from "../../../../core/metadata/stream-position.ts";

/** The messages for one request. */
export interface Batch {
  /** JSON texts of messages. */
  readonly texts: readonly string[];
  /** Number of the batch, by which the client requests the next one. */
  readonly number: number;
  /** Whether it ends the stream. */
  readonly isLast: boolean;
}

/** The parts of a `PolledStream`. */
export interface PolledStreamInit {
  /** The messages as JSON, those that arrived together at once. */
  readonly messages: AsyncIterable<readonly string[]>;
  readonly context: CallContext;
  /** The most text that is buffered, in bytes; the stream is paused beyond. */
  readonly bufferBytes: number;
  /** Whether the first batch waits until the server has said where the stream begins. */
  readonly saysBeginning: boolean;
}

/** How long the first message of a batch waits for further ones, in milliseconds. */
const gatherMs = 10;

/** How long the first batch waits for the beginning of the stream, in milliseconds: beyond, it is one without position. */
const beginMs = 1_000;

/**
 * A stream that is read in batches by consecutive requests. A batch is kept until the client requests the next one, so
 * that a lost answer can be requested again.
 */
export class PolledStream {
  readonly context: CallContext;
  readonly #init: PolledStreamInit;
  #waiting: string[] = [];
  #last: Batch = { texts: [], number: 0, isLast: false };
  #bytes = 0;
  #end: { readonly error: ConnectError | undefined } | undefined;
  #resume: (() => void) | undefined;
  /** The position behind the last message that was read. */
  #position: string | undefined;
  /** Ends the wait of the current request, `gatherMs` after its first message or at once when the stream has ended. */
  #wake: (() => void) | undefined;
  #cutWait: (() => void) | undefined;
  /** Whether nothing has said yet where the stream begins, and the first batch waits for it. */
  #isBeginning: boolean;
  #isFirst: boolean;

  constructor(init: PolledStreamInit) {
    this.#init = init;
    this.context = init.context;
    this.#isBeginning = this.#isFirst = init.saysBeginning;
    if (init.saysBeginning) {
      init.context.onResponseHeader(() => {
        if (this.#isBeginning) this.#wake?.();
        this.#isBeginning = false; // Its first messages may follow at once: they come with it.
      });
    }
    void this.#read();
  }

  /**
   * The position behind the last batch, by which any process continues the stream; undefined for a stream without. Belongs
   * right behind `next`.
   */
  get position(): string | undefined {
    const place = this.context.streamPlace;
    return place?.settledText() ?? this.#position ?? place?.positionText();
  }

  /** Number of the last batch. */
  get number(): number {
    return this.#last.number;
  }

  /** Whether the number is that of the last returned batch, or of the one before. */
  knows(number: number): boolean {
    return number === this.#last.number || number === this.#last.number - 1;
  }

  /**
   * Returns the batch after the one of number `after`, as soon as there are messages or the stream ends; an empty one
   * without a new number when `waitMs` have passed or `cutWait` was called. An earlier request that still waits gets an
   * empty batch at once.
   *
   * Throws the error of the stream when all messages before it have been returned.
   */
  async next(after: number, waitMs: number): Promise<Batch> {
    this.cutWait();
    if (after === this.#last.number - 1) return this.#last;
    for (const text of this.#last.texts) this.#bytes -= Buffer.byteLength(text);
    this.#last = { ...this.#last, texts: [] };
    this.#resume?.();
    await this.#waitFor(waitMs);
    if (this.#waiting.length === 0) {
      if (this.#end?.error !== undefined) throw this.#end.error;
      return { texts: [], number: after, isLast: this.#end !== undefined };
    }
    const isLast = this.#end !== undefined && this.#end.error === undefined;
    this.#last = { texts: this.#waiting, number: after + 1, isLast };
    this.#waiting = [];
    return this.#last;
  }

  /** Ends the wait of the current request with the messages so far. */
  cutWait(): void {
    this.#cutWait?.();
  }

  /** Cancels the call: no request continues the stream. */
  close(reason: ConnectError): void {
    this.context.abort(reason);
    this.#resume?.();
  }

  async #read(): Promise<void> {
    const { messages, context, bufferBytes } = this.#init;
    try {
      for await (const texts of messages) {
        for (const text of texts) {
          if (context.reason !== undefined) throw context.reason;
          this.#waiting.push(text);
          this.#position = context.streamPlace?.positionText();
          this.#bytes += Buffer.byteLength(text);
          this.#wake?.();
          while (this.#bytes >= bufferBytes && context.reason === undefined) {
            await new Promise<void>((resolve) => (this.#resume = resolve));
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

  /** Waits for messages; a first batch for the beginning of the stream, too, which alone is told at once if it is a reset. */
  async #waitFor(waitMs: number): Promise<void> {
    const isFirst = this.#isFirst;
    this.#isFirst = false;
    if (isFirst && this.#isBeginning && this.#isQuiet && (await this.#wait(beginMs)) === "cut") return;
    this.#isBeginning = false;
    const isReset = isFirst && this.context.responseHeaderIfAny?.get(resumeHeader) === "reset";
    if (this.#isQuiet && waitMs > 0 && !isReset) await this.#wait(waitMs);
  }

  get #isQuiet(): boolean {
    return this.#waiting.length === 0 && this.#end === undefined;
  }

  /** @returns `cut` where the request waits no longer */
  async #wait(waitMs: number): Promise<"cut" | undefined> {
    const { promise, resolve } = Promise.withResolvers<"cut" | undefined>();
    const stop = (): void => resolve(undefined);
    const cut = (): void => resolve("cut");
    const timer = setTimeout(stop, waitMs);
    let gathering: NodeJS.Timeout | undefined;
    this.#cutWait = cut;
    this.#wake = () => {
      if (this.#end !== undefined) stop();
      else gathering ??= setTimeout(stop, gatherMs);
    };
    const how = await promise;
    clearTimeout(timer);
    clearTimeout(gathering);
    if (this.#cutWait === cut) this.#cutWait = this.#wake = undefined;
    return how;
  }
}

/** The error of a stream that its client does not continue. */
export function abandoned(): ConnectError {
  return new ConnectError("the client did not continue the stream", Code.Canceled);
}
