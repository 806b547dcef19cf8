import {
  aborted,
  invalidArgument,
  notFound,
  outOfRange,
  permissionDenied,
  unauthenticated,
  unimplemented,
} from "./call/codes.ts";
import { Backoff } from "./backoff.ts";
import { Deliveries, type Delivery } from "./deliveries.ts";
import type { HubError } from "./call/hub-error.ts";
import type { HubClientOptions } from "./hub-client-options.ts";
import type { HubMethod } from "./call/hub-method.ts";
import { isSameState, type HubState } from "./call/hub-state.ts";
import type { Links } from "./links.ts";
import type { HubReset } from "./call/hub-reset.ts";
import type { Link, LinkStream, MessageExtra, StreamEnd, StreamRequest } from "./links/link.ts";
import { isKnown } from "./position.ts";
import type { Tokens } from "./tokens.ts";

/** What a subscription tells; each may return a promise, and the next one waits for it. */
export interface SubscriptionListeners<T> {
  /** A message: each position once, in order. Without it the subscription is iterated. */
  readonly message?: (message: T, extra: MessageExtra) => unknown;
  /** Messages were lost before the next one: what is shown should be built anew. */
  readonly reset?: (reset: HubReset) => unknown;
  /** The state of the subscription is another one. */
  readonly state?: (state: HubState) => unknown;
}

/** A stream of messages that goes on over any number of connections. */
export interface Subscription<T> extends AsyncIterable<T> {
  readonly state: HubState;
  /** The position of the message that is being handled; undefined before the first, and without positions. */
  readonly position: string | undefined;
  /** No further messages for now: the server keeps the place. */
  pause(): void;
  resume(): void;
  /** Ends it: nothing more is delivered. */
  close(): void;
}

/** What a subscription is made of. */
export interface SubscriptionParts<T> {
  readonly method: Promise<HubMethod>;
  readonly request: unknown;
  readonly after: string | undefined;
  readonly listeners: SubscriptionListeners<T>;
  readonly links: Links;
  readonly tokens: Tokens;
  readonly options: HubClientOptions;
  /** It is over; called at the next turn at the earliest. */
  readonly ended: () => void;
}

/** Codes that another attempt would get again. */
const lasting: ReadonlySet<number> = new Set([
  invalidArgument,
  notFound,
  permissionDenied,
  outOfRange,
  unimplemented,
]);

/** A subscription, from its call until its last message has been handled. */
export class RunningSubscription<T> implements Subscription<T> {
  readonly #parts: SubscriptionParts<T>;
  readonly #deliveries = new Deliveries<T>(() => this.#flow());
  readonly #backoff: Backoff;
  #position: string | undefined;
  /** Of the last message that has arrived. */
  #received: string | undefined;
  #stream: LinkStream | undefined;
  /** The link of the stream. */
  #link: Link | undefined;
  #endStream: ((end: StreamEnd | undefined) => void) | undefined;
  #wake: (() => void) | undefined;
  #isPaused = false;
  #isOpen = false;
  #isClosed = false;
  /** Whether the last attempt was refused for its token. */
  #isRefused = false;
  #waiting: HubState | undefined;
  #state: HubState = { kind: "connecting" };

  constructor(parts: SubscriptionParts<T>) {
    this.#parts = parts;
    this.#backoff = new Backoff(parts.options.backoff);
    this.#position = parts.after;
    this.#received = parts.after;
    void this.#run();
    if (parts.listeners.message !== undefined) void this.#handle();
  }

  get state(): HubState {
    return this.#state;
  }

  get position(): string | undefined {
    return this.#position;
  }

  pause(): void {
    this.#isPaused = true;
    this.#flow();
  }

  resume(): void {
    this.#isPaused = false;
    this.#flow();
  }

  close(): void {
    this.#deliveries.drop();
    this.#finish(undefined);
  }

  /** The links are in another state, or there is a newer one: looks at them. */
  look(): void {
    const { current, state } = this.#parts.links;
    if (current !== undefined && this.#link !== undefined && current !== this.#link)
      this.#endStream?.(undefined);
    if (state.kind === "closed") this.#finish(state.error);
    this.#tell();
  }

  /** Ends a wait of its own. */
  wake(): void {
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    try {
      for (;;) {
        const delivery = await this.#deliveries.take();
        if (delivery === undefined) break;
        if (delivery.kind === "message") {
          this.#position = delivery.position ?? this.#position;
          yield delivery.value;
          delivery.confirm?.();
        } else await this.#give(delivery);
      }
    } finally {
      this.close();
    }
    if (this.#state.kind === "closed" && this.#state.error !== undefined) throw this.#state.error;
  }

  async #handle(): Promise<void> {
    for (;;) {
      const delivery = await this.#deliveries.take();
      if (delivery === undefined) return;
      await this.#give(delivery);
    }
  }

  /** Gives one to its listener; what that throws ends nothing. */
  async #give(delivery: Delivery<T>): Promise<void> {
    const { listeners, options } = this.#parts;
    this.#position = delivery.position ?? this.#position;
    try {
      if (delivery.kind === "message") await listeners.message?.(delivery.value, delivery.extra);
      else if (delivery.kind === "reset") await listeners.reset?.(delivery.reset);
    } catch (reason) {
      options.onError(reason);
    }
    if (delivery.kind === "message") delivery.confirm?.();
  }

