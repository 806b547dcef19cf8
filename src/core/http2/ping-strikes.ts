/** Early pings that are tolerated before the connection is closed, as in all gRPC servers. */
const mostStrikes = 2;

/**
 * The shortest time between two pings of a client without calls that may not send any, in milliseconds: two hours, as TCP
 * has it.
 */
export const idlePingIntervalMs = 7_200_000;

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

  /**
   * A ping has come.
   *
   * @param isIdle whether it is of a client without calls that may not send pings. Default: false
   * @returns whether it is one too many
   */
  isOut(isIdle = false): boolean {
    const now = performance.now();
    const early = now - this.#last < (isIdle ? idlePingIntervalMs : this.#minIntervalMs);
    this.#last = now;
    return early && ++this.#strikes > mostStrikes;
  }
}
