import { internal, unavailable, unknown } from "../call/codes.ts";
import { errorOfStatus, HubError, isObject } from "../call/hub-error.ts";
import type { HubMethod } from "../call/hub-method.ts";
import { SseParser, type SseBlock } from "./sse-parser.ts";
import { Gate } from "./gate.ts";
import { callByHttp, endOf, lostEnd, post } from "./http.ts";
import { toReset } from "../call/hub-reset.ts";
import {
  silentMs,
  type Link,
  type LinkStream,
  type StreamEnd,
  type StreamListener,
  type StreamRequest,
} from "./link.ts";

/** Server-sent events by `fetch`, which has what `EventSource` lacks: headers, a body, and the status of an answer. */
export class EventsLink implements Link {
  readonly name = "sse";
  readonly #base: string;
  readonly #timeoutMs: number;
  readonly #streams = new Set<EventStream>();

  /** @param timeoutMs until the first bytes of a stream: a proxy may hold them back */
  constructor(base: string, timeoutMs: number) {
    this.#base = base;
    this.#timeoutMs = timeoutMs;
  }

  open(request: StreamRequest, listener: StreamListener): LinkStream {
    const stream = new EventStream(request, {
      ...listener,
      ended: (end) => {
        this.#streams.delete(stream);
        listener.ended(end);
      },
    });
    this.#streams.add(stream);
    void stream.run(this.#base, this.#timeoutMs);
    return stream;
  }

  call(method: HubMethod, request: unknown, token: string | undefined): Promise<unknown> {
    return callByHttp(this.#base, { method, request, token, headers: {}, signal: null });
  }

  authorize(): void {
    // Streams under way keep the token that they began with.
  }

  check(): void {
    for (const stream of this.#streams) stream.check();
  }

  close(): void {
    for (const stream of this.#streams) stream.lose("the page is left");
  }
}

class EventStream implements LinkStream {
  readonly #request: StreamRequest;
  readonly #listener: StreamListener;
  readonly #abort = new AbortController();
  readonly #gate = new Gate();
  #isClosed = false;
  #lastMs = Date.now();
  #retryMs: number | undefined;

  constructor(request: StreamRequest, listener: StreamListener) {
    this.#request = request;
    this.#listener = listener;
  }

  async run(base: string, timeoutMs: number): Promise<void> {
    const timer = setTimeout(() => this.lose("no first byte has come"), timeoutMs);
    let end: StreamEnd;
    try {
      end = await this.#read(base, timer);
    } catch (reason) {
      end = { ...lostEnd(reason), retryMs: this.#retryMs };
    }
    clearTimeout(timer);
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#abort.abort();
    this.#listener.ended(end);
  }

  pause(): void {
    this.#gate.pause();
  }

  resume(): void {
    this.#lastMs = Date.now(); // Nothing was read meanwhile.
    this.#gate.resume();
  }

  close(): void {
    this.#isClosed = true;
    this.#gate.resume();
    this.#abort.abort();
  }

  /** Ends it as if the connection was lost. */
  lose(why: string): void {
    this.#gate.resume();
    this.#abort.abort(new HubError(unavailable, why));
  }

  check(): void {
    if (this.#gate.opened === undefined && Date.now() - this.#lastMs > silentMs)
      this.lose("the server is silent");
  }

  async #read(base: string, timer: ReturnType<typeof setTimeout>): Promise<StreamEnd> {
    const { method, request, after, token } = this.#request;
    const headers = {
      accept: "text/event-stream",
      ...(after !== undefined && { "last-event-id": after }),
    };
    const response = await post(base, { method, request, token, headers, signal: this.#abort.signal });
    if (response.headers.get("content-type")?.startsWith("text/event-stream") !== true || !response.body) {
      clearTimeout(timer);
      this.#listener.opened();
      return response.ok ? notEvents : endOf(response);
    }
    const parser = new SseParser();
    let isOpen = false;
    const body: ReadableStream<Uint8Array> = response.body;
    const reader = body.getReader(); // Not every browser iterates bodies.
    for (;;) {
      const { done, value } = await reader.read();
      if (done) throw new HubError(unavailable, "the stream was cut");
      if (!isOpen) {
        clearTimeout(timer);
        isOpen = true;
        this.#listener.opened();
      }
      this.#lastMs = Date.now();
      for (const block of parser.push(value)) {
        const end = this.#take(block);
        if (end !== undefined) return end;
        await this.#gate.opened;
        if (this.#isClosed) return ok;
      }
    }
  }

  /** Gives a block to the listener; the end, if it is that. */
  #take({ data, event, id, retry }: SseBlock): StreamEnd | undefined {
    if (retry !== undefined) this.#retryMs = retry;
    if (data === undefined) {
      if (id !== undefined) this.#listener.moved(id);
      return undefined;
    }
    const json: unknown = JSON.parse(data);
    if (event === "end") return ok;
    if (event === "error") {
      const error = errorOfStatus(json) ?? new HubError(unknown, "the stream has failed");
      return { error, retryMs: this.#retryMs ?? error.retryMs, lost: false };
    }
    if (event === "reset") this.#listener.reset(toReset(isObject(json) ? json : {}), id);
    else {
      const extra = { event: event === "message" ? undefined : event, headers: {} };
      this.#listener.message(this.#request.method.decode(json), id, extra);
    }
    return undefined;
  }
}

const ok: StreamEnd = { error: undefined, retryMs: undefined, lost: false };

const notEvents: StreamEnd = {
  error: new HubError(internal, "the answer is no event stream"),
  retryMs: undefined,
  lost: false,
};
