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

/** Limits the streams of one connection that are served at the same time; the others wait, first come, first served. */
export class StreamTurns {
  readonly #limit: number;
  #served = 0;
  readonly #waiting = new Map<ServerHttp2Stream, () => void>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Whether `stream` may be served now; if so, it counts as served until it closes. */
  admit(stream: ServerHttp2Stream): boolean {
    if (this.#served >= this.#limit) return false;
    this.#served++;
    stream.on("close", this.#release);
    return true;
  }

  /** Calls `serve` when `stream` may be served, unless it closes before. */
  wait(stream: ServerHttp2Stream, serve: () => void): void {
    this.#waiting.set(stream, serve);
    stream.on("error", () => {}); // The client may reset it or disconnect.
    stream.once("close", () => this.#waiting.delete(stream));
  }

  readonly #release = (): void => {
    this.#served--;
    for (const [stream, serve] of this.#waiting) {
      this.#waiting.delete(stream);
      if (stream.destroyed || stream.closed) continue;
      this.admit(stream);
      serve();
      return;
    }
  };
}
