/** What a peer may send on a stream or connection (RFC 9113 6.9). */
export class ReceiveWindow {
  readonly #size: number;
  #left: number;
  /** Bytes that were received and used, and for which the peer has no credit yet. */
  #owed = 0;

  /** @param size The window as it was announced, in bytes. */
  constructor(size: number) {
    this.#size = size;
    this.#left = size;
  }

  /** Bytes have come. @returns false if the peer may not send them */
  receive(bytes: number): boolean {
    this.#left -= bytes;
    return this.#left >= 0;
  }

  /** Received bytes are used. @returns the credit to give now: all that is owed when half of the window is, or 0 */
  use(bytes: number): number {
    this.#owed += bytes;
    if (this.#owed * 2 < this.#size) return 0;
    const credit = this.#owed;
    this.#owed = 0;
    this.#left += credit;
    return credit;
  }
}
