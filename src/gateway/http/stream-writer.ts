import { setImmediate as nextTurn } from "node:timers/promises";
import type { ConnectError } from "../../core/errors/errors.ts";
import { flushAtTurnEnd, type Flushed } from "../../core/wire/turn-end.ts";
import type { Coding } from "../../core/wire/codings/coding.ts";
import { SharedBytes } from "../../core/wire/shared-bytes.ts";
import { DrainedBody, sliceBytes } from "./drained-body.ts";
import type { ResponseBody } from "./exchange.ts";
import { StreamCompressor } from "./stream-compressor.ts";

/** Options of `StreamWriter`. */
export interface StreamWriterOptions {
  /** How long a client may read nothing while bytes wait for it, in milliseconds. Default: 60,000. */
  readonly writeIdleMs: number;
}

/** The defaults of `StreamWriterOptions`. */
export const streamWriterDefaults: StreamWriterOptions = Object.freeze({ writeIdleMs: 60_000 });

/** Up to this length, short texts of one turn of the event loop become one write. */
const batchLength = 16_384;

/**
 * Writes all streamed answers: NDJSON, SSE, arrays, raw bodies, and the envelopes of Connect and gRPC-Web.
 *
 * It applies back-pressure: at most the socket's window and one chunk are buffered. The connection of a client that
 * reads nothing for `writeIdleMs` is closed. All chunks written in one turn of the event loop are sent at its end,
 * compressed ones too. The caller prepares the head of the response; a writer belongs to one response.
 */
export class StreamWriter implements Flushed {
  readonly #body: DrainedBody;
  readonly #compressor: StreamCompressor | undefined;
  /** Short texts to send at the end of this turn of the event loop. */
  #batch = "";
  /** Bytes for many clients, to send at the end of this turn; or `#batch`, never both. */
  #shared: SharedBytes | undefined;
  #scheduled = false;
  /** Settles when the chunk that is being sent has been written; undefined while more can be written. */
  #sending: PromiseWithResolvers<void> | undefined;
  /** The last of the writes that wait for earlier ones. */
  #queue: Promise<void> | undefined;

  /** @param coding compresses what is written; the caller sets `Content-Encoding` */
  constructor(response: ResponseBody, options: Partial<StreamWriterOptions> = {}, coding?: Coding) {
    this.#compressor = coding === undefined ? undefined : new StreamCompressor(coding);
    const writeIdleMs = options.writeIdleMs ?? streamWriterDefaults.writeIdleMs;
    this.#body = new DrainedBody(response, writeIdleMs, () => this.#compressor?.close());
  }

  /** CANCELLED once the client has disconnected or was disconnected because it read nothing; undefined before. */
  get failure(): ConnectError | undefined {
    return this.#body.failure;
  }

  /** Whether a text of this turn of the event loop waits for its end. */
  get gathers(): boolean {
    return this.#batch !== "" || this.#shared !== undefined;
  }

  /** Whether the client must read something before more should be written. */
  get busy(): boolean {
    return this.#sending !== undefined;
  }

