import { compressedFlag, flagsAt, lengthAt, prefixBytes } from "../wire/message-prefix.ts";

/**
 * Checks the length prefixes of a request's messages (flag, then length, then message) without changing the bytes.
 *
 * grpc-js treats a truncated message as the end of the stream and an unknown flag as "uncompressed"; this finds both
 * faults.
 */
export class FrameWatch {
  readonly #compressible: boolean;
  /** The received bytes of a prefix that arrives in more than one chunk. */
  #prefix: Buffer | undefined;
  #have = 0;
  /** Bytes of the current message that have not arrived yet. */
  #rest = 0;
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
    return this.#have > 0 || this.#rest > 0;
  }

  /** Checks the next bytes of the request. */
  readonly check = (chunk: Buffer): void => {
    let at = 0;
    while (at < chunk.length) {
      if (this.#rest > 0) {
        const count = Math.min(this.#rest, chunk.length - at);
        this.#rest -= count;
        at += count;
      } else if (this.#have === 0 && chunk.length - at >= prefixBytes) {
        this.#checkFlags(flagsAt(chunk, at));
        this.#rest = lengthAt(chunk, at);
        at += prefixBytes;
      } else {
        this.#addPrefixByte(chunk[at++] ?? 0);
      }
    }
  };

  #addPrefixByte(byte: number): void {
    const prefix = (this.#prefix ??= Buffer.allocUnsafe(prefixBytes));
    if (this.#have === 0) this.#checkFlags(byte);
    prefix[this.#have++] = byte;
    if (this.#have < prefixBytes) return;
    this.#have = 0;
    this.#rest = lengthAt(prefix, 0);
  }

  #checkFlags(flags: number): void {
    if (flags > compressedFlag) {
      this.#fault ??= `unknown flags 0x${flags.toString(16)} on a message`;
    } else if (flags === compressedFlag && !this.#compressible) {
      this.#fault ??= "a compressed message without grpc-encoding";
    }
  }
}
