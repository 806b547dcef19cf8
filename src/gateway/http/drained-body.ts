import { Code, ConnectError } from "../../core/errors/errors.ts";
import { incompleteAnswer } from "./disconnect-error.ts";
import type { SharedBytes } from "../../core/wire/shared-bytes.ts";
import type { ResponseBody } from "./exchange.ts";

/** Chunks up to this size are written whole, longer ones in slices: each drained slice shows that the client reads. */
export const sliceBytes = 65_536;

/**
 * The body of a streamed answer with back-pressure: waits for `drain` when the buffer of the connection is full, and
 * closes the connection of a client that reads nothing for `writeIdleMs` milliseconds while bytes wait for it.
 */
export class DrainedBody {
  readonly #body: ResponseBody;
  readonly #writeIdleMs: number;
  readonly #onClose: () => void;
  #drain: PromiseWithResolvers<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #failure: ConnectError | undefined;
  /** Whether the answer has been closed, complete or not. */
  #isClosed = false;

  /** @param onClose called when the connection is closed, at once if it already is */
  constructor(body: ResponseBody, writeIdleMs: number, onClose: () => void) {
    this.#body = body;
    this.#writeIdleMs = writeIdleMs;
    this.#onClose = onClose;
    body.on("drain", () => this.#drain?.resolve());
    body.once("close", () => this.#closed());
    if (body.destroyed) this.#closed();
  }

  /** CANCELLED once the client has disconnected or was disconnected because it read nothing; undefined before. */
  get failure(): ConnectError | undefined {
    return this.#failure;
  }

  /** Writes a chunk; returns false if the caller must wait for `drained()` before the next one. */
  write(chunk: string | Uint8Array): boolean {
    this.#count(chunk);
    return this.#body.write(chunk);
  }

  /** As `write`, of bytes for many clients. */
  writeShared(chunk: SharedBytes): boolean {
    const { record } = this.#body;
    if (record !== undefined) record.bytesOut += chunk.length;
    return this.#body.writeShared === undefined
      ? this.#body.write(chunk.bytes)
      : this.#body.writeShared(chunk);
  }

  /** Writes bytes in slices and waits for `drain` between them. Rejects with `failure`. */
  async writeSlices(bytes: Uint8Array): Promise<void> {
    for (let start = 0; start < bytes.length; start += sliceBytes) {
      if (this.#failure !== undefined) throw this.#failure;
      if (!this.write(bytes.subarray(start, start + sliceBytes))) await this.drained();
    }
  }

  /** Resolves with the next `drain` event. Rejects with `failure`. */
  async drained(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#isClosed) return;
    this.#drain = Promise.withResolvers();
    this.#startTimer();
    try {
      await this.#drain.promise;
    } finally {
      clearTimeout(this.#timer);
      this.#drain = undefined;
    }
  }

  /**
   * Ends the answer. Resolves when the operating system has received all of it, or the connection is closed; never
   * rejects.
   *
   * @param last a chunk to write before the end
   */
  async end(last: string | Uint8Array | undefined): Promise<void> {
    if (this.#failure !== undefined || this.#isClosed) return;
    if (last !== undefined) this.#count(last);
    await this.#finished((done) => this.#body.end(last, done));
  }

  #count(chunk: string | Uint8Array): void {
    const { record } = this.#body;
    if (record !== undefined) record.bytesOut += Buffer.byteLength(chunk);
  }

  /**
   * Closes the connection after the written bytes without ending the answer. Resolves when that is done; never rejects.
   */
  async cut(): Promise<void> {
    if (this.#failure !== undefined || this.#isClosed) return;
    await this.#finished(() => this.#body.cut());
  }

  /** @internal The client has read nothing for `writeIdleMs`: its connection is closed. */
  stalled(): void {
    this.#fail(new ConnectError(`the client read nothing for ${this.#writeIdleMs} ms`, Code.Canceled));
    this.#body.destroy();
  }

  async #finished(finish: (done: () => void) => unknown): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#body.once("close", resolve);
    this.#startTimer();
    finish(resolve);
    await promise;
    clearTimeout(this.#timer);
  }

  /** From now on the client must read within `writeIdleMs`. */
  #startTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(stalled, this.#writeIdleMs, this);
  }

  #closed(): void {
    this.#isClosed = true;
    if (!this.#body.writableFinished) this.#fail(incompleteAnswer());
    this.#drain?.resolve();
    clearTimeout(this.#timer);
    this.#onClose();
  }

  #fail(error: ConnectError): void {
    this.#failure ??= error;
    this.#drain?.reject(this.#failure);
  }
}

function stalled(body: DrainedBody): void {
  body.stalled();
}
