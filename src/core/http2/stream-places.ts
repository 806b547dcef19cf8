import type { IncomingRequest } from "./incoming-request.ts";
import type { ServerStream } from "./server-stream.ts";

/**
 * The places of a connection for streams that are served at the same time. As many streams again wait for a place, first
 * come, first served.
 *
 * A stream has its place until it is closed **and** its handler has settled: a client that resets its streams cannot make
 * more handlers run than there are places.
 */
export class StreamPlaces {
  readonly #limit: number;
  readonly #serve: (stream: ServerStream, request: IncomingRequest) => void;
  #waiting: Map<ServerStream, IncomingRequest> | undefined;
  #taken = 0;
  /** Places of streams that are closed while their handlers still run. */
  #kept = 0;
  #over = false;

  /** @param serve Called with each stream that gets a place. */
  constructor(limit: number, serve: (stream: ServerStream, request: IncomingRequest) => void) {
    this.#limit = limit;
    this.#serve = serve;
  }

  /** Whether a further stream is to be refused beside so many open ones. */
  isFull(open: number): boolean {
    return open + this.#kept >= 2 * this.#limit;
  }

  /** Serves a stream as soon as there is a place. */
  add(stream: ServerStream, request: IncomingRequest): void {
    if (this.#taken < this.#limit) this.#give(stream, request);
    else (this.#waiting ??= new Map<ServerStream, IncomingRequest>()).set(stream, request);
  }

  /** A stream was closed. */
  closed(stream: ServerStream): void {
    if (!stream.served) this.#waiting?.delete(stream);
    else if (stream.handling) this.#kept++;
    else this.#free();
  }

  /** The handler of a stream that was closed before has settled. */
  settled(): void {
    this.#kept--;
    this.#free();
  }

  /** Serves no stream any more. */
  close(): void {
    this.#over = true;
    this.#waiting = undefined;
  }

  #give(stream: ServerStream, request: IncomingRequest): void {
    this.#taken++;
    stream.served = true;
    this.#serve(stream, request);
  }

  #free(): void {
    this.#taken--;
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    for (const [stream, request] of waiting) {
      if (this.#over || this.#taken >= this.#limit) return;
      waiting.delete(stream);
      this.#give(stream, request);
    }
  }
}
