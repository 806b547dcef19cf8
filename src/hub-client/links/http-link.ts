import type { HubMethod } from "../call/hub-method.ts";
import { callByHttp } from "./http.ts";
import type { Link, LinkStream, StreamListener, StreamRequest } from "./link.ts";

/** A stream that is requests of HTTP. */
export interface HttpStream extends LinkStream {
  /** Makes the requests; resolves when its listener has heard of the end, or it was closed. */
  run(): Promise<void>;
  /** Ends it as if the connection was lost. */
  lose(why: string): void;
  /** Ends it so, if the server has been silent for too long. */
  check(): void;
}

/** A link without a connection of its own: each stream and each call is requests of HTTP. */
export class HttpLink implements Link {
  readonly name: "sse" | "poll";
  readonly #base: string;
  readonly #streamOf: (request: StreamRequest, listener: StreamListener) => HttpStream;
  readonly #streams = new Set<HttpStream>();

  /** @param base the URL of the server, without a slash at its end */
  constructor(
    name: "sse" | "poll",
    base: string,
    streamOf: (request: StreamRequest, listener: StreamListener) => HttpStream,
  ) {
    this.name = name;
    this.#base = base;
    this.#streamOf = streamOf;
  }

  open(request: StreamRequest, listener: StreamListener): LinkStream {
    const stream = this.#streamOf(request, listener);
    this.#streams.add(stream);
    void stream.run().finally(() => this.#streams.delete(stream));
    return stream;
  }

  call(method: HubMethod, request: unknown, token: string | undefined): Promise<unknown> {
    return callByHttp(this.#base, { method, request, token, headers: {}, signal: null });
  }

  authorize(): void {
    // Requests under way keep the token that they began with.
  }

  check(): void {
    for (const stream of this.#streams) stream.check();
  }

  close(): void {
    for (const stream of this.#streams) stream.lose("the page is left");
  }
}
