import type { KeptRequests } from "../../http2/stream-source.ts";

/** Requests kept for a second stream, in bytes; a call that has sent more is not made again. */
const mostBytes = 64 * 1024;

/** The requests of one call, as long as they are few. */
export class FewRequests implements KeptRequests {
  isWhole = true;
  messages: Uint8Array[] = [];
  #bytes = 0;

  keep(message: Uint8Array): void {
    if (!this.isWhole) return;
    this.#bytes += message.length;
    if (this.#bytes <= mostBytes) this.messages.push(message);
    else this.release();
  }

  release(): void {
    this.isWhole = false;
    this.messages = [];
  }
}
