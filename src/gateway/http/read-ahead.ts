import type { HttpExchange, RequestBody } from "./exchange.ts";

/**
 * The most bytes of one body that are held for a reader who takes his time. A client that closes its connection is
 * noticed when everything before that has been read; systems hold less than this for a sender.
 */
const bodyBytes = 4 * 1024 * 1024;

/** The most that all of them hold together; beyond it a body has to make do with `smallBytes`. */
const allBytes = 64 * 1024 * 1024;
const smallBytes = 65_536;

let heldByAll = 0;

/**
 * Lets a request's body be read somewhat ahead of whoever takes it, and no further: it pauses and resumes the request.
 * On HTTP/2, where a client that leaves says so beside its body, not more than it has in hand.
 */
export class ReadAhead {
  readonly #request: RequestBody;
  readonly #isHttp2: boolean;
  #held = 0;

  constructor({ head, body }: Pick<HttpExchange, "head" | "body">) {
    this.#request = body;
    this.#isHttp2 = head.httpVersionMajor > 1;
  }

  /** So many bytes have come. */
  add(bytes: number): void {
    this.#held += bytes;
    heldByAll += bytes;
    if (this.#isEnough()) this.#request.pause();
  }

  /** So many bytes are taken. */
  take(bytes: number): void {
    this.#held -= bytes;
    heldByAll -= bytes;
    if (!this.#isEnough() && this.#request.isPaused()) this.#request.resume();
  }

  /** What is left is of no interest any more. */
  drop(): void {
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
