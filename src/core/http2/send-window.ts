import { most31 } from "./frame.ts";

/**
 * What may be sent on a stream or connection (RFC 9113 6.9). It is negative after the peer has made its initial windows
 * smaller than what was already sent; credit pays that debt first.
 */
export class SendWindow {
  #bytes: number;

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /** What may be sent now, in bytes. */
  get bytes(): number {
    return this.#bytes > 0 ? this.#bytes : 0;
  }

  /** Bytes are sent. */
  take(bytes: number): void {
    this.#bytes -= bytes;
  }

  /**
   * The peer gives credit, or changes its initial window by `bytes`.
   *
   * @returns false if the window becomes larger than 2^31 - 1, which ends the stream or connection.
   */
  add(bytes: number): boolean {
    this.#bytes += bytes;
    return this.#bytes <= most31;
  }
}
