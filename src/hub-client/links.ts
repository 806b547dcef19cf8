import { cancelled } from "./call/codes.ts";
import { Backoff } from "./backoff.ts";
import { HubError } from "./call/hub-error.ts";
import type { HubClientOptions } from "./hub-client-options.ts";
import { isSameState, type HubState, type LinkName } from "./call/hub-state.ts";
import { eventsLink } from "./links/events-link.ts";
import type { Link } from "./links/link.ts";
import { pollLink } from "./links/poll-link.ts";
import type { Transport } from "@connectrpc/connect";
import { openSocket, type SocketListener } from "./links/socket-link.ts";
import { isOffline } from "./page-life.ts";
import type { Tokens } from "./tokens.ts";

/** Failed openings of one kind of link after which the next one is tried. */
const openingsOfKind = 2;

/** How long a kind of link that has worked is used before better ones are tried again, in milliseconds. */
const keepMs = 600_000;

/** What was found to work, in this tab: by the server, the kind and until when. */
const kept = new Map<string, { readonly at: number; readonly untilMs: number }>();

/**
 * The way to a server: opens links, one kind after the other until one works, and again when they are lost.
 *
 * ```
 *  connecting ──▶ open ──▶ moving ──▶ open
 *     ▲  │          │ lost
 *     │  ▼ failed   ▼
 *     waiting ◀─────┘
 * ```
 */
export class Links {
  /** A URL without a slash at its end; empty where calls go by a transport. */
  readonly #base: string;
  readonly #transport: Transport | undefined;
  readonly #options: HubClientOptions;
  readonly #tokens: Tokens;
  readonly #changed: () => void;
  readonly #backoff: Backoff;
  #at = 0;
  #failures = 0;
  #link: Link | undefined;
  #opening: Promise<Link> | undefined;
  #openedMs: number | undefined;
  /** Whether something has arrived on the link. */
  #works = false;
  #waitUntilMs = 0;
  #wake: (() => void) | undefined;
  #isHidden = false;
  #state: HubState = { kind: "connecting" };

  /** @param changed called when the state is another one, and when subscriptions should look at `current` again */
  constructor(target: string | Transport, options: HubClientOptions, tokens: Tokens, changed: () => void) {
    this.#base = typeof target === "string" ? target.replace(/\/+$/, "") : "";
    this.#transport = typeof target === "string" ? undefined : target;
    this.#options = options;
    this.#tokens = tokens;
    this.#changed = changed;
    this.#backoff = new Backoff(options.backoff);
  }

  get state(): HubState {
    return this.#state;
  }

  /** The link that calls should be on; undefined while there is none. */
  get current(): Link | undefined {
    return this.#link;
  }

