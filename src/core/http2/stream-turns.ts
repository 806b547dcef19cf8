import type { ServerHttp2Stream } from "node:http2";

/** The largest value of the field in SETTINGS, which is Node's limit. */
const mostStreams = 2 ** 32 - 1;

/**
 * The SETTINGS_MAX_CONCURRENT_STREAMS of a connection that serves `limit` streams at the same time: twice as many.
 *
 * Node refuses streams beyond the announced number with ENHANCE_YOUR_CALM, which clients do not retry, and from Node 26
 * on it still counts streams that the client has reset in the same read. With the exact number, a client that cancels
 * calls and makes new ones would have new ones refused.
 */
export function announcedStreams(limit: number): number {
  return Math.min(limit * 2, mostStreams);
}

/**
 * Limits the streams of one connection that are served at the same time; the others wait, first come, first served. A
 * stream is served until it is closed and its handler has settled.
 */
export class StreamTurns {
  readonly #limit: number;
  #served = 0;
  readonly #waiting = new Map<ServerHttp2Stream, () => void>();
  /** Streams whose handlers run; those that are closed keep their turn. */
  readonly #handling = new Map<ServerHttp2Stream, "open" | "closed">();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Whether no stream is served. */
  get isEmpty(): boolean {
    return this.#served === 0;
  }

  /** Whether `stream` may be served now; if so, it counts as served from now on. */
  admit(stream: ServerHttp2Stream): boolean {
    if (this.#served >= this.#limit) return false;
    this.#served++;
    stream.on("close", () => this.#close(stream));
    return true;
  }

  /** Calls `serve` when `stream` may be served, unless it closes before. */
  wait(stream: ServerHttp2Stream, serve: () => void): void {
    this.#waiting.set(stream, serve);
    stream.on("error", () => {}); // The client may reset it or disconnect.
    stream.once("close", () => this.#waiting.delete(stream));
  }

  /** A handler begins to run for `stream`: it counts as served until `settled`, even if it closes before. */
  keep(stream: ServerHttp2Stream): void {
    this.#handling.set(stream, "open");
  }

  /** The handler of `stream` has settled. */
  settled(stream: ServerHttp2Stream): void {
    const state = this.#handling.get(stream);
    this.#handling.delete(stream);
    if (state === "closed") this.#serveNext();
  }

  readonly #close = (stream: ServerHttp2Stream): void => {
    if (this.#handling.has(stream)) this.#handling.set(stream, "closed");
    else this.#serveNext();
  };

  #serveNext(): void {
    this.#served--;
    for (const [stream, serve] of this.#waiting) {
      this.#waiting.delete(stream);
      if (stream.destroyed || stream.closed) continue;
      this.admit(stream);
      serve();
      return;
    }
  }
}
