const prefixBytes = 5;

/**
 * Follows the length prefixes of a request's messages (flag, then length, then message) without touching them.
 *
 * grpc-js takes a message that breaks off for the end of the stream and a flag it does not know for "uncompressed";
 * the watch tells what it passes over.
 */
export class FrameWatch {
  readonly #compressible: boolean;
  /** Bytes of the present prefix that have come. */
  #prefix = 0;
  /** Bytes of the present message that are still to come. */
  #rest = 0;
  #length = 0;
  #fault: string | undefined;

  /** @param compressible Whether the request names an encoding for its messages. */
  constructor(compressible: boolean) {
    this.#compressible = compressible;
  }

  /** What is wrong with the frames so far; undefined if nothing. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** Whether the bytes so far end inside a message or its prefix. */
  get partial(): boolean {
    return this.#prefix > 0 || this.#rest > 0;
  }

  readonly see = (chunk: Buffer): void => {
    let at = 0;
    while (at < chunk.length) {
      if (this.#rest > 0) {
        const taken = Math.min(this.#rest, chunk.length - at);
        this.#rest -= taken;
        at += taken;
      } else {
        this.#seePrefix(chunk[at++] ?? 0);
      }
    }
  };

  #seePrefix(byte: number): void {
    if (this.#prefix === 0) {
      this.#length = 0;
      if (byte > 1) this.#fault ??= `unknown flags 0x${byte.toString(16)} on a message`;
      else if (byte === 1 && !this.#compressible)
        this.#fault ??= "a compressed message without grpc-encoding";
    } else {
      this.#length = this.#length * 256 + byte;
    }
    if (++this.#prefix === prefixBytes) {
      this.#prefix = 0;
      this.#rest = this.#length;
    }
  }
}
