import type { ClientKeepalive } from "./client-http2-options.ts";

/** What a keepalive does with its connection. */
export interface KeepaliveActions {
  /** Whether calls are under way. */
  isBusy(): boolean;
  ping(): void;
  /** Something has come in time after the ping. */
  answered(): void;
  /** The peer has sent nothing since the ping: it is dead. */
  lose(): void;
}

/**
 * Finds a dead peer by pings (gRFC A8), and as few of them as servers that count pings tolerate: when nothing has come
 * for `timeMs` although something of ours was sent, and later only every `idleMs`, unless the server has sent headers or
 * data in between. Any byte is an answer.
 */
export class Keepalive {
  readonly #options: ClientKeepalive;
  readonly #actions: KeepaliveActions;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #lastByteAt: number = performance.now();
  #lastPingAt: number = performance.now();
  /** Whether headers or data of ours were sent since the last byte of the peer. */
  #sent = false;
  /** Whether the peer has sent headers or data since the last ping. */
  #received = true;

  constructor(options: ClientKeepalive, actions: KeepaliveActions) {
    this.#options = options;
    this.#actions = actions;
  }

  /** Begins; without a call of this there are no pings. */
  start(): void {
    const { timeMs } = this.#options;
    if (timeMs > 0 && timeMs < 2 ** 31) this.#arm(timeMs);
  }

  /** Any bytes have come. */
  received(): void {
    this.#lastByteAt = performance.now();
    this.#sent = false;
  }

  /** Headers or data have come. */
  markReceived(): void {
    this.#received = true;
  }

  /** Headers or data are sent. */
  sent(): void {
    this.#sent = true;
  }

  /** No pings any more. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #arm(ms: number): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(this.#check, ms).unref();
  }

  readonly #check = (): void => {
    const { timeMs, timeoutMs, idleMs, withoutCalls } = this.#options;
    const now = performance.now();
    const dueAt =
      this.#sent && this.#received
        ? this.#lastByteAt + timeMs
        : Math.max(this.#lastByteAt, this.#lastPingAt) + Math.max(idleMs, timeMs);
    if (dueAt > now || !(withoutCalls || this.#actions.isBusy())) {
      this.#arm(Math.max(Math.min(dueAt - now, timeMs), 1));
      return;
    }
    this.#received = false;
    this.#lastPingAt = now;
    this.#actions.ping();
    this.#timer = setTimeout(this.#judge, timeoutMs).unref();
  };

  readonly #judge = (): void => {
    if (this.#lastByteAt < this.#lastPingAt) {
      this.#actions.lose();
      return;
    }
    this.#actions.answered();
    this.#arm(this.#options.timeMs);
  };
}
