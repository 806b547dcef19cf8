const prefixBytes = 5;

/**
 * Checks the length prefixes of a request's messages (flag, then length, then message) without changing the bytes.
 *
 * grpc-js treats a truncated message as the end of the stream and an unknown flag as "uncompressed"; this finds both
 * faults.
 */
export class FrameWatch {
  readonly #compressible: boolean;
  /** Bytes of the current prefix that have arrived. */
  #prefix = 0;
  /** Bytes of the current message that have not arrived. */
  #rest = 0;
  #length = 0;
  #fault: string | undefined;

  /** @param compressible Whether the request names an encoding for its messages. */
  constructor(compressible: boolean) {
    this.#compressible = compressible;
  }

  /** The first fault of the frames so far; undefined for none. */
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
