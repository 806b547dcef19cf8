import { internal, unavailable, unknown } from "../call/codes.ts";
import { errorOfStatus, HubError, isObject } from "../call/hub-error.ts";
import { SseParser, type SseBlock } from "./sse-parser.ts";
import { Gate } from "./gate.ts";
import { HttpLink, type HttpStream } from "./http-link.ts";
import { endOf, lostEnd, post, type HttpPlace } from "./http.ts";
import { toReset } from "../call/hub-reset.ts";
import { silentMs, type StreamEnd, type StreamListener, type StreamRequest } from "./link.ts";

/**
 * Server-sent events by `fetch`, which has what `EventSource` lacks: headers, a body, and the status of an answer.
 *
 * @param timeoutMs until the first bytes of a stream: a proxy may hold them back
 */
export function eventsLink(base: string, timeoutMs: number): HttpLink {
  return new HttpLink(
    "sse",
    base,
    (request, listener) => new EventStream({ base, timeoutMs }, request, listener),
  );
}

class EventStream implements HttpStream {
  readonly #place: HttpPlace;
  readonly #request: StreamRequest;
  readonly #listener: StreamListener;
  readonly #abort = new AbortController();
  readonly #gate = new Gate();
  #isClosed = false;
  #lastMs = Date.now();
  #retryMs: number | undefined;

  constructor(place: HttpPlace, request: StreamRequest, listener: StreamListener) {
    this.#place = place;
    this.#request = request;
    this.#listener = listener;
  }

  async run(): Promise<void> {
    const { base, timeoutMs } = this.#place;
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