  /**
   * Writes a chunk. Returns undefined when another one can follow, else a promise to await before the next.
   *
   * The promise rejects with `failure` when the client disconnects or reads nothing for too long.
   */
  write(chunk: string | Uint8Array | SharedBytes): Promise<void> | undefined {
    if (this.#body.failure !== undefined) return Promise.reject(this.#body.failure);
    if (chunk instanceof SharedBytes) {
      if (this.#gatherShared(chunk)) return undefined;
      return this.write(chunk.bytes);
    }
    if (this.#shared !== undefined) this.flush();
    return this.#queue === undefined ? this.#writeNow(chunk) : this.#writeAfterOthers(chunk);
  }

  /** Bytes for many clients are sent as they are if nothing is in front of them. @returns false where something is */
  #gatherShared(bytes: SharedBytes): boolean {
    if (this.#compressor !== undefined || this.#sending !== undefined || this.#queue !== undefined)
      return false;
    if (this.#batch !== "") this.flush();
    const before = this.#shared;
    if (this.#sending !== undefined || (before?.length ?? 0) + bytes.length > sliceBytes) return false;
    this.#shared = before === undefined ? bytes : before.followedBy(bytes);
    this.#schedule();
    return true;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    flushAtTurnEnd(this);
  }

  #writeNow(chunk: string | Uint8Array): Promise<void> | undefined {
    if (typeof chunk === "string" && chunk.length + this.#batch.length <= batchLength) {
      this.#batch += chunk;
      this.#schedule();
      return this.#sending?.promise;
    }
    if (this.#sending !== undefined) return this.#writeAfterOthers(chunk);
    const before = this.#batch;
    this.#batch = "";
    if (before === "") this.#send(chunk);
    else if (typeof chunk === "string") this.#send(before + chunk);
    else this.#send(Buffer.concat([Buffer.from(before), chunk]));
    return this.#sendingNow();
  }

  /** Keeps the order of writes whose callers do not await: writes the chunk after all earlier ones. */
  #writeAfterOthers(chunk: string | Uint8Array): Promise<void> {
    const before = this.#queue;
    const write = (async () => {
      await before;
      while (this.#sending !== undefined) await this.#sending.promise;
      if (this.#body.failure !== undefined) throw this.#body.failure;
      await this.#writeNow(chunk);
    })();
    write.catch(nothing); // Callers need not await it.
    this.#queue = write;
    const dequeue = (): void => {
      if (this.#queue === write) this.#queue = undefined;
    };
    write.then(dequeue, dequeue);
    return write;
  }

  /** Sends the batch of this turn of the event loop now. */
  flush(): void {
    this.#scheduled = false;
    if (this.#sending !== undefined || this.#body.failure !== undefined) return;
    const shared = this.#shared;
    if (shared !== undefined) {
      this.#shared = undefined;
      if (!this.#body.writeShared(shared)) this.#await(this.#body.drained());
      return;
    }
    if (this.#batch === "") return;
    const batch = this.#batch;
    this.#batch = "";
    this.#send(batch);
  }

  /**
   * Ends the response after all earlier writes. Resolves when all of it was sent or the client has disconnected; never
   * rejects. If no write is pending, `last` and the end are sent at once and together.
   *
   * @param last a chunk to write before the end
   */
  async end(last?: string | Uint8Array): Promise<void> {
    if (this.#isIdle) {
      await this.#body.end(last);
      return;
    }
    try {
      if (last !== undefined) void this.write(last)?.catch(nothing);
      await this.#written();
      if (this.#compressor !== undefined) await this.#body.writeSlices(await this.#compressor.end());
    } catch {
      return; // The client has disconnected; pending writes have been rejected.
    }
    await this.#body.end(undefined);
  }

  /**
   * Closes the connection after all earlier writes without ending the response, so that the client detects a truncated
   * answer. Resolves when the connection is closed; never rejects.
   */
  async cut(): Promise<void> {
    await this.#written().catch(nothing);
    await nextTurn(); // Node sends the writes of one turn together at its end; a cut before would drop them.
    await this.#body.cut();
  }

  get #isIdle(): boolean {
    const pending = this.gathers || this.#sending !== undefined || this.#queue !== undefined;
    return !pending && this.#compressor === undefined;
  }

  /** Resolves when all earlier writes are done. */
  async #written(): Promise<void> {
    for (;;) {
      this.flush();
      if (this.#body.failure !== undefined) throw this.#body.failure;
      if (this.#sending === undefined && this.#queue === undefined) return;
      await (this.#queue ?? this.#sending?.promise);
    }
  }

  #sendingNow(): Promise<void> | undefined {
    return this.#sending?.promise;
  }

  #send(chunk: string | Uint8Array): void {
    const short = typeof chunk === "string" ? chunk.length <= batchLength * 2 : chunk.length <= sliceBytes;
    const whole = short && this.#compressor === undefined;
    if (whole && this.#body.write(chunk)) return;
    this.#await(whole ? this.#body.drained() : this.#sendSlices(chunk));
  }

  /** Nothing is sent until `sent` has settled. */
  #await(sent: Promise<void>): void {
    const sending = (this.#sending = Promise.withResolvers<void>());
    sending.promise.catch(nothing); // Callers need not await it.
    sent.then(
      () => {
        this.#sending = undefined;
        this.flush();
        sending.resolve();
      },
      (error: unknown) => {
        this.#sending = undefined;
        sending.reject(error);
      },
    );
  }

  async #sendSlices(chunk: string | Uint8Array): Promise<void> {
    const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
    await this.#body.writeSlices(
      this.#compressor === undefined ? bytes : await this.#compressor.write(bytes),
    );
  }
}

function nothing(): void {}
