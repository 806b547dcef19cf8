import type { HttpExchange, RequestBody } from "./exchange.ts";

/**
 * The most bytes of one body that are buffered for a slow consumer. A disconnect is detected only after all bytes
 * before it have been read; the buffers of the operating system are smaller than this.
 */
const bodyBytes = 4 * 1024 * 1024;

/** The most bytes that all bodies may buffer together; beyond it each body is limited to `smallBytes`. */
const allBytes = 64 * 1024 * 1024;
const smallBytes = 65_536;

let heldByAll = 0;

/**
 * Pauses and resumes a request, so that its body is read ahead of the consumer up to a limit and no further. On HTTP/2,
 * where a disconnect is detected independently of the body, the request is paused while any byte is buffered.
 */
export class ReadAhead {
  readonly #request: RequestBody;
  readonly #isHttp2: boolean;
  #held = 0;

  constructor({ head, body }: Pick<HttpExchange, "head" | "body">) {
    this.#request = body;
    this.#isHttp2 = head.httpVersionMajor > 1;
  }

  /** Bytes have arrived. */
  add(bytes: number): void {
    this.#held += bytes;
    heldByAll += bytes;
    if (this.#isEnough()) this.#request.pause();
  }

  /** The consumer has read bytes. */
  remove(bytes: number): void {
    this.#held -= bytes;
    heldByAll -= bytes;
    if (!this.#isEnough() && this.#request.isPaused()) this.#request.resume();
  }

  /** The consumer reads no more: the rest of the body is discarded. */
  discard(): void {
    heldByAll -= this.#held;
    this.#held = 0;
    this.#request.resume();
  }

  #isEnough(): boolean {
    const held = this.#held;
    if (this.#isHttp2) return held > 0;
    return held >= bodyBytes || (held >= smallBytes && heldByAll >= allBytes);
  }
}
