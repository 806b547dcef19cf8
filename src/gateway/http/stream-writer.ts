import { setImmediate as nextTurn } from "node:timers/promises";
import { Code, ConnectError } from "../../core/errors/errors.ts";
import type { Coding } from "../../core/wire/codings/coding.ts";
import type { ResponseBody } from "./exchange.ts";
import { StreamCompressor } from "./stream-compressor.ts";

/** Options of `StreamWriter`. */
export interface StreamWriterOptions {
  /** How long a reader may take nothing while something waits for it, in milliseconds. Default: 60,000. */
  readonly writeIdleMs: number;
}

/** The defaults of `StreamWriterOptions`. */
export const streamWriterDefaults: StreamWriterOptions = Object.freeze({ writeIdleMs: 60_000 });

/** Short texts of one turn of the event loop are one write up to this length. */
const batchLength = 16_384;

/** Longer chunks are written in parts, each of which is a sign that the reader takes something. */
const sliceBytes = 65_536;

/**
 * The one writer of streamed bytes: NDJSON, SSE, arrays, raw bodies, and the envelopes of Connect and gRPC-Web leave
 * through it.
 *
 * It waits for the reader: at most the socket's window and one chunk are held. A reader that takes nothing for
 * `writeIdleMs` loses its connection. Everything written in one turn of the event loop leaves at its end, compressed
 * bytes too. The head of the response is the caller's business; one writer belongs to one response.
 */
export class StreamWriter {
  readonly #response: ResponseBody;
  readonly #writeIdleMs: number;
  readonly #compressor: StreamCompressor | undefined;
  #pending = "";
  #scheduled = false;
  /** Settles when what is being written has gone; undefined while there is room. */
  #busy: PromiseWithResolvers<void> | undefined;
  /** The last of the writes whose callers did not wait for room. */
  #queue: Promise<void> | undefined;
  #drain: PromiseWithResolvers<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #gone: ConnectError | undefined;
  /** Whether the response has closed, well or not. */
  #closed = false;

