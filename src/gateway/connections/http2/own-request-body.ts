import { Readable } from "node:stream";
import type { ServerStream } from "../../../core/http2/server-stream.ts";
import type { RequestBody } from "../../http/exchange.ts";

/** The body of a request over our own HTTP/2, as Node streams it. */
export class OwnRequestBody extends Readable implements RequestBody {
  readonly #stream: ServerStream;
  #complete = false;
  /** Bytes that have come and are not used yet. */
  #received = 0;

  constructor(stream: ServerStream) {
    super();
    this.#stream = stream;
  }

  get complete(): boolean {
    return this.#complete;
  }

  /** No more bytes come. */
  arrived(): void {
    if (this.#complete) return;
    this.#complete = true;
    this.push(null);
  }

  /** Bytes have come. */
  receive(bytes: Buffer): void {
    if (this.destroyed) {
      this.#stream.use(bytes.length);
      return;
    }
    this.#received += bytes.length;
    this.push(bytes);
  }

  /** The reader has room: what is not waiting for it any more is used. */
  override _read(): void {
    const used = this.#received - this.readableLength;
    if (used <= 0) return;
    this.#received -= used;
    this.#stream.use(used);
  }
}
