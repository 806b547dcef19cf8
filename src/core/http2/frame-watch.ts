import { compressedFlag, lengthAt, prefixBytes } from "../wire/message-prefix.ts";

/**
 * Follows the length prefixes of a request's messages (flag, then length, then message) without touching them.
 *
 * grpc-js takes a message that breaks off for the end of the stream and a flag it does not know for "uncompressed";
 * the watch tells what it passes over.
 */
export class FrameWatch {
  readonly #compressible: boolean;
  readonly #prefix = Buffer.allocUnsafe(prefixBytes);
  /** Bytes of the present prefix that have come. */
  #have = 0;
  /** Bytes of the present message that are still to come. */
  #rest = 0;
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
    return this.#have > 0 || this.#rest > 0;
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
    if (this.#have === 0) {
      if (byte > compressedFlag) this.#fault ??= `unknown flags 0x${byte.toString(16)} on a message`;
      else if (byte === compressedFlag && !this.#compressible)
        this.#fault ??= "a compressed message without grpc-encoding";
    }
    this.#prefix[this.#have++] = byte;
    if (this.#have === prefixBytes) {
      this.#have = 0;
      this.#rest = lengthAt(this.#prefix, 0);
    }
  }
}