  /** @param coding Compresses what is written; the caller has said so in `Content-Encoding`. */
  constructor(response: ResponseBody, options: Partial<StreamWriterOptions> = {}, coding?: Coding) {
    this.#response = response;
    this.#writeIdleMs = options.writeIdleMs ?? streamWriterDefaults.writeIdleMs;
    this.#compressor = coding === undefined ? undefined : new StreamCompressor(coding);
    response.on("drain", () => this.#drain?.resolve());
    response.once("close", () => this.#onClose());
    if (response.destroyed) this.#onClose();
  }

  /** Why nobody reads any more; undefined while somebody may. */
  get gone(): ConnectError | undefined {
    return this.#gone;
  }

  /** Whether the reader has to take something before more should be written. */
  get busy(): boolean {
    return this.#busy !== undefined;
  }

  /**
   * Writes a chunk. Undefined when there is room for another one, else a promise to wait for before the next.
   *
   * Rejects with CANCELLED when the reader has left or stalls for too long.
   */
  write(chunk: string | Uint8Array): Promise<void> | undefined {
    if (this.#gone !== undefined) return Promise.reject(this.#gone);
    return this.#queue === undefined ? this.#take(chunk) : this.#queueUp(chunk);
  }

  #take(chunk: string | Uint8Array): Promise<void> | undefined {
    if (typeof chunk === "string" && chunk.length + this.#pending.length <= batchLength) {
      this.#pending += chunk;
      if (!this.#scheduled) {
        this.#scheduled = true;
        process.nextTick(flush, this);
      }
      return this.#busy?.promise;
    }
    if (this.#busy !== undefined) return this.#queueUp(chunk);
    const before = this.#pending;
    this.#pending = "";
    if (before === "") this.#send(chunk);
    else if (typeof chunk === "string") this.#send(before + chunk);
    else this.#send(Buffer.concat([Buffer.from(before), chunk]));
    return this.#whenSent();
  }

  /** Keeps the order for callers that do not wait: takes the chunk when those before it are on their way. */
  #queueUp(chunk: string | Uint8Array): Promise<void> {
    const before = this.#queue;
    const turn = (async () => {
      await before;
      while (this.#busy !== undefined) await this.#busy.promise;
      if (this.#gone !== undefined) throw this.#gone;
      await this.#take(chunk);
    })();
    turn.catch(() => {}); // Nobody has to wait for it.
    this.#queue = turn;
    const leave = (): void => {
      if (this.#queue === turn) this.#queue = undefined;
    };
    turn.then(leave, leave);
    return turn;
  }

  /** Writes what waits for the end of this turn, now. */
  flush(): void {
    this.#scheduled = false;
    if (this.#busy !== undefined || this.#pending === "" || this.#gone !== undefined) return;
    const batch = this.#pending;
    this.#pending = "";
    this.#send(batch);
  }

  /**
   * Ends the response well, after everything written before. Resolves when all of it is on its way, or the reader has
   * left; never rejects. Where nothing waits, `last` and the end leave at once and together.
   *
   * @param last A chunk to write before the end.
   */
  async end(last?: string | Uint8Array): Promise<void> {
    let rest = last;
    if (!this.#isIdle) {
      rest = undefined;
      try {
        if (last !== undefined) void this.write(last)?.catch(nothing);
        await this.#settled();
        if (this.#compressor !== undefined) await this.#transmit(await this.#compressor.end());
      } catch {
        return; // The reader has left, and whoever waits for a write has heard of it.
      }
    }
    if (this.#gone !== undefined || this.#closed) return;
    const done = Promise.withResolvers<void>();
    this.#response.once("close", done.resolve);
    this.#watch();
    this.#response.end(rest, done.resolve);
    await done.promise;
    clearTimeout(this.#timer);
  }

  /**
   * Ends the connection after everything written before, without ending the response: so that the reader can never
   * take the part for the whole. Resolves when the connection is closed; never rejects.
   */
  async cut(): Promise<void> {
    await this.#settled().catch(() => {});
    await nextTurn(); // Node gathers what is written in one turn, and would lose it here.
    const response = this.#response;
    if (this.#gone !== undefined || this.#closed) return;
    const done = Promise.withResolvers<void>();
    response.once("close", done.resolve);
    this.#watch();
    response.cut();
    await done.promise;
    clearTimeout(this.#timer);
  }

  get #isIdle(): boolean {
    const waits = this.#pending !== "" || this.#busy !== undefined || this.#queue !== undefined;
    return !waits && this.#compressor === undefined;
  }

  /** Waits until everything written before has been handed over. */
  async #settled(): Promise<void> {
    for (;;) {
      this.flush();
      if (this.#gone !== undefined) throw this.#gone;
      if (this.#busy === undefined && this.#queue === undefined) return;
      await (this.#queue ?? this.#busy?.promise);
    }
  }

  #whenSent(): Promise<void> | undefined {
    return this.#busy?.promise;
  }

  #send(chunk: string | Uint8Array): void {
    const short = typeof chunk === "string" ? chunk.length <= batchLength * 2 : chunk.length <= sliceBytes;
    if (short && this.#compressor === undefined && this.#response.write(chunk)) return;
    const busy = (this.#busy = Promise.withResolvers<void>());
    busy.promise.catch(() => {}); // Nobody has to wait for it.
    const sent = short && this.#compressor === undefined ? this.#drained() : this.#deliver(chunk);
    sent.then(
      () => {
        this.#busy = undefined;
        this.flush();
        busy.resolve();
      },
      (error: unknown) => {
        this.#busy = undefined;
        busy.reject(error);
      },
    );
  }

  async #deliver(chunk: string | Uint8Array): Promise<void> {
    const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
    await this.#transmit(this.#compressor === undefined ? bytes : await this.#compressor.write(bytes));
  }

  async #transmit(bytes: Uint8Array): Promise<void> {
    for (let start = 0; start < bytes.length; start += sliceBytes) {
      if (this.#gone !== undefined) throw this.#gone;
      if (!this.#response.write(bytes.subarray(start, start + sliceBytes))) await this.#drained();
    }
  }

  async #drained(): Promise<void> {
    if (this.#gone !== undefined) throw this.#gone;
    if (this.#closed) return;
    this.#drain = Promise.withResolvers();
    this.#watch();
    try {
      await this.#drain.promise;
    } finally {
      clearTimeout(this.#timer);
      this.#drain = undefined;
    }
  }

  /** The reader has to take something from now on. */
  #watch(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(stalled, this.#writeIdleMs, this);
  }

  /** The reader took nothing for too long. */
  giveUp(): void {
    this.#leave(`the client read nothing for ${this.#writeIdleMs} ms`);
    this.#response.destroy();
  }

  #onClose(): void {
    this.#closed = true;
    if (!this.#response.writableFinished) this.#leave("the client left before the answer was complete");
    this.#drain?.resolve();
    clearTimeout(this.#timer);
    this.#compressor?.close();
  }

  #leave(why: string): void {
    this.#gone ??= new ConnectError(why, Code.Canceled);
    this.#drain?.reject(this.#gone);
  }
}

function nothing(): void {}

function flush(writer: StreamWriter): void {
  writer.flush();
}

function stalled(writer: StreamWriter): void {
  writer.giveUp();
}
