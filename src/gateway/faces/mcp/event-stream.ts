import type { HttpExchange, ResponseHeaders } from "../../http/exchange.ts";
import { StreamWriter } from "../../http/stream-writer.ts";

const headers: ResponseHeaders = {
  "content-type": "text/event-stream",
  "cache-control": "no-store",
  "x-accel-buffering": "no",
};

/** An answer in events (SSE), a message of JSON-RPC each. The head leaves with the first one. */
export class EventStream {
  readonly #writer: StreamWriter;

  constructor(exchange: HttpExchange, writeIdleMs: number) {
    this.#writer = new StreamWriter(exchange.respondInParts(200, { ...headers }), { writeIdleMs });
  }

  /** Sends a message. Returns a promise where the client has to read before the next one; it rejects when that has left. */
  send(text: string): Promise<void> | undefined {
    return this.#writer.write(`event: message\ndata: ${text}\n\n`);
  }

  /** Sends a sign of life, unless the client has something to read. */
  beat(): void {
    if (!this.#writer.busy) void this.#writer.write(":\n\n")?.catch(nothing);
  }

  /** Whether the client has to read something. */
  get busy(): boolean {
    return this.#writer.busy;
  }

  /** Sends the last message. Never rejects. */
  end(text: string): Promise<void> {
    return this.#writer.end(`event: message\ndata: ${text}\n\n`);
  }
}

function nothing(): void {}
