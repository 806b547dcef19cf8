import type { HubReset } from "./call/hub-reset.ts";
import type { MessageExtra } from "./links/link.ts";

/** One thing for the handlers of a subscription. */
export type Delivery<T> =
  | {
      readonly kind: "message";
      readonly value: T;
      readonly position: string | undefined;
      readonly extra: MessageExtra;
      /** To be called when it was handled; undefined where the server does not wait for that. */
      readonly confirm: (() => void) | undefined;
    }
  | { readonly kind: "reset"; readonly reset: HubReset; readonly position: string | undefined }
  | { readonly kind: "moved"; readonly position: string };

/** Messages that wait for their handler above which the stream pauses, and at which it goes on. */
const mostWaiting = 256;
const fewWaiting = 128;

/** What has arrived and waits for the handlers, which take one after the other. */
export class Deliveries<T> {
  readonly #flow: (isPaused: boolean) => void;
  #waiting: Delivery<T>[] = [];
  #wake: (() => void) | undefined;
  #isFull = false;
  #isEnded = false;

  /** @param flow told when the stream should pause, and when it should go on */
  constructor(flow: (isPaused: boolean) => void) {
    this.#flow = flow;
  }

  get isFull(): boolean {
    return this.#isFull;
  }

  push(delivery: Delivery<T>): void {
    if (this.#isEnded) return;
    this.#waiting.push(delivery);
    if (!this.#isFull && this.#waiting.length >= mostWaiting) {
      this.#isFull = true;
      this.#flow(true);
    }
    this.#wake?.();
  }

  /** Nothing more comes: what waits is still taken. */
  end(): void {
    this.#isEnded = true;
    this.#wake?.();
  }

  /** Nothing more is taken. */
  drop(): void {
    this.#waiting = [];
    this.end();
  }

  /** The next one; undefined behind the last. */
  async take(): Promise<Delivery<T> | undefined> {
    for (;;) {
      const next = this.#waiting.shift();
      if (next !== undefined) {
        if (this.#isFull && this.#waiting.length <= fewWaiting) {
          this.#isFull = false;
          this.#flow(false);
        }
        return next;
      }
      if (this.#isEnded) return undefined;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