  async #run(): Promise<void> {
    try {
      const method = await this.#parts.method;
      while (!this.#isClosed) await this.#attempt(method);
    } catch (reason) {
      this.#finish(reason as HubError); // Of the method, or since the client is closed.
    }
  }

  /** One stream, and the wait behind it. @throws HubError that ends the subscription */
  async #attempt(method: HubMethod): Promise<void> {
    const { links, tokens, request } = this.#parts;
    const link = await links.ready();
    let token: string | undefined;
    let end: StreamEnd | undefined;
    const beganMs = Date.now();
    try {
      token = await tokens.get();
      if (this.#isClosed) return;
      end = await this.#read(link, { method, request, after: this.#received, token });
    } catch (reason) {
      const error = reason as HubError; // Of `tokens` and `open`, which throw no other.
      end = { error, retryMs: undefined, lost: false };
    }
    const wasOpen = this.#isOpen;
    this.#isOpen = false;
    if (end === undefined || this.#isClosed) return;
    if (wasOpen && Date.now() - beganMs >= this.#parts.options.stableMs) this.#backoff.reset();
    await this.#after(end, link, token);
  }

  /** How the stream ends; undefined when another one should begin at once. */
  #read(link: Link, request: StreamRequest): Promise<StreamEnd | undefined> {
    const { links } = this.#parts;
    const { method } = request;
    return new Promise((resolve, reject) => {
      this.#endStream = (end) => {
        this.#endStream = undefined;
        if (end === undefined) this.#stream?.close();
        this.#stream = undefined;
        this.#link = undefined;
        resolve(end);
      };
      this.#link = link;
      try {
        this.#stream = link.open(request, {
          opened: () => {
            links.answered(link);
            this.#isOpen = true;
            this.#waiting = undefined;
            this.#tell();
          },
          moved: (position) => this.#take({ kind: "moved", position }),
          message: (value, at, extra, confirm) => {
            this.#isRefused = false;
            const reset = method.resetOf(value);
            if (reset !== undefined) this.#take({ kind: "reset", reset, position: reset.position });
            const position = at ?? method.positionOf(value);
            // The contract says what is in a message.
            this.#take({ kind: "message", value: value as T, position, extra, confirm });
          },
          reset: (reset, position) => this.#take({ kind: "reset", reset, position }),
          ended: (end) => this.#endStream?.(end),
        });
        this.#flow();
      } catch (reason) {
        reject(reason);
      }
    });
  }

  #take(delivery: Delivery<T>): void {
    const { position } = delivery;
    if (position !== undefined) {
      if (delivery.kind === "message" && isKnown(position, this.#received)) return;
      this.#received = position;
    } else if (delivery.kind === "reset") this.#received = undefined;
    this.#deliveries.push(delivery);
  }

  async #after({ error, retryMs, lost }: StreamEnd, link: Link, token: string | undefined): Promise<void> {
    const { links, tokens } = this.#parts;
    if (error === undefined) return this.#finish(undefined);
    if (lost) return links.lost(link, error);
    if (error.code === unauthenticated) {
      if (this.#isRefused) throw error;
      this.#isRefused = true;
      await tokens.renew(token).catch(() => {}); // It has told; the next attempt asks again.
      return links.replace(link);
    }
    if (lasting.has(error.code) || error.reason === "REPLACED") throw error;
    // The server has said behind which position the next stream begins.
    if (error.code === aborted && error.reason === "RESET") return;
    const pauseMs = this.#backoff.next(retryMs);
    this.#waiting = { kind: "waiting", untilMs: Date.now() + pauseMs, error };
    this.#tell();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, pauseMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#waiting = undefined;
  }

  #flow(): void {
    if (this.#isPaused || this.#deliveries.isFull) this.#stream?.pause();
    else this.#stream?.resume();
  }

  #finish(error: HubError | undefined): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#deliveries.end();
    this.#endStream?.(undefined);
    this.#wake?.();
    this.#set({ kind: "closed", error });
    this.#parts.ended();
  }

  #tell(): void {
    if (this.#isClosed) return;
    const { state } = this.#parts.links;
    if (this.#waiting !== undefined) this.#set(this.#waiting);
    else if (this.#isOpen || state.kind !== "open") this.#set(state);
    else this.#set({ kind: "connecting" });
  }

  #set(state: HubState): void {
    if (isSameState(state, this.#state)) return;
    this.#state = state;
    try {
      this.#parts.listeners.state?.(state);
    } catch (reason) {
      this.#parts.options.onError(reason);
    }
  }
}
