import { Readable } from "node:stream";
import type { RequestBody } from "../../http/exchange.ts";

/** The body of a request of the fast lane, for bodies that come in parts. */
export class FastBody extends Readable implements RequestBody {
  complete = false;
  readonly #readOn: () => void;
  /** Bytes that are still to come. */
  #missing: number;

  /** @param readOn is called when there is room again after `add` was false */
  constructor(length: number, readOn: () => void) {
    super();
    this.#missing = length;
    this.#readOn = readOn;
  }

  /** Bytes that are still to come. */
  get missing(): number {
    return this.#missing;
  }

  /** Adds bytes, no more than are missing; false while there is no room for more. */
  add(bytes: Buffer): boolean {
    this.#missing -= bytes.length;
    if (this.#missing === 0) this.complete = true;
    const hasRoom = this.push(bytes);
    if (this.complete) this.push(null);
    return hasRoom || this.complete;
  }

  /** The rest of the body is of no interest any more. */
  discard(): void {
    this.removeAllListeners("data");
    this.resume();
  }

  override _read(): void {
    this.#readOn();
  }
}