  /** A link that can be used, as soon as there is one. @throws HubError when the client is closed */
  ready(): Promise<Link> {
    if (this.#state.kind === "closed") return Promise.reject(closedError());
    if (this.#link !== undefined) return Promise.resolve(this.#link);
    this.#opening ??= this.#open().finally(() => (this.#opening = undefined));
    return this.#opening;
  }

  /** Something has arrived on a link: its kind works. */
  answered(link: Link): void {
    if (link !== this.#link || this.#works) return;
    this.#works = true;
    this.#failures = 0;
    if (this.#at > 0) kept.set(this.#base, { at: this.#at, untilMs: Date.now() + keepMs });
    this.#opened(link);
  }

  /** A link has failed, or could not be opened. */
  lost(link: Link, error: HubError): void {
    if (link !== this.#link || this.#state.kind === "closed") return;
    const livedMs = Date.now() - (this.#openedMs ?? Date.now());
    const isStable = livedMs >= this.#options.stableMs;
    const works = this.#works || isStable;
    this.#leave();
    if (isStable) this.#backoff.reset();
    if (works) this.#wait(error);
    else this.#failed(error);
  }

  /** Tries now, in place of waiting. */
  wake(): void {
    this.#link?.check();
    this.#waitUntilMs = 0;
    this.#wake?.();
  }

  /** The page goes away: everything is closed until it is shown again. */
  hide(): void {
    this.#isHidden = true;
    this.#leave()?.close();
  }

  show(): void {
    this.#isHidden = false;
    this.wake();
  }

  /** Asks for a new token now, and gives it to the server. @throws HubError UNAVAILABLE when none can be had */
  async renew(): Promise<void> {
    const used = await this.#tokens.get().catch(() => undefined);
    const token = await this.#tokens.renew(used);
    if (token !== undefined) this.#link?.authorize(token);
  }

  /** Gives up the link, since calls with its token are refused. */
  replace(link: Link): void {
    if (link === this.#link) this.#leave()?.close();
  }

  close(error: HubError | undefined): void {
    if (this.#state.kind === "closed") return;
    this.#set({ kind: "closed", error });
    this.#leave()?.close();
    this.#wake?.();
  }

  async #open(): Promise<Link> {
    for (;;) {
      await this.#pause();
      if (this.#state.kind === "closed") throw closedError();
      this.#set({ kind: "connecting" });
      this.#recall();
      try {
        const link = await this.#openOne(this.#kind);
        if (this.#state.kind !== "connecting") {
          link.close(); // The client was closed meanwhile.
          continue;
        }
        this.#link = link;
        // Of other links the first stream tells.
        if (link.name === "websocket") this.#opened(link);
        return link;
      } catch (reason) {
        this.#failed(reason as HubError); // `openSocket` throws no other.
      }
    }
  }

  get #kind(): LinkName {
    return this.#options.transports[this.#at] ?? "poll";
  }

  /** Begins with the kind that has worked before. */
  #recall(): void {
    const known = kept.get(this.#base);
    if (known === undefined) return;
    if (known.untilMs > Date.now()) this.#at = Math.max(this.#at, known.at);
    else {
      kept.delete(this.#base);
      this.#at = 0;
      this.#failures = 0;
    }
  }

  async #openOne(kind: LinkName): Promise<Link> {
    if (this.#transport !== undefined) {
      const { TransportLink } = await import("./links/transport-link.ts");
      return new TransportLink(this.#transport);
    }
    const { connectTimeoutMs, client } = this.#options;
    if (kind === "sse") return eventsLink(this.#base, connectTimeoutMs);
    if (kind === "poll") return pollLink(this.#base, connectTimeoutMs);
    const token = await this.#tokens.get();
    const url = `${this.#base.replace(/^http/, "ws")}/ws`;
    const listener: SocketListener = {
      lost: (link, error) => this.lost(link, error),
      leaving: (link) => void this.#move(link),
      refused: (link) => this.replace(link),
      expiring: () => void this.renew().catch(() => {}), // `tokens` has told; the old one is good until it ends.
    };
    return openSocket({ url, token, client, timeoutMs: connectTimeoutMs }, listener);
  }

  /** Opens another link beside one whose server stops. */
  async #move(old: Link): Promise<void> {
    if (old !== this.#link) return;
    this.#set({ kind: "moving" });
    try {
      const link = await this.#openOne(this.#kind);
      if (this.#link !== old) return link.close();
      this.#leave();
      this.#link = link;
      this.#opened(link);
      this.#changed();
      old.close();
    } catch {
      // The old one ends sooner or later, and is replaced then.
    }
  }

  #opened(link: Link): void {
    this.#openedMs ??= Date.now();
    this.#set({ kind: "open", link: link.name });
  }

  /** Uses the link no longer; returns it. */
  #leave(): Link | undefined {
    const link = this.#link;
    this.#link = undefined;
    this.#openedMs = undefined;
    this.#works = false;
    return link;
  }

  #failed(error: HubError): void {
    const { transports } = this.#options;
    if (++this.#failures < openingsOfKind) return this.#wait(error);
    this.#failures = 0;
    kept.delete(this.#base);
    if (this.#at + 1 < transports.length) {
      this.#at++;
      return; // At once.
    }
    // None works: it is not the kind of link.
    this.#at = 0;
    this.#wait(error);
  }

  #wait(error: HubError): void {
    this.#waitUntilMs = Date.now() + this.#backoff.next(error.retryMs);
    this.#set({ kind: "waiting", untilMs: this.#waitUntilMs, error });
  }

  /** Waits until the next attempt is due, the computer is online and the page is there. */
  async #pause(): Promise<void> {
    for (;;) {
      const leftMs = this.#waitUntilMs - Date.now();
      const isAway = this.#isHidden || isOffline();
      if (this.#state.kind === "closed" || (leftMs <= 0 && !isAway)) return;
      await new Promise<void>((resolve) => {
        const timer = isAway ? undefined : setTimeout(resolve, leftMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  #set(state: HubState): void {
    if (this.#state.kind === "closed" || isSameState(state, this.#state)) return;
    this.#state = state;
    this.#changed();
  }
}

function closedError(): HubError {
  return new HubError(cancelled, "the client is closed");
}
