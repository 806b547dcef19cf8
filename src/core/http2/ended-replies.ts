import { errorCode } from "./http2-error.ts";
import type { ServerStream } from "./server-stream.ts";

/**
 * Streams whose reply was sent, or that were reset. Their listeners are notified in the check phase, and a request that
 * goes on is read for a while, so that an early reply reaches a client that is still sending.
 */
export class EndedReplies {
  readonly #lingerMs: number;
  readonly #close: (stream: ServerStream) => void;
  #ended: ServerStream[] = [];
  #lingering: Map<ServerStream, NodeJS.Timeout> | undefined;

  /**
   * @param lingerMs How long a request that goes on is read, in milliseconds.
   * @param close Closes a stream that is over.
   */
  constructor(lingerMs: number, close: (stream: ServerStream) => void) {
    this.#lingerMs = lingerMs;
    this.#close = close;
  }

  /** A reply is complete, or its stream was reset. */
  readonly add = (stream: ServerStream): void => {
    this.#ended.push(stream);
  };

  /** Whether only the rest of its request keeps a stream open. */
  lingers(stream: ServerStream): boolean {
    return this.#lingering?.has(stream) === true;
  }

  /** A stream is closed. */
  forget(stream: ServerStream): void {
    if (this.#lingering === undefined) return;
    clearTimeout(this.#lingering.get(stream));
    this.#lingering.delete(stream);
  }

  /** Notifies the listeners. */
  report(): void {
    if (this.#ended.length === 0) return;
    // Reports may make further streams end.
    for (let i = 0; i < this.#ended.length; i++) {
      const stream = this.#ended[i];
      if (stream !== undefined) this.#onEnded(stream);
    }
    this.#ended = [];
  }

  #onEnded(stream: ServerStream): void {
    if (!stream.closed) stream.finish();
    if (stream.closed || stream.requestEnded) {
      this.#close(stream);
      return;
    }
    const timer = setTimeout(() => stream.reset(errorCode.noError), this.#lingerMs);
    (this.#lingering ??= new Map<ServerStream, NodeJS.Timeout>()).set(stream, timer);
  }
}
