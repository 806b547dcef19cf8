import type { ServerHttp2Stream } from "node:http2";

/** Node's own bound, that of the field in SETTINGS. */
const mostStreams = 2 ** 32 - 1;

/**
 * How many streams a connection announces that serves `limit` at a time.
 *
 * Node refuses streams beyond the announced number with ENHANCE_YOUR_CALM, which clients do not retry, and from Node 26
 * on it still counts those that its client has reset in the same read. So a client with as many calls as announced
 * would lose some for each that it cancels; one with up to `limit` has room for as many that it cancels.
 */
export function announcedStreams(limit: number): number {
  return Math.min(limit * 2, mostStreams);
}

/** Serves so many streams of one connection at a time; those beyond wait for their turn, in the order they came. */
export class StreamTurns {
  readonly #limit: number;
  #served = 0;
  readonly #waiting = new Map<ServerHttp2Stream, () => void>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Whether `stream` may be served now; it keeps its place until it closes. */
  take(stream: ServerHttp2Stream): boolean {
    if (this.#served >= this.#limit) return false;
    this.#served++;
    stream.on("close", this.#leave);
    return true;
  }

  /** Calls `serve` when there is a place for `stream`, unless it closes before. */
  wait(stream: ServerHttp2Stream, serve: () => void): void {
    this.#waiting.set(stream, serve);
    stream.on("error", () => {}); // Its client may leave in any way.
    stream.once("close", () => this.#waiting.delete(stream));
  }

  readonly #leave = (): void => {
    this.#served--;
    for (const [stream, serve] of this.#waiting) {
      this.#waiting.delete(stream);
      if (stream.destroyed || stream.closed) continue;
      this.take(stream);
      serve();
      return;
    }
  };
}
