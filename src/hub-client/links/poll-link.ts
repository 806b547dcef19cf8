import { unavailable } from "../call/codes.ts";
import { HubError } from "../call/hub-error.ts";
import { Gate } from "./gate.ts";
import { HttpLink, type HttpStream } from "./http-link.ts";
import { endOf, lostEnd, post, type HttpPlace } from "./http.ts";
import { noExtra, type StreamEnd, type StreamListener, type StreamRequest } from "./link.ts";

/** How long the server may hold a poll, in seconds. */
const waitSeconds = 25;

/**
 * Long polling, where nothing else gets through.
 *
 * @param timeoutMs until an answer, beyond the time that the server may hold a poll
 */
export function pollLink(base: string, timeoutMs: number): HttpLink {
  return new HttpLink(
    "poll",
    base,
    (request, listener) => new PollStream({ base, timeoutMs }, request, listener),
  );
}

class PollStream implements HttpStream {
  readonly #place: HttpPlace;
  readonly #request: StreamRequest;
  readonly #listener: StreamListener;
  readonly #gate = new Gate();
  readonly #abort = new AbortController();
  #isClosed = false;

  constructor(place: HttpPlace, request: StreamRequest, listener: StreamListener) {
    this.#place = place;
    this.#request = request;
    this.#listener = listener;
  }

  async run(): Promise<void> {
    const { base, timeoutMs } = this.#place;
    let end: StreamEnd | undefined;
    let after = this.#request.after;
    let seconds = 1; // The first one says where the stream begins, which a client should not wait long for.
    try {
      while (end === undefined) {
        const timer = setTimeout(() => this.lose("no answer has come"), waitSeconds * 1000 + timeoutMs);
        try {
          const response = await this.#poll(base, after, seconds);
          end = await this.#take(response, after);
          after = response.headers.get("x-resume-token") ?? undefined;
          seconds = waitSeconds;
        } finally {
          clearTimeout(timer);
        }
        await this.#gate.opened;
        if (this.#isClosed) return;
      }
    } catch (reason) {
      end = lostEnd(reason);
    }
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#listener.ended(end);
  }

  pause(): void {
    this.#gate.pause();
  }

  resume(): void {
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
    // Each poll has its time.
  }

  #poll(base: string, after: string | undefined, seconds: number): Promise<Response> {
    const { method, request, token } = this.#request;
    const headers = {
      prefer: `wait=${seconds}`,
      ...(after !== undefined && { "x-resume-token": after }),
    };
    return post(base, { method, request, token, headers, signal: this.#abort.signal });
  }

  /** Gives the messages of an answer to the listener; the end, if it is the last one. */
  async #take(response: Response, after: string | undefined): Promise<StreamEnd | undefined> {
    const { status, headers } = response;
    if (status === 410 && after !== undefined) {
      await response.text();
      this.#listener.opened();
      this.#listener.reset({ reason: "UNKNOWN", room: undefined, missed: undefined }, undefined);
      return undefined;
    }
    if (!response.ok) {
      this.#listener.opened();
      return endOf(response);
    }
    const text = await response.text();
    const messages = status === 204 ? [] : (JSON.parse(text) as unknown[]); // An array, by the answer's protocol.
    if (this.#isClosed) return undefined;
    this.#listener.opened();
    const token = headers.get("x-resume-token") ?? undefined;
    if (headers.get("ts-ms-resume") === "reset") {
      this.#listener.reset({ reason: "UNKNOWN", room: undefined, missed: undefined }, undefined);
    }
    for (const [index, json] of messages.entries()) {
      const isLast = index === messages.length - 1;
      this.#listener.message(this.#request.method.decode(json), isLast ? token : undefined, noExtra);
    }
    if (token === undefined) return { error: undefined, retryMs: undefined, lost: false };
    if (messages.length === 0 && token !== after) this.#listener.moved(token);
    return undefined;
  }
}
