/** Early pings that are tolerated before the connection is closed, as in all gRPC servers. */
const mostStrikes = 2;

/** Counts pings of a client that come too early (gRFC A8). */
export class PingStrikes {
  readonly #minIntervalMs: number;
  #last = -Infinity;
  #strikes = 0;

  /** @param minIntervalMs Shortest time between two pings while the server sends nothing, in milliseconds. */
  constructor(minIntervalMs: number) {
    this.#minIntervalMs = minIntervalMs;
  }

  /** The server sends data or headers: earlier pings no longer count. */
  forget(): void {
    this.#strikes = 0;
    this.#last = -Infinity;
  }

  /** A ping has come. @returns whether it is one too many */
  isOut(): boolean {
    const now = performance.now();
    const early = now - this.#last < this.#minIntervalMs;
    this.#last = now;
    return early && ++this.#strikes > mostStrikes;
  }
}
